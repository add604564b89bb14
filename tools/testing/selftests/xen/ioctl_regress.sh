#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs ioctl_regress (see there), some of whose cases a kernel without the fix
# answers with an oops and a process that never ends: so not where an oops is a
# panic. Needs no more than busybox:
#
#	./ioctl_regress.sh

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh

if [ "$(cat /proc/sys/kernel/panic_on_oops 2>/dev/null)" = 1 ] ||
   grep -qw oops=panic /proc/cmdline; then
	ktap_print_header
	ktap_skip_all "an oops is a panic here (kernel.panic_on_oops)"
	exit "$KSFT_SKIP"
fi

exec "$DIR"/ioctl_regress "$@"
