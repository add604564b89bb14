#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# dom0 is PV, its disk is behind swiotlb-xen, and what is written to the disk can be
# read again: in requests of one page and of many. Overwrites /dev/nvme0n1.

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh

DISK=/dev/nvme0n1
MB=16

# pattern_comes_back REQUEST_SIZE: another pattern for each
pattern_comes_back()
{
	# Else it would be a file that is written and read.
	[ -b $DISK ] || return
	dd if=/dev/urandom of=/tmp/pattern bs=1M count=$MB 2>/dev/null
	dd if=/tmp/pattern of=$DISK bs="$1" oflag=direct conv=fsync || return
	dd if=$DISK of=/tmp/again bs="$1" count=$((MB * 1024 * 1024 / $1)) iflag=direct || return
	cmp /tmp/pattern /tmp/again
}

# Without it the device would be given guest frames as addresses.
bounce_pool_is_there()
{
	dmesg | grep -q 'Setting up swiotlb\|Xen: swiotlb\|software IO TLB: mapped'
}

ktap_print_header
ktap_set_plan 5
ktap_test_result dom0_is_pv grep -qx PV /sys/hypervisor/guest_type
ktap_test_result bounce_pool_is_there bounce_pool_is_there
for size in 4096 65536 1048576; do
	ktap_test_result "disk_requests_of_$size" pattern_comes_back $size
done
rm -f /tmp/pattern /tmp/again
ktap_finished
