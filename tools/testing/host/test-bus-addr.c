// SPDX-License-Identifier: GPL-2.0-only
/*
 * The translations of include/xen/bus-addr.h against a model that asks about
 * every single byte. The address space is made small so that edges, gaps and
 * overlaps are common, and is then moved to where numbers might wrap. TAP.
 *
 *	test-bus-addr [ROUNDS [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/bus-addr.h>

#define SPACE		96	/* bytes in the small address space */
#define REGIONS		4
#define FRAMES		12
#define UNTOUCHED	0x5a5a5a5a5a5a5a5aULL
/* Where frames may be: in 40 bits of address if a long has no more than 32. */
#define SOME_FRAME	(1ULL << (sizeof(long) == 4 ? 28 : 40))

#include "frames.h"

static struct bus_dma_region region[REGIONS + 1];
static u64 state;

/* xorshift64*: the same everywhere for the same seed. */
static u64 rnd(u64 below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dULL >> 33) % below;
}

/* The lower half of the small address space. */
bool xen_bus_addr_is_local(phys_addr_t baddr)
{
	return baddr < SPACE / 2;
}

/* Which region does this byte go through? The first that has it, or none. */
static int region_of(u64 baddr)
{
	int i;

	for (i = 0; region[i].size; i++)
		if (baddr >= region[i].cpu_start &&
		    baddr - region[i].cpu_start < region[i].size)
			return i;
	return -1;
}

static bool model_to_dma(u64 baddr, u64 size, u64 *dma)
{
	int i = region_of(baddr);
	u64 n;

	if (i < 0)
		return false;
	for (n = 0; n < size; n++)
		if (baddr + n < baddr ||
		    baddr + n - region[i].cpu_start >= region[i].size)
			return false;
	*dma = region[i].dma_start + (baddr - region[i].cpu_start);
	return true;
}

static int fail(const char *what, u64 base, u64 addr, u64 size)
{
	int i;

	printf("# %s: address 0x%llx, size 0x%llx, base 0x%llx\n", what,
	       (unsigned long long)addr, (unsigned long long)size,
	       (unsigned long long)base);
	for (i = 0; region[i].size; i++)
		printf("#   region %d: bus 0x%llx, DMA 0x%llx, size 0x%llx\n",
		       i, (unsigned long long)region[i].cpu_start,
		       (unsigned long long)region[i].dma_start,
		       (unsigned long long)region[i].size);
	return 1;
}

/* Regions below and above @base; those on the device's side do not overlap. */
static void make_regions(u64 base)
{
	unsigned int i, n = rnd(REGIONS + 1);
	u64 dma = rnd(16);

	memset(region, 0, sizeof(region));
	for (i = 0; i < n; i++) {
		region[i].cpu_start = base + rnd(SPACE - 1);
		region[i].size = 1 + rnd(SPACE - (region[i].cpu_start - base));
		region[i].dma_start = dma;
		dma += region[i].size + rnd(8);
	}
}

static int regions_round(u64 base)
{
	struct device dev = { .dma_range_map = region };
	u64 addr, size;

	make_regions(base);
	for (addr = base; addr - base < SPACE; addr++) {
		for (size = 1; size < SPACE; size += 1 + rnd(3)) {
			u64 want = UNTOUCHED;
			xen_dma_addr_t dma = xen_dma_addr(UNTOUCHED);
			xen_dma_addr_t end;
			xen_baddr_t back;
			bool can = model_to_dma(addr, size, &want);

			if (xen_baddr_to_dma(&dev, xen_baddr(addr), size,
					     &dma) != can)
				return fail(can ? "refused" : "not refused",
					    base, addr, size);
			if (xen_dma_addr_val(dma) != want)
				return fail("wrong DMA address", base, addr,
					    size);
			if (!can)
				continue;
			end = xen_dma_addr(want + size - 1);
			if (!xen_dma_to_baddr(&dev, dma, &back) ||
			    xen_baddr_val(back) != addr)
				return fail("no way back", base, addr, size);
			if (!xen_dma_to_baddr(&dev, end, &back) ||
			    xen_baddr_val(back) != addr + size - 1)
				return fail("no way back from the end", base,
					    addr, size);
		}
	}
	/* What no region has on the device's side has no machine address. */
	for (addr = 0; addr < 8 * SPACE; addr++) {
		xen_baddr_t back = xen_baddr(UNTOUCHED);
		bool has = false;
		int i;

		for (i = 0; region[i].size; i++)
			has |= addr >= region[i].dma_start &&
			       addr - region[i].dma_start < region[i].size;
		if (xen_dma_to_baddr(&dev, xen_dma_addr(addr), &back) != has)
			return fail("DMA address taken wrongly", base, addr, 1);
		if (!has && xen_baddr_val(back) != UNTOUCHED)
			return fail("result written on failure", base, addr, 1);
	}
	return 0;
}

static int frames_round(u64 base)
{
	u64 addr, size, n;
	unsigned int i;

	first_frame = base >> XEN_PAGE_SHIFT;
	for (i = 0; i < FRAMES; i++)
		switch (rnd(4)) {
		case 0:
			frame[i] = INVALID_P2M_ENTRY;
			break;
		case 1:
			frame[i] = rnd(SOME_FRAME);
			break;
		case 2:
			frame[i] = i ? frame[i - 1] + 1 : rnd(SOME_FRAME);
			break;
		default:
			frame[i] = first_frame + i;
		}

	for (i = 0; i < 64; i++) {
		xen_baddr_t baddr = xen_baddr(UNTOUCHED);
		u64 want = UNTOUCHED;
		bool can = true;

		addr = base + rnd(FRAMES * XEN_PAGE_SIZE);
		size = 1 + rnd(3 * XEN_PAGE_SIZE);
		if (addr + size - 1 < addr)
			continue;
		for (n = 0; n < size && can; n++) {
			unsigned long bfn = pfn_to_bfn((addr + n) >> 12);
			u64 at = ((u64)bfn << 12) + ((addr + n) & 0xfff);

			if (!n)
				want = at;
			can = bfn != INVALID_P2M_ENTRY && at == want + n;
		}
		if (xen_paddr_to_baddr(addr, size, &baddr) != can)
			return fail(can ? "frames refused" : "frames not refused",
				    base, addr, size);
		if (xen_baddr_val(baddr) != (can ? want : UNTOUCHED))
			return fail("wrong machine address", base, addr, size);
	}
	return 0;
}

static int ends_round(void)
{
	xen_baddr_t baddr = xen_baddr(UNTOUCHED);
	phys_addr_t paddr = UNTOUCHED;
	xen_dma_addr_t dma = xen_dma_addr(UNTOUCHED);
	struct device dev = { 0 };

	first_frame = 1UL << 27;
	if (xen_paddr_to_baddr(~0ULL - 10, 100, &baddr) ||
	    xen_baddr_val(baddr) != UNTOUCHED)
		return fail("a range that wraps is taken", 0, ~0ULL - 10, 100);
	if (xen_baddr_to_local_paddr(xen_baddr(SPACE), &paddr) ||
	    paddr != UNTOUCHED)
		return fail("foreign memory is local", 0, SPACE, 1);
	if (!xen_baddr_to_local_paddr(xen_baddr(7), &paddr) || paddr != 7)
		return fail("local memory is not", 0, 7, 1);
	if (!xen_baddr_to_dma(&dev, xen_baddr(0x12345), 1, &dma) ||
	    xen_dma_addr_val(dma) != 0x12345)
		return fail("no regions, but an offset", 0, 0x12345, 1);
	if (xen_baddr_is_local(xen_baddr(SPACE)) ||
	    !xen_baddr_is_local(xen_baddr(1)))
		return fail("local taken for foreign, or foreign for local", 0,
			    SPACE, 1);
	return 0;
}

int main(int argc, char **argv)
{
	/* Start, the 4 GB border, the ends of 36, 40 and 64 bits. */
	static const u64 bases[] = {
		0, 0x100000000ULL - SPACE / 2, (1ULL << 36) - SPACE / 2,
		(1ULL << 40) - SPACE / 2, 0ULL - SPACE,
	};
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 2000;
	unsigned int i, failed = 0;
	unsigned long n;

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	printf("TAP version 13\n1..3\n# %lu rounds, seed %llu\n", rounds,
	       (unsigned long long)state);

	for (n = 0; n < rounds && !failed; n++)
		for (i = 0; i < sizeof(bases) / sizeof(*bases) && !failed; i++)
			failed = regions_round(bases[i]);
	printf("%sok 1 regions_like_the_model\n", failed ? "not " : "");

	n = failed;
	failed = 0;
	for (i = 0; i < rounds && !failed; i++)
		failed = frames_round(i & 1 ? 0x40000000 : 0xffff0000);
	printf("%sok 2 frames_like_the_model\n", failed ? "not " : "");
	n |= failed;

	failed = ends_round();
	printf("%sok 3 ends\n", failed ? "not " : "");
	return n || failed;
}
