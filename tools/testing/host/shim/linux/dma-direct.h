/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_DMA_DIRECT_H
#define SHIM_LINUX_DMA_DIRECT_H

#include <linux/device.h>
#include <linux/types.h>

struct bus_dma_region {
	phys_addr_t	cpu_start;
	dma_addr_t	dma_start;
	u64		size;
};

/* Without a list of regions: one to one. */
static inline dma_addr_t phys_to_dma(struct device *dev, phys_addr_t paddr)
{
	(void)dev;
	return paddr;
}

static inline phys_addr_t dma_to_phys(struct device *dev, dma_addr_t dma_addr)
{
	(void)dev;
	return dma_addr;
}

#endif
