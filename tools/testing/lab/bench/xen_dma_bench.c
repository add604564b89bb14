// SPDX-License-Identifier: GPL-2.0-only
/*
 * What streaming DMA costs, in ticks of the system counter. Meant for an
 * emulated machine that counts instructions (QEMU -icount shift=0: a nanosecond
 * is an instruction), so there is no noise and nothing to average away but the
 * counter's step. Prints lines of
 *
 *	bench NAME INSTRUCTIONS
 *
 * to the kernel log while it is loaded. No pass, no fail.
 */
#define pr_fmt(fmt) "bench " fmt

#include <linux/dma-mapping.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <asm/arch_timer.h>

static unsigned int rounds = 2000;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "how often each piece of work is done");

struct work {
	struct device *dev;
	void *buf;
	size_t len;
	enum dma_data_direction dir;
	struct scatterlist sg[64];
	dma_addr_t dma;
};

static bool map_unmap(struct work *w)
{
	dma_addr_t dma = dma_map_single(w->dev, w->buf, w->len, w->dir);

	if (dma_mapping_error(w->dev, dma))
		return false;
	dma_unmap_single(w->dev, dma, w->len, w->dir);
	return true;
}

static bool map_unmap_sg(struct work *w)
{
	int n = w->len / SZ_4K;

	if (dma_map_sg(w->dev, w->sg, n, w->dir) != n)
		return false;
	dma_unmap_sg(w->dev, w->sg, n, w->dir);
	return true;
}

static bool sync_both(struct work *w)
{
	dma_sync_single_for_cpu(w->dev, w->dma, w->len, w->dir);
	dma_sync_single_for_device(w->dev, w->dma, w->len, w->dir);
	return true;
}

static void measure(const char *name, bool (*one)(struct work *),
		    struct work *w)
{
	unsigned long flags;
	u64 start, ticks = 0;
	unsigned int i, j;
	bool ok = true;

	one(w);
	for (i = 0; i < rounds / 50 && ok; i++) {
		local_irq_save(flags);
		start = __arch_counter_get_cntvct();
		for (j = 0; j < 50; j++)
			ok &= one(w);
		ticks += __arch_counter_get_cntvct() - start;
		local_irq_restore(flags);
		cond_resched();
	}
	if (!ok) {
		pr_info("%s failed\n", name);
		return;
	}
	pr_info("%s %llu\n", name,
		div64_u64(ticks * NSEC_PER_SEC,
			  (u64)arch_timer_get_cntfrq() * i * 50));
}

static bool done;

/* DMA is set up for a device when it gets a driver: so be one. */
static int xen_dma_bench_probe(struct pci_dev *pdev,
			       const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct work *w;
	int i, ret;

	/* One device is enough. */
	if (done)
		return -ENODEV;
	done = true;
	w = devm_kzalloc(dev, sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	w->dev = dev;
	w->dir = DMA_BIDIRECTIONAL;
	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	w->buf = (void *)__get_free_pages(GFP_KERNEL | GFP_DMA,
					  get_order(SZ_256K));
	if (!w->buf)
		return -ENOMEM;

	w->len = SZ_4K;
	measure("local_4K", map_unmap, w);
	w->len = SZ_64K;
	measure("local_64K", map_unmap, w);

	/* Every other page, so that nothing merges. */
	sg_init_table(w->sg, 16);
	for (i = 0; i < 16; i++)
		sg_set_page(&w->sg[i], virt_to_page(w->buf + 2 * i * SZ_4K),
			    SZ_4K, 0);
	measure("local_sg_64K", map_unmap_sg, w);

	w->len = SZ_4K;
	w->dma = dma_map_single(dev, w->buf, w->len, w->dir);
	if (!dma_mapping_error(dev, w->dma)) {
		measure("local_sync_4K", sync_both, w);
		dma_unmap_single(dev, w->dma, w->len, w->dir);
	}
	free_pages((unsigned long)w->buf, get_order(SZ_256K));
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
