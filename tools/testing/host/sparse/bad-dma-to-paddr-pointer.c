// SPDX-License-Identifier: GPL-2.0-only
/* A DMA address put where a pseudo-physical one is kept. */
#include <xen/bus-addr.h>

bool reach(struct device *dev, phys_addr_t *paddr);

bool reach(struct device *dev, phys_addr_t *paddr)
{
	return xen_paddr_to_dma(dev, *paddr, 1, paddr);
}
