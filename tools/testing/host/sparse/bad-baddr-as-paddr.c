// SPDX-License-Identifier: GPL-2.0-only
/* A machine address where a pseudo-physical address belongs. */
#include <xen/bus-addr.h>

bool again(xen_baddr_t baddr, xen_baddr_t *twice);

bool again(xen_baddr_t baddr, xen_baddr_t *twice)
{
	return xen_paddr_to_baddr(baddr, 1, twice);
}
