#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# What must not hurt dom0: two guests at once while dom0 is short of memory; a
# guest killed in the middle of its I/O; a guest that panics; and that the lab
# notices wrong data.

# shellcheck disable=SC1091
. ./lib.sh

# Leave dom0 little memory, and make its page cache turn over.
pressure_on()
{
	mkdir -p "$STATE"/full
	mount -t tmpfs -o size=90% tmpfs "$STATE"/full
	while [ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -gt 49152 ]; do
		dd if=/dev/zero of="$STATE"/full/$((n += 1)) bs=1M count=8 2>/dev/null || break
	done
	say "dom0 has $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo) KB left"
	(while :; do dd if="$third" of=/dev/null bs=1M; done) >/dev/null 2>&1 </dev/null &
	churn=$!
}

pressure_off()
{
	kill $churn
	umount "$STATE"/full
}

# The disk's sectors that blkback wrote for a domain: it grows while it works
written()
{
	cat "/sys/bus/xen-backend/devices/vbd-$1-51712/statistics/wr_sect"
}

kill_in_io()
{
	domu_start victim "xvda=$nvme" 4 "churn:xvda:$DOM0_IP" || return
	domu_says victim "note churning" || return
	id=$(cat "$STATE"/victim/id)
	first=$(written "$id")
	wait_for 60 "the guest's I/O" still_writing || return
	say "victim: $(placement "$id"), $(($(written "$id") - first)) sectors written while watched"
	domu_gone victim
}

still_writing()
{
	[ "$(written "$id")" -gt "$((first + 1024))" ]
}

# next_guest: it reads what dom0 wrote; and the lab names wrong data and a panic
next_guest()
{
	dd if=/dev/urandom of="$STATE"/pattern bs=1M count=1 2>/dev/null
	good=$(sha256sum <"$STATE"/pattern)
	good=${good%% *}
	dd if="$STATE"/pattern of="$nvme" bs=1M oflag=direct 2>/dev/null
	domu_start next "xvda=$nvme" - "read:xvda:1:$good,read:xvda:1:bad,panic" &&
		job next "read:xvda:1:$good"
}

# fails_with WANT JOB REASON: the guest's failure is told so, and not passed over
fails_with()
{
	if domu_says next "$1" "$2"; then
		why="it was taken for a success"
		return 1
	fi
	case $why in
	"$3"*) return 0 ;;
	esac
	why="it was told as: $why"
	return 1
}

ktap_print_header
nvme=$(disk_nvme 1) second=$(disk_nvme 2)
third=$(disk_nvme 3) || { ktap_skip_all "QEMU has given no NVMe disks"; exit "$KSFT_SKIP"; }
if ! network; then
	say "$why"
	exit "$KSFT_FAIL"
fi
ktap_set_plan 15
free=$(xen_free_mb)

domu_create one "xvda=$nvme" 2 "disk:xvda,net:$DOM0_IP:2" || say "$why"
domu_create two "xvda=$second" 3 "disk:xvda,net:$DOM0_IP:2" || say "$why"
pressure_on
check "two at once, dom0 short of memory: first starts" domu_run one
check "two at once, dom0 short of memory: second starts" domu_run two
check "two at once, dom0 short of memory: disk of the first" job one disk:xvda
check "two at once, dom0 short of memory: disk of the second" job two disk:xvda
check "two at once, dom0 short of memory: file from the first" upload one
check "two at once, dom0 short of memory: file from the second" upload two
check "two at once, dom0 short of memory: file to the first" job one "net:$DOM0_IP:2"
check "two at once, dom0 short of memory: file to the second" job two "net:$DOM0_IP:2"
pressure_off
domu_gone one || say "$why"
domu_gone two || say "$why"
clean_up

check "killed in the middle of I/O: nothing of it stays" kill_in_io
clean_up
check "killed in the middle of I/O: Xen has all memory back" no_leak "$free"
check "killed in the middle of I/O: the next guest works" next_guest
check "wrong data in a guest has its own message" \
	fails_with "ok read:xvda:1:bad" "read:xvda:1:bad:" "domU next: read:xvda:1:bad: 1 MB on xvda have the sum $good"
check "a guest's panic has its own message" \
	fails_with "ok panic" "panic:" "domU next panicked: sysrq triggered crash"
domu_gone next || say "$why"
clean_up
check "Xen has all memory back" no_leak "$free"
check "no trouble with dom0's devices" no_trouble
ktap_finished
