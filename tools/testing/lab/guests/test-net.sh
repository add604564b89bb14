#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# A whole guest with network through dom0's e1000e behind the DMA window: a file
# each way, sums compared by who receives it.

# shellcheck disable=SC1091,SC2154 # variables of lib.sh
. ./lib.sh

ktap_print_header
network || { say "$why"; ktap_skip_all "$why"; exit "$KSFT_SKIP"; }
ktap_set_plan 5
free=$(xen_free_mb)
check "guest starts" domu_start net "" 2 "net:$DOM0_IP:4"
check "file from the guest through e1000e" upload net
check "file to the guest through e1000e" job net "net:$DOM0_IP:4"
domu_gone net || say "$why"
clean_up
check "Xen has all memory back" no_leak "$free"
check "no trouble with dom0's devices" no_trouble
ktap_finished
