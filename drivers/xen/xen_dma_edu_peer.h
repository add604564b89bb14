/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Another domain's memory for xen_dma_edu_test: dom0's side of the protocol in
 * xen_dma_peer.h.
 */
#ifndef _XEN_DMA_EDU_PEER_H
#define _XEN_DMA_EDU_PEER_H

#include <linux/types.h>

#include <xen/grant_table.h>

#include "xen_dma_peer.h"

/* Consecutive pages that grants are mapped to: two runs' worth */
#define PEER_SLOTS	(2 * XEN_DMA_PEER_RUN_PAGES)

/**
 * struct peer_slot - a page of dom0 that a grant can be mapped to
 * @page: the page
 * @handle: the mapping, %INVALID_GRANT_HANDLE if there is none
 * @machine: machine address of what is mapped, as Xen says
 * @readonly: granted and mapped read-only
 */
struct peer_slot {
	struct page *page;
	grant_handle_t handle;
	u64 machine;
	bool readonly;
};

/**
 * struct peer - a peer guest
 * @domid: its domain
 * @why: what is wrong with it, empty if nothing
 * @ctrl: its control page
 * @seq: number of the last order
 * @nr_runs: number of its runs
 * @run_machine: machine address of each run's first page, %PEER_SCATTERED if
 *	its pages are not contiguous in machine memory
 * @slot: pages to map grants to, consecutive
 * @ctrl_slot: the one that the control page is mapped to
 * @pages: all pages allocated for slots, @nr_pages of them
 * @nr_pages: see @pages
 *
 * Used by one test at a time, no locking.
 */
struct peer {
	domid_t domid;
	char why[160];
	struct xen_dma_peer_ctrl *ctrl;
	u32 seq;
	u32 nr_runs;
	u64 run_machine[XEN_DMA_PEER_MAX_RUNS];
	struct peer_slot slot[PEER_SLOTS];
	struct peer_slot ctrl_slot;
	struct page **pages;
	unsigned int nr_pages;
};

#define PEER_SCATTERED		(~0ULL)
/* What peer_machine() says of memory that is nobody's */
#define PEER_NOWHERE		(~0ULL & XEN_PAGE_MASK)

int peer_open(struct peer *peer, domid_t domid, unsigned int timeout_ms);
void peer_close(struct peer *peer);
int peer_order(struct peer *peer, enum xen_dma_peer_op op, u32 run, u32 offset,
	       u32 len, u64 seed);
int peer_map(struct peer *peer, unsigned int slot, u32 run, u32 page,
	     unsigned int nr, bool readonly);
int peer_unmap(struct peer *peer, unsigned int slot, unsigned int nr);
u64 peer_machine(void *peer, u64 paddr);

#endif /* _XEN_DMA_EDU_PEER_H */
