#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the KUnit module xen_dma_grant_test: grants when Xen refuses something,
# dma-bufs made of grants, foreign memory mapped through privcmd.

exec "$(dirname "$0")"/kunit.sh xen_dma_grant_test
