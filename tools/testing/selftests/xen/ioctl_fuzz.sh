#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs ioctl_fuzz (see there). Not on a kernel that has died in one of the tests
# before: what they show would bring down the machine here, and nothing that is
# seen afterwards would mean anything. 3,000 ioctls in 15 seconds, always from the
# same seed, if not asked for more, by an argument or on the kernel's command line
# (xen_ioctl_fuzz=100000,3600: ioctls, seconds). Needs no more than busybox:
#
#	./ioctl_fuzz.sh [-n IOCTLS] [-s SEED] [-t SECONDS]

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh
# shellcheck source=/dev/null
. "$DIR"/healthy.sh

if [ $# = 0 ]; then
	words=$(sed -n 's/.*\bxen_ioctl_fuzz=\([0-9]*\),\([0-9]*\).*/-n \1 -t \2/p' /proc/cmdline)
	# shellcheck disable=SC2086
	set -- ${words:--s 1}
fi
exec "$DIR"/ioctl_fuzz "$@"
