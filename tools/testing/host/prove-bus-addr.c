// SPDX-License-Identifier: GPL-2.0-only
/*
 * For CBMC: what include/xen/bus-addr.h promises, for all numbers of 64 bits,
 * lists of up to two regions, and memory in up to three frames.
 */
#include <xen/bus-addr.h>

#ifndef REGIONS
#define REGIONS		2
#endif
#define FRAMES		3
#define UNTOUCHED	0x5a5a5a5a5a5a5a5aULL

u64 nondet_u64(void);
bool nondet_bool(void);
#define assume(c)	__CPROVER_assume(c)
#define claim(c, what)	__CPROVER_assert(c, what)

static struct bus_dma_region region[REGIONS + 1];
static u64 frame[FRAMES];
static u64 first_frame;
static u64 local_start, local_size;

unsigned long pfn_to_bfn(unsigned long pfn)
{
	return pfn - first_frame < FRAMES ? frame[pfn - first_frame] : pfn;
}

/* It may say no where the answer is yes, but not the other way round. */
bool xen_pfns_are_plain(unsigned long pfn, unsigned long last)
{
	unsigned long i;

	for (i = 0; i < FRAMES; i++)
		if (first_frame + i - pfn <= last - pfn &&
		    frame[i] != first_frame + i)
			return false;
	return nondet_bool();
}

bool xen_bus_addr_is_local(phys_addr_t baddr)
{
	return baddr - local_start < local_size;
}

static bool has(u64 start, u64 size, u64 addr)
{
	return addr >= start && addr - start < size;
}

/* As firmware can give them; on the device's side they do not overlap. */
static void any_regions(void)
{
	unsigned int i, j;

	for (i = 0; i < REGIONS; i++) {
		region[i].cpu_start = nondet_u64();
		region[i].dma_start = nondet_u64();
		region[i].size = nondet_u64();
		if (!region[i].size)
			continue;
		assume(region[i].size - 1 <= ~region[i].cpu_start);
		assume(region[i].size - 1 <= ~region[i].dma_start);
	}
	for (i = 0; i < REGIONS; i++)
		for (j = 0; j < i; j++)
			assume(!region[i].size || !region[j].size ||
			       (!has(region[i].dma_start, region[i].size,
				     region[j].dma_start) &&
				!has(region[j].dma_start, region[j].size,
				     region[i].dma_start)));
}

/* One at a time: all at once are too hard for the solver. */
enum region_claim {
	REGION_EXACT,
	REGION_OFFSET,
	REGION_LAST,
	REGION_START,
	REGION_END,
	REGION_NO_WRAP,
	REGION_NO_WRAP_HERE,
};

/* What is to be said of what the first region with @addr makes of it. */
static void claim_region(enum region_claim what, const struct bus_dma_region *m,
			 u64 addr, u64 size, bool ok, u64 val)
{
	u64 offset = addr - m->cpu_start, last = size - 1;

	if (what == REGION_EXACT)
		claim(ok == (size <= m->size - offset),
		      "exactly what is in the range has an address");
	if (!ok)
		return;

	switch (what) {
	case REGION_EXACT:
		break;
	case REGION_OFFSET:
		claim(val == m->dma_start + offset,
		      "it is as far into the range on both buses");
		break;
	case REGION_LAST:
		claim(offset + last >= offset && offset + last < m->size,
		      "so is the last byte");
		break;
	case REGION_START:
		claim(val >= m->dma_start,
		      "the first byte is in the range for the device");
		break;
	case REGION_END:
		claim(val + last - m->dma_start < m->size,
		      "the last byte is in the range for the device");
		break;
	case REGION_NO_WRAP:
		claim(val + last >= val, "DMA addresses do not wrap");
		break;
	case REGION_NO_WRAP_HERE:
		claim(addr + last >= addr, "machine addresses do not wrap");
		break;
	}
}

static void claim_regions(enum region_claim what)
{
	u64 addr = nondet_u64(), size = nondet_u64();
	struct device dev = { .dma_range_map = region };
	xen_dma_addr_t dma = xen_dma_addr(UNTOUCHED);
	unsigned int i;
	bool ok;

	any_regions();
	assume(size >= 1);

	ok = xen_baddr_to_dma(&dev, xen_baddr(addr), size, &dma);
	claim(ok || xen_dma_addr_val(dma) == UNTOUCHED,
	      "a failure leaves the result alone");
	for (i = 0; i < REGIONS && region[i].size; i++)
		if (has(region[i].cpu_start, region[i].size, addr)) {
			claim_region(what, &region[i], addr, size, ok,
				     xen_dma_addr_val(dma));
			return;
		}
	claim(!ok, "what no range has is refused");
}

void prove_region_exact(void)
{
	claim_regions(REGION_EXACT);
}

void prove_region_offset(void)
{
	claim_regions(REGION_OFFSET);
}

void prove_region_last(void)
{
	claim_regions(REGION_LAST);
}

void prove_region_start(void)
{
	claim_regions(REGION_START);
}

void prove_region_end(void)
{
	claim_regions(REGION_END);
}

void prove_region_no_wrap(void)
{
	claim_regions(REGION_NO_WRAP);
}

void prove_region_no_wrap_here(void)
{
	claim_regions(REGION_NO_WRAP_HERE);
}

/* There and back again: with what is above it is enough to try one byte. */
void prove_inverse(void)
{
	struct device dev = { .dma_range_map = region };
	xen_dma_addr_t dma = xen_dma_addr(UNTOUCHED);
	xen_baddr_t back = xen_baddr(UNTOUCHED);
	u64 addr = nondet_u64();

	any_regions();
	if (!xen_baddr_to_dma(&dev, xen_baddr(addr), 1, &dma))
		return;
	claim(xen_dma_to_baddr(&dev, dma, &back), "there is a way back");
	claim(xen_baddr_val(back) == addr, "back is where it came from");
}

void prove_back(void)
{
	struct device dev = { .dma_range_map = region };
	xen_dma_addr_t dma = xen_dma_addr(UNTOUCHED);
	xen_baddr_t baddr = xen_baddr(UNTOUCHED);
	u64 addr = nondet_u64();
	unsigned int i, n = 0;
	bool known = false;

	any_regions();
	for (i = 0; region[i].size; i++)
		known |= has(region[i].dma_start, region[i].size, addr);

	if (!xen_dma_to_baddr(&dev, xen_dma_addr(addr), &baddr)) {
		claim(!known, "what a region has is not refused");
		claim(xen_baddr_val(baddr) == UNTOUCHED,
		      "a failure leaves the result alone");
		return;
	}
	claim(known, "a DMA address that no region has is refused");
	for (i = 0; region[i].size; i++)
		n += has(region[i].cpu_start, region[i].size,
			 xen_baddr_val(baddr));
	claim(n >= 1, "the machine address is in a range");
	/* Unambiguous for the CPU, and so forth and back are inverse. */
	if (n == 1) {
		claim(xen_baddr_to_dma(&dev, baddr, 1, &dma), "a way forth");
		claim(xen_dma_addr_val(dma) == addr, "forth is the same");
	}
}

void prove_frames(void)
{
	u64 paddr = nondet_u64(), size = nondet_u64(), k = nondet_u64();
	u64 before = nondet_u64();
	xen_baddr_t baddr = xen_baddr(UNTOUCHED);
	bool ok, can = true;
	unsigned int i;

	first_frame = nondet_u64();
	assume(first_frame < 1ULL << 51);
	for (i = 0; i < FRAMES; i++) {
		frame[i] = nondet_u64();
		assume(frame[i] == INVALID_P2M_ENTRY || frame[i] < 1ULL << 51);
	}
	/* Begins up to a page before them, and does not go far. */
	assume(before <= XEN_PAGE_SIZE && paddr >= XEN_PAGE_SIZE);
	assume(paddr + before >= first_frame << XEN_PAGE_SHIFT);
	assume(paddr < (first_frame + FRAMES) << XEN_PAGE_SHIFT);
	assume(size >= 1 && size <= 2 * XEN_PAGE_SIZE && k < size);

	ok = xen_paddr_to_baddr(paddr, size, &baddr);
	for (i = 0; i < FRAMES + 1; i++) {
		u64 pfn = (paddr >> XEN_PAGE_SHIFT) + i;
		u64 first = pfn_to_bfn(paddr >> XEN_PAGE_SHIFT);

		if (pfn > (paddr + size - 1) >> XEN_PAGE_SHIFT)
			break;
		can &= pfn_to_bfn(pfn) != INVALID_P2M_ENTRY &&
		       pfn_to_bfn(pfn) == first + i;
	}
	claim(ok == can, "exactly memory in one piece has an address");
	if (!ok) {
		claim(xen_baddr_val(baddr) == UNTOUCHED,
		      "a failure leaves the result alone");
		return;
	}
	claim(xen_baddr_val(baddr) + k ==
	      (pfn_to_bfn((paddr + k) >> XEN_PAGE_SHIFT) << XEN_PAGE_SHIFT) +
	      xen_offset_in_page(paddr + k),
	      "each byte is where its frame is");
	claim(xen_baddr_val(baddr) + (size - 1) >= xen_baddr_val(baddr),
	      "machine addresses do not wrap");
}

void prove_ends(void)
{
	u64 paddr = nondet_u64(), size = nondet_u64(), addr = nondet_u64();
	xen_baddr_t baddr = xen_baddr(UNTOUCHED);
	phys_addr_t local = UNTOUCHED;

	/* Whatever the frames: what ends before it begins is refused. */
	first_frame = 1ULL << 51;
	assume(size >= 1 && paddr + (size - 1) < paddr);
	assume((paddr + (size - 1)) >> XEN_PAGE_SHIFT <
	       paddr >> XEN_PAGE_SHIFT);
	claim(!xen_paddr_to_baddr(paddr, size, &baddr) &&
	      xen_baddr_val(baddr) == UNTOUCHED, "what wraps is refused");

	local_start = nondet_u64();
	local_size = nondet_u64();
	assume(local_size <= ~local_start);
	if (xen_baddr_to_local_paddr(xen_baddr(addr), &local)) {
		claim(has(local_start, local_size, addr), "local is local");
		claim(local == addr, "local memory is where it is");
	} else {
		claim(!has(local_start, local_size, addr), "foreign is foreign");
		claim(local == UNTOUCHED, "a failure leaves the result alone");
	}
}
