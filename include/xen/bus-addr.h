/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The addresses of memory in a Xen domain that drives devices, and the ways
 * from one to the next:
 *
 *   vaddr      void *        kernel virtual: linear map, vmalloc, per-cpu; the
 *     |                      way from here is with the architecture's frames,
 *     v                      see xen_vaddr_to_paddr()
 *   paddr      phys_addr_t   pseudo-physical: what struct page and the linear
 *     |  ^                   map of this domain mean
 *     v  |
 *   baddr      xen_baddr_t   machine address, on the host's memory bus; for
 *     |  ^                   memory of other domains it has nothing to do with
 *     v  |                   paddr
 *   dma_addr   dma_addr_t    what a device puts on its own bus: the machine
 *                            address plus the offset of the device's bus;
 *                            xen_dma_addr_t on the way
 *
 * One function an arrow, and nobody else converts. There need not be a way:
 * that is an error of its own and never a number that looks like an address.
 */
#ifndef _XEN_BUS_ADDR_H
#define _XEN_BUS_ADDR_H

#include <linux/compiler.h>
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/types.h>

#include <xen/page.h>

/*
 * Types of their own, so that sparse tells these addresses from each other and
 * from a phys_addr_t. The DMA API has plain numbers: convert at its border.
 */
typedef u64 __bitwise xen_baddr_t;
typedef dma_addr_t __bitwise xen_dma_addr_t;

/**
 * xen_baddr - make a machine address of a number
 * @addr: a machine address, as Xen or a bus region gives it
 *
 * Return: the same as &xen_baddr_t.
 */
static inline xen_baddr_t xen_baddr(u64 addr)
{
	return (__force xen_baddr_t)addr;
}

/**
 * xen_baddr_val - the number in a machine address
 * @baddr: machine address
 *
 * Return: the same, for arithmetic and for hypercalls.
 */
static inline u64 xen_baddr_val(xen_baddr_t baddr)
{
	return (__force u64)baddr;
}

/**
 * xen_dma_addr - make a DMA address of what the DMA API uses
 * @addr: DMA address
 *
 * Return: the same as &xen_dma_addr_t.
 */
static inline xen_dma_addr_t xen_dma_addr(dma_addr_t addr)
{
	return (__force xen_dma_addr_t)addr;
}

/**
 * xen_dma_addr_val - the number in a DMA address
 * @dma_addr: DMA address
 *
 * Return: the same, for the DMA API.
 */
static inline dma_addr_t xen_dma_addr_val(xen_dma_addr_t dma_addr)
{
	return (__force dma_addr_t)dma_addr;
}

#ifndef xen_pfns_to_bfn
/* Machine frame of the first, INVALID_P2M_ENTRY if they are in pieces there */
static inline unsigned long xen_pfns_to_bfn(unsigned long pfn,
					    unsigned long last)
{
	unsigned long first_bfn = pfn_to_bfn(pfn), bfn = first_bfn;

	if (bfn == INVALID_P2M_ENTRY)
		return bfn;

	while (pfn != last)
		if (pfn_to_bfn(++pfn) != ++bfn)
			return INVALID_P2M_ENTRY;

	return first_bfn;
}
#endif

/**
 * xen_paddr_to_baddr - where the machine has pseudo-physical memory
 * @paddr: pseudo-physical address of the first byte
 * @size: number of bytes, at least 1
 * @baddr: set to the machine address of the first byte
 *
 * Frames of other domains are neighbours here without being so in the machine.
 *
 * Context: any.
 * Return: %true, or %false with @baddr as it was if a frame has no machine
 * address, or if the memory is in pieces there.
 */
static __always_inline bool __must_check
xen_paddr_to_baddr(phys_addr_t paddr, size_t size, xen_baddr_t *baddr)
{
	unsigned long pfn = XEN_PFN_DOWN(paddr);
	unsigned long last = XEN_PFN_DOWN(paddr + size - 1);
	unsigned long bfn;

	if (unlikely(last < pfn))
		return false;

	if (likely(xen_pfns_are_plain(pfn, last))) {
		*baddr = xen_baddr(paddr);
		return true;
	}

	bfn = xen_pfns_to_bfn(pfn, last);
	if (unlikely(bfn == INVALID_P2M_ENTRY))
		return false;

	*baddr = xen_baddr(((u64)bfn << XEN_PAGE_SHIFT) |
			   xen_offset_in_page(paddr));
	return true;
}

/**
 * xen_baddr_is_local - is it RAM of this domain?
 * @baddr: machine address
 *
 * Also where the domain has granted the memory to itself.
 *
 * Context: any.
 * Return: %true if so.
 */
static inline bool xen_baddr_is_local(xen_baddr_t baddr)
{
	return xen_bus_addr_is_local(xen_baddr_val(baddr));
}

/**
 * xen_baddr_to_local_paddr - find machine memory in this domain
 * @baddr: machine address
 * @paddr: set to its pseudo-physical address
 *
 * There is no such way for memory of other domains: several pages here may
 * stand for one frame there.
 *
 * Context: any.
 * Return: %true, or %false with @paddr as it was if @baddr is not RAM of this
 * domain.
 */
static inline bool __must_check xen_baddr_to_local_paddr(xen_baddr_t baddr,
							 phys_addr_t *paddr)
{
	phys_addr_t addr = xen_baddr_val(baddr);

	if (!xen_baddr_is_local(baddr))
		return false;

	*paddr = (phys_addr_t)bfn_to_local_pfn(XEN_PFN_DOWN(addr))
			<< XEN_PAGE_SHIFT | xen_offset_in_page(addr);
	return true;
}

/**
 * xen_region_baddr_to_dma - translate by a list of bus regions
 * @m: the regions, ended by one of size 0
 * @baddr: machine address of the first byte
 * @size: number of bytes, at least 1
 * @dma_addr: set to the DMA address of the first byte
 *
 * Only within one region are addresses contiguous on both buses.
 *
 * Context: any.
 * Return: %true, or %false with @dma_addr as it was if no region has all of it.
 */
static inline bool __must_check
xen_region_baddr_to_dma(const struct bus_dma_region *m, xen_baddr_t baddr,
			size_t size, xen_dma_addr_t *dma_addr)
{
	u64 addr = xen_baddr_val(baddr);

	for (; m->size; m++) {
		u64 offset = addr - m->cpu_start;

		if (addr < m->cpu_start || offset >= m->size)
			continue;
		if (size > m->size - offset)
			return false;
		*dma_addr = xen_dma_addr(m->dma_start + offset);
		return true;
	}

	return false;
}

/**
 * xen_region_dma_to_baddr - translate back by a list of bus regions
 * @m: the regions, ended by one of size 0
 * @dma_addr: DMA address
 * @baddr: set to its machine address
 *
 * Context: any.
 * Return: %true, or %false with @baddr as it was if no region has it.
 */
static inline bool __must_check
xen_region_dma_to_baddr(const struct bus_dma_region *m,
			xen_dma_addr_t dma_addr, xen_baddr_t *baddr)
{
	u64 addr = xen_dma_addr_val(dma_addr);

	for (; m->size; m++) {
		u64 offset = addr - m->dma_start;

		if (addr < m->dma_start || offset >= m->size)
			continue;
		*baddr = xen_baddr(m->cpu_start + offset);
		return true;
	}

	return false;
}

/**
 * xen_baddr_to_dma - what a device has to say to get at machine memory
 * @dev: the device
 * @baddr: machine address of the first byte
 * @size: number of bytes, at least 1
 * @dma_addr: set to the DMA address of the first byte
 *
 * The device's masks are not looked at, see dma_capable().
 *
 * Context: any.
 * Return: %true, or %false with @dma_addr as it was if the device's bus has no
 * address for all of it.
 */
static inline bool __must_check xen_baddr_to_dma(struct device *dev,
						 xen_baddr_t baddr, size_t size,
						 xen_dma_addr_t *dma_addr)
{
	if (dev->dma_range_map)
		return xen_region_baddr_to_dma(dev->dma_range_map, baddr, size,
					       dma_addr);

	*dma_addr = xen_dma_addr(phys_to_dma(dev, xen_baddr_val(baddr)));
	return true;
}

/**
 * xen_dma_to_baddr - which machine memory a device means
 * @dev: the device
 * @dma_addr: DMA address
 * @baddr: set to its machine address
 *
 * Context: any.
 * Return: %true, or %false with @baddr as it was if the device's bus has no
 * such address.
 */
static inline bool __must_check xen_dma_to_baddr(struct device *dev,
						 xen_dma_addr_t dma_addr,
						 xen_baddr_t *baddr)
{
	if (dev->dma_range_map)
		return xen_region_dma_to_baddr(dev->dma_range_map, dma_addr,
					       baddr);

	*baddr = xen_baddr(dma_to_phys(dev, xen_dma_addr_val(dma_addr)));
	return true;
}

/**
 * xen_paddr_to_dma - what a device has to say to get at a domain's memory
 * @dev: the device
 * @paddr: pseudo-physical address of the first byte
 * @size: number of bytes, at least 1
 * @dma_addr: set to the DMA address of the first byte
 *
 * Context: as for xen_paddr_to_baddr().
 * Return: %true, or %false with @dma_addr as it was if there is no such address
 * for all of it.
 */
static inline bool __must_check xen_paddr_to_dma(struct device *dev,
						 phys_addr_t paddr, size_t size,
						 xen_dma_addr_t *dma_addr)
{
	xen_baddr_t baddr;

	return xen_paddr_to_baddr(paddr, size, &baddr) &&
	       xen_baddr_to_dma(dev, baddr, size, dma_addr);
}

#endif /* _XEN_BUS_ADDR_H */
