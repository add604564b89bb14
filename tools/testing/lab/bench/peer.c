// SPDX-License-Identifier: GPL-2.0-only
/* The tests' own code that drives the peer guest, for this module */
#include <xen_dma_edu_peer.c>
