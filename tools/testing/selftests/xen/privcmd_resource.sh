#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs privcmd_resource (see there), whose last cases a kernel without the fix
# answers with an oops and a process that never ends: so not where an oops is a
# panic, and last of the collection, after everything that needs a healthy
# machine. Needs no more than busybox:
#
#	./privcmd_resource.sh

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh

if [ "$(cat /proc/sys/kernel/panic_on_oops 2>/dev/null)" = 1 ] ||
   grep -qw oops=panic /proc/cmdline; then
	ktap_print_header
	ktap_skip_all "an oops is a panic here (kernel.panic_on_oops)"
	exit "$KSFT_SKIP"
fi

exec "$DIR"/privcmd_resource "$@"
