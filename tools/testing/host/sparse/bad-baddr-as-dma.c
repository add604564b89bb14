// SPDX-License-Identifier: GPL-2.0-only
/* A machine address where a DMA address belongs. */
#include <xen/bus-addr.h>

bool back(struct device *dev, xen_baddr_t baddr, xen_baddr_t *twice);

bool back(struct device *dev, xen_baddr_t baddr, xen_baddr_t *twice)
{
	return xen_dma_to_baddr(dev, baddr, twice);
}
