// SPDX-License-Identifier: GPL-2.0-only
/*
 * The translations of include/xen/bus-addr.h with whatever numbers a fuzzer
 * makes, against a slow and obvious model in 128 bits. libFuzzer's entry; with
 * -DREPLAY a program that runs the files (or folders' files) it is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/bus-addr.h>

#define REGIONS		4
#define FRAMES		8
#define UNTOUCHED	0x5a5a5a5a5a5a5a5aULL

#include "frames.h"

typedef unsigned __int128 u128;

static struct bus_dma_region region[REGIONS + 1];
static u64 local_start, local_size;

static const unsigned char *input;
static size_t left;

static u64 take(unsigned int bytes)
{
	u64 v = 0;

	while (bytes--) {
		v = v << 8 | (left ? *input : 0);
		if (left) {
			input++;
			left--;
		}
	}
	return v;
}

/* Numbers near those that matter are worth more than any others. */
static u64 number(void)
{
	unsigned int how = take(1);
	u64 near = (u64)take(1) - 128;

	switch (how & 7) {
	case 0:
		return take(8);
	case 1:
		return near;
	case 2:
		return (1ULL << (how >> 3) << 32) + near;
	case 3:
		return region[how >> 3 & 3].cpu_start + near;
	case 4:
		return region[how >> 3 & 3].cpu_start +
		       region[how >> 3 & 3].size + near;
	case 5:
		return region[how >> 3 & 3].dma_start + near;
	case 6:
		return (1ULL << (12 + (how >> 3))) + near;
	default:
		return first_frame * XEN_PAGE_SIZE + take(2) + near;
	}
}

bool xen_bus_addr_is_local(phys_addr_t baddr)
{
	return baddr - local_start < local_size;
}

static void check(bool ok, const char *what, u64 addr, u64 size)
{
	int i;

	if (ok)
		return;
	fprintf(stderr, "%s: address 0x%llx, size 0x%llx\n", what,
		(unsigned long long)addr, (unsigned long long)size);
	for (i = 0; region[i].size; i++)
		fprintf(stderr, "region %d: bus 0x%llx, DMA 0x%llx, size 0x%llx\n",
			i, (unsigned long long)region[i].cpu_start,
			(unsigned long long)region[i].dma_start,
			(unsigned long long)region[i].size);
	for (i = 0; i < FRAMES; i++)
		fprintf(stderr, "frame 0x%llx: 0x%lx\n",
			(unsigned long long)first_frame + i, frame[i]);
	abort();
}

static bool within(u128 start, u128 size, u128 addr, u128 n)
{
	return addr >= start && addr + n <= start + size;
}

/* Regions as firmware can give them: none goes on at zero. */
static void make_regions(void)
{
	unsigned int i, n = take(1) % (REGIONS + 1);

	memset(region, 0, sizeof(region));
	for (i = 0; i < n; i++) {
		u64 cpu = number(), dma = number(), size = number();
		u64 top = cpu > dma ? cpu : dma;

		if (!size)
			size = 1;
		if (size - 1 > ~top)
			size = ~top + 1 ? ~top + 1 : ~0ULL;
		region[i].cpu_start = cpu;
		region[i].dma_start = dma;
		region[i].size = size;
	}
}

static void try_region(u64 addr, u64 size)
{
	xen_dma_addr_t dma = xen_dma_addr(UNTOUCHED);
	struct device dev = { .dma_range_map = region };
	bool can = false, got;
	u64 want = UNTOUCHED;
	xen_baddr_t back;
	int i, j;

	for (i = 0; region[i].size; i++)
		if (within(region[i].cpu_start, region[i].size, addr, 1))
			break;
	if (region[i].size &&
	    within(region[i].cpu_start, region[i].size, addr, size)) {
		can = true;
		want = (u128)addr - region[i].cpu_start + region[i].dma_start;
	}

	got = xen_baddr_to_dma(&dev, xen_baddr(addr), size, &dma);
	check(got == can, can ? "refused" : "not refused", addr, size);
	check(xen_dma_addr_val(dma) == want, "wrong DMA address", addr, size);
	if (!can)
		return;
	check(within(region[i].dma_start, region[i].size, want, size),
	      "the model is wrong", addr, size);

	/* The way back, if it is one: regions overlap only by mistake. */
	for (j = 0; region[j].size; j++)
		if (within(region[j].dma_start, region[j].size, want, 1))
			break;
	check(xen_dma_to_baddr(&dev, dma, &back), "no way back", addr, size);
	check(xen_baddr_val(back) ==
	      (u64)((u128)want - region[j].dma_start + region[j].cpu_start),
	      "another way back", addr, size);
	check(i != j || xen_baddr_val(back) == addr, "not inverse", addr, size);
}

static void try_back(u64 addr)
{
	xen_baddr_t back = xen_baddr(UNTOUCHED);
	struct device dev = { .dma_range_map = region };
	u64 want = UNTOUCHED;
	bool can;
	int i;

	for (i = 0; region[i].size; i++)
		if (within(region[i].dma_start, region[i].size, addr, 1))
			break;
	can = region[i].size;
	if (can)
		want = (u128)addr - region[i].dma_start + region[i].cpu_start;
	check(xen_dma_to_baddr(&dev, xen_dma_addr(addr), &back) == can,
	      can ? "DMA address refused" : "DMA address not refused", addr, 1);
	check(xen_baddr_val(back) == want, "wrong machine address", addr, 1);
}

static void try_frames(u64 addr, u64 size)
{
	xen_baddr_t baddr = xen_baddr(UNTOUCHED);
	xen_dma_addr_t dma = xen_dma_addr(UNTOUCHED);
	xen_dma_addr_t dma2 = xen_dma_addr(UNTOUCHED);
	struct device dev = { .dma_range_map = region };
	u64 want = UNTOUCHED, at, n;
	bool can = true, can2;

	/* A page at a time: bytes of one are neighbours anyway. */
	for (n = 0; n < size && can; n += XEN_PAGE_SIZE - (addr + n) % XEN_PAGE_SIZE) {
		unsigned long bfn;

		if (addr + n < addr) {
			can = false;
			break;
		}
		bfn = pfn_to_bfn((addr + n) / XEN_PAGE_SIZE);
		at = bfn * XEN_PAGE_SIZE + (addr + n) % XEN_PAGE_SIZE;
		if (!n)
			want = at;
		can = bfn != INVALID_P2M_ENTRY && at == want + n;
	}
	if (addr + (size - 1) < addr)
		can = false;
	check(xen_paddr_to_baddr(addr, size, &baddr) == can,
	      can ? "frames refused" : "frames not refused", addr, size);
	check(xen_baddr_val(baddr) == (can ? want : UNTOUCHED),
	      "wrong frame", addr, size);

	/* The composition is its parts. */
	can2 = can && xen_baddr_to_dma(&dev, baddr, size, &dma);
	check(xen_paddr_to_dma(&dev, addr, size, &dma2) == can2 &&
	      xen_dma_addr_val(dma2) == xen_dma_addr_val(dma),
	      "the whole is not its parts", addr, size);
}

static void try_local(u64 addr)
{
	phys_addr_t paddr = UNTOUCHED;
	bool can = within(local_start, local_size, addr, 1);

	check(xen_baddr_is_local(xen_baddr(addr)) == can, "local", addr, 1);
	check(xen_baddr_to_local_paddr(xen_baddr(addr), &paddr) == can &&
	      paddr == (can ? addr : UNTOUCHED), "local address", addr, 1);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	unsigned int i;

	/* Numbers are made from these: nothing of the input before. */
	memset(region, 0, sizeof(region));
	memset(frame, 0, sizeof(frame));
	first_frame = 0;
	local_start = 0;
	local_size = 0;
	input = data;
	left = size;
	first_frame = (number() & ((1ULL << 48) - 1)) / XEN_PAGE_SIZE;
	for (i = 0; i < FRAMES; i++) {
		unsigned int how = take(1);

		if (how % 4 == 0)
			frame[i] = INVALID_P2M_ENTRY;
		else if (how % 4 == 1)
			frame[i] = take(4);
		else if (how % 4 == 2 && i && frame[i - 1] != INVALID_P2M_ENTRY)
			frame[i] = frame[i - 1] + 1;
		else
			frame[i] = first_frame + i;
	}
	make_regions();
	local_start = number() & ~(1ULL << 63);
	local_size = number() & ~(1ULL << 63);

	while (left) {
		u64 addr = number(), n = number();

		try_region(addr, n ? n : 1);
		try_region(addr, 1);
		try_back(addr);
		try_frames(addr, 1 + n % (6 * XEN_PAGE_SIZE));
		try_local(addr);
	}
	return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
	static unsigned char buf[1 << 16];
	int i;

	for (i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		size_t n;

		if (!f) {
			perror(argv[i]);
			return 2;
		}
		n = fread(buf, 1, sizeof(buf), f);
		fclose(f);
		LLVMFuzzerTestOneInput(buf, n);
	}
	printf("%d inputs, nothing found\n", argc - 1);
	return 0;
}
#endif
