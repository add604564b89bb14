#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Whole guests with disks on dom0's NVMe and USB storage, behind the DMA window:
# a file system, fio and raw patterns in the guest, all verified; what the guest
# wrote last must then be on dom0's disk. Once with persistent grants, once
# without; once with the guest's memory where Xen puts it first, and once after
# a filler has taken that place, so that it comes to lie elsewhere.

# shellcheck disable=SC1091,SC2154 # variables of lib.sh
. ./lib.sh

# start NAME PERSISTENT: a guest with both disks
start()
{
	persistent_grants "$2"
	domu_start "$1" "xvda=$nvme,xvdb=$usb,xvdt=$tools" - "disk:xvda,disk:xvdb" || return
	domu_says "$1" "note file system verified xvda" || return
	where=$(placement "$(cat "$STATE"/"$1"/id)")
	say "$1: $where"
	echo "$where" >>"$STATE"/placements
	grants_are "$1" 51712 "$2"
}

# Take the memory that Xen gives out first, but leave enough for one guest.
fill()
{
	size=$(($(xen_free_mb) - MEMORY - 40))
	[ $size -le 340 ] || size=340
	ours=$MEMORY
	MEMORY=$size
	domu_create filler "" - "" || say "$why"
	MEMORY=$ours
}

both_places()
{
	[ -e "$STATE"/placements ] &&
		awk '$1 > 0 { inside = 1 } $1 < $3 { outside = 1 } END { exit !(inside && outside) }' "$STATE"/placements
}

ktap_print_header
nvme=$(disk_nvme 1) usb=$(disk_usb) || ktap_skip_all "QEMU has given no NVMe or no USB disk"
[ -n "$nvme" ] && [ -n "$usb" ] || exit "$KSFT_SKIP"
fio_disk || { say "$why"; exit "$KSFT_FAIL"; }
rm -f "$STATE"/placements
ktap_set_plan 13

free=$(xen_free_mb)
check "persistent grants: guest starts" start persistent 1
check "persistent grants: NVMe" job persistent disk:xvda
check "persistent grants: USB storage" job persistent disk:xvdb
check "persistent grants: guest goes" domu_gone persistent
check "persistent grants: data is on the NVMe disk" on_disk persistent xvda "$nvme"
clean_up

fill
check "transient grants: guest starts" start transient 0
check "transient grants: NVMe" job transient disk:xvda
check "transient grants: USB storage" job transient disk:xvdb
check "transient grants: guest goes" domu_gone transient
domu_gone filler || say "$why"
check "transient grants: data is on the USB disk" on_disk transient xvdb "$usb"
clean_up

# Where Xen puts a guest is not for dom0 to say, and not every window leaves the
# choice; what the guests did was tested in either case.
if both_places; then
	ktap_test_pass "guests' memory inside and outside of the window"
else
	skip "guests' memory inside and outside of the window" \
		"all on one side: $(tr '\n' ';' <"$STATE"/placements)"
fi
check "Xen has all memory back" no_leak "$free"
check "no trouble with dom0's devices" no_trouble
persistent_grants 1
ktap_finished
