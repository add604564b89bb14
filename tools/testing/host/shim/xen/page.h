/* SPDX-License-Identifier: GPL-2.0-only */
/* Xen's frames: what is foreign is for the test to say. */
#ifndef SHIM_XEN_PAGE_H
#define SHIM_XEN_PAGE_H

#include <linux/types.h>

#define XEN_PAGE_SHIFT		12
#define XEN_PAGE_SIZE		(1UL << XEN_PAGE_SHIFT)
#define XEN_PAGE_MASK		(~(XEN_PAGE_SIZE - 1))
#define xen_offset_in_page(p)	((unsigned long)(p) & ~XEN_PAGE_MASK)
#define XEN_PFN_DOWN(x)		((x) >> XEN_PAGE_SHIFT)
#define INVALID_P2M_ENTRY	(~0UL)

unsigned long pfn_to_bfn(unsigned long pfn);
bool xen_pfns_are_plain(unsigned long pfn, unsigned long last);
bool xen_bus_addr_is_local(phys_addr_t baddr);

static inline unsigned long bfn_to_local_pfn(unsigned long bfn)
{
	return bfn;
}

#endif
