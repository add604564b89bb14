#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs ioctl_fault (see there) with every allocation allowed to fail. Not on a
# kernel that has died in one of the tests before. Needs no more than busybox:
#
#	./ioctl_fault.sh

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh
# shellcheck source=/dev/null
. "$DIR"/healthy.sh

debug=/sys/kernel/debug
if ! [ -e $debug/failslab/verbose ] || ! [ -e $debug/fail_page_alloc/verbose ]; then
	ktap_print_header
	ktap_skip_all "no CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC or debugfs"
	exit "$KSFT_SKIP"
fi

# Only what a test asks for fails: their probability is 0. And quietly.
for attr in $debug/failslab $debug/fail_page_alloc; do
	echo 0 >"$attr"/probability
	echo 0 >"$attr"/verbose
	echo N >"$attr"/ignore-gfp-wait
done
echo N >$debug/failslab/cache-filter
echo N >$debug/fail_page_alloc/ignore-gfp-highmem
echo 0 >$debug/fail_page_alloc/min-order

exec "$DIR"/ioctl_fault "$@"
