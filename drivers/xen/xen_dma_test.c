// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of DMA addressing in a direct-mapped Xen domain (dom0 on Arm).
 *
 * A device behind a bus window puts another number on its bus than the
 * machine address, reaches a part of memory only, and may not be coherent;
 * and the memory it works on may belong to another domain. The tests map,
 * sync and unmap buffers for every device on this board that has such a
 * window, and for devices made here with windows from a table, and play the
 * device: through an alias of their own they write and read the memory that
 * the DMA address stands for.
 *
 * What is expected comes from the tables in this file, from the device tree
 * (read here, property by property) or from Xen, never from the translation
 * that is tested. The watcher (xen_dma_test_watch.c) looks on and tells which
 * memory had its caches maintained.
 *
 * To run: modprobe xen_dma_test, and read
 * /sys/kernel/debug/kunit/xen_dma_test/results, or let
 * tools/testing/selftests/xen/kunit.sh do both. To add a window, add a line to
 * geometries[]; to add a kind of address to virt_to_gfn(), one to gfn_cases[].
 */

#include <kunit/device.h>
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/anon_inodes.h>
#include <linux/bitmap.h>
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ioport.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/pci.h>
#include <linux/percpu.h>
#include <linux/platform_device.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/interface/grant_table.h>
#include <xen/interface/memory.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include <asm/xen/hypercall.h>

#include "xen_dma_test_watch.h"

/* Largest buffer that fits a bounce slot (IO_TLB_SEGSIZE * IO_TLB_SIZE). */
#define LEN_MAX		SZ_256K
#define LOW_LEN	SZ_1M
#define BLOCK_LEN	SZ_4M
/* Bytes before and after a buffer that nobody may touch. */
#define GUARD		64
#define MAX_RANGES	8

/*
 * Windows
 */

/* RAM lies elsewhere on each machine: what an edge of a window is tied to. */
enum anchor {
	AT_ZERO,	/* CPU address 0 */
	AT_LOW,		/* the gigabyte that holds the lowest RAM */
	AT_POOL,	/* the bounce pool's start */
	AT_POOL_END,	/* the bounce pool's end */
	AT_BLOCK,	/* a 4 MB block of memory, new for each test */
};

struct edge {
	enum anchor anchor;
	u64 off;
};

struct window {
	struct edge from, to;
	u64 dma;
};

/* What a geometry is good for. */
enum {
	USE_MAP		= BIT(0),	/* can reach the bounce pool */
	USE_FEW		= BIT(1),	/* stands for others like it */
	USE_BORDER	= BIT(2),	/* ends at block + 1 MB */
	USE_ALLOC	= BIT(3),	/* holds a part of memory, or all */
	USE_REFUSED	= BIT(4),	/* the mask is no good */
};

/**
 * struct geometry - how a device sees memory
 * @name: as it shows in the KTAP
 * @use: for which tests
 * @mask_bits: what the device's driver says it can drive
 * @bus_limit: highest address of the bus; 0: the end of the last window
 * @window: where memory appears on the bus; empty: at its CPU address
 */
struct geometry {
	const char *name;
	unsigned int use;
	unsigned int mask_bits;
	u64 bus_limit;
	struct window window[3];
};

enum { GEO_NONE, GEO_RPI4, GEO_POOL_ONLY, GEO_NO_POOL };

static const struct geometry geometries[] = {
	[GEO_NONE] = { "none", USE_MAP | USE_FEW | USE_ALLOC, 64 },
	/* Raspberry Pi 4, the peripherals' bus. */
	[GEO_RPI4] = { "rpi4", USE_MAP | USE_FEW | USE_ALLOC, 32, 0, {
		{ { AT_LOW, 0 }, { AT_LOW, SZ_1G }, 0xc0000000 },
	} },
	[GEO_POOL_ONLY] = { "pool-only", USE_MAP | USE_FEW, 32, 0, {
		{ { AT_POOL, 0 }, { AT_POOL_END, 0 }, 0x50000000 },
	} },
	/* No bounce pool in reach, but memory of ours. */
	[GEO_NO_POOL] = { "no-pool", USE_REFUSED, 32, 0, {
		{ { AT_BLOCK, 0 }, { AT_BLOCK, BLOCK_LEN }, 0x80000000 },
	} },
	{ "none-32bit", USE_MAP, 32 },
	{ "high", USE_MAP | USE_FEW | USE_ALLOC, 36, 0, {
		{ { AT_ZERO, 0 }, { AT_ZERO, 16ULL * SZ_1G }, 0xc00000000ULL },
	} },
	/* A PCI host bridge's inbound window at 64 GB. */
	{ "high64", USE_MAP, 37, 0, {
		{ { AT_ZERO, 0 }, { AT_ZERO, 64ULL * SZ_1G }, 0x1000000000ULL },
	} },
	/* The same, and a device that cannot drive any address of it. */
	{ "too-high", USE_REFUSED, 36, 0, {
		{ { AT_ZERO, 0 }, { AT_ZERO, 64ULL * SZ_1G }, 0x1000000000ULL },
	} },
	{ "down", USE_MAP | USE_ALLOC, 30, 0, {
		{ { AT_LOW, 0 }, { AT_LOW, SZ_1G }, 0 },
	} },
	/* Two windows with a gap between them. */
	{ "two", USE_MAP | USE_FEW | USE_BORDER, 40, 0, {
		{ { AT_ZERO, 0 }, { AT_BLOCK, SZ_1M }, 0x1000000000ULL },
		{ { AT_BLOCK, SZ_2M }, { AT_ZERO, 64ULL * SZ_1G },
		  0x4000000000ULL },
	} },
	{ "adjacent", USE_MAP | USE_BORDER, 40, 0, {
		{ { AT_ZERO, 0 }, { AT_BLOCK, SZ_1M }, 0x1000000000ULL },
		{ { AT_BLOCK, SZ_1M }, { AT_ZERO, 64ULL * SZ_1G },
		  0x4000000000ULL },
	} },
	/* The window is larger than what the device can drive. */
	{ "mask-cut", USE_MAP | USE_ALLOC, 32, ~0ULL, {
		{ { AT_LOW, 0 }, { AT_LOW, 4ULL * SZ_1G }, 0xc0000000 },
	} },
	/* The window is larger than what the bus lets through. */
	{ "limit-cut", USE_MAP | USE_ALLOC, 64, 0xffffffff, {
		{ { AT_LOW, 0 }, { AT_LOW, 4ULL * SZ_1G }, 0xc0000000 },
	} },
};

/* A device: each geometry is tried without and with coherency. */
struct dma_case {
	const struct geometry *geo;
	bool coherent;
};

static struct dma_case dma_cases[2 * ARRAY_SIZE(geometries)];

static void make_cases(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dma_cases); i++) {
		dma_cases[i].geo = &geometries[i / 2];
		dma_cases[i].coherent = i % 2;
	}
}

static const void *next_case(const void *prev, char *desc, unsigned int use)
{
	const struct dma_case *c = prev ? prev + sizeof(*c) : dma_cases;

	for (; c < dma_cases + ARRAY_SIZE(dma_cases); c++) {
		if (!(c->geo->use & use))
			continue;
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%s", c->geo->name,
			 c->coherent ? "-coherent" : "");
		return c;
	}
	return NULL;
}

static const void *map_gen_params(struct kunit *test, const void *prev,
				  char *desc)
{
	return next_case(prev, desc, USE_MAP);
}

static const void *few_gen_params(struct kunit *test, const void *prev,
				  char *desc)
{
	return next_case(prev, desc, USE_FEW);
}

static const void *border_gen_params(struct kunit *test, const void *prev,
				     char *desc)
{
	return next_case(prev, desc, USE_BORDER);
}

static const void *alloc_gen_params(struct kunit *test, const void *prev,
				    char *desc)
{
	return next_case(prev, desc, USE_ALLOC);
}

static const void *refused_gen_params(struct kunit *test, const void *prev,
				      char *desc)
{
	return next_case(prev, desc, USE_REFUSED);
}

static const size_t lens[] = {
	1, 7, 64, SZ_4K - 1, SZ_4K, SZ_4K + 1, SZ_64K, LEN_MAX,
};

static const size_t offsets[] = { 0, 1, 63, 0x800, 0xfff };

static const struct {
	enum dma_data_direction dir;
	const char *name;
} dirs[] = {
	{ DMA_TO_DEVICE, "to device" },
	{ DMA_FROM_DEVICE, "from device" },
	{ DMA_BIDIRECTIONAL, "both ways" },
};

/*
 * The machine, as found when the suite starts
 */

#define MAX_REAL	64

static struct {
	u64 ram_start, ram_end;		/* of this domain */
	phys_addr_t mmio;		/* registers of some device */
	bool watching;
	bool xen_flushes;		/* Xen has GNTTABOP_cache_flush */
	struct device *real[MAX_REAL];	/* have a dma_range_map */
	unsigned int nr_real;
	struct device_node *bus[MAX_REAL];	/* have dma-ranges */
	unsigned int nr_bus;
	u8 *noise;			/* LEN_MAX + SZ_4K random bytes */
} machine;

/*
 * What one test works with
 */

struct buffer {
	const char *name;
	struct page *page;
	unsigned int order;
	phys_addr_t phys;
	u8 *vaddr;
	size_t size;
};

struct span {
	const char *name;
	const struct buffer *buf;
	size_t off;
};

/* A device, and what this file knows of it. */
struct tdev {
	struct device *dev;
	bool coherent;
	u64 limit;			/* highest DMA address */
	struct bus_dma_region range[MAX_RANGES];
	unsigned int nr_ranges;		/* 0: DMA addresses are CPU addresses */
};

struct ctx {
	struct tdev t;
	struct device_dma_parameters parms;	/* of its device */
	struct buffer low, high, block;
	struct span span[5];
	unsigned int nr_spans;
	size_t max_len;			/* of what is to bounce */
	u8 *scratch;			/* LEN_MAX bytes */
	struct xen_dma_watch_record rec;
	char why[160];
};

/*
 * Expected addresses: the tables' arithmetic and nothing else
 */

/* The DMA address of @len bytes at @baddr, if one window has them all. */
static bool hand_dma(const struct tdev *t, u64 baddr, u64 len, u64 *dma)
{
	unsigned int i;

	if (!t->nr_ranges) {
		*dma = baddr;
		return baddr + len - 1 <= t->limit;
	}
	for (i = 0; i < t->nr_ranges; i++) {
		const struct bus_dma_region *r = &t->range[i];

		if (baddr < r->cpu_start || len > r->size ||
		    baddr - r->cpu_start > r->size - len)
			continue;
		*dma = r->dma_start + (baddr - r->cpu_start);
		return *dma + len - 1 <= t->limit;
	}
	return false;
}

/* The machine address of @len bytes at @dma. */
static bool hand_phys(const struct tdev *t, u64 dma, u64 len, u64 *baddr)
{
	unsigned int i;

	if (dma + len - 1 > t->limit)
		return false;
	if (!t->nr_ranges) {
		*baddr = dma;
		return true;
	}
	for (i = 0; i < t->nr_ranges; i++) {
		const struct bus_dma_region *r = &t->range[i];

		if (dma < r->dma_start || len > r->size ||
		    dma - r->dma_start > r->size - len)
			continue;
		*baddr = r->cpu_start + (dma - r->dma_start);
		return true;
	}
	return false;
}

/* Does the bounce pool hold these bytes? */
static bool in_pool(struct device *dev, u64 paddr, u64 len)
{
	struct io_tlb_mem *mem = dev->dma_io_tlb_mem;
	bool found = false;
#ifdef CONFIG_SWIOTLB_DYNAMIC
	struct io_tlb_pool *pool;

	rcu_read_lock();
	list_for_each_entry_rcu(pool, &mem->pools, node)
		found |= paddr >= pool->start && paddr + len <= pool->end;
	list_for_each_entry_rcu(pool, &dev->dma_io_tlb_pools, node)
		found |= paddr >= pool->start && paddr + len <= pool->end;
	rcu_read_unlock();
#else
	found = paddr >= mem->defpool.start &&
		paddr + len <= mem->defpool.end;
#endif
	return found;
}

static bool have_pool(struct device *dev)
{
	return dev->dma_io_tlb_mem && dev->dma_io_tlb_mem->nslabs;
}

/* A buffer has to fit one area of the pool. */
static size_t pool_area(struct device *dev)
{
	return (size_t)dev->dma_io_tlb_mem->defpool.area_nslabs << IO_TLB_SHIFT;
}

/* Is all of the (default) bounce pool within the device's reach? */
static bool pool_in_reach(const struct tdev *t)
{
	const struct io_tlb_pool *pool = &t->dev->dma_io_tlb_mem->defpool;
	u64 dma;

	return have_pool(t->dev) &&
	       hand_dma(t, pool->start, pool->end - pool->start, &dma);
}

/*
 * Devices
 */

static u64 edge_addr(const struct ctx *ctx, const struct edge *edge)
{
	const struct io_tlb_pool *pool = &ctx->t.dev->dma_io_tlb_mem->defpool;

	switch (edge->anchor) {
	case AT_LOW:
		return round_down(machine.ram_start, SZ_1G) + edge->off;
	case AT_POOL:
		return pool->start + edge->off;
	case AT_POOL_END:
		return pool->end + edge->off;
	case AT_BLOCK:
		return ctx->block.phys + edge->off;
	default:
		return edge->off;
	}
}

static void set_coherent(struct device *dev, bool coherent)
{
#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE
	dev_assign_dma_coherent(dev, coherent);
#endif
}

static void add_span(struct ctx *ctx, const char *name,
		     const struct buffer *buf, size_t off)
{
	ctx->span[ctx->nr_spans++] = (struct span) { name, buf, off };
}

static bool has_range(const struct tdev *t)
{
	return t->nr_ranges;
}

static void use_regions(struct kunit *test, const struct bus_dma_region *range,
			unsigned int nr)
{
	struct ctx *ctx = test->priv;
	struct bus_dma_region *map;

	/* One more: the list ends with an empty range. */
	map = kcalloc(nr + 1, sizeof(*map), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	memcpy(map, range, nr * sizeof(*map));
	/* The driver core frees it together with the device. */
	ctx->t.dev->dma_range_map = map;
}

/* Make a device as the driver core and the device tree would. */
static void make_device(struct kunit *test, const struct dma_case *c)
{
	struct ctx *ctx = test->priv;
	const struct geometry *geo = c->geo;
	struct tdev *t = &ctx->t;
	u64 mask = DMA_BIT_MASK(geo->mask_bits), end = 0;
	bool block_edge = false;
	unsigned int i;

	if (!c->coherent && !IS_ENABLED(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE))
		kunit_skip(test, "every device is coherent here");

	t->dev = kunit_device_register(test, "dma");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->dev);
	t->coherent = c->coherent;

	if (is_swiotlb_force_bounce(t->dev))
		kunit_skip(test, "booted with swiotlb=force");

	for (i = 0; i < ARRAY_SIZE(geo->window); i++) {
		const struct window *w = &geo->window[i];
		u64 from, to;

		if (!w->to.off && !w->to.anchor)
			break;
		from = edge_addr(ctx, &w->from);
		to = edge_addr(ctx, &w->to);
		if (from >= to)
			kunit_skip(test, "no bounce pool (or no RAM) to lay the window around");
		if ((phys_addr_t)to != to ||
		    (dma_addr_t)(w->dma + (to - from) - 1) !=
		    w->dma + (to - from) - 1)
			kunit_skip(test, "addresses have too few bits here");
		t->range[t->nr_ranges++] = (struct bus_dma_region) {
			.cpu_start = from,
			.dma_start = w->dma,
			.size = to - from,
		};
		end = max(end, w->dma + (to - from) - 1);
		block_edge |= w->from.anchor == AT_BLOCK ||
			      w->to.anchor == AT_BLOCK;
	}
	if (geo->bus_limit)
		end = geo->bus_limit;

	/* Set before the architecture looks at the device, as for real ones. */
	if (has_range(t)) {
		use_regions(test, t->range, t->nr_ranges);
		t->dev->bus_dma_limit = end;
	}
	/* As its bus and its driver would, for map_sg. */
	t->dev->dma_parms = &ctx->parms;
	dma_set_max_seg_size(t->dev, LEN_MAX);
	t->dev->coherent_dma_mask = ~0ULL;
	KUNIT_ASSERT_EQ(test, 0,
			of_dma_configure_id(t->dev, of_root, true, NULL));
	set_coherent(t->dev, t->coherent);
	*t->dev->dma_mask = mask;
	t->dev->coherent_dma_mask = mask;
	t->limit = end ? min(mask, end) : mask;

	/* A page in: there is room for a guard before the buffer. */
	add_span(ctx, "low", &ctx->low, PAGE_SIZE);
	add_span(ctx, "high", &ctx->high, PAGE_SIZE);
	if (block_edge) {
		add_span(ctx, "block", &ctx->block, PAGE_SIZE);
		add_span(ctx, "block+1M", &ctx->block, SZ_1M + PAGE_SIZE);
		add_span(ctx, "block+2M", &ctx->block, SZ_2M + PAGE_SIZE);
	}
}

static void make_bouncing_device(struct kunit *test, const struct dma_case *c)
{
	struct ctx *ctx = test->priv;
	int ret;

	make_device(test, c);
	if (!have_pool(ctx->t.dev))
		kunit_skip(test, "no bounce pool");
	if (!pool_in_reach(&ctx->t))
		kunit_skip(test, "the bounce pool lies outside of this window");
	/* A pool that is too small is bounce_pool_full_size's finding. */
	ctx->max_len = LEN_MAX;
	while (ctx->max_len > pool_area(ctx->t.dev))
		ctx->max_len /= 2;
	if (ctx->max_len < LEN_MAX)
		kunit_info(test, "small bounce pool: buffers of up to %zu KB\n",
			   ctx->max_len / SZ_1K);
	/* What every driver does first. */
	ret = dma_set_mask_and_coherent(ctx->t.dev,
					DMA_BIT_MASK(c->geo->mask_bits));
	KUNIT_EXPECT_EQ_MSG(test, 0, ret, "mask of %u bits refused",
			    c->geo->mask_bits);
}

/*
 * Buffers
 */

static void free_buffer(void *data)
{
	struct buffer *buf = data;

	__free_pages(buf->page, buf->order);
}

static void make_buffer(struct kunit *test, struct buffer *buf,
			const char *name, size_t size, gfp_t gfp)
{
	buf->name = name;
	buf->order = get_order(size);
	buf->size = size;
	buf->page = alloc_pages(gfp | __GFP_NOWARN, buf->order);
	if (!buf->page)
		kunit_skip(test, "no %zu bytes of contiguous memory", size);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_buffer, buf));
	buf->phys = page_to_phys(buf->page);
	buf->vaddr = page_address(buf->page);
}

/* Bytes that are hardly found elsewhere, another lot for each @seed. */
static const u8 *noise(unsigned int seed)
{
	return machine.noise + (seed * 61 & 0xfff);
}

/*
 * Playing the device: its view of memory is the machine address, and it does
 * not look into the CPU's caches unless it is coherent.
 */
static u8 *device_view(const struct tdev *t, u64 baddr, size_t len, u8 **map)
{
	unsigned int i, nr = PFN_UP(offset_in_page(baddr) + len);
	pgprot_t prot = PAGE_KERNEL;
	struct page **pages;

	pages = kmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;
	for (i = 0; i < nr; i++)
		pages[i] = pfn_to_page(PFN_DOWN(baddr) + i);
	if (!t->coherent)
		prot = pgprot_dmacoherent(prot);
	*map = vmap(pages, nr, VM_MAP, prot);
	kfree(pages);
	return *map ? *map + offset_in_page(baddr) : NULL;
}

static bool device_reads(struct kunit *test, u64 baddr, size_t len,
			 unsigned int seed)
{
	struct ctx *ctx = test->priv;
	u8 *map, *view = device_view(&ctx->t, baddr, len, &map);
	bool same;

	if (!view) {
		KUNIT_FAIL(test, "no memory for the device's view");
		return false;
	}
	mb();	/* what the CPU has written, before the device looks */
	memcpy(ctx->scratch, view, len);
	same = !memcmp(ctx->scratch, noise(seed), len);
	vunmap(map);
	return same;
}

static void device_writes(struct kunit *test, u64 baddr, size_t len,
			  unsigned int seed)
{
	struct ctx *ctx = test->priv;
	u8 *map, *view = device_view(&ctx->t, baddr, len, &map);

	if (!view) {
		KUNIT_FAIL(test, "no memory for the device's view");
		return;
	}
	memcpy(view, noise(seed), len);
	mb();	/* it is in memory before the CPU looks */
	vunmap(map);
}

/*
 * The watcher
 */

static void watch(struct ctx *ctx)
{
	if (machine.watching)
		xen_dma_watch_begin(ctx->t.dev, &ctx->rec);
}

static void unwatch(void)
{
	if (machine.watching)
		xen_dma_watch_end();
}

static void show_record(struct kunit *test)
{
	static const char * const kind[] = {
		[XEN_DMA_WATCH_FOR_DEVICE] = "arch_sync_dma_for_device",
		[XEN_DMA_WATCH_FOR_CPU] = "arch_sync_dma_for_cpu",
		[XEN_DMA_WATCH_FLUSH] = "GNTTABOP_cache_flush",
		[XEN_DMA_WATCH_TAKE] = "bounce slot asked for",
		[XEN_DMA_WATCH_RELEASE] = "bounce slot released",
	};
	const struct ctx *ctx = test->priv;
	unsigned int i;

	for (i = 0; i < min(ctx->rec.nr, 8U); i++)
		kunit_info(test, "seen: %s 0x%llx+0x%llx (%u)\n",
			   kind[ctx->rec.ev[i].kind], ctx->rec.ev[i].addr,
			   ctx->rec.ev[i].len, ctx->rec.ev[i].how);
}

/* Was exactly that memory maintained since watch()? */
static bool maintained(struct kunit *test, enum xen_dma_watch_want want,
		       const struct xen_dma_watch_range *range,
		       unsigned int nr, xen_dma_watch_machine_fn to_machine,
		       void *arg, const char *during)
{
	struct ctx *ctx = test->priv;

	if (!machine.watching)
		return true;
	if (ctx->t.coherent)
		want = XEN_DMA_WATCH_WANT_NONE;
	if (xen_dma_watch_check(&ctx->rec, want, range, nr, to_machine, arg,
				ctx->why, sizeof(ctx->why)))
		return true;
	KUNIT_FAIL(test, "%s: %s", during, ctx->why);
	show_record(test);
	return false;
}

/* Sync, and see that just @target is maintained: see maintained(). */
static bool sync_for_cpu(struct kunit *test, dma_addr_t dma,
			 const struct xen_dma_watch_range *target,
			 enum dma_data_direction dir,
			 xen_dma_watch_machine_fn to_machine, void *arg)
{
	struct ctx *ctx = test->priv;

	watch(ctx);
	dma_sync_single_for_cpu(ctx->t.dev, dma, target->len, dir);
	unwatch();
	return maintained(test, XEN_DMA_WATCH_WANT_CPU, target, 1, to_machine,
			  arg, "sync for CPU");
}

static bool sync_for_device(struct kunit *test, dma_addr_t dma,
			    const struct xen_dma_watch_range *target,
			    enum dma_data_direction dir,
			    xen_dma_watch_machine_fn to_machine, void *arg)
{
	struct ctx *ctx = test->priv;

	watch(ctx);
	dma_sync_single_for_device(ctx->t.dev, dma, target->len, dir);
	unwatch();
	return maintained(test, XEN_DMA_WATCH_WANT_DEVICE, target, 1,
			  to_machine, arg, "sync for device");
}

static enum xen_dma_watch_want for_cpu(enum dma_data_direction dir)
{
	return dir == DMA_TO_DEVICE ? XEN_DMA_WATCH_WANT_NONE :
				      XEN_DMA_WATCH_WANT_CPU;
}

/*
 * One buffer on its way to the device and back
 */

enum expect { DIRECT, BOUNCE, EITHER };

/**
 * struct xfer - one buffer
 * @what: for messages
 * @phys: what is mapped, a pseudo-physical address
 * @vaddr: where the CPU sees it
 * @baddr: machine address; the same as @phys for local memory
 * @len: its length
 * @dir: the way the data goes
 * @guard: bytes before and after that are ours and must stay as they are
 * @expect: whether it has to bounce
 * @to_machine: for the watcher, when the memory is not local
 * @arg: for @to_machine
 */
struct xfer {
	const char *what;
	phys_addr_t phys;
	u8 *vaddr;
	u64 baddr;
	size_t len;
	unsigned int dir;
	size_t guard;
	enum expect expect;
	xen_dma_watch_machine_fn to_machine;
	void *arg;
};

/*
 * kmalloc() packs small objects into one cache line, so a non-coherent device
 * must not write to them directly, wherever they are: see
 * dma_kmalloc_needs_bounce().
 */
static enum expect small_bounces(const struct tdev *t, size_t len,
				 enum dma_data_direction dir)
{
	if (t->coherent || dir == DMA_TO_DEVICE ||
	    !IS_ENABLED(CONFIG_DMA_BOUNCE_UNALIGNED_KMALLOC))
		return DIRECT;
	/* It does not if there was no bounce pool yet when it started. */
	if (IS_ALIGNED(kmalloc_size_roundup(1), dma_get_cache_alignment()))
		return DIRECT;
	if (len <= 8)
		return BOUNCE;
	return len < SZ_256 ? EITHER : DIRECT;
}

static void fill(const struct xfer *x, unsigned int seed)
{
	memcpy(x->vaddr, noise(seed), x->len);
}

static bool holds(const struct xfer *x, unsigned int seed)
{
	return !memcmp(x->vaddr, noise(seed), x->len);
}

static bool guards_intact(const struct xfer *x)
{
	return !x->guard ||
	       (!memchr_inv(x->vaddr - x->guard, 0xa5, x->guard) &&
		!memchr_inv(x->vaddr + x->len, 0x5a, x->guard));
}

#define XFER_FAIL(test, _xfer, fmt, ...)				\
do {									\
	const struct xfer *__x = (_xfer);				\
									\
	KUNIT_FAIL(test, "%s, %zu bytes at %pa, %s: " fmt, __x->what,	\
		   __x->len, &__x->phys, dirs[__x->dir].name,		\
		   ##__VA_ARGS__);					\
} while (0)

/* Map; returns false after a failure, with *@dma set if it is mapped. */
static bool xfer_map(struct kunit *test, const struct xfer *x, dma_addr_t *dma,
		     struct xen_dma_watch_range *target, bool *bounced)
{
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	u64 want = 0, at;
	bool slots;

	watch(ctx);
	*dma = dma_map_phys(t->dev, x->phys, x->len, dirs[x->dir].dir, 0);
	unwatch();

	if (dma_mapping_error(t->dev, *dma)) {
		XFER_FAIL(test, x, "cannot be mapped");
		return false;
	}
	if (!hand_phys(t, *dma, x->len, &at)) {
		XFER_FAIL(test, x, "DMA address %pad, but the device %s", dma,
			  hand_phys(t, *dma, 1, &at) ?
			  "reaches no more than the first bytes there" :
			  "reaches nothing there");
		return false;
	}
	*bounced = in_pool(t->dev, at, x->len);
	if (!*bounced && x->expect != BOUNCE) {
		if (!hand_dma(t, x->baddr, x->len, &want) || *dma != want) {
			XFER_FAIL(test, x, "DMA address %pad, expected 0x%llx",
				  dma, want);
			return false;
		}
	} else if (*bounced ? x->expect == DIRECT : x->expect == BOUNCE) {
		XFER_FAIL(test, x, "DMA address %pad %s the bounce pool", dma,
			  *bounced ? "should not be in" : "should be in");
		return false;
	}

	slots = xen_dma_watch_count(&ctx->rec, XEN_DMA_WATCH_TAKE) -
		xen_dma_watch_count(&ctx->rec, XEN_DMA_WATCH_RELEASE);
	if (machine.watching && slots != *bounced) {
		XFER_FAIL(test, x, "%staken from the bounce pool",
			  slots ? "" : "nothing ");
		return false;
	}
	target->start = at;
	target->len = x->len;
	return maintained(test, XEN_DMA_WATCH_WANT_DEVICE, target, 1,
			  *bounced ? NULL : x->to_machine, x->arg, "map");
}

static bool xfer_unmap(struct kunit *test, const struct xfer *x,
		       dma_addr_t dma, const struct xen_dma_watch_range *target,
		       bool bounced)
{
	struct ctx *ctx = test->priv;
	unsigned int released;

	watch(ctx);
	dma_unmap_phys(ctx->t.dev, dma, x->len, dirs[x->dir].dir, 0);
	unwatch();
	if (!target)
		return false;

	released = xen_dma_watch_count(&ctx->rec, XEN_DMA_WATCH_RELEASE);
	if (machine.watching && released != bounced) {
		XFER_FAIL(test, x, "%u bounce slots released, not %u",
			  released, bounced);
		return false;
	}
	return maintained(test, for_cpu(dirs[x->dir].dir), target, 1,
			  bounced ? NULL : x->to_machine, x->arg, "unmap");
}

/* What happens between map and unmap; sync and the data. */
static bool xfer_data(struct kunit *test, const struct xfer *x, dma_addr_t dma,
		      const struct xen_dma_watch_range *target, bool bounced)
{
	enum dma_data_direction dir = dirs[x->dir].dir;
	xen_dma_watch_machine_fn fn = bounced ? NULL : x->to_machine;

	if (dir != DMA_FROM_DEVICE &&
	    !device_reads(test, target->start, x->len, 1)) {
		XFER_FAIL(test, x, "mapped, but the device reads something else");
		return false;
	}
	if (dir != DMA_TO_DEVICE) {
		device_writes(test, target->start, x->len, 2);
		if (!sync_for_cpu(test, dma, target, dir, fn, x->arg))
			return false;
		if (!holds(x, 2)) {
			XFER_FAIL(test, x, "synced, but the CPU reads something else");
			return false;
		}
	}

	fill(x, 3);
	if (!sync_for_device(test, dma, target, dir, fn, x->arg))
		return false;
	if (dir != DMA_FROM_DEVICE &&
	    !device_reads(test, target->start, x->len, 3)) {
		XFER_FAIL(test, x, "synced, but the device reads something else");
		return false;
	}
	if (dir != DMA_TO_DEVICE)
		device_writes(test, target->start, x->len, 4);
	return true;
}

/* The whole of it. Returns false after the first failure. */
static bool xfer(struct kunit *test, const struct xfer *x)
{
	struct xen_dma_watch_range target;
	bool bounced = false, ok;
	dma_addr_t dma;

	if (x->guard) {
		memset(x->vaddr - x->guard, 0xa5, x->guard);
		memset(x->vaddr + x->len, 0x5a, x->guard);
	}
	fill(x, 1);

	ok = xfer_map(test, x, &dma, &target, &bounced);
	if (ok)
		ok = xfer_data(test, x, dma, &target, bounced);
	if (!dma_mapping_error(((struct ctx *)test->priv)->t.dev, dma))
		ok &= xfer_unmap(test, x, dma, ok ? &target : NULL, bounced);
	if (!ok)
		return false;

	if (!holds(x, dirs[x->dir].dir == DMA_TO_DEVICE ? 3 : 4)) {
		XFER_FAIL(test, x, "unmapped, but the CPU reads something else");
		return false;
	}
	if (!guards_intact(x)) {
		XFER_FAIL(test, x, "memory beside the buffer has changed");
		return false;
	}
	return true;
}

/*
 * Every size, offset and direction on every piece of memory that lies inside
 * (outside) of the device's reach, up to @max_len bytes.
 */
static unsigned int xfer_all(struct kunit *test, bool inside, size_t max_len)
{
	struct ctx *ctx = test->priv;
	unsigned int s, l, o, d, n = 0;

	for (s = 0; s < ctx->nr_spans; s++) {
		const struct span *span = &ctx->span[s];

		for (l = 0; l < ARRAY_SIZE(lens); l++) {
			for (o = 0; o < ARRAY_SIZE(offsets); o++) {
				size_t off = span->off + offsets[o];
				struct xfer x = {
					.what = span->name,
					.phys = span->buf->phys + off,
					.baddr = span->buf->phys + off,
					.vaddr = span->buf->vaddr + off,
					.len = lens[l],
					.guard = GUARD,
				};
				u64 dma;

				if (x.len > max_len)
					continue;
				if (hand_dma(&ctx->t, x.baddr, x.len, &dma) !=
				    inside)
					continue;
				for (d = 0; d < ARRAY_SIZE(dirs); d++) {
					x.dir = d;
					x.expect = inside ?
						small_bounces(&ctx->t, x.len,
							      dirs[d].dir) :
						BOUNCE;
					if (!xfer(test, &x))
						return n + 1;
					n++;
				}
				cond_resched();
			}
		}
	}
	return n;
}

/*
 * The watcher itself: it must see what happens, and tell right from wrong
 */

static void watcher(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct xen_dma_watch_range range;
	struct ctx *ctx = test->priv;
	dma_addr_t dma;

	if (!machine.watching)
		kunit_skip(test, "nowhere to watch: cache maintenance is not checked");
	make_device(test, &c);
	watch(ctx);
	dma = dma_map_phys(ctx->t.dev, ctx->low.phys + 0x800, SZ_8K,
			   DMA_TO_DEVICE, 0);
	unwatch();
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(ctx->t.dev, dma));

	range = (struct xen_dma_watch_range) { ctx->low.phys + 0x800, SZ_8K };
	KUNIT_EXPECT_TRUE(test,
			  xen_dma_watch_check(&ctx->rec,
					      XEN_DMA_WATCH_WANT_DEVICE, &range,
					      1, NULL, NULL, ctx->why,
					      sizeof(ctx->why)));
	/* Not what a sync for the CPU has to do, ... */
	KUNIT_EXPECT_FALSE(test,
			   xen_dma_watch_check(&ctx->rec,
					       XEN_DMA_WATCH_WANT_CPU, &range,
					       1, NULL, NULL, ctx->why,
					       sizeof(ctx->why)));
	/* ... too much, ... */
	KUNIT_EXPECT_FALSE(test,
			   xen_dma_watch_check(&ctx->rec,
					       XEN_DMA_WATCH_WANT_NONE, &range,
					       1, NULL, NULL, ctx->why,
					       sizeof(ctx->why)));
	range.len -= SZ_4K;
	KUNIT_EXPECT_FALSE(test,
			   xen_dma_watch_check(&ctx->rec,
					       XEN_DMA_WATCH_WANT_DEVICE, &range,
					       1, NULL, NULL, ctx->why,
					       sizeof(ctx->why)));
	/* ... too little. */
	range.len += SZ_8K;
	KUNIT_EXPECT_FALSE(test,
			   xen_dma_watch_check(&ctx->rec,
					       XEN_DMA_WATCH_WANT_DEVICE, &range,
					       1, NULL, NULL, ctx->why,
					       sizeof(ctx->why)));
	dma_unmap_phys(ctx->t.dev, dma, SZ_8K, DMA_TO_DEVICE, 0);
}

/* What Xen is asked for has to be what the caches need. */
static void watcher_flush_ops(struct kunit *test)
{
	static const struct {
		unsigned int how;
		bool device, cpu;
	} op[] = {
		{ GNTTAB_CACHE_CLEAN, true, false },
		/* Throws away what the CPU wrote instead of writing it. */
		{ GNTTAB_CACHE_INVAL, false, true },
		{ GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL, true, true },
	};
	const struct xen_dma_watch_range range = { SZ_1G, SZ_4K };
	struct ctx *ctx = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(op); i++) {
		ctx->rec.nr = 1;
		ctx->rec.ev[0] = (struct xen_dma_watch_event) {
			.kind = XEN_DMA_WATCH_FLUSH,
			.addr = range.start,
			.len = range.len,
			.how = op[i].how,
		};
		KUNIT_EXPECT_EQ(test, op[i].device,
				xen_dma_watch_check(&ctx->rec,
						    XEN_DMA_WATCH_WANT_DEVICE,
						    &range, 1, NULL, NULL,
						    ctx->why,
						    sizeof(ctx->why)));
		KUNIT_EXPECT_EQ(test, op[i].cpu,
				xen_dma_watch_check(&ctx->rec,
						    XEN_DMA_WATCH_WANT_CPU,
						    &range, 1, NULL, NULL,
						    ctx->why,
						    sizeof(ctx->why)));
	}
}

/*
 * Tests of single buffers
 */

static void map_inside(struct kunit *test)
{
	make_bouncing_device(test, test->param_value);
	if (!xfer_all(test, true, LEN_MAX))
		kunit_skip(test, "none of the memory found lies in the window");
}

static void map_outside(struct kunit *test)
{
	struct ctx *ctx = test->priv;

	make_bouncing_device(test, test->param_value);
	if (!xfer_all(test, false, ctx->max_len))
		kunit_skip(test, "none of the memory found lies outside of the window");
}

/* No bytes end before they begin, and at a page's beginning in another page */
static void map_nothing(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_RPI4],
	};
	struct ctx *ctx = test->priv;
	dma_addr_t dma;
	u64 want;

	make_device(test, &c);
	if (!hand_dma(&ctx->t, ctx->low.phys, PAGE_SIZE, &want))
		kunit_skip(test, "none of the memory found lies in the window");
	dma = dma_map_phys(ctx->t.dev, ctx->low.phys, 0, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, want, dma);
	if (!dma_mapping_error(ctx->t.dev, dma))
		dma_unmap_phys(ctx->t.dev, dma, 0, DMA_TO_DEVICE, 0);
}

/*
 * A buffer in one piece for the CPU, that leaves a window for a gap, or for
 * another window with another offset, is not in one piece for the device.
 */
static void buffer_across_ranges(struct kunit *test)
{
	static const struct {
		size_t before, len;
	} cases[] = {
		{ 1, 2 }, { 1, SZ_4K }, { 0x800, SZ_4K }, { SZ_4K, SZ_8K },
		{ SZ_64K, SZ_128K }, { LEN_MAX - 1, LEN_MAX },
	};
	struct ctx *ctx = test->priv;
	unsigned int i, d;

	make_bouncing_device(test, test->param_value);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t off = SZ_1M - cases[i].before;
		struct xfer x = {
			.what = "across the border",
			.phys = ctx->block.phys + off,
			.baddr = ctx->block.phys + off,
			.vaddr = ctx->block.vaddr + off,
			.len = cases[i].len,
			.guard = GUARD,
			.expect = BOUNCE,
		};

		if (x.len > ctx->max_len)
			continue;
		for (d = 0; d < ARRAY_SIZE(dirs); d++) {
			x.dir = d;
			if (!xfer(test, &x))
				return;
		}
	}
}

/* A mapping that is to fail: it may say so with a warning. */
static void map_in_vain(struct kunit *test, phys_addr_t phys, size_t len,
			enum dma_data_direction dir, unsigned long attrs)
{
	struct ctx *ctx = test->priv;
	dma_addr_t dma = DMA_MAPPING_ERROR;

	kunit_warning_suppress(test) {
		watch(ctx);
		dma = dma_map_phys(ctx->t.dev, phys, len, dir,
				   attrs | DMA_ATTR_NO_WARN);
		unwatch();
	}
	KUNIT_EXPECT_TRUE_MSG(test, dma_mapping_error(ctx->t.dev, dma),
			      "mapped at %pad", &dma);
	if (!dma_mapping_error(ctx->t.dev, dma))
		dma_unmap_phys(ctx->t.dev, dma, len, dir, attrs);
}

/* More than a bounce slot holds: refused, and nothing kept. */
static void too_large_to_bounce(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_POOL_ONLY],
	};
	struct ctx *ctx = test->priv;

	make_bouncing_device(test, &c);
	map_in_vain(test, ctx->low.phys, LEN_MAX + SZ_4K, DMA_TO_DEVICE, 0);
	maintained(test, XEN_DMA_WATCH_WANT_NONE, NULL, 0, NULL, NULL, "map");
}

/* Without a bounce pool in reach: what is inside works, the rest fails. */
static void pool_out_of_reach(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NO_POOL],
	};
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	dma_addr_t dma;

	make_device(test, &c);
	dma = dma_map_phys(t->dev, ctx->block.phys, SZ_4K, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, dma, (dma_addr_t)0x80000000);
	if (!dma_mapping_error(t->dev, dma))
		dma_unmap_phys(t->dev, dma, SZ_4K, DMA_TO_DEVICE, 0);

	map_in_vain(test, ctx->low.phys, SZ_4K, DMA_TO_DEVICE, 0);
}

/* A slot that the device turns out not to reach is given back. */
static void slot_out_of_reach(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_RPI4],
	};
	struct ctx *ctx = test->priv;

	make_bouncing_device(test, &c);
	if (!machine.watching)
		kunit_skip(test, "needs kprobes");

	/* A mask that dma_set_mask() refuses. */
	*ctx->t.dev->dma_mask = DMA_BIT_MASK(30);
	map_in_vain(test, ctx->low.phys, SZ_4K, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, 1,
			xen_dma_watch_count(&ctx->rec, XEN_DMA_WATCH_TAKE));
	KUNIT_EXPECT_EQ(test, 1,
			xen_dma_watch_count(&ctx->rec, XEN_DMA_WATCH_RELEASE));
}

/* What of a list is mapped when the rest cannot be is given back. */
static void map_sg_in_vain(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_POOL_ONLY],
	};
	struct ctx *ctx = test->priv;
	struct scatterlist sgl[3], *sg;
	unsigned int i;

	make_bouncing_device(test, &c);
	if (!machine.watching)
		kunit_skip(test, "needs kprobes");

	sg_init_table(sgl, ARRAY_SIZE(sgl));
	for_each_sg(sgl, sg, ARRAY_SIZE(sgl), i)
		sg_set_page(sg, pfn_to_page(PHYS_PFN(ctx->low.phys)),
			    i < 2 ? SZ_4K : LEN_MAX + SZ_4K, 0);
	watch(ctx);
	KUNIT_EXPECT_EQ(test, 0,
			dma_map_sg_attrs(ctx->t.dev, sgl, ARRAY_SIZE(sgl),
					 DMA_TO_DEVICE, DMA_ATTR_NO_WARN));
	unwatch();
	/* For the last entry there was none. */
	KUNIT_EXPECT_EQ(test, 3,
			xen_dma_watch_count(&ctx->rec, XEN_DMA_WATCH_TAKE));
	KUNIT_EXPECT_EQ(test, 2,
			xen_dma_watch_count(&ctx->rec, XEN_DMA_WATCH_RELEASE));
}

/* The caller has done the cache maintenance, or will; the data still goes. */
static void skip_cpu_sync(struct kunit *test)
{
	struct ctx *ctx = test->priv;
	unsigned int s;
	dma_addr_t dma;

	make_bouncing_device(test, test->param_value);
	for (s = 0; s < ctx->nr_spans; s++) {
		const struct span *span = &ctx->span[s];

		watch(ctx);
		dma = dma_map_phys(ctx->t.dev, span->buf->phys + span->off,
				   SZ_4K, DMA_BIDIRECTIONAL,
				   DMA_ATTR_SKIP_CPU_SYNC);
		unwatch();
		KUNIT_ASSERT_FALSE(test, dma_mapping_error(ctx->t.dev, dma));
		maintained(test, XEN_DMA_WATCH_WANT_NONE, NULL, 0, NULL, NULL,
			   "map");
		watch(ctx);
		dma_unmap_phys(ctx->t.dev, dma, SZ_4K, DMA_BIDIRECTIONAL,
			       DMA_ATTR_SKIP_CPU_SYNC);
		unwatch();
		maintained(test, XEN_DMA_WATCH_WANT_NONE, NULL, 0, NULL, NULL,
			   "unmap");
	}
}

/*
 * A buffer whose user cannot stand a copy must be refused where a copy would
 * be needed (DMA_ATTR_REQUIRE_COHERENT).
 */
static void require_coherent_no_bounce(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_POOL_ONLY],
		.coherent = true,
	};
	struct ctx *ctx = test->priv;

	/* Reaches nothing but the bounce pool. */
	make_bouncing_device(test, &c);
	map_in_vain(test, ctx->low.phys, SZ_4K, DMA_BIDIRECTIONAL,
		    DMA_ATTR_REQUIRE_COHERENT);
}

/*
 * What is in memory when it is maintained. Emulated caches hide nothing, so that a
 * bounce slot that is filled too late, or read too early, does no harm. Let the
 * maintenance for the CPU be what puts the device's data there.
 */

static struct {
	struct task_struct *task;
	int for_device;		/* first byte of what it was, -1: nothing was */
	u8 for_cpu;		/* becomes the first byte */
} maintenance;

static int maintain_for_device(struct kprobe *p, struct pt_regs *regs)
{
	if (current == READ_ONCE(maintenance.task))
		maintenance.for_device =
			*(u8 *)phys_to_virt(xen_dma_watch_arg(regs, 0));
	return 0;
}

static int maintain_for_cpu(struct kprobe *p, struct pt_regs *regs)
{
	if (current == READ_ONCE(maintenance.task))
		*(u8 *)phys_to_virt(xen_dma_watch_arg(regs, 0)) =
			maintenance.for_cpu;
	return 0;
}

static struct kprobe maintenance_probe[] = {
	{
		.symbol_name = "arch_sync_dma_for_device",
		.pre_handler = maintain_for_device,
	}, {
		.symbol_name = "arch_sync_dma_for_cpu",
		.pre_handler = maintain_for_cpu,
	},
};

static void stop_maintenance(void *probe)
{
	unregister_kprobe(probe);
	WRITE_ONCE(maintenance.task, NULL);
}

static void bounced_in_the_right_order(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_POOL_ONLY],
	};
	struct ctx *ctx = test->priv;
	u8 *buf = phys_to_virt(ctx->low.phys);
	unsigned int i;
	dma_addr_t dma;

	make_bouncing_device(test, &c);
	for (i = 0; i < ARRAY_SIZE(maintenance_probe); i++) {
		maintenance_probe[i].addr = NULL;
		maintenance_probe[i].flags = 0;
		if (register_kprobe(&maintenance_probe[i]))
			kunit_skip(test, "every device is coherent here, or nowhere to watch");
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, stop_maintenance,
							  &maintenance_probe[i]));
	}
	WRITE_ONCE(maintenance.task, current);

	*buf = 1;
	maintenance.for_device = -1;
	dma = dma_map_single(ctx->t.dev, buf, SZ_4K, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(ctx->t.dev, dma));
	KUNIT_EXPECT_EQ(test, 1, maintenance.for_device);

	*buf = 2;
	maintenance.for_device = -1;
	dma_sync_single_for_device(ctx->t.dev, dma, SZ_4K, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, 2, maintenance.for_device);

	maintenance.for_cpu = 3;
	dma_sync_single_for_cpu(ctx->t.dev, dma, SZ_4K, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, 3, *buf);

	maintenance.for_cpu = 4;
	dma_unmap_single(ctx->t.dev, dma, SZ_4K, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, 4, *buf);
}

/*
 * Scatter lists
 */

#define SG_MAX	10

static void map_sg(struct kunit *test)
{
	static const struct {
		size_t off, len;
	} part[] = {
		{ 0, SZ_4K }, { SZ_64K + 63, SZ_4K + 1 },
		{ SZ_128K + 0x800, SZ_64K }, { SZ_256K, LEN_MAX },
		{ SZ_512K + 0xfff, 0x1001 },
	};
	struct xen_dma_watch_range target[SG_MAX];
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	struct scatterlist *sgl, *sg;
	unsigned int i, n, d, seen;
	int nents;

	make_bouncing_device(test, test->param_value);
	sgl = kunit_kcalloc(test, SG_MAX, sizeof(*sgl), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, sgl);

	/* By turns from each piece of memory: direct and bounced ones mixed. */
	n = min(SG_MAX, ARRAY_SIZE(part) * ctx->nr_spans);
	sg_init_table(sgl, n);
	for_each_sg(sgl, sg, n, i) {
		const struct span *span = &ctx->span[i % ctx->nr_spans];
		size_t off = span->off + part[i / ctx->nr_spans].off;

		sg_set_page(sg, span->buf->page + PFN_DOWN(off),
			    min(part[i / ctx->nr_spans].len, ctx->max_len),
			    offset_in_page(off));
	}

	for (d = 0; d < ARRAY_SIZE(dirs); d++) {
		enum dma_data_direction dir = dirs[d].dir;

		for_each_sg(sgl, sg, n, i)
			memcpy(sg_virt(sg), noise(i + 10), sg->length);

		watch(ctx);
		nents = dma_map_sg(t->dev, sgl, n, dir);
		unwatch();
		KUNIT_ASSERT_EQ(test, nents, n);

		for_each_sg(sgl, sg, n, i) {
			u64 want, at;

			KUNIT_ASSERT_EQ(test, sg_dma_len(sg), sg->length);
			KUNIT_ASSERT_TRUE(test,
					  hand_phys(t, sg_dma_address(sg),
						    sg->length, &at));
			if (hand_dma(t, sg_phys(sg), sg->length, &want))
				KUNIT_ASSERT_EQ(test, want,
						(u64)sg_dma_address(sg));
			else
				KUNIT_ASSERT_TRUE(test,
						  in_pool(t->dev, at,
							  sg->length));
			target[i].start = at;
			target[i].len = sg->length;
		}
		maintained(test, XEN_DMA_WATCH_WANT_DEVICE, target, n, NULL,
			   NULL, "map_sg");

		for (i = 0; i < n; i++) {
			if (dir != DMA_FROM_DEVICE)
				KUNIT_EXPECT_TRUE(test,
						  device_reads(test,
							       target[i].start,
							       target[i].len,
							       i + 10));
			if (dir != DMA_TO_DEVICE)
				device_writes(test, target[i].start,
					      target[i].len, i + 30);
		}
		if (dir != DMA_TO_DEVICE) {
			watch(ctx);
			dma_sync_sg_for_cpu(t->dev, sgl, n, dir);
			unwatch();
			maintained(test, XEN_DMA_WATCH_WANT_CPU, target, n,
				   NULL, NULL, "sync_sg_for_cpu");
			seen = 0;
			for_each_sg(sgl, sg, n, i)
				seen += !memcmp(sg_virt(sg), noise(i + 30),
						sg->length);
			KUNIT_EXPECT_EQ(test, seen, n);
		}
		for_each_sg(sgl, sg, n, i)
			memcpy(sg_virt(sg), noise(i + 50), sg->length);
		watch(ctx);
		dma_sync_sg_for_device(t->dev, sgl, n, dir);
		unwatch();
		maintained(test, XEN_DMA_WATCH_WANT_DEVICE, target, n, NULL,
			   NULL, "sync_sg_for_device");
		for (i = 0; i < n; i++) {
			if (dir != DMA_FROM_DEVICE)
				KUNIT_EXPECT_TRUE(test,
						  device_reads(test,
							       target[i].start,
							       target[i].len,
							       i + 50));
			if (dir != DMA_TO_DEVICE)
				device_writes(test, target[i].start,
					      target[i].len, i + 70);
		}
		watch(ctx);
		dma_unmap_sg(t->dev, sgl, n, dir);
		unwatch();
		maintained(test, for_cpu(dir), target, n, NULL, NULL,
			   "unmap_sg");
		if (machine.watching) {
			unsigned int want = 0;

			for (i = 0; i < n; i++)
				want += in_pool(t->dev, target[i].start,
						target[i].len);
			KUNIT_EXPECT_EQ(test, want,
					xen_dma_watch_count(&ctx->rec,
							    XEN_DMA_WATCH_RELEASE));
		}
		seen = 0;
		for_each_sg(sgl, sg, n, i)
			seen += !memcmp(sg_virt(sg),
					noise(i + (dir == DMA_TO_DEVICE ?
						   50 : 70)), sg->length);
		KUNIT_EXPECT_EQ(test, seen, n);
		if (test->status == KUNIT_FAILURE)
			return;
	}
}

/*
 * Allocations
 */

static const size_t alloc_lens[] = { 1, SZ_4K, SZ_64K, SZ_512K };

/* Is there a zone that the allocator can turn to for this device? */
static bool low_in_reach(const struct ctx *ctx)
{
	u64 dma;

	return hand_dma(&ctx->t, ctx->low.phys, ctx->low.size, &dma);
}

static void alloc_coherent(struct kunit *test)
{
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	unsigned int i;

	make_bouncing_device(test, test->param_value);
	if (!low_in_reach(ctx))
		kunit_skip(test, "no zone of memory lies in this window");

	for (i = 0; i < ARRAY_SIZE(alloc_lens); i++) {
		size_t len = alloc_lens[i];
		size_t part = min(len, LEN_MAX);
		dma_addr_t dma;
		void *vaddr;
		u64 at;

		vaddr = dma_alloc_coherent(t->dev, len, &dma,
					   GFP_KERNEL | __GFP_NOWARN);
		if (!vaddr) {
			KUNIT_FAIL(test, "%zu bytes: no memory", len);
			continue;
		}
		if (!hand_phys(t, dma, len, &at)) {
			KUNIT_FAIL(test, "%zu bytes: DMA address %pad is not the device's",
				   len, &dma);
		} else if (in_pool(t->dev, at, len)) {
			KUNIT_FAIL(test, "%zu bytes: DMA address %pad is in the bounce pool",
				   len, &dma);
		} else {
			memcpy(vaddr, noise(1), part);
			KUNIT_EXPECT_TRUE(test, device_reads(test, at, part, 1));
			device_writes(test, at, part, 2);
			KUNIT_EXPECT_EQ(test, 0, memcmp(vaddr, noise(2), part));
		}
		dma_free_coherent(t->dev, len, vaddr, dma);
	}
}

/*
 * With DMA_ATTR_NO_KERNEL_MAPPING what comes back is a cookie, not an address:
 * the memory is known by its DMA address only.
 */
static const struct alloc_case {
	const char *name;
	unsigned long attrs;
	bool coherent;
} alloc_cases[] = {
	{ "mapped", 0, false },
	{ "mapped-coherent", 0, true },
	{ "no-mapping", DMA_ATTR_NO_KERNEL_MAPPING, false },
	{ "no-mapping-coherent", DMA_ATTR_NO_KERNEL_MAPPING, true },
};

KUNIT_ARRAY_PARAM_DESC(cookie, alloc_cases, name);

struct allocation {
	void *cookie;
	dma_addr_t dma;
	u64 at;		/* its machine address */
};

static void make_allocation(struct kunit *test, struct allocation *a)
{
	const struct alloc_case *ac = test->param_value;
	const struct dma_case c = {
		.geo = &geometries[GEO_RPI4],
		.coherent = ac->coherent,
	};
	struct ctx *ctx = test->priv;

	make_bouncing_device(test, &c);
	if (!low_in_reach(ctx))
		kunit_skip(test, "no zone of memory lies in this window");
	a->cookie = dma_alloc_attrs(ctx->t.dev, SZ_64K, &a->dma,
				    GFP_KERNEL | __GFP_NOWARN, ac->attrs);
	KUNIT_ASSERT_NOT_NULL(test, a->cookie);
	if (!hand_phys(&ctx->t, a->dma, SZ_64K, &a->at)) {
		dma_free_attrs(ctx->t.dev, SZ_64K, a->cookie, a->dma,
			       ac->attrs);
		KUNIT_FAIL_AND_ABORT(test, "DMA address %pad is not the device's",
				     &a->dma);
	}
}

static void alloc_sgtable(struct kunit *test)
{
	const struct alloc_case *ac = test->param_value;
	struct ctx *ctx = test->priv;
	struct allocation a;
	struct sg_table sgt;
	int ret;

	make_allocation(test, &a);
	ret = dma_get_sgtable_attrs(ctx->t.dev, &sgt, a.cookie, a.dma, SZ_64K,
				    ac->attrs);
	KUNIT_EXPECT_EQ(test, 0, ret);
	if (!ret) {
		KUNIT_EXPECT_EQ(test, 1, sgt.orig_nents);
		KUNIT_EXPECT_EQ(test, a.at, (u64)sg_phys(sgt.sgl));
		KUNIT_EXPECT_EQ(test, SZ_64K, sgt.sgl->length);
		sg_free_table(&sgt);
	}
	dma_free_attrs(ctx->t.dev, SZ_64K, a.cookie, a.dma, ac->attrs);
}

/* A file that maps one allocation to user space, as a driver would. */
struct mmap_file {
	struct device *dev;
	struct allocation *a;
	unsigned long attrs;
};

static int mmap_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mmap_file *mf = file->private_data;

	return dma_mmap_attrs(mf->dev, vma, mf->a->cookie, mf->a->dma, SZ_64K,
			      mf->attrs);
}

static const struct file_operations mmap_file_fops = {
	.owner = THIS_MODULE,
	.mmap = mmap_file_mmap,
};

static void alloc_mmap(struct kunit *test)
{
	const struct alloc_case *ac = test->param_value;
	struct ctx *ctx = test->priv;
	struct mmap_file mf;
	struct allocation a;
	unsigned long addr, pfn, i;
	struct file *file;
	int ret;

	make_allocation(test, &a);
	mf = (struct mmap_file) { ctx->t.dev, &a, ac->attrs };
	file = anon_inode_getfile("xen_dma_test", &mmap_file_fops, &mf, O_RDWR);
	if (IS_ERR(file)) {
		KUNIT_FAIL(test, "no file: %pe", file);
		goto free;
	}
	addr = kunit_vm_mmap(test, file, 0, SZ_64K, PROT_READ | PROT_WRITE,
			     MAP_SHARED, 0);
	if (!addr || IS_ERR_VALUE(addr)) {
		KUNIT_FAIL(test, "cannot be mapped: %ld", (long)addr);
		goto put;
	}
	for (i = 0; i < SZ_64K; i += PAGE_SIZE) {
		ret = xen_dma_watch_user_pfn(addr + i, &pfn);
		if (ret || pfn != PFN_DOWN(a.at + i)) {
			KUNIT_FAIL(test,
				   "frame 0x%lx at 0x%lx (%d), expected 0x%llx",
				   ret ? 0 : pfn, i, ret,
				   (u64)PFN_DOWN(a.at + i));
			break;
		}
	}
	vm_munmap(addr, SZ_64K);
put:
	fput(file);
free:
	dma_free_attrs(ctx->t.dev, SZ_64K, a.cookie, a.dma, ac->attrs);
}

/* Pages for streaming DMA must be such that the device reaches them itself. */
static void alloc_pages_in_reach(struct kunit *test)
{
	static const size_t len[] = {
		SZ_4K, SZ_64K, SZ_128K, SZ_256K, SZ_512K,
	};
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	unsigned int i;

	make_bouncing_device(test, test->param_value);
	if (!low_in_reach(ctx))
		kunit_skip(test, "no zone of memory lies in this window");

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		struct page *page;
		dma_addr_t dma;
		u64 want = 0, phys;

		page = dma_alloc_pages(t->dev, len[i], &dma, DMA_BIDIRECTIONAL,
				       GFP_KERNEL | __GFP_NOWARN);
		if (!page) {
			KUNIT_FAIL(test, "%zu bytes: no memory", len[i]);
			continue;
		}
		phys = page_to_phys(page);
		if (!hand_dma(t, phys, len[i], &want))
			KUNIT_FAIL(test,
				   "%zu bytes at 0x%llx, out of reach (DMA address %pad)",
				   len[i], phys, &dma);
		else if (dma != want)
			KUNIT_FAIL(test,
				   "%zu bytes at 0x%llx: DMA address %pad, expected 0x%llx",
				   len[i], phys, &dma, want);
		dma_free_pages(t->dev, len[i], page, dma, DMA_BIDIRECTIONAL);
	}
}

/*
 * Masks
 */

/* A driver that asks how many address bits it needs must be told enough. */
static void required_mask(struct kunit *test)
{
	struct ctx *ctx = test->priv;
	u64 dma, highest = 0, mask;

	make_device(test, test->param_value);
	if (hand_dma(&ctx->t, ctx->low.phys, SZ_4K, &dma))
		highest = max(highest, dma);
	if (hand_dma(&ctx->t, ctx->high.phys, SZ_4K, &dma))
		highest = max(highest, dma);
	if (!highest)
		kunit_skip(test, "none of the memory found lies in the window");

	mask = dma_get_required_mask(ctx->t.dev);
	KUNIT_EXPECT_GE_MSG(test, mask, highest,
			    "mask 0x%llx, but memory has DMA address 0x%llx",
			    mask, highest);
}

/* A mask must be refused when nothing that can bounce lies below it. */
static void mask_refused(struct kunit *test)
{
	const struct dma_case *c = test->param_value;
	struct ctx *ctx = test->priv;
	int ret;

	make_device(test, c);
	if (!have_pool(ctx->t.dev))
		kunit_skip(test, "no bounce pool");
	ret = dma_set_mask(ctx->t.dev, DMA_BIT_MASK(c->geo->mask_bits));
	KUNIT_EXPECT_NE(test, 0, ret);
}

/*
 * However many bits the device drives: where the bounce pool has no DMA
 * address, nothing can bounce.
 */
static void mask_pool_out_of_reach(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NO_POOL],
	};
	struct ctx *ctx = test->priv;
	unsigned int bits;

	make_device(test, &c);
	if (!have_pool(ctx->t.dev))
		kunit_skip(test, "no bounce pool");
	for (bits = 32; bits <= 64; bits += 8) {
		KUNIT_EXPECT_NE_MSG(test, 0,
				    dma_set_mask(ctx->t.dev,
						 DMA_BIT_MASK(bits)),
				    "mask of %u bits accepted", bits);
		KUNIT_EXPECT_NE_MSG(test, 0,
				    dma_set_coherent_mask(ctx->t.dev,
							  DMA_BIT_MASK(bits)),
				    "coherent mask of %u bits accepted", bits);
	}
}

/* Without any bounce pool a mask is good if the device can reach memory. */
static void mask_without_pool(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_RPI4],
	};
	struct ctx *ctx = test->priv;
	int ret;

	make_device(test, &c);
	if (have_pool(ctx->t.dev))
		kunit_skip(test, "there is a bounce pool: boot with swiotlb=noforce");
	if (!low_in_reach(ctx))
		kunit_skip(test, "none of the memory found lies in the window");
	ret = dma_set_mask(ctx->t.dev, DMA_BIT_MASK(32));
	KUNIT_EXPECT_EQ(test, 0, ret);
}

/*
 * What must bounce has to fit a slot of the pool. Nothing has to when one
 * window shows all of the machine's memory, whoever owns it, or when there is
 * no pool.
 */
static void max_mapping_size(struct kunit *test)
{
	long nr_frames = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	dma_addr_t dma;
	u64 want;

	make_device(test, test->param_value);
	KUNIT_ASSERT_GT(test, nr_frames, 0L);
	if (have_pool(t->dev) &&
	    !hand_dma(t, 0, (u64)nr_frames << XEN_PAGE_SHIFT, &want)) {
		KUNIT_EXPECT_EQ(test, LEN_MAX, dma_max_mapping_size(t->dev));
		return;
	}
	KUNIT_EXPECT_EQ(test, SIZE_MAX, dma_max_mapping_size(t->dev));

	/* Who believes it must be right. */
	if (!hand_dma(t, ctx->block.phys, BLOCK_LEN, &want))
		return;
	dma = dma_map_phys(t->dev, ctx->block.phys, BLOCK_LEN, DMA_TO_DEVICE,
			   0);
	KUNIT_EXPECT_EQ(test, want, (u64)dma);
	if (!dma_mapping_error(t->dev, dma))
		dma_unmap_phys(t->dev, dma, BLOCK_LEN, DMA_TO_DEVICE, 0);
}

/*
 * Memory where an address has more bits than a 32-bit kernel's long. It may
 * have no address in the kernel either.
 */
#define HIGH_ORDER	get_order(SZ_4M)

static void free_high_blocks(void *data)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, (struct list_head *)data, lru)
		__free_pages(page, HIGH_ORDER);
}

static void memory_above_4g(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct xen_dma_watch_range target = { .len = SZ_4K };
	const gfp_t gfp = GFP_HIGHUSER & ~__GFP_RECLAIM;
	struct ctx *ctx = test->priv;
	struct list_head *blocks;
	struct page *page;
	dma_addr_t dma;

	if (machine.ram_end <= 1ULL << 32)
		kunit_skip(test, "no memory above 4 GB");
	make_bouncing_device(test, &c);
	if (!machine.watching)
		kunit_skip(test, "needs the watcher");
	blocks = kunit_kzalloc(test, sizeof(*blocks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, blocks);
	INIT_LIST_HEAD(blocks);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_high_blocks,
						  blocks));
	/* What is below goes first. Leave something to others. */
	do {
		page = NULL;
		if (global_zone_page_state(NR_FREE_PAGES) >
		    SZ_64M >> PAGE_SHIFT)
			page = alloc_pages(gfp | __GFP_NOWARN, HIGH_ORDER);
		if (!page)
			kunit_skip(test, "no free memory above 4 GB");
		list_add(&page->lru, blocks);
	} while (page_to_phys(page) <= U32_MAX);
	target.start = page_to_phys(page);

	watch(ctx);
	dma = dma_map_page(ctx->t.dev, page, 0, target.len, DMA_FROM_DEVICE);
	unwatch();
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(ctx->t.dev, dma));
	KUNIT_EXPECT_EQ(test, target.start, (u64)dma);
	maintained(test, XEN_DMA_WATCH_WANT_DEVICE, &target, 1, NULL, NULL,
		   "map");
	sync_for_cpu(test, dma, &target, DMA_FROM_DEVICE, NULL, NULL);
	sync_for_device(test, dma, &target, DMA_FROM_DEVICE, NULL, NULL);
	watch(ctx);
	dma_unmap_page(ctx->t.dev, dma, target.len, DMA_FROM_DEVICE);
	unwatch();
	maintained(test, XEN_DMA_WATCH_WANT_CPU, &target, 1, NULL, NULL,
		   "unmap");
}

/*
 * MMIO: registers of another device as the source or target of a transfer
 */

/*
 * A device to which registers appear at 0x10_0000_0000. What lies at the
 * registers' own number on the bus is memory of this test, so that whoever
 * takes that number for a DMA address does no harm.
 */
static void make_mmio_device(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;

	if (!machine.mmio)
		kunit_skip(test, "no device with registers found");
	if (sizeof(dma_addr_t) < 8)
		kunit_skip(test, "addresses have too few bits here");
	make_device(test, &c);
	t->range[0] = (struct bus_dma_region) {
		.cpu_start = machine.mmio,
		.dma_start = 0x1000000000ULL,
		.size = SZ_64K,
	};
	t->range[1] = (struct bus_dma_region) {
		.cpu_start = ctx->block.phys,
		.dma_start = machine.mmio,
		.size = SZ_64K,
	};
	t->nr_ranges = 2;
	use_regions(test, t->range, t->nr_ranges);
}

static void mmio_map_translates(struct kunit *test)
{
	struct ctx *ctx = test->priv;
	unsigned int off;
	dma_addr_t dma;

	make_mmio_device(test);
	for (off = 0; off < SZ_64K; off += 0xffc) {
		dma = dma_map_resource(ctx->t.dev, machine.mmio + off, 4,
				       DMA_FROM_DEVICE, 0);
		KUNIT_EXPECT_EQ(test, (u64)dma, 0x1000000000ULL + off);
		if (dma != 0x1000000000ULL + off)
			break;
	}
}

static void mmio_unmap_touches_nothing(struct kunit *test)
{
	struct ctx *ctx = test->priv;
	unsigned int d;
	dma_addr_t dma;

	make_mmio_device(test);
	if (!machine.watching)
		kunit_skip(test, "needs the watcher");
	for (d = 0; d < ARRAY_SIZE(dirs); d++) {
		watch(ctx);
		dma = dma_map_resource(ctx->t.dev, machine.mmio, SZ_4K,
				       dirs[d].dir, 0);
		unwatch();
		KUNIT_ASSERT_FALSE(test, dma_mapping_error(ctx->t.dev, dma));
		maintained(test, XEN_DMA_WATCH_WANT_NONE, NULL, 0, NULL, NULL,
			   "map");
		watch(ctx);
		dma_unmap_resource(ctx->t.dev, dma, SZ_4K, dirs[d].dir, 0);
		unwatch();
		maintained(test, XEN_DMA_WATCH_WANT_NONE, NULL, 0, NULL, NULL,
			   "unmap");
		KUNIT_EXPECT_EQ(test, 0U,
				xen_dma_watch_count(&ctx->rec,
						    XEN_DMA_WATCH_RELEASE));
		if (test->status == KUNIT_FAILURE)
			return;
	}
}

/*
 * virt_to_gfn(): any kernel address to the frame that Xen knows it by
 */

#define GFN_LEN		64

enum gfn_kind {
	GFN_KMALLOC, GFN_PAGES, GFN_VMALLOC, GFN_VMALLOC_NEXT, GFN_KVZALLOC,
	GFN_STATIC, GFN_STACK, GFN_PERCPU,
};

static const struct gfn_case {
	const char *name;
	enum gfn_kind kind;
} gfn_cases[] = {
	{ "linear-kmalloc", GFN_KMALLOC },
	{ "linear-pages", GFN_PAGES },
	{ "vmalloc", GFN_VMALLOC },
	{ "vmalloc-second-page", GFN_VMALLOC_NEXT },
	/* As netdev private data is, which netback passes on. */
	{ "kvzalloc", GFN_KVZALLOC },
	{ "module-static", GFN_STATIC },
	{ "stack", GFN_STACK },
	{ "per-cpu", GFN_PERCPU },
};

KUNIT_ARRAY_PARAM_DESC(gfn, gfn_cases, name);

static u8 gfn_static[GFN_LEN] __aligned(GFN_LEN);

KUNIT_DEFINE_ACTION_WRAPPER(vfree_action, vfree, const void *);
KUNIT_DEFINE_ACTION_WRAPPER(kvfree_action, kvfree, const void *);

static void free_percpu_action(void *ptr)
{
	free_percpu((void __percpu __force *)ptr);
}

static void *gfn_percpu(struct kunit *test)
{
	void __percpu *ptr;
	unsigned int i;
	void *vaddr;

	/* Until one lies outside of the first chunk, which is linear. */
	for (i = 0; i < 256; i++) {
		ptr = __alloc_percpu(SZ_4K, GFN_LEN);
		KUNIT_ASSERT_NOT_NULL(test, (void __force *)ptr);
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test,
							  free_percpu_action,
							  (void __force *)ptr));
		vaddr = per_cpu_ptr(ptr, 0);
		if (is_vmalloc_addr(vaddr))
			return vaddr;
	}
	kunit_skip(test, "all per-cpu memory is in the linear map");
	return NULL;
}

static void *gfn_object(struct kunit *test, enum gfn_kind kind)
{
	struct ctx *ctx = test->priv;
	void *vaddr = NULL;

	switch (kind) {
	case GFN_KMALLOC:
		vaddr = kunit_kzalloc(test, GFN_LEN, GFP_KERNEL);
		break;
	case GFN_PAGES:
		vaddr = ctx->high.vaddr + SZ_64K + 0x7c0;
		break;
	case GFN_VMALLOC:
	case GFN_VMALLOC_NEXT:
		vaddr = vzalloc(4 * PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, vaddr);
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, vfree_action,
							  vaddr));
		if (kind == GFN_VMALLOC_NEXT)
			vaddr += PAGE_SIZE + 0x340;
		break;
	case GFN_KVZALLOC:
		/* Too large for kmalloc(). */
		vaddr = kvzalloc(KMALLOC_MAX_SIZE + PAGE_SIZE, GFP_KERNEL);
		if (!vaddr)
			kunit_skip(test, "not enough memory");
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, kvfree_action,
							  vaddr));
		vaddr += SZ_64K + 0x1c0;
		break;
	case GFN_STATIC:
		vaddr = gfn_static;
		break;
	case GFN_PERCPU:
		vaddr = gfn_percpu(test);
		break;
	case GFN_STACK:
		/* The caller has it. */
		break;
	}
	return vaddr;
}

/* The frame, by the page tables or by where the linear map begins. */
static unsigned long gfn_by_hand(const void *vaddr)
{
	const struct page *page;

	if (is_vmalloc_or_module_addr(vaddr))
		page = vmalloc_to_page(vaddr);
	else
		page = virt_to_page(vaddr);
	return page_to_xen_pfn(page) + XEN_PFN_DOWN(offset_in_page(vaddr));
}

/* Have Xen read what it finds in a frame of ours. */
static int xen_reads(unsigned long gfn, unsigned int offset, struct page *to,
		     unsigned int len)
{
	struct gnttab_copy op = {
		.source.u.gmfn = gfn,
		.source.domid = DOMID_SELF,
		.source.offset = offset,
		.dest.u.gmfn = page_to_xen_pfn(to),
		.dest.domid = DOMID_SELF,
		.len = len,
	};

	gnttab_batch_copy(&op, 1);
	return op.status;
}

static void check_gfn(struct kunit *test, u8 *vaddr)
{
	struct ctx *ctx = test->priv;
	unsigned long gfn = 0;
	int status;

	memcpy(vaddr, noise(7), GFN_LEN);
	memset(ctx->low.vaddr, 0, GFN_LEN);

	/* It may warn when it knows that it does not know. */
	kunit_warning_suppress(test) {
		gfn = virt_to_gfn(vaddr);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
	}
	KUNIT_EXPECT_EQ_MSG(test, gfn, gfn_by_hand(vaddr),
			    "virt_to_gfn() is 0x%lx, the frame is 0x%lx",
			    gfn, gfn_by_hand(vaddr));
	status = xen_reads(gfn, (unsigned long)vaddr & ~XEN_PAGE_MASK,
			   ctx->low.page, GFN_LEN);
	KUNIT_EXPECT_EQ_MSG(test, GNTST_okay, status,
			    "Xen cannot read frame 0x%lx", gfn);
	KUNIT_EXPECT_TRUE_MSG(test,
			      !memcmp(ctx->low.vaddr, noise(7), GFN_LEN),
			      "Xen finds other data in frame 0x%lx", gfn);
}

static void virt_to_gfn_frame(struct kunit *test)
{
	const struct gfn_case *c = test->param_value;
	u8 on_stack[GFN_LEN] __aligned(GFN_LEN);
	u8 *vaddr = gfn_object(test, c->kind);

	if (c->kind == GFN_STACK)
		vaddr = on_stack;
	KUNIT_ASSERT_NOT_NULL(test, vaddr);
	check_gfn(test, vaddr);
}

/*
 * The bounce pool
 */

static void bounce_pool_full_size(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
		.coherent = true,
	};
	struct ctx *ctx = test->priv;
	const struct io_tlb_pool *pool;
	const char *args = "";

	make_device(test, &c);
	of_property_read_string(of_chosen, "bootargs", &args);
	if (strstr(args, "swiotlb="))
		kunit_skip(test, "swiotlb= on the command line");
	pool = &ctx->t.dev->dma_io_tlb_mem->defpool;
	kunit_info(test, "bounce pool at %pa-%pa\n", &pool->start, &pool->end);
	KUNIT_EXPECT_GE_MSG(test, pool->end - pool->start, IO_TLB_DEFAULT_SIZE,
			    "%llu KB, although nobody asked for less than %lu KB",
			    (u64)(pool->end - pool->start) >> 10,
			    IO_TLB_DEFAULT_SIZE >> 10);
}

/*
 * Device tree, read property by property
 */

static u64 dt_number(const __be32 *cell, int nr)
{
	u64 val = 0;

	while (nr--)
		val = val << 32 | be32_to_cpup(cell++);
	return val;
}

/* The number of cells of an address on the bus @np, as its children see it. */
static u32 dt_cells(const struct device_node *np, const char *prop)
{
	u32 val;

	for (; np; np = np->parent)
		if (!of_property_read_u32(np, prop, &val))
			return val;
	return 1;
}

/*
 * All of dma-ranges of the bus @np in terms of the CPU: the buses above are
 * gone through one by one. Returns the number of ranges.
 */
static unsigned int dt_ranges(const struct device_node *np,
			      struct bus_dma_region *range)
{
	u32 na = dt_cells(np, "#address-cells");
	u32 ns = dt_cells(np, "#size-cells");
	u32 pna = dt_cells(np->parent, "#address-cells");
	bool pci = of_node_is_type(np, "pci");
	unsigned int nr = 0;
	const __be32 *cell;
	int len;

	cell = of_get_property(np, "dma-ranges", &len);
	for (len /= sizeof(*cell); len >= (int)(na + pna + ns);
	     len -= na + pna + ns, cell += na + pna + ns) {
		struct bus_dma_region up[MAX_RANGES];
		struct bus_dma_region r = {
			/* The first cell of a PCI address has no address. */
			.dma_start = dt_number(cell + pci, na - pci),
			.cpu_start = dt_number(cell + na, pna),
			.size = dt_number(cell + na + pna, ns),
		};
		const struct device_node *bus;

		for (bus = np->parent; bus; bus = bus->parent) {
			unsigned int i, n;
			int up_len;

			if (!of_get_property(bus, "dma-ranges", &up_len) ||
			    !up_len)
				continue;
			n = dt_ranges(bus, up);
			for (i = 0; i < n; i++)
				if (r.cpu_start >= up[i].dma_start &&
				    r.cpu_start - up[i].dma_start < up[i].size)
					break;
			if (i == n)
				return nr;
			r.cpu_start += up[i].cpu_start - up[i].dma_start;
			/* dt_ranges() has gone all the way up. */
			break;
		}
		if (nr == MAX_RANGES)
			break;
		range[nr++] = r;
	}
	return nr;
}

/* The bus that says where @dev finds memory, if any. */
static struct device_node *dt_bus(struct device *dev)
{
	struct device_node *np = NULL;
	int len;

	if (dev_is_pci(dev)) {
		struct pci_host_bridge *bridge =
			pci_find_host_bridge(to_pci_dev(dev)->bus);

		if (bridge->dev.parent)
			np = bridge->dev.parent->of_node;
	} else if (dev->of_node) {
		np = dev->of_node;
		/* Its parent for DMA is another one. */
		if (of_property_match_string(np, "interconnect-names",
					     "dma-mem") >= 0)
			return NULL;
		np = np->parent;
	}
	for (; np; np = np->parent)
		if (of_get_property(np, "dma-ranges", &len) && len)
			break;
	return np;
}

static const void *bus_gen_params(struct kunit *test, const void *prev,
				  char *desc)
{
	struct device_node **next = prev ? (void *)prev + sizeof(*next) :
					   machine.bus;

	if (!machine.nr_bus && !prev) {
		strscpy(desc, "no-bus", KUNIT_PARAM_DESC_SIZE);
		return next;
	}
	if (next >= machine.bus + machine.nr_bus)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%pOFf", *next);
	return next;
}

/* Every device must be able to use the bounce pool. */
static void bounce_pool_in_reach(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
		.coherent = true,
	};
	struct device_node *np = *(struct device_node **)test->param_value;
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	const struct io_tlb_pool *pool;
	bool ram = false;
	unsigned int i;

	if (!np)
		kunit_skip(test, "no bus with dma-ranges in the device tree");
	make_device(test, &c);
	if (!have_pool(t->dev))
		kunit_skip(test, "no bounce pool");

	t->nr_ranges = dt_ranges(np, t->range);
	for (i = 0; i < t->nr_ranges; i++)
		ram |= t->range[i].cpu_start < machine.ram_end &&
		       t->range[i].cpu_start + t->range[i].size >
		       machine.ram_start;
	if (!ram)
		kunit_skip(test, "no memory of this domain on this bus");

	pool = &t->dev->dma_io_tlb_mem->defpool;
	KUNIT_EXPECT_TRUE_MSG(test, pool_in_reach(t),
			      "bounce pool %pa-%pa is not", &pool->start,
			      &pool->end);
}

/*
 * The devices of this board
 */

static const void *real_gen_params(struct kunit *test, const void *prev,
				   char *desc)
{
	struct device **next = prev ? (void *)prev + sizeof(*next) :
				      machine.real;

	if (!machine.nr_real && !prev) {
		strscpy(desc, "no-device", KUNIT_PARAM_DESC_SIZE);
		return next;
	}
	if (next >= machine.real + machine.nr_real)
		return NULL;
	strscpy(desc, dev_name(*next), KUNIT_PARAM_DESC_SIZE);
	return next;
}

/*
 * Under the device's lock, so that nobody unbinds it and takes its map away:
 * nothing here may end the test. Returns why there was nothing to test.
 */
static const char *test_real_device(struct kunit *test, struct device *dev)
{
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	struct device_node *np;
	unsigned int n;

	if (!dev->driver || !dev->dma_range_map || !dev->dma_mask)
		return "no longer bound";
	np = dt_bus(dev);
	if (!np)
		return "its addresses do not come from the device tree";
	if (is_swiotlb_force_bounce(dev))
		return "booted with swiotlb=force";

	t->dev = dev;
	t->coherent = dev_is_dma_coherent(dev);
	t->nr_ranges = dt_ranges(np, t->range);
	t->limit = min_not_zero(*dev->dma_mask, dev->bus_dma_limit);
	add_span(ctx, "low", &ctx->low, PAGE_SIZE);
	add_span(ctx, "high", &ctx->high, PAGE_SIZE);
	kunit_info(test, "window: DMA 0x%llx is CPU 0x%llx, 0x%llx bytes; limit 0x%llx%s\n",
		   (u64)t->range[0].dma_start, (u64)t->range[0].cpu_start,
		   t->range[0].size, t->limit, t->coherent ? ", coherent" : "");
	if (!pool_in_reach(t))
		return "no bounce pool in reach";

	/* Its driver may have asked for an alignment that costs bounce space. */
	n = xfer_all(test, true, SZ_64K);
	n += xfer_all(test, false, SZ_64K);
	KUNIT_EXPECT_NE(test, n, 0);
	return NULL;
}

static void real_device(struct kunit *test)
{
	struct device *dev = *(struct device **)test->param_value;
	const char *reason;

	if (!dev)
		kunit_skip(test, "no bound device has a dma_range_map");
	if (!device_trylock(dev))
		kunit_skip(test, "the device is being bound or unbound");
	reason = test_real_device(test, dev);
	device_unlock(dev);
	if (reason)
		kunit_skip(test, "%s", reason);
}

/*
 * Grants
 */

#ifdef CONFIG_XEN_GRANT_DMA_ALLOC
static const struct grant_dma_case {
	const char *name;
	bool coherent_device;
	bool coherent_memory;
} grant_dma_cases[] = {
	{ "coherent", false, true },
	{ "write-combine", false, false },
	{ "coherent-device", true, true },
	{ "write-combine-coherent-device", true, false },
};

KUNIT_ARRAY_PARAM_DESC(grant_dma, grant_dma_cases, name);

/*
 * Memory for grants that a device with an offset can use. The device reaches
 * block A only, and A's DMA address is the number of block C's CPU address: who
 * takes the one for the other gives C's pages away, which are ours to lose.
 */
static void gnttab_dma_alloc_offset(struct kunit *test)
{
	const struct grant_dma_case *gc = test->param_value;
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
		.coherent = gc->coherent_device,
	};
	const int nr = BLOCK_LEN / PAGE_SIZE;
	struct gnttab_dma_alloc_args args = {};
	unsigned int order = get_order(BLOCK_LEN), try;
	struct ctx *ctx = test->priv;
	struct tdev *t = &ctx->t;
	struct page *a;
	int i, ret = -ENOMEM;

	make_device(test, &c);
	args.dev = t->dev;
	args.coherent = gc->coherent_memory;
	args.nr_pages = nr;
	args.pages = kunit_kcalloc(test, nr, sizeof(*args.pages), GFP_KERNEL);
	args.frames = kunit_kcalloc(test, nr, sizeof(*args.frames), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, args.pages);
	KUNIT_ASSERT_NOT_NULL(test, args.frames);

	/* The block just freed is the first that the allocator hands out. */
	for (try = 0; try < 8 && ret == -ENOMEM; try++) {
		a = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);
		if (!a)
			kunit_skip(test, "no %u bytes of contiguous memory",
				   BLOCK_LEN);
		t->range[0] = (struct bus_dma_region) {
			.cpu_start = page_to_phys(a),
			.dma_start = ctx->block.phys,
			.size = BLOCK_LEN,
		};
		t->nr_ranges = 1;
		kfree(t->dev->dma_range_map);
		use_regions(test, t->range, 1);
		t->dev->bus_dma_limit = ctx->block.phys + BLOCK_LEN - 1;
		__free_pages(a, order);
		ret = gnttab_dma_alloc_pages(&args);
	}
	if (ret == -ENOMEM)
		kunit_skip(test, "the allocator keeps the block to itself");
	KUNIT_ASSERT_EQ(test, 0, ret);

	KUNIT_EXPECT_EQ(test, (u64)args.dev_bus_addr, (u64)ctx->block.phys);
	for (i = 0; i < nr; i++) {
		if (args.pages[i] == a + i &&
		    args.frames[i] == page_to_xen_pfn(a + i))
			continue;
		KUNIT_FAIL(test, "page %d is at 0x%llx (frame 0x%llx), the buffer's is at 0x%llx",
			   i, (u64)page_to_phys(args.pages[i]),
			   (u64)args.frames[i], (u64)page_to_phys(a + i));
		break;
	}
	KUNIT_EXPECT_EQ(test, 0, gnttab_dma_free_pages(&args));
}
#endif

/* What a page granted by this domain to itself looks like. */
#define NR_GRANTS	4

struct grants {
	struct page *page[NR_GRANTS];	/* where they are mapped */
	struct gnttab_map_grant_ref map[NR_GRANTS];
	int ref[NR_GRANTS];
	unsigned int nr_pages, nr_refs, nr_mapped;
};

static void end_grants(void *data)
{
	struct grants *g = data;
	struct gnttab_unmap_grant_ref unmap[NR_GRANTS];
	unsigned int i;

	for (i = 0; i < g->nr_mapped; i++)
		gnttab_set_unmap_op(&unmap[i],
				    (unsigned long)page_address(g->page[i]),
				    GNTMAP_host_map, g->map[i].handle);
	if (g->nr_mapped)
		gnttab_unmap_refs(unmap, NULL, g->page, g->nr_mapped);
	for (i = 0; i < g->nr_refs; i++)
		gnttab_end_foreign_access(g->ref[i], NULL);
	if (g->nr_pages)
		gnttab_free_pages(g->nr_pages, g->page);
}

static int cmp_page(const void *a, const void *b)
{
	unsigned long x = page_to_pfn(*(struct page **)a);
	unsigned long y = page_to_pfn(*(struct page **)b);

	return x < y ? -1 : x > y;
}

/* Map pages @first, @first + @step, ... of the block through grants. */
static struct grants *make_grants(struct kunit *test, unsigned int step)
{
	struct ctx *ctx = test->priv;
	struct grants *g;
	unsigned long gfn;
	unsigned int i;
	int ret;

	if (!xen_initial_domain())
		kunit_skip(test, "not dom0: own number not known");

	g = kunit_kzalloc(test, sizeof(*g), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, g);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, end_grants, g));

	ret = gnttab_alloc_pages(NR_GRANTS, g->page);
	if (ret)
		kunit_skip(test, "no room to map grants: %d", ret);
	g->nr_pages = NR_GRANTS;
	sort(g->page, NR_GRANTS, sizeof(g->page[0]), cmp_page, NULL);

	for (i = 0; i < NR_GRANTS; i++) {
		gfn = xen_page_to_gfn(ctx->block.page + i * step);
		ret = gnttab_grant_foreign_access(0, gfn, 0);
		KUNIT_ASSERT_GE(test, ret, 0);
		g->ref[i] = ret;
		g->nr_refs++;
		gnttab_set_map_op(&g->map[i],
				  (unsigned long)page_address(g->page[i]),
				  GNTMAP_host_map, ret, 0);
	}
	KUNIT_ASSERT_EQ(test, 0,
			gnttab_map_refs(g->map, NULL, g->page, NR_GRANTS));
	for (i = 0; i < NR_GRANTS; i++) {
		if (g->map[i].status)
			break;
		g->nr_mapped++;
	}
	KUNIT_ASSERT_EQ_MSG(test, NR_GRANTS, g->nr_mapped, "status %d",
			    g->map[g->nr_mapped % NR_GRANTS].status);
	for (i = 0; i < NR_GRANTS; i++)
		KUNIT_ASSERT_EQ(test, (u64)g->map[i].dev_bus_addr,
				(u64)ctx->block.phys + i * step * PAGE_SIZE);
	return g;
}

/* What Xen said when it was mapped. */
static u64 grant_machine(void *arg, u64 paddr)
{
	const struct grants *g = arg;
	unsigned int i;

	for (i = 0; i < g->nr_mapped; i++)
		if (paddr == page_to_phys(g->page[i]))
			return g->map[i].dev_bus_addr;
	return paddr;
}

static void grant_xfer(struct kunit *test, struct grants *g, unsigned int first,
		       size_t off, size_t len, bool contiguous)
{
	struct ctx *ctx = test->priv;
	unsigned int d;
	u64 dma;

	for (d = 0; d < ARRAY_SIZE(dirs); d++) {
		struct xfer x = {
			.what = "granted page",
			.phys = page_to_phys(g->page[first]) + off,
			.vaddr = page_address(g->page[first]) + off,
			.baddr = g->map[first].dev_bus_addr + off,
			.len = len,
			.dir = d,
			.to_machine = grant_machine,
			.arg = g,
			.expect = BOUNCE,
		};

		if (contiguous && hand_dma(&ctx->t, x.baddr, len, &dma) &&
		    (machine.xen_flushes || ctx->t.coherent))
			x.expect = small_bounces(&ctx->t, len, dirs[d].dir);
		if (!xfer(test, &x))
			return;
	}
}

/* Frames are mapped to the starts of pages, so not side by side in larger ones. */
static bool adjoining(const struct grants *g, unsigned int first)
{
	return XEN_PFN_PER_PAGE == 1 &&
	       page_to_pfn(g->page[first]) + 1 == page_to_pfn(g->page[first + 1]);
}

/* A page of another domain; here the other domain is this one. */
static void grant_map(struct kunit *test)
{
	struct grants *g;
	unsigned int i;

	make_bouncing_device(test, test->param_value);
	g = make_grants(test, 1);
	for (i = 0; i < NR_GRANTS; i++) {
		grant_xfer(test, g, i, 0, XEN_PAGE_SIZE, true);
		grant_xfer(test, g, i, 0x800, SZ_1K, true);
		grant_xfer(test, g, i, 63, 1, true);
	}
	for (i = 0; i < NR_GRANTS - 1; i++) {
		if (!adjoining(g, i))
			continue;
		/* Neighbours here and there. */
		grant_xfer(test, g, i, 0, 2 * PAGE_SIZE, true);
		grant_xfer(test, g, i, 0x800, PAGE_SIZE, true);
	}
}

/* Neighbours here, but not where Xen has them. */
static void grant_scattered_bounces(struct kunit *test)
{
	unsigned int i, n = 0;
	struct grants *g;

	make_bouncing_device(test, test->param_value);
	g = make_grants(test, 2);
	for (i = 0; i < NR_GRANTS - 1; i++) {
		if (!adjoining(g, i))
			continue;
		grant_xfer(test, g, i, 0, 2 * PAGE_SIZE, false);
		grant_xfer(test, g, i, PAGE_SIZE - 1, 2, false);
		n++;
	}
	if (!n)
		kunit_skip(test, "no two neighbouring pages to map grants at");
}

/* What the device reaches, and Xen maintains, needs no bounce pool. */
static void foreign_direct_without_pool(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct ctx *ctx = test->priv;
	struct grants *g;
	unsigned int i;

	make_device(test, &c);
	if (have_pool(ctx->t.dev))
		kunit_skip(test, "there is a bounce pool: boot with swiotlb=noforce");
	if (!machine.xen_flushes)
		kunit_skip(test, "Xen does not maintain caches");
	g = make_grants(test, 1);
	for (i = 0; i < NR_GRANTS; i++)
		grant_xfer(test, g, i, 0, XEN_PAGE_SIZE, true);
}

/*
 * Foreign frames that Xen refuses to maintain: the lookup says that pages of
 * ours are where the machine has no memory. Nobody touches the data. They are
 * more than one hypercall takes.
 */
#define NR_LOST_FRAMES	18

struct lost_frames {
	unsigned long pfn, mfn;
};

static void end_lost_frames(void *data)
{
	const struct lost_frames *f = data;
	unsigned int i;

	for (i = 0; i < NR_LOST_FRAMES; i++)
		set_phys_to_machine(f->pfn + i, INVALID_P2M_ENTRY);
}

static struct lost_frames *make_lost_frames(struct kunit *test)
{
	struct gnttab_cache_flush flush = {
		.length = XEN_PAGE_SIZE,
		.op = GNTTAB_CACHE_CLEAN,
	};
	long nr_frames = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);
	struct ctx *ctx = test->priv;
	struct lost_frames *f;
	unsigned int i;

	KUNIT_ASSERT_GT(test, nr_frames, 0L);
	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->pfn = page_to_xen_pfn(ctx->block.page);
	/* Well beyond the last one, whether Xen counts it or not. */
	f->mfn = nr_frames + 16;

	flush.a.dev_bus_addr = (u64)f->mfn << XEN_PAGE_SHIFT;
	if (!HYPERVISOR_grant_table_op(GNTTABOP_cache_flush, &flush, 1))
		kunit_skip(test, "Xen maintains what is no memory");

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, end_lost_frames, f));
	for (i = 0; i < NR_LOST_FRAMES; i++)
		KUNIT_ASSERT_TRUE(test, set_phys_to_machine(f->pfn + i,
							    f->mfn + i));
	return f;
}

/* The device must not be given what may be stale in memory. */
static void foreign_flush_refused_fails_map(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct ctx *ctx = test->priv;
	unsigned int d;

	make_bouncing_device(test, &c);
	make_lost_frames(test);
	for (d = 0; d < ARRAY_SIZE(dirs); d++)
		map_in_vain(test, ctx->block.phys, XEN_PAGE_SIZE, dirs[d].dir,
			    0);
}

/* What Xen refuses to maintain, but nobody has cached, is no failure. */
static void registers_flush_refused_maps(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct ctx *ctx = test->priv;
	dma_addr_t dma;

	if (!machine.mmio)
		kunit_skip(test, "no device with registers found");
	make_bouncing_device(test, &c);
	dma = dma_map_phys(ctx->t.dev, machine.mmio, XEN_PAGE_SIZE,
			   DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, (u64)machine.mmio, (u64)dma);
	if (!dma_mapping_error(ctx->t.dev, dma))
		dma_unmap_phys(ctx->t.dev, dma, XEN_PAGE_SIZE, DMA_TO_DEVICE,
			       0);
}

/* Map the lost frames from @off on, without any maintenance; sets @target->start. */
static dma_addr_t map_lost_frames(struct kunit *test, unsigned int off,
				  struct xen_dma_watch_range *target,
				  enum dma_data_direction dir)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct ctx *ctx = test->priv;
	struct lost_frames *f;
	dma_addr_t dma;

	make_bouncing_device(test, &c);
	if (!machine.watching)
		kunit_skip(test, "needs the watcher");
	f = make_lost_frames(test);
	target->start = ((u64)f->mfn << XEN_PAGE_SHIFT) + off;
	dma = dma_map_phys(ctx->t.dev, ctx->block.phys + off, target->len, dir,
			   DMA_ATTR_SKIP_CPU_SYNC);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(ctx->t.dev, dma));
	KUNIT_EXPECT_EQ(test, target->start, (u64)dma);
	return dma;
}

/* On unmap it is too late to fail; the rest of the buffer still counts. */
static void foreign_flush_refused_unmap_goes_on(struct kunit *test)
{
	struct xen_dma_watch_range target = {
		.len = NR_LOST_FRAMES * XEN_PAGE_SIZE,
	};
	struct ctx *ctx = test->priv;
	dma_addr_t dma;

	dma = map_lost_frames(test, 0, &target, DMA_FROM_DEVICE);
	sync_for_cpu(test, dma, &target, DMA_FROM_DEVICE, NULL, NULL);
	watch(ctx);
	dma_unmap_phys(ctx->t.dev, dma, target.len, DMA_FROM_DEVICE, 0);
	unwatch();
	maintained(test, XEN_DMA_WATCH_WANT_CPU, &target, 1, NULL, NULL,
		   "unmap");
}

/*
 * What dom0 has not mapped only Xen can maintain: those bytes and no others, and
 * written for the device, not thrown away.
 */
static void foreign_left_to_xen(struct kunit *test)
{
	const unsigned int off = 0x100;
	struct xen_dma_watch_range target = {
		.len = NR_LOST_FRAMES * XEN_PAGE_SIZE - 3 * off,
	};
	struct ctx *ctx = test->priv;
	dma_addr_t dma;

	dma = map_lost_frames(test, off, &target, DMA_BIDIRECTIONAL);
	sync_for_device(test, dma, &target, DMA_BIDIRECTIONAL, NULL, NULL);
	sync_for_cpu(test, dma, &target, DMA_BIDIRECTIONAL, NULL, NULL);
	dma_unmap_phys(ctx->t.dev, dma, target.len, DMA_BIDIRECTIONAL,
		       DMA_ATTR_SKIP_CPU_SYNC);
}

/* A page to map grants at is a page like any other for dma_map_page(). */
static void grant_page_debug(struct kunit *test)
{
	const struct dma_case c = {
		.geo = &geometries[GEO_NONE],
	};
	struct ctx *ctx = test->priv;
	dma_addr_t dma = DMA_MAPPING_ERROR;
	struct grants *g;

	if (!IS_ENABLED(CONFIG_DMA_API_DEBUG))
		kunit_skip(test, "needs CONFIG_DMA_API_DEBUG");
	make_bouncing_device(test, &c);
	g = make_grants(test, 1);
	kunit_warning_suppress(test) {
		dma = dma_map_page(ctx->t.dev, g->page[0], 0, SZ_4K,
				   DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
	}
	KUNIT_EXPECT_EQ(test, (u64)dma, (u64)g->map[0].dev_bus_addr);
	if (!dma_mapping_error(ctx->t.dev, dma))
		dma_unmap_page(ctx->t.dev, dma, SZ_4K, DMA_BIDIRECTIONAL);
}

/*
 * The suite
 */

static struct kunit_case xen_dma_test_cases[] = {
	KUNIT_CASE(watcher),
	KUNIT_CASE(watcher_flush_ops),
	KUNIT_CASE_PARAM(map_inside, map_gen_params),
	KUNIT_CASE_PARAM(map_outside, map_gen_params),
	KUNIT_CASE_PARAM(map_sg, map_gen_params),
	KUNIT_CASE(map_nothing),
	KUNIT_CASE_PARAM(skip_cpu_sync, few_gen_params),
	KUNIT_CASE_PARAM(buffer_across_ranges, border_gen_params),
	KUNIT_CASE(too_large_to_bounce),
	KUNIT_CASE(pool_out_of_reach),
	KUNIT_CASE(slot_out_of_reach),
	KUNIT_CASE(map_sg_in_vain),
	KUNIT_CASE(require_coherent_no_bounce),
	KUNIT_CASE(bounced_in_the_right_order),
	KUNIT_CASE(memory_above_4g),
	KUNIT_CASE_PARAM(alloc_coherent, map_gen_params),
	KUNIT_CASE_PARAM(alloc_sgtable, cookie_gen_params),
	KUNIT_CASE_PARAM(alloc_mmap, cookie_gen_params),
	KUNIT_CASE_PARAM(alloc_pages_in_reach, alloc_gen_params),
	KUNIT_CASE_PARAM(required_mask, map_gen_params),
	KUNIT_CASE_PARAM(mask_refused, refused_gen_params),
	KUNIT_CASE(mask_pool_out_of_reach),
	KUNIT_CASE(mask_without_pool),
	KUNIT_CASE_PARAM(max_mapping_size, map_gen_params),
	KUNIT_CASE(mmio_map_translates),
	KUNIT_CASE(mmio_unmap_touches_nothing),
	KUNIT_CASE_PARAM(virt_to_gfn_frame, gfn_gen_params),
	KUNIT_CASE(bounce_pool_full_size),
	KUNIT_CASE_PARAM(bounce_pool_in_reach, bus_gen_params),
	KUNIT_CASE_PARAM(real_device, real_gen_params),
#ifdef CONFIG_XEN_GRANT_DMA_ALLOC
	KUNIT_CASE_PARAM(gnttab_dma_alloc_offset, grant_dma_gen_params),
#endif
	KUNIT_CASE_PARAM(grant_map, few_gen_params),
	KUNIT_CASE_PARAM(grant_scattered_bounces, few_gen_params),
	KUNIT_CASE(foreign_direct_without_pool),
	KUNIT_CASE(foreign_flush_refused_fails_map),
	KUNIT_CASE(registers_flush_refused_maps),
	KUNIT_CASE(foreign_flush_refused_unmap_goes_on),
	KUNIT_CASE(foreign_left_to_xen),
	KUNIT_CASE(grant_page_debug),
	{}
};

static int find_ram(struct resource *res, void *arg)
{
	machine.ram_start = min_t(u64, machine.ram_start, res->start);
	machine.ram_end = max_t(u64, machine.ram_end, res->end + 1);
	return 0;
}

static int find_device(struct device *dev, void *arg)
{
	if (!dev->driver || !dev->dma_range_map)
		return 0;
	if (machine.nr_real < MAX_REAL)
		machine.real[machine.nr_real++] = get_device(dev);
	return 0;
}

static int find_mmio(struct device *dev, void *arg)
{
	struct resource *res;

	res = platform_get_resource(to_platform_device(dev), IORESOURCE_MEM, 0);
	if (!res || !IS_ALIGNED(res->start, SZ_4K))
		return 0;
	machine.mmio = res->start;
	return 1;
}

static bool direct_mapped_domain(void)
{
#if defined(CONFIG_ARM) || defined(CONFIG_ARM64)
	return xen_swiotlb_detect();
#else
	return false;
#endif
}

static int xen_dma_test_suite_init(struct kunit_suite *suite)
{
	/* Nothing to flush: Xen says whether it knows how to. */
	struct gnttab_cache_flush probe = {};
	struct device_node *np = NULL;
	int len;

	make_cases();
	memset(&machine, 0, sizeof(machine));
	machine.ram_start = U64_MAX;
	if (!direct_mapped_domain())
		return 0;

	machine.noise = vmalloc(LEN_MAX + SZ_4K);
	if (!machine.noise)
		return -ENOMEM;
	get_random_bytes(machine.noise, LEN_MAX + SZ_4K);

	walk_iomem_res_desc(IORES_DESC_NONE,
			    IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY, 0,
			    -1, NULL, find_ram);
	bus_for_each_dev(&platform_bus_type, NULL, NULL, find_mmio);
	bus_for_each_dev(&platform_bus_type, NULL, NULL, find_device);
#ifdef CONFIG_PCI
	bus_for_each_dev(&pci_bus_type, NULL, NULL, find_device);
#endif
	for_each_node_with_property(np, "dma-ranges") {
		if (machine.nr_bus == MAX_REAL || !of_device_is_available(np))
			continue;
		if (of_get_property(np, "dma-ranges", &len) && len)
			machine.bus[machine.nr_bus++] = of_node_get(np);
	}
	machine.xen_flushes = !HYPERVISOR_grant_table_op(GNTTABOP_cache_flush,
							 &probe, 1);
	machine.watching = !xen_dma_watch_get();
	return 0;
}

static void xen_dma_test_suite_exit(struct kunit_suite *suite)
{
	if (machine.watching)
		xen_dma_watch_put();
	while (machine.nr_real)
		put_device(machine.real[--machine.nr_real]);
	while (machine.nr_bus)
		of_node_put(machine.bus[--machine.nr_bus]);
	vfree(machine.noise);
	machine.noise = NULL;
}

static int xen_dma_test_init(struct kunit *test)
{
	struct ctx *ctx;

	if (!direct_mapped_domain())
		kunit_skip(test, "not a direct-mapped Xen domain");

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;
	test->priv = ctx;
	ctx->scratch = kunit_kmalloc(test, LEN_MAX, GFP_KERNEL);
	if (!ctx->scratch)
		return -ENOMEM;
	make_buffer(test, &ctx->low, "low", LOW_LEN, GFP_KERNEL | GFP_DMA);
	make_buffer(test, &ctx->high, "high", LOW_LEN, GFP_KERNEL);
	make_buffer(test, &ctx->block, "block", BLOCK_LEN, GFP_KERNEL);
	return 0;
}

static struct kunit_suite xen_dma_test_suite = {
	.name = "xen_dma_test",
	.suite_init = xen_dma_test_suite_init,
	.suite_exit = xen_dma_test_suite_exit,
	.init = xen_dma_test_init,
	.test_cases = xen_dma_test_cases,
};

kunit_test_suite(xen_dma_test_suite);

MODULE_DESCRIPTION("KUnit tests of DMA addressing in a direct-mapped Xen domain");
MODULE_LICENSE("GPL");
