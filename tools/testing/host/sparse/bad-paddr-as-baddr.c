// SPDX-License-Identifier: GPL-2.0-only
/* A pseudo-physical address where a machine address belongs. */
#include <xen/bus-addr.h>

bool reach(struct device *dev, phys_addr_t paddr, xen_dma_addr_t *dma_addr);

bool reach(struct device *dev, phys_addr_t paddr, xen_dma_addr_t *dma_addr)
{
	return xen_baddr_to_dma(dev, paddr, 1, dma_addr);
}
