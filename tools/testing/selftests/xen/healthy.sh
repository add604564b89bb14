#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Sourced after ktap_helpers.sh: ends the test on a kernel that has died in one
# before. What this one shows would bring down the machine, and nothing that is
# seen afterwards would mean anything.

# TAINT_DIE
if [ $(($(cat /proc/sys/kernel/tainted) >> 7 & 1)) = 1 ]; then
	ktap_print_header
	ktap_set_plan 1
	ktap_print_msg "the kernel has died before: not run"
	ktap_test_fail "healthy_kernel"
	ktap_finished
fi
