// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another domain's memory for xen_dma_edu_test: maps what the peer guest
 * grants, and gives it orders.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <xen/page.h>
#include <xen/xen.h>

#include "xen_dma_edu_peer.h"

/*
 * Pages asked for, to find PEER_SLOTS + 1 consecutive ones among them: the free
 * list of unpopulated pages is in order only until the first pages come back.
 */
#define PEER_ALLOC	(8 * PEER_SLOTS)

static unsigned int peer_timeout_ms;

static int page_cmp(const void *a, const void *b)
{
	unsigned long x = page_to_pfn(*(struct page * const *)a);
	unsigned long y = page_to_pfn(*(struct page * const *)b);

	return x < y ? -1 : x > y;
}

static int slots_map(struct peer *peer, struct peer_slot *slot,
		     const grant_ref_t *ref, unsigned int nr, bool readonly)
{
	struct gnttab_map_grant_ref *op;
	struct page **pages;
	unsigned int i;
	int ret;

	op = kzalloc_objs(*op, nr);
	pages = kzalloc_objs(*pages, nr);
	if (!op || !pages) {
		ret = -ENOMEM;
		goto out;
	}
	for (i = 0; i < nr; i++) {
		pages[i] = slot[i].page;
		gnttab_set_map_op(&op[i],
				  (unsigned long)page_address(pages[i]),
				  GNTMAP_host_map |
				  (readonly ? GNTMAP_readonly : 0),
				  ref[i], peer->domid);
	}
	ret = gnttab_map_refs(op, NULL, pages, nr);
	for (i = 0; i < nr; i++) {
		if (ret || op[i].status != GNTST_okay) {
			if (!ret)
				ret = -EACCES;
			continue;
		}
		slot[i].handle = op[i].handle;
		slot[i].machine = op[i].dev_bus_addr;
		slot[i].readonly = readonly;
	}
out:
	kfree(pages);
	kfree(op);
	return ret;
}

static int slot_unmap(struct peer_slot *slot)
{
	struct gnttab_unmap_grant_ref op;
	int ret;

	if (slot->handle == INVALID_GRANT_HANDLE)
		return 0;
	gnttab_set_unmap_op(&op, (unsigned long)page_address(slot->page),
			    GNTMAP_host_map |
			    (slot->readonly ? GNTMAP_readonly : 0),
			    slot->handle);
	ret = gnttab_unmap_refs(&op, NULL, &slot->page, 1);
	if (!ret && op.status != GNTST_okay)
		ret = -EIO;
	if (!ret)
		slot->handle = INVALID_GRANT_HANDLE;
	return ret;
}

/**
 * peer_map - map consecutive pages of a run
 * @peer: the peer
 * @slot: first slot to map them to
 * @run: the run
 * @page: its first page to map
 * @nr: number of pages
 * @readonly: use the read-only grants
 *
 * Return: 0; -EACCES if Xen refuses one, those before and behind it may be
 * mapped then; or another negative error.
 */
int peer_map(struct peer *peer, unsigned int slot, u32 run, u32 page,
	     unsigned int nr, bool readonly)
{
	grant_ref_t ref[XEN_DMA_PEER_RUN_PAGES];
	unsigned int i;

	if (slot + nr > PEER_SLOTS || run >= peer->nr_runs ||
	    page + nr > XEN_DMA_PEER_RUN_PAGES)
		return -EINVAL;
	for (i = 0; i < nr; i++)
		ref[i] = xen_dma_peer_ref(run, page + i, readonly);
	return slots_map(peer, &peer->slot[slot], ref, nr, readonly);
}

/**
 * peer_unmap - undo peer_map()
 * @peer: the peer
 * @slot: first slot to unmap, mapped or not
 * @nr: number of slots
 *
 * Return: 0 or the first negative error; the rest is unmapped nevertheless.
 */
int peer_unmap(struct peer *peer, unsigned int slot, unsigned int nr)
{
	int first = 0;

	while (nr--) {
		int ret = slot_unmap(&peer->slot[slot++]);

		if (ret && !first)
			first = ret;
	}
	return first;
}

/**
 * peer_machine - the machine address behind a pseudo-physical one
 * @peer: the peer, NULL if there is none
 * @paddr: pseudo-physical address
 *
 * What Xen said when it mapped the grant, or the address itself for dom0's own
 * RAM, as dom0 is direct-mapped; on no account what the kernel under test
 * thinks.
 *
 * Return: the machine address, %PEER_NOWHERE if there is no memory.
 */
u64 peer_machine(void *peer, u64 paddr)
{
	struct peer *p = peer;
	unsigned long pfn = PFN_DOWN(paddr);
	unsigned int i;

	for (i = 0; p && i < PEER_SLOTS; i++)
		if (p->slot[i].handle != INVALID_GRANT_HANDLE &&
		    p->slot[i].page && page_to_pfn(p->slot[i].page) == pfn)
			return p->slot[i].machine | offset_in_page(paddr);
	return page_is_ram(pfn) ? paddr : PEER_NOWHERE;
}

/**
 * peer_order - have the peer do something and wait for its answer
 * @peer: the peer
 * @op: what to do
 * @run: its arguments, see &enum xen_dma_peer_op
 * @offset: its arguments
 * @len: its arguments
 * @seed: its arguments
 *
 * The answer is in the control page. May sleep. Where the peer does not answer
 * in time it is not asked again.
 *
 * Return: 0, -EBUSY or -EINVAL as the peer says, -ETIMEDOUT if it says nothing,
 * then and ever after with peer::why filled in.
 */
int peer_order(struct peer *peer, enum xen_dma_peer_op op, u32 run, u32 offset,
	       u32 len, u64 seed)
{
	struct xen_dma_peer_ctrl *ctrl = peer->ctrl;
	unsigned long half = jiffies + msecs_to_jiffies(peer_timeout_ms) / 2;
	unsigned long deadline = jiffies + msecs_to_jiffies(peer_timeout_ms);
	u64 beat = 0;

	if (peer->why[0])
		return -ETIMEDOUT;

	ctrl->op = op;
	ctrl->run = run;
	ctrl->offset = offset;
	ctrl->len = len;
	ctrl->seed = seed;
	/* Pairs with the peer's load-acquire: arguments before the number */
	smp_store_release(&ctrl->req_seq, ++peer->seq);
	/* Pairs with the peer's store-release: number before the answer */
	while (smp_load_acquire(&ctrl->rsp_seq) != peer->seq) {
		if (time_before(jiffies, half))
			beat = READ_ONCE(ctrl->beat);
		if (time_after(jiffies, deadline)) {
			snprintf(peer->why, sizeof(peer->why),
				 "peer (domain %u) did not answer order %d, number %u, within %u ms; it is %s",
				 peer->domid, op, peer->seq, peer_timeout_ms,
				 READ_ONCE(ctrl->beat) != beat ?
				 "alive but mute" : "dead, its heart has stopped");
			pr_err("%s\n", peer->why);
			return -ETIMEDOUT;
		}
		usleep_range(100, 300);
	}

	switch (ctrl->rsp_error) {
	case XEN_DMA_PEER_OK:
		return 0;
	case XEN_DMA_PEER_BUSY:
		return -EBUSY;
	default:
		return -EINVAL;
	}
}

/* Consecutive pages to map grants to */
static int peer_alloc_slots(struct peer *peer)
{
	unsigned int i, from, ret;

	peer->pages = kzalloc_objs(*peer->pages, PEER_ALLOC);
	if (!peer->pages)
		return -ENOMEM;
	ret = gnttab_alloc_pages(PEER_ALLOC, peer->pages);
	if (ret)
		return ret;
	peer->nr_pages = PEER_ALLOC;
	sort(peer->pages, PEER_ALLOC, sizeof(*peer->pages), page_cmp, NULL);

	for (i = 1, from = 0; i < PEER_ALLOC && i - from <= PEER_SLOTS; i++)
		if (page_to_pfn(peer->pages[i]) !=
		    page_to_pfn(peer->pages[from]) + i - from)
			from = i;
	if (i - from <= PEER_SLOTS)
		return -ENOSPC;
	for (i = 0; i < PEER_SLOTS; i++)
		peer->slot[i].page = peer->pages[from + i];
	peer->ctrl_slot.page = peer->pages[from + PEER_SLOTS];
	return 0;
}

/* Ask Xen where the runs lie in machine memory */
static int peer_locate_runs(struct peer *peer)
{
	unsigned int run, i;
	int ret;

	for (run = 0; run < peer->nr_runs; run++) {
		ret = peer_map(peer, 0, run, 0, XEN_DMA_PEER_RUN_PAGES, false);
		if (ret)
			return ret;
		peer->run_machine[run] = peer->slot[0].machine;
		for (i = 1; i < XEN_DMA_PEER_RUN_PAGES; i++)
			if (peer->slot[i].machine !=
			    peer->slot[0].machine + i * XEN_PAGE_SIZE)
				peer->run_machine[run] = PEER_SCATTERED;
		ret = peer_unmap(peer, 0, XEN_DMA_PEER_RUN_PAGES);
		if (ret)
			return ret;
	}
	return 0;
}

static int peer_connect(struct peer *peer)
{
	const grant_ref_t ref = XEN_DMA_PEER_CTRL_REF;
	unsigned long deadline = jiffies + msecs_to_jiffies(peer_timeout_ms);
	int ret;

	/* It may still be starting */
	while ((ret = slots_map(peer, &peer->ctrl_slot, &ref, 1, false)) ==
	       -EACCES && time_before(jiffies, deadline))
		msleep(20);
	if (ret)
		return ret;
	peer->ctrl = page_address(peer->ctrl_slot.page);
	/* Pairs with the peer's store-release of the magic */
	if (smp_load_acquire(&peer->ctrl->magic) != XEN_DMA_PEER_MAGIC ||
	    peer->ctrl->version != XEN_DMA_PEER_VERSION ||
	    peer->ctrl->run_pages != XEN_DMA_PEER_RUN_PAGES ||
	    peer->ctrl->nr_runs > XEN_DMA_PEER_MAX_RUNS)
		return -EPROTO;
	peer->nr_runs = peer->ctrl->nr_runs;
	peer->seq = peer->ctrl->req_seq;
	return 0;
}

/**
 * peer_open - find the peer guest and learn where its memory lies
 * @peer: the peer, zeroed
 * @domid: its domain
 * @timeout_ms: how long it may take to answer
 *
 * To be followed by peer_close() whatever it returns.
 *
 * Return: 0 or a negative error with peer::why filled in.
 */
int peer_open(struct peer *peer, domid_t domid, unsigned int timeout_ms)
{
	unsigned int i;
	int ret;

	peer->domid = domid;
	peer_timeout_ms = timeout_ms;
	peer->ctrl_slot.handle = INVALID_GRANT_HANDLE;
	for (i = 0; i < PEER_SLOTS; i++)
		peer->slot[i].handle = INVALID_GRANT_HANDLE;

	/* A Xen frame a page: grants of 4 KB pages, no page of several frames */
	if (PAGE_SIZE != XEN_PAGE_SIZE) {
		snprintf(peer->why, sizeof(peer->why),
			 "pages of %lu KB: several grants a page are not supported",
			 PAGE_SIZE / 1024);
		return -EOPNOTSUPP;
	}
	ret = peer_alloc_slots(peer);
	if (ret) {
		snprintf(peer->why, sizeof(peer->why),
			 "no %u consecutive pages to map grants to: %d",
			 PEER_SLOTS + 1, ret);
		return ret;
	}
	ret = peer_connect(peer);
	if (ret) {
		snprintf(peer->why, sizeof(peer->why),
			 "no peer guest in domain %u: %d", domid, ret);
		return ret;
	}
	ret = peer_order(peer, XEN_DMA_PEER_PING, 0, 0, 0, 0);
	if (ret)
		return ret;
	ret = peer_locate_runs(peer);
	if (ret)
		snprintf(peer->why, sizeof(peer->why),
			 "cannot map the memory of domain %u: %d", domid, ret);
	return ret;
}

/**
 * peer_close - undo peer_open()
 * @peer: the peer
 */
void peer_close(struct peer *peer)
{
	int ret = peer_unmap(peer, 0, PEER_SLOTS);

	if (!ret)
		ret = slot_unmap(&peer->ctrl_slot);
	/* A page that is still mapped must not come into other hands */
	if (ret)
		pr_err("cannot unmap the peer's grants: %d, leaking pages\n",
		       ret);
	else if (peer->nr_pages)
		gnttab_free_pages(peer->nr_pages, peer->pages);
	kfree(peer->pages);
	memset(peer, 0, sizeof(*peer));
}
