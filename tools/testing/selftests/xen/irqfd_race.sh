#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs irqfd_race (see there), after which a kernel without the fix lacks a CPU and
# hangs sooner or later: so only where an oops is a panic. Needs no more than
# busybox:
#
#	sysctl kernel.panic_on_oops=1; ./irqfd_race.sh

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh

if [ "$(cat /proc/sys/kernel/panic_on_oops 2>/dev/null)" != 1 ]; then
	ktap_print_header
	ktap_skip_all "a kernel without the fix would lose a CPU: sysctl kernel.panic_on_oops=1"
	exit "$KSFT_SKIP"
fi

exec "$DIR"/irqfd_race "$@"
