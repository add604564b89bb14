#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# The demo as a test of the lab's dom0, with options from the kernel's command
# line: lab.demo=--seconds=5,--break=disk
# shellcheck disable=SC2046 # words are what is wanted
exec ./demo.sh --lab $(sed -n 's/.*\blab\.demo=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')
