// SPDX-License-Identifier: GPL-2.0-only
/*
 * What another domain's memory costs: DMA to pages that the peer guest granted,
 * while more and more of its grants are mapped, and the mapping itself.
 */
#define pr_fmt(fmt) "bench " fmt

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <asm/arch_timer.h>
#include <asm/xen/hypercall.h>

#include <xen/grant_table.h>
#include <xen/page.h>
#include <uapi/xen/privcmd.h>
#include <xen_dma_edu_peer.h>

#include "bench.h"

#define PEER_DOMID	1
/* Grants that are mapped by one hypercall */
#define BATCH		64

/* What is mapped to make a crowd; the runs that DMA is done to are not in it. */
static struct crowd {
	struct page **pages;
	grant_handle_t *handles;
	unsigned int nr;		/* mapped */
	unsigned int nr_pages;
} crowd;

static struct peer *peer;
static u32 direct_run, bounced_run, last_run;

static struct gnttab_map_grant_ref map_ops[BATCH];
static struct gnttab_unmap_grant_ref unmap_ops[BATCH];

/* Work that is not measured many times in one go */
#define ROUNDS		9

static int u64_cmp(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 median_ns(u64 *ticks, unsigned int nr)
{
	sort(ticks, nr, sizeof(*ticks), u64_cmp, NULL);
	return div64_u64(ticks[nr / 2] * NSEC_PER_SEC, arch_timer_get_cntfrq());
}

/* Free pages, exactly: with those that the CPUs keep for themselves */
static unsigned long free_bytes(void)
{
	struct pglist_data *node = NODE_DATA(0);
	unsigned long pages = 0;
	int i, cpu;

	for (i = 0; i < MAX_NR_ZONES; i++) {
		struct zone *zone = &node->node_zones[i];

		if (!populated_zone(zone))
			continue;
		pages += zone_page_state_snapshot(zone, NR_FREE_PAGES);
		for_each_online_cpu(cpu)
			pages += per_cpu_ptr(zone->per_cpu_pageset, cpu)->count;
	}
	return pages << PAGE_SHIFT;
}

/* The crowd's grants, in order: read-write, read-only, and again */
static u32 crowd_ref(unsigned int i, bool *readonly)
{
	unsigned int runs = peer->nr_runs - 2;
	u32 run;

	i %= 2 * runs * XEN_DMA_PEER_RUN_PAGES;
	*readonly = i >= runs * XEN_DMA_PEER_RUN_PAGES;
	i %= runs * XEN_DMA_PEER_RUN_PAGES;
	run = i / XEN_DMA_PEER_RUN_PAGES;
	if (run >= min(direct_run, bounced_run))
		run++;
	if (run >= max(direct_run, bounced_run))
		run++;
	return xen_dma_peer_ref(run, i % XEN_DMA_PEER_RUN_PAGES, *readonly);
}

/* Map @nr of the crowd's grants, from number @first on. How many were. */
static unsigned int map_batch(struct page **pages, grant_handle_t *handles,
			      unsigned int first, unsigned int nr)
{
	unsigned int i;
	bool readonly;
	u32 ref;
	int ret;

	for (i = 0; i < nr; i++) {
		ref = crowd_ref(first + i, &readonly);
		gnttab_set_map_op(&map_ops[i],
				  (unsigned long)page_address(pages[i]),
				  GNTMAP_host_map |
				  (readonly ? GNTMAP_readonly : 0),
				  ref, PEER_DOMID);
	}
	ret = gnttab_map_refs(map_ops, NULL, pages, nr);
	if (ret) {
		pr_info("note gnttab_map_refs() says %d\n", ret);
		return 0;
	}
	for (i = 0; i < nr; i++) {
		if (map_ops[i].status != GNTST_okay)
			break;
		handles[i] = map_ops[i].handle;
	}
	if (i < nr)
		pr_info("note grant %u: status %d\n", first + i,
			map_ops[i].status);
	return i;
}

static bool unmap_batch(struct page **pages, grant_handle_t *handles,
			unsigned int first, unsigned int nr)
{
	unsigned int i;
	bool readonly;

	for (i = 0; i < nr; i++) {
		crowd_ref(first + i, &readonly);
		gnttab_set_unmap_op(&unmap_ops[i],
				    (unsigned long)page_address(pages[i]),
				    GNTMAP_host_map |
				    (readonly ? GNTMAP_readonly : 0),
				    handles[i]);
	}
	if (gnttab_unmap_refs(unmap_ops, NULL, pages, nr))
		return false;
	for (i = 0; i < nr; i++)
		if (unmap_ops[i].status != GNTST_okay)
			return false;
	return true;
}

/* Map grants until the crowd and the peer's slots are @nr; false: fewer */
static bool crowd_grow(unsigned int nr)
{
	unsigned int n;

	while (crowd.nr < nr - PEER_SLOTS) {
		unsigned int want = min(nr - PEER_SLOTS - crowd.nr, BATCH);

		n = map_batch(crowd.pages + crowd.nr, crowd.handles + crowd.nr,
			      crowd.nr, want);
		crowd.nr += n;
		if (n < want)
			return false;
		cond_resched();
	}
	return true;
}

static void crowd_free(void)
{
	while (crowd.nr) {
		unsigned int n = (crowd.nr - 1) % BATCH + 1;

		crowd.nr -= n;
		if (!unmap_batch(crowd.pages + crowd.nr,
				 crowd.handles + crowd.nr, crowd.nr, n)) {
			pr_info("note grants cannot be unmapped\n");
			return;
		}
	}
	gnttab_free_pages(crowd.nr_pages, crowd.pages);
	kvfree(crowd.pages);
	kvfree(crowd.handles);
}

static bool crowd_init(unsigned int most)
{
	crowd.pages = kvcalloc(most, sizeof(*crowd.pages), GFP_KERNEL);
	crowd.handles = kvcalloc(most, sizeof(*crowd.handles), GFP_KERNEL);
	return crowd.pages && crowd.handles;
}

/* Have pages for so many grants */
static bool crowd_alloc(unsigned int nr)
{
	unsigned int n;
	int ret;

	while (crowd.nr_pages < nr) {
		n = min(nr - crowd.nr_pages, 1024U);
		ret = gnttab_alloc_pages(n, crowd.pages + crowd.nr_pages);
		if (ret) {
			pr_info("note only %u pages to map grants to: %d\n",
				crowd.nr_pages, ret);
			return false;
		}
		crowd.nr_pages += n;
	}
	return true;
}

struct grant_work {
	struct page *pages[BATCH];
	grant_handle_t handles[BATCH];
	unsigned int nr;
};

static bool grant_map_unmap(struct work *w)
{
	struct grant_work *g = w->arg;

	return map_batch(g->pages, g->handles, 0, g->nr) == g->nr &&
	       unmap_batch(g->pages, g->handles, 0, g->nr);
}

static void grant_rows(const char *suffix)
{
	static struct grant_work g;
	static struct work w;

	if (gnttab_alloc_pages(BATCH, g.pages))
		return;
	w.arg = &g;
	w.sleeps = true;
	g.nr = 1;
	bench_measure(&w, grant_map_unmap, 1, "grant_map_unmap_1", suffix);
	g.nr = BATCH;
	bench_measure(&w, grant_map_unmap, BATCH, "grant_map_unmap_64_per_page",
		      suffix);
	gnttab_free_pages(BATCH, g.pages);
}

static void *slot_address(unsigned int slot)
{
	return page_address(peer->slot[slot].page);
}

/*
 * Pages to map grants to are made in dom0's address space where the machine has
 * other domains' RAM. A frame with such a page's number is taken for local RAM
 * by the stock kernel (finding B3), which maintains the wrong page then.
 */
static bool mistaken(u32 run)
{
	return pfn_valid(PFN_DOWN(peer->run_machine[run]));
}

static bool reaches(struct device *dev, u64 machine, size_t len)
{
	const struct bus_dma_region *m = dev->dma_range_map;

	if (machine == PEER_SCATTERED)
		return false;
	for (; m && m->size; m++)
		if (machine >= m->cpu_start &&
		    machine - m->cpu_start + len <= m->size)
			return true;
	return false;
}

static void foreign_all(struct work *w, const char *suffix)
{
	w->buf = slot_address(0);
	w->len = SZ_4K;
	bench_single(w, "foreign_direct_4K", suffix);
	bench_sync(w, "foreign_direct_sync_4K", suffix);
	w->len = SZ_64K;
	bench_single(w, "foreign_direct_64K", suffix);
	bench_sync(w, "foreign_direct_sync_64K", suffix);
	bench_sg(w, w->buf, 16, "foreign_direct_sg16_64K", suffix);
	w->buf = slot_address(XEN_DMA_PEER_RUN_PAGES);
	w->len = SZ_4K;
	w->period = BOUNCE_PERIOD;
	bench_single(w, "foreign_bounced_4K", suffix);
	w->period = 0;
	bench_sync(w, "foreign_bounced_sync_4K", suffix);
}

static void foreign_short(struct work *w, const char *suffix)
{
	if (mistaken(direct_run)) {
		pr_info("note %s: no DMA measured to foreign pages whose numbers are taken for dom0's own\n",
			suffix);
	} else {
		w->buf = slot_address(0);
		w->len = SZ_4K;
		bench_measure(w, bench_map_unmap, 1, "foreign_direct_4K",
			      suffix);
		w->len = SZ_64K;
		bench_measure(w, bench_map_unmap, 1, "foreign_direct_64K",
			      suffix);
	}
	w->buf = slot_address(XEN_DMA_PEER_RUN_PAGES);
	w->len = SZ_4K;
	w->period = BOUNCE_PERIOD;
	bench_measure(w, bench_map_unmap, 1, "foreign_bounced_4K", suffix);
	w->period = 0;
}

/* The same with the reference that is last in the guest's grant table */
static void foreign_last(struct work *w, const char *suffix)
{
	unsigned int i;
	bool readonly;

	if (mistaken(last_run))
		return;
	for (i = 0; i < crowd.nr; i++)
		if (crowd_ref(i, &readonly) == xen_dma_peer_ref(last_run, 0, 0))
			break;
	if (i == crowd.nr)
		return;
	w->buf = page_address(crowd.pages[i]);
	w->len = SZ_4K;
	bench_measure(w, bench_map_unmap, 1, "foreign_direct_4K_last_ref",
		      suffix);
}

/*
 * A buffer whose grants are unmapped while the device still has it: dom0 has no
 * page left through which it could reach the memory. Xen maintains only what is
 * mapped, so map it once more, behind the kernel's back.
 */
#define HIDDEN_PAGES	16

static bool hidden_op(struct page **pages, grant_handle_t *handles, bool map)
{
	unsigned int i;
	bool ok = true;

	for (i = 0; i < HIDDEN_PAGES; i++) {
		phys_addr_t addr = page_to_phys(pages[i]);

		if (map) {
			struct gnttab_map_grant_ref op = {
				.host_addr = addr,
				.flags = GNTMAP_host_map,
				.ref = xen_dma_peer_ref(direct_run, i, 0),
				.dom = PEER_DOMID,
			};

			ok &= !HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref,
							 &op, 1) &&
			      op.status == GNTST_okay;
			handles[i] = op.handle;
		} else {
			struct gnttab_unmap_grant_ref op = {
				.host_addr = addr,
				.handle = handles[i],
			};

			ok &= !HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref,
							 &op, 1) &&
			      op.status == GNTST_okay;
		}
	}
	return ok;
}

static bool no_alias_unmap(struct work *w, u64 *ticks, bool watch)
{
	u64 start;

	w->dma = dma_map_single(w->dev, w->buf, w->len, w->dir);
	if (dma_mapping_error(w->dev, w->dma) ||
	    peer_unmap(peer, 0, HIDDEN_PAGES))
		return false;
	if (watch) {
		bench_measure_sync(w, "foreign_direct_sync_64K_no_alias", "");
		if (hypercalls_watch())
			return false;
		hypercalls_begin();
	}
	start = __arch_counter_get_cntvct();
	dma_unmap_single(w->dev, w->dma, w->len, w->dir);
	*ticks = __arch_counter_get_cntvct() - start;
	if (watch) {
		bench_result("hypercalls", hypercalls_end(),
			     "foreign_direct_unmap_64K_no_alias");
		hypercalls_unwatch();
	}
	return !peer_map(peer, 0, direct_run, 0, HIDDEN_PAGES, false);
}

static void no_alias_rows(struct work *w)
{
	grant_handle_t handles[HIDDEN_PAGES];
	struct page *pages[HIDDEN_PAGES];
	u64 ticks[ROUNDS], dummy;
	unsigned int i;
	bool ok;

	if (gnttab_alloc_pages(HIDDEN_PAGES, pages))
		return;
	w->buf = slot_address(0);
	w->len = HIDDEN_PAGES * PAGE_SIZE;
	ok = hidden_op(pages, handles, true);
	for (i = 0; ok && i < ROUNDS; i++)
		ok = no_alias_unmap(w, &ticks[i], false);
	if (ok)
		bench_result("instructions", median_ns(ticks, ROUNDS),
			     "foreign_direct_unmap_64K_no_alias");
	ok = ok && no_alias_unmap(w, &dummy, true);
	ok &= hidden_op(pages, handles, false);
	if (ok)
		gnttab_free_pages(HIDDEN_PAGES, pages);
	else
		pr_info("note no_alias: failed\n");
}

static bool open_peer(void)
{
	int ret;

	peer = kzalloc_obj(*peer);
	if (!peer)
		return false;
	ret = peer_open(peer, PEER_DOMID, 5000);
	if (ret)
		pr_info("note no peer guest: %s\n", peer->why);
	return !ret;
}

/* The runs to do DMA to: one in the window, one out of it */
static bool choose_runs(struct device *dev)
{
	u32 run;
	int ret;

	direct_run = U32_MAX;
	bounced_run = U32_MAX;
	last_run = U32_MAX;
	for (run = 0; run < peer->nr_runs; run++) {
		u64 machine = peer->run_machine[run];

		if (!reaches(dev, machine, SZ_128K)) {
			if (bounced_run == U32_MAX && machine != PEER_SCATTERED)
				bounced_run = run;
			continue;
		}
		if (mistaken(run))
			continue;
		if (direct_run == U32_MAX)
			direct_run = run;
		last_run = run;
	}
	if (direct_run == U32_MAX || bounced_run == U32_MAX) {
		pr_info("note the peer has no memory inside or none outside the window\n");
		return false;
	}
	ret = peer_map(peer, 0, direct_run, 0, XEN_DMA_PEER_RUN_PAGES, false);
	if (!ret)
		ret = peer_map(peer, XEN_DMA_PEER_RUN_PAGES, bounced_run, 0,
			       XEN_DMA_PEER_RUN_PAGES, false);
	pr_info("note peer: %u runs of %u pages; direct: run %u, reference %u, at %#llx; bounced: run %u, reference %u, at %#llx; last: reference %u\n",
		peer->nr_runs, XEN_DMA_PEER_RUN_PAGES, direct_run,
		xen_dma_peer_ref(direct_run, 0, 0),
		peer->run_machine[direct_run], bounced_run,
		xen_dma_peer_ref(bounced_run, 0, 0),
		peer->run_machine[bounced_run],
		xen_dma_peer_ref(last_run, 0, 0));
	return !ret;
}

/* The first page's data to the device and from it to the second page */
static void check_foreign(struct work *w, const char *name, u32 run,
			  unsigned int slot)
{
	const u64 seed = 0x62656e6368ULL + run;
	bool ok;

	ok = !peer_order(peer, XEN_DMA_PEER_FILL, run, 0, SZ_4K, seed) &&
	     bench_copy_by_device(w->dev, slot_address(slot),
				  slot_address(slot + 1)) &&
	     !peer_order(peer, XEN_DMA_PEER_CHECK, run, SZ_4K, SZ_4K, seed) &&
	     !peer->ctrl->rsp_bad;
	pr_info("note %s: %s\n", name,
		ok ? "data came through, says the peer" : "DMA DOES NOT WORK");
}

/* privcmd, as a program does it: this is insmod's own memory. */

#define PRIVCMD_PAGES	1024
/* Where Xen puts a guest's memory (GUEST_RAM0_BASE) */
#define PEER_GFN	0x40000

static int privcmd_fill(unsigned long args, unsigned long addr)
{
	struct privcmd_mmapbatch_v2 op = {
		.num = PRIVCMD_PAGES,
		.dom = PEER_DOMID,
		.addr = addr,
		.arr = (void __user *)(args + SZ_4K),
		.err = (void __user *)(args + SZ_4K +
				       PRIVCMD_PAGES * sizeof(xen_pfn_t)),
	};
	unsigned int i;

	for (i = 0; i < PRIVCMD_PAGES; i++)
		if (put_user((xen_pfn_t)PEER_GFN + i,
			     (xen_pfn_t __user *)(args + SZ_4K) + i))
			return -EFAULT;
	return copy_to_user((void __user *)args, &op, sizeof(op)) ? -EFAULT : 0;
}

static void privcmd_rows(void)
{
	u64 map[ROUNDS], unmap[ROUNDS], start;
	unsigned int i, calls_map, calls_unmap;
	unsigned long args, addr;
	struct file *f;
	long ret = 0;

	f = filp_open("/dev/xen/privcmd", O_RDWR, 0);
	if (IS_ERR(f) || !current->mm) {
		pr_info("note no privcmd: %d\n", PTR_ERR_OR_ZERO(f));
		return;
	}
	args = vm_mmap(NULL, 0, SZ_32K, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(args))
		goto out;
	/* The last round is watched and not measured. */
	for (i = 0; i <= ROUNDS; i++) {
		bool watch = i == ROUNDS;

		addr = vm_mmap(f, 0, PRIVCMD_PAGES * PAGE_SIZE,
			       PROT_READ | PROT_WRITE, MAP_SHARED, 0);
		ret = IS_ERR_VALUE(addr) ? addr : privcmd_fill(args, addr);
		if (ret || (watch && hypercalls_watch()))
			break;
		hypercalls_begin();
		start = __arch_counter_get_cntvct();
		ret = f->f_op->unlocked_ioctl(f, IOCTL_PRIVCMD_MMAPBATCH_V2,
					      args);
		if (!watch)
			map[i] = __arch_counter_get_cntvct() - start;
		calls_map = hypercalls_end();
		hypercalls_begin();
		start = __arch_counter_get_cntvct();
		vm_munmap(addr, PRIVCMD_PAGES * PAGE_SIZE);
		if (!watch)
			unmap[i] = __arch_counter_get_cntvct() - start;
		calls_unmap = hypercalls_end();
		if (watch)
			hypercalls_unwatch();
		if (ret)
			break;
	}
	if (ret) {
		pr_info("note privcmd: %ld\n", ret);
	} else {
		bench_result("instructions", median_ns(map, ROUNDS),
			     "privcmd_map_1024");
		bench_result("hypercalls", calls_map, "privcmd_map_1024");
		bench_result("instructions", median_ns(unmap, ROUNDS),
			     "privcmd_unmap_1024");
		bench_result("hypercalls", calls_unmap, "privcmd_unmap_1024");
	}
	vm_munmap(args, SZ_32K);
out:
	fput(f);
}

/**
 * bench_locks - many maps and unmaps of foreign pages, for lock statistics
 * @w: the device
 * @cpus: number of CPUs that map
 */
void bench_locks(struct work *w, unsigned int cpus)
{
	static struct grant_work g = { .nr = BATCH };
	static struct work churn = { .arg = &g, .sleeps = true };

	cpus = min3(cpus, num_online_cpus(), XEN_DMA_PEER_RUN_PAGES);
	if (!open_peer())
		return;
	if (choose_runs(w->dev) && !gnttab_alloc_pages(BATCH, g.pages)) {
		bench_smp(w, slot_address(0), cpus, grant_map_unmap, &churn);
		gnttab_free_pages(BATCH, g.pages);
	}
	peer_close(peer);
	kfree(peer);
}

/**
 * bench_foreign - everything that takes another domain
 * @w: the device, and local memory
 * @most: map up to so many grants
 */
void bench_foreign(struct work *w, unsigned int most)
{
	static const unsigned int rungs[] = { 64, 1024, 4096, 16384, 100000 };
	void *local = w->buf;
	unsigned int i, old;
	unsigned long before;
	char suffix[16];

	if (!open_peer())
		return;
	/* So many come in one piece; the rest only when they are needed. */
	if (!crowd_init(most) || !crowd_alloc(min(most, 16384U)) ||
	    !choose_runs(w->dev))
		return;
	check_foreign(w, "foreign direct", direct_run, 0);
	check_foreign(w, "foreign bounced", bounced_run,
		      XEN_DMA_PEER_RUN_PAGES);

	for (i = 0; i < ARRAY_SIZE(rungs); i++) {
		if (rungs[i] > most)
			break;
		old = crowd.nr_pages;
		before = free_bytes();
		if (!crowd_alloc(rungs[i] - PEER_SLOTS))
			break;
		/* With struct page, which every kernel has for them. */
		if (crowd.nr_pages - old >= 16384)
			bench_result("bytes",
				     (before - free_bytes()) /
				     (crowd.nr_pages - old),
				     "memory_per_page_for_grants@%u", rungs[i]);
		old = crowd.nr;
		before = free_bytes();
		if (!crowd_grow(rungs[i]))
			break;
		snprintf(suffix, sizeof(suffix), "@%u", rungs[i]);
		/* Free pages are counted roughly: not for a few grants. */
		if (rungs[i] >= 16384)
			bench_result("bytes",
				     (before - free_bytes()) / (crowd.nr - old),
				     "memory_per_mapping%s", suffix);
		w->buf = local;
		bench_local(w, suffix);
		if (rungs[i] == 64) {
			foreign_all(w, suffix);
			if (!dev_is_dma_coherent(w->dev))
				no_alias_rows(w);
		} else {
			foreign_short(w, suffix);
		}
		foreign_last(w, suffix);
		/* No difference between devices */
		if (!dev_is_dma_coherent(w->dev) &&
		    (rungs[i] == 64 || rungs[i] >= 16384))
			grant_rows(suffix);
	}
	bench_result("mappings", crowd.nr + PEER_SLOTS, "most_grants_mapped");
	if (!dev_is_dma_coherent(w->dev))
		privcmd_rows();

	crowd_free();
	peer_close(peer);
	kfree(peer);
	w->buf = local;
}
