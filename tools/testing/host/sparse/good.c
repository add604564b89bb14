// SPDX-License-Identifier: GPL-2.0-only
/* Every address where it belongs: sparse has nothing to say. */
#include <xen/bus-addr.h>

bool reach(struct device *dev, phys_addr_t paddr, xen_dma_addr_t *dma_addr);

bool reach(struct device *dev, phys_addr_t paddr, xen_dma_addr_t *dma_addr)
{
	xen_baddr_t baddr;

	return xen_paddr_to_baddr(paddr, 1, &baddr) &&
	       xen_baddr_to_dma(dev, baddr, 1, dma_addr) &&
	       xen_dma_to_baddr(dev, *dma_addr, &baddr) &&
	       xen_baddr_to_local_paddr(baddr, &paddr);
}
