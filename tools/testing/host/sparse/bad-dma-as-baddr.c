// SPDX-License-Identifier: GPL-2.0-only
/* A DMA address where a machine address belongs. */
#include <xen/bus-addr.h>

bool find(xen_dma_addr_t dma_addr, phys_addr_t *paddr);

bool find(xen_dma_addr_t dma_addr, phys_addr_t *paddr)
{
	return xen_baddr_to_local_paddr(dma_addr, paddr);
}
