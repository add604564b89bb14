// SPDX-License-Identifier: GPL-2.0-only
/*
 * What streaming DMA costs, in ticks of the system counter. Meant for an
 * emulated machine that counts instructions (QEMU -icount shift=0: a nanosecond
 * is an instruction), so that there is no noise but the counter's step and what
 * else runs on the one CPU. Runs while it is loaded, under Xen and without it,
 * and prints lines of
 *
 *	bench NAME UNIT VALUE
 *
 * to the kernel log. No pass, no fail. NAME@N is NAME with N grants mapped.
 */
#define pr_fmt(fmt) "bench " fmt

#include <linux/delay.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/iopoll.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/swiotlb.h>
#include <asm/arch_timer.h>

#include <xen/xen.h>

#include "bench.h"

static unsigned int grants = 100000;
module_param(grants, uint, 0444);
MODULE_PARM_DESC(grants, "map up to so many grants (100000)");

static unsigned int cpus;
module_param(cpus, uint, 0444);
MODULE_PARM_DESC(cpus, "have so many CPUs map foreign pages, and measure nothing (0)");

/*
 * A sample is short compared with the millisecond at which the peer guest
 * wakes up, and the median of many is taken: what Xen does for others is in a
 * few of them.
 */
#define SAMPLES		41
#define SAMPLE_NS	100000
#define WATCHED		8

void bench_result(const char *unit, u64 value, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	pr_info("%pV %s %llu\n", &vaf, unit, value);
	va_end(args);
}

static int u64_cmp(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Ticks that @n times the work take */
static u64 sample(struct work *w, work_fn one, unsigned int n, bool *ok)
{
	unsigned long flags = 0;
	u64 start, ticks;

	if (!w->sleeps)
		local_irq_save(flags);
	start = __arch_counter_get_cntvct();
	while (n--)
		*ok &= one(w);
	ticks = __arch_counter_get_cntvct() - start;
	if (!w->sleeps)
		local_irq_restore(flags);
	cond_resched();
	return ticks;
}

static unsigned int count_hypercalls(struct work *w, work_fn one)
{
	unsigned int i, n;

	hypercalls_begin();
	for (i = 0; i < WATCHED; i++)
		one(w);
	n = hypercalls_end();
	return DIV_ROUND_UP(n, WATCHED);
}

/**
 * bench_measure - measure some work and print what it costs
 * @w: the work
 * @one: does it once
 * @per: the result is divided by this
 * @name: name of the result
 * @suffix: what follows in the name
 */
void bench_measure(struct work *w, work_fn one, unsigned int per,
		   const char *name, const char *suffix)
{
	static u64 ticks[SAMPLES];
	u64 freq = arch_timer_get_cntfrq();
	unsigned int i, n;
	bool ok = true;
	u64 ns;

	/* The first time is another one: caches of Xen and of the kernel. */
	sample(w, one, 1, &ok);
	ns = div64_u64(sample(w, one, 1, &ok) * NSEC_PER_SEC, freq);
	n = clamp_t(u64, SAMPLE_NS / (ns + 1), 1, 200);
	if (w->period)
		n = roundup(n, w->period);
	for (i = 0; i < SAMPLES; i++)
		ticks[i] = sample(w, one, n, &ok);
	if (!ok) {
		pr_info("%s%s failed 1\n", name, suffix);
		return;
	}
	sort(ticks, SAMPLES, sizeof(*ticks), u64_cmp, NULL);
	bench_result("instructions",
		     div64_u64(ticks[SAMPLES / 2] * NSEC_PER_SEC,
			       freq * n * per), "%s%s", name, suffix);

	if (!xen_domain() || hypercalls_watch())
		return;
	bench_result("hypercalls", count_hypercalls(w, one), "%s%s", name,
		     suffix);
	hypercalls_unwatch();
}

bool bench_map_unmap(struct work *w)
{
	dma_addr_t dma = dma_map_single(w->dev, w->buf, w->len, w->dir);

	if (dma_mapping_error(w->dev, dma))
		return false;
	dma_unmap_single(w->dev, dma, w->len, w->dir);
	return true;
}

bool bench_map_unmap_sg(struct work *w)
{
	int n = dma_map_sg(w->dev, w->sg, w->nents, w->dir);

	if (n <= 0)
		return false;
	dma_unmap_sg(w->dev, w->sg, w->nents, w->dir);
	return true;
}

static bool sync_both(struct work *w)
{
	dma_sync_single_for_cpu(w->dev, w->dma, w->len, w->dir);
	dma_sync_single_for_device(w->dev, w->dma, w->len, w->dir);
	return true;
}

/* One map and unmap in each direction that costs something of its own */
void bench_single(struct work *w, const char *name, const char *suffix)
{
	static const struct {
		enum dma_data_direction dir;
		const char *name;
	} dirs[] = {
		{ DMA_BIDIRECTIONAL, "" },
		{ DMA_TO_DEVICE, "_to" },
		{ DMA_FROM_DEVICE, "_from" },
	};
	char full[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		w->dir = dirs[i].dir;
		snprintf(full, sizeof(full), "%s%s", name, dirs[i].name);
		bench_measure(w, bench_map_unmap, 1, full, suffix);
	}
	w->dir = DMA_BIDIRECTIONAL;
}

/* Both syncs, once for the CPU and once for the device, of what is mapped */
void bench_measure_sync(struct work *w, const char *name, const char *suffix)
{
	bench_measure(w, sync_both, 1, name, suffix);
}

/* The same, and map it */
void bench_sync(struct work *w, const char *name, const char *suffix)
{
	w->dma = dma_map_single(w->dev, w->buf, w->len, w->dir);
	if (dma_mapping_error(w->dev, w->dma)) {
		pr_info("%s%s failed 1\n", name, suffix);
		return;
	}
	bench_measure_sync(w, name, suffix);
	dma_unmap_single(w->dev, w->dma, w->len, w->dir);
}

/* Every other page of @mem, so that nothing merges */
void bench_sg(struct work *w, void *mem, unsigned int nents, const char *name,
	      const char *suffix)
{
	unsigned int i;

	sg_init_table(w->sg, nents);
	for (i = 0; i < nents; i++)
		sg_set_page(&w->sg[i], virt_to_page(mem + 2 * i * SZ_4K),
			    SZ_4K, 0);
	w->nents = nents;
	bench_measure(w, bench_map_unmap_sg, 1, name, suffix);
}

/* The device and how it sees memory */

#define EDU_REG_DMA_SRC		0x80
#define EDU_REG_DMA_DST		0x88
#define EDU_REG_DMA_COUNT	0x90
#define EDU_REG_DMA_CMD		0x98
#define EDU_DMA_RUN		BIT(0)
#define EDU_DMA_TO_RAM		BIT(1)
#define EDU_BUF			0x40000

static void __iomem *regs;

static int edu_transfer(dma_addr_t dma, size_t len, bool to_ram)
{
	u64 cmd;

	writeq(to_ram ? EDU_BUF : dma, regs + EDU_REG_DMA_SRC);
	writeq(to_ram ? dma : EDU_BUF, regs + EDU_REG_DMA_DST);
	writeq(len, regs + EDU_REG_DMA_COUNT);
	writeq(EDU_DMA_RUN | (to_ram ? EDU_DMA_TO_RAM : 0),
	       regs + EDU_REG_DMA_CMD);
	return readq_poll_timeout(regs + EDU_REG_DMA_CMD, cmd,
				  !(cmd & EDU_DMA_RUN), 1000, 5 * USEC_PER_SEC);
}

/* A page's data to the device, and from the device to another page */
bool bench_copy_by_device(struct device *dev, void *from, void *to)
{
	dma_addr_t dma;
	int ret;

	dma = dma_map_single(dev, from, SZ_4K, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, dma))
		return false;
	ret = edu_transfer(dma, SZ_4K, false);
	dma_unmap_single(dev, dma, SZ_4K, DMA_TO_DEVICE);
	if (ret)
		return false;
	dma = dma_map_single(dev, to, SZ_4K, DMA_FROM_DEVICE);
	if (dma_mapping_error(dev, dma))
		return false;
	ret = edu_transfer(dma, SZ_4K, true);
	dma_unmap_single(dev, dma, SZ_4K, DMA_FROM_DEVICE);
	pr_info("note memory that the kernel has at %#llx is %#llx for the device\n",
		(u64)virt_to_phys(to), (u64)dma);
	return !ret;
}

/* What is measured is DMA that works. */
static void check_dma(struct work *w, const char *name)
{
	u8 *from = w->buf, *to = w->buf + SZ_4K;
	unsigned int i;
	bool ok;

	for (i = 0; i < SZ_4K; i++) {
		from[i] = i * 7 + (i >> 8);
		to[i] = 0;
	}
	ok = bench_copy_by_device(w->dev, from, to) &&
	     !memcmp(from, to, SZ_4K);
	pr_info("note %s: %s\n", name,
		ok ? "data came through" : "DMA DOES NOT WORK");
}

static void say_device(struct device *dev)
{
	const struct bus_dma_region *m = dev->dma_range_map;

	pr_info("note device %s: %scoherent, %s, mask %#llx, bus limit %#llx\n",
		dev_name(dev), dev_is_dma_coherent(dev) ? "" : "not ",
		get_dma_ops(dev) ? "dma_ops (swiotlb-xen)" : "dma-direct",
		dma_get_mask(dev), dev->bus_dma_limit);
	if (!m)
		pr_info("note device has no dma_range_map\n");
	for (; m && m->size; m++)
		pr_info("note device reaches memory %#llx+%#llx at %#llx\n",
			(u64)m->cpu_start, m->size, (u64)m->dma_start);
#ifdef CONFIG_SWIOTLB
	if (dev->dma_io_tlb_mem)
		pr_info("note bounce pool %#llx-%#llx\n",
			(u64)dev->dma_io_tlb_mem->defpool.start,
			(u64)dev->dma_io_tlb_mem->defpool.end);
#endif
}

/*
 * Have the device reach the bounce pool but not the buffer, whichever of them
 * is above the other: the same way on every kernel.
 */
static const struct bus_dma_region *bounce_from(struct work *w)
{
	const struct bus_dma_region *old = w->dev->dma_range_map;
	u64 buf = virt_to_phys(w->buf), pool, cut;
	static struct bus_dma_region map[2];

	if (!old || !w->dev->dma_io_tlb_mem)
		return NULL;
	pool = w->dev->dma_io_tlb_mem->defpool.start;
	map[0] = *old;
	if (buf < pool) {
		cut = w->dev->dma_io_tlb_mem->defpool.start - old->cpu_start;
		map[0].cpu_start += cut;
		map[0].dma_start += cut;
		map[0].size -= cut;
	} else {
		map[0].size = w->dev->dma_io_tlb_mem->defpool.end -
			      old->cpu_start;
	}
	w->dev->dma_range_map = map;
	return old;
}

/* What is measured again with each number of grants */
void bench_local(struct work *w, const char *suffix)
{
	w->len = SZ_4K;
	bench_measure(w, bench_map_unmap, 1, "local_4K", suffix);
	w->len = SZ_64K;
	bench_measure(w, bench_map_unmap, 1, "local_64K", suffix);
}

static void local_rows(struct work *w)
{
	const struct bus_dma_region *map;

	w->len = SZ_4K;
	bench_single(w, "local_4K", "");
	bench_sync(w, "local_sync_4K", "");
	w->len = SZ_64K;
	bench_single(w, "local_64K", "");
	bench_sync(w, "local_sync_64K", "");
	bench_sg(w, w->buf, 16, "local_sg16_64K", "");
	w->len = SZ_256K;
	bench_measure(w, bench_map_unmap, 1, "local_256K", "");
	bench_sg(w, w->buf, 64, "local_sg64_256K", "");

	map = bounce_from(w);
	if (!map) {
		pr_info("note no bounce pool or no dma_range_map\n");
		return;
	}
	check_dma(w, "local bounced");
	w->len = SZ_4K;
	w->period = BOUNCE_PERIOD;
	bench_single(w, "local_bounced_4K", "");
	w->period = 0;
	bench_sync(w, "local_bounced_sync_4K", "");
	w->dev->dma_range_map = map;
}

static bool done;

/* DMA is set up for a device when it gets a driver: so be one. */
static int xen_dma_bench_probe(struct pci_dev *pdev,
			       const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct work *w;
	int ret;

	/* One device is enough. */
	if (done)
		return -ENODEV;
	done = true;
	w = devm_kzalloc(dev, sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	regs = pcim_iomap(pdev, 0, 0);
	if (!regs)
		return -ENOMEM;
	pci_set_master(pdev);
	w->dev = dev;
	w->dir = DMA_BIDIRECTIONAL;
	/* What the lab's geometry gives the device */
	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;
	w->buf = (void *)__get_free_pages(GFP_KERNEL | GFP_DMA,
					  get_order(SZ_512K));
	if (!w->buf)
		return -ENOMEM;

	say_device(dev);
	check_dma(w, "local");
	if (cpus) {
		bench_locks(w, cpus);
	} else {
		local_rows(w);
		if (xen_domain())
			bench_foreign(w, grants);
	}
	free_pages((unsigned long)w->buf, get_order(SZ_512K));
	return 0;
}

/* QEMU's edu, which the window lab has */
static const struct pci_device_id xen_dma_bench_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{}
};

static struct pci_driver xen_dma_bench_driver = {
	.name = "xen_dma_bench",
	.id_table = xen_dma_bench_ids,
	.probe = xen_dma_bench_probe,
};
module_pci_driver(xen_dma_bench_driver);

MODULE_DESCRIPTION("What streaming DMA costs under Xen");
MODULE_LICENSE("GPL");
