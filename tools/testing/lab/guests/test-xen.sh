#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Xen's own tests of the interfaces that dom0's kernel offers to the toolstack:
# test-resource (mapping of resources through privcmd), test-xenstore.

# shellcheck disable=SC1091
. ./lib.sh

# run PROGRAM: its output goes to $STATE/said
run()
{
	timeout -s KILL 120 "$1" >"$STATE"/said 2>&1
	rc=$?
	sed 's/^/#   /' "$STATE"/said
	why="$1 ends with $rc"
	[ $rc = 0 ]
}

# On Arm, Xen takes a domain's stage-2 tables from a pool that the toolstack has
# to fill (XEN_DOMCTL_set_paging_mempool_size). test-resource as of Xen 4.20 does
# not, so Xen refuses its domain the one page of RAM it asks for, whatever kernel
# dom0 has, and nothing of what it is to test has been called yet.
no_pool()
{
	[ "$(grep -ciE 'fail' "$STATE"/said)" = 1 ] &&
		grep -q 'Failed to populate physmap domain: 16' "$STATE"/said
}

ktap_print_header
ktap_set_plan 2
for program in test-resource test-xenstore; do
	if ! command -v $program >/dev/null; then
		skip "$program" "not in this Xen's packages"
	elif run $program; then
		ktap_test_pass "$program"
	elif [ $program = test-resource ] && no_pool; then
		skip "$program" "it fills no p2m pool, so Xen on Arm gives its domain no RAM"
	else
		say "$why"
		ktap_test_fail "$program"
	fi
done
ktap_finished
