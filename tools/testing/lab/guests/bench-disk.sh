#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# What a guest's disk I/O costs dom0: CPU time and hypercalls per MB, read and
# written with O_DIRECT, from and to dom0's NVMe behind the DMA window. Only from
# scripts/bench-disk, on a machine where a nanosecond is an instruction. Prints
# lines of "bench NAME UNIT VALUE"; no pass, no fail.

# shellcheck disable=SC1091,SC2034,SC2154 # variables of lib.sh
. ./lib.sh

TRACING=/sys/kernel/tracing
MB=1024
# Waiting for a guest's word costs dom0 something as well: rarely, and long.
POLL=4
LIMIT=2000

# Milliseconds of CPU time that Xen has given to the domain with this number
cpu_ms()
{
	xl vcpu-list "$1" | awk 'NR > 1 { for (i = 5; i <= NF; i++) if ($i ~ /^[0-9]+\.[0-9]$/) { s += $i; break } } END { printf "%d\n", s * 1000 }'
}

calls()
{
	awk '{ s += $2 } END { print s + 0 }' $TRACING/kprobe_profile
}

# load NAME: one guest's reads and writes; what each costs
load()
{
	domu_start "$1" "xvda=$nvme" - "load:xvda:$MB" || { say "$why"; exit 1; }
	id=$(cat "$STATE/$1/id")
	for io in read write; do
		domu_says "$1" "note $io begins" || { say "$why"; exit 1; }
		dom0=$(cpu_ms 0) domu=$(cpu_ms "$id") before=$(calls)
		domu_says "$1" "note $io ends" || { say "$why"; exit 1; }
		mb=$((MB - 32))
		if [ -n "$counting" ]; then
			echo "bench disk_${io}_$2 hypercalls_per_MB $((($(calls) - before) / mb))"
		else
			echo "bench disk_${io}_$2 dom0_instructions_per_MB $((($(cpu_ms 0) - dom0) * 1000000 / mb))"
			echo "bench disk_${io}_$2 domU_instructions_per_MB $((($(cpu_ms "$id") - domu) * 1000000 / mb))"
		fi
	done
	domu_gone "$1" || say "$why"
}

ktap_print_header
ktap_set_plan 1
nvme=$(disk_nvme 1) || exit "$KSFT_FAIL"
for persistent in 1 0; do
	persistent_grants $persistent
	name=transient
	[ $persistent = 0 ] || name=persistent
	counting=
	load $name-time $name
	counting=1
	for f in grant_table_op memory_op event_channel_op sched_op; do
		echo "p:lab/$f HYPERVISOR_$f"
	done >$TRACING/kprobe_events
	echo 0 >$TRACING/tracing_on
	echo 1 >$TRACING/events/lab/enable
	load $name-calls $name
	sed 's/^/# /' $TRACING/kprobe_profile
	echo 0 >$TRACING/events/lab/enable
	: >$TRACING/kprobe_events
done
ktap_test_pass "measured"
ktap_finished
