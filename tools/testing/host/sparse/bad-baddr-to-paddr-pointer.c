// SPDX-License-Identifier: GPL-2.0-only
/* The result of a translation into the wrong space. */
#include <xen/bus-addr.h>

bool reach(phys_addr_t paddr, phys_addr_t *result);

bool reach(phys_addr_t paddr, phys_addr_t *result)
{
	return xen_paddr_to_baddr(paddr, 1, result);
}
