// SPDX-License-Identifier: GPL-2.0-only
/* A pseudo-physical address where a DMA address belongs. */
#include <xen/bus-addr.h>

bool find(struct device *dev, phys_addr_t paddr, xen_baddr_t *baddr);

bool find(struct device *dev, phys_addr_t paddr, xen_baddr_t *baddr)
{
	return xen_dma_to_baddr(dev, paddr, baddr);
}
