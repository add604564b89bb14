// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boot stub of the window lab: makes every PCI device see RAM only through the
 * DMA window of one geometry, then starts Xen (or Linux on bare metal).
 *
 * The machine's SMMUv3 gets one stage-2 table, for all streams, that maps the
 * geometry's ranges and the MSI frame and nothing else; the device tree that
 * Xen sees has no SMMU, so neither Xen nor Linux touches it later. A DMA to
 * any other address is aborted, and recorded in the event queue at EVENTQ_BASE,
 * which nobody consumes: decode-faults reads it from a memory dump.
 *
 * Runs at EL2 with MMU and caches off. Says one line on the PL011; what goes
 * wrong is said there too, and powers the machine off.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address-map.h"
#include "geometry.h"	/* made by build-stub */
#include "smmuv3.h"

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

#define UARTDR			0x00
#define UARTFR			0x18
#define UARTFR_TXFF		(1U << 5)

#define FDT_MAGIC		0xedfe0dd0U	/* 0xd00dfeed, big endian */
#define IMAGE_MAGIC_OFFSET	0x38
#define IMAGE_MAGIC		0x644d5241U	/* "ARM\x64" */
#define CURRENT_EL2		(2UL << 2)

/* 39 bits of input address: one level 1 table */
#define S2_T0SZ			25
#define S2_INPUT_BITS		(64 - S2_T0SZ)
#define S2_MAX_TABLES		16

/* Streams are PCI requester IDs: this covers the first 16 buses */
#define STRTAB_LOG2SIZE		12
#define CMDQ_LOG2SIZE		8

struct range {
	uint64_t dma;
	uint64_t cpu;
	uint64_t size;
};

void stub_main(void);
_Noreturn void power_off(void);

static const struct range window[] = WINDOW_RANGES;

static uint64_t strtab[1 << STRTAB_LOG2SIZE][STE_DWORDS]
	__attribute__((aligned(sizeof(uint64_t) * STE_DWORDS << STRTAB_LOG2SIZE)));
static uint64_t cmdq[1 << CMDQ_LOG2SIZE][2] __attribute__((aligned(4096)));
static uint64_t tables[S2_MAX_TABLES][S2_ENTRIES] __attribute__((aligned(4096)));
static unsigned int nr_tables;

static uint32_t read32(uint64_t addr)
{
	return *(volatile uint32_t *)addr;
}

static void write32(uint64_t addr, uint32_t val)
{
	*(volatile uint32_t *)addr = val;
}

static void write64(uint64_t addr, uint64_t val)
{
	*(volatile uint64_t *)addr = val;
}

static void put_string(const char *s)
{
	for (; *s; s++) {
		while (read32(LAB_UART_BASE + UARTFR) & UARTFR_TXFF)
			;
		write32(LAB_UART_BASE + UARTDR, *s);
	}
}

static _Noreturn void fatal(const char *what)
{
	put_string("window: FATAL: ");
	put_string(what);
	put_string("\r\n");
	power_off();
}

static uint64_t *new_table(void)
{
	uint64_t *table;

	if (nr_tables == S2_MAX_TABLES)
		fatal("geometry needs too many stage-2 tables");
	table = tables[nr_tables++];
	for (unsigned int i = 0; i < S2_ENTRIES; i++)
		table[i] = 0;
	return table;
}

static unsigned int level_shift(unsigned int level)
{
	return 12 + 9 * (3 - level);
}

/*
 * Map one block or page: the largest that address and size allow. Returns its
 * size.
 */
static uint64_t map_one(uint64_t *table, uint64_t dma, uint64_t cpu,
			uint64_t size, uint64_t attrs)
{
	unsigned int level;

	for (level = 1; ; level++) {
		uint64_t span = 1UL << level_shift(level);
		uint64_t *entry = &table[(dma >> level_shift(level)) %
					 S2_ENTRIES];
		bool fits = !((dma | cpu) & (span - 1)) && size >= span;

		if (level == 3 || (fits && !(*entry & S2_VALID))) {
			if (*entry & S2_VALID)
				fatal("ranges of the geometry overlap");
			*entry = cpu | attrs | S2_AF | S2_AP_RW | S2_VALID |
				 (level == 3 ? S2_PAGE : 0);
			return span;
		}
		if (!(*entry & S2_VALID))
			*entry = (uint64_t)new_table() | S2_TABLE | S2_VALID;
		else if (!(*entry & S2_TABLE))
			fatal("ranges of the geometry overlap");
		table = (uint64_t *)(*entry & ~0xfffUL);
	}
}

static void map_range(uint64_t *root, uint64_t dma, uint64_t cpu, uint64_t size,
		      uint64_t attrs)
{
	if (!size || (dma + size - 1) >> S2_INPUT_BITS ||
	    (dma | cpu | size) & 0xfff)
		fatal("range of the geometry out of reach or not of whole pages");

	while (size) {
		uint64_t done = map_one(root, dma, cpu, size, attrs);

		dma += done;
		cpu += done;
		size -= done;
	}
}

static uint64_t *make_stage2(void)
{
	uint64_t *root = new_table();

	map_range(root, LAB_MSI_BASE, LAB_MSI_BASE, LAB_MSI_SIZE,
		  S2_ATTR_DEVICE_NGNRE);
	for (size_t i = 0; i < ARRAY_SIZE(window); i++)
		map_range(root, window[i].dma, window[i].cpu, window[i].size,
			  S2_ATTR_NORMAL_WB | S2_SH_INNER);
	return root;
}

static void make_stream_table(const uint64_t *stage2)
{
	for (size_t i = 0; i < ARRAY_SIZE(strtab); i++) {
		uint64_t *ste = strtab[i];

		ste[1] = STE1_SHCFG_INCOMING;
		ste[2] = STE2_S2VMID(1) | STE2_S2T0SZ(S2_T0SZ) |
			 STE2_S2SL0_LEVEL1 | STE2_S2IR0_WBWA |
			 STE2_S2OR0_WBWA | STE2_S2SH0_INNER | STE2_S2TG_4K |
			 STE2_S2PS_40BIT | STE2_S2AA64 | STE2_S2R;
		ste[3] = (uint64_t)stage2;
		ste[4] = 0;
		ste[5] = 0;
		ste[6] = 0;
		ste[7] = 0;
		ste[0] = STE0_CONFIG_S2_TRANS | STE0_V;
	}
}

static void check_smmu(void)
{
	uint32_t idr1 = read32(LAB_SMMU_BASE + SMMU_IDR1);
	uint32_t idr5 = read32(LAB_SMMU_BASE + SMMU_IDR5);

	if (!(read32(LAB_SMMU_BASE + SMMU_IDR0) & SMMU_IDR0_S2P))
		fatal("SMMU has no stage 2: -global arm-smmuv3.stage=2");
	if (SMMU_IDR1_SIDSIZE(idr1) < STRTAB_LOG2SIZE)
		fatal("SMMU has too few stream IDs");
	if (SMMU_IDR1_EVENTQS(idr1) < EVENTQ_LOG2SIZE)
		fatal("SMMU's event queue is too small");
	if (!(idr5 & SMMU_IDR5_GRAN4K) || SMMU_IDR5_OAS(idr5) < 2)
		fatal("SMMU lacks 4 KB granule or 40-bit output");
}

static void enable_smmu(void)
{
	const uint32_t cr0 = SMMU_CR0_SMMUEN | SMMU_CR0_EVENTQEN |
			     SMMU_CR0_CMDQEN;
	unsigned int tries = 100000;

	write32(LAB_SMMU_BASE + SMMU_CR0, 0);
	write64(LAB_SMMU_BASE + SMMU_STRTAB_BASE, (uint64_t)strtab);
	write32(LAB_SMMU_BASE + SMMU_STRTAB_BASE_CFG,
		SMMU_STRTAB_BASE_CFG_LINEAR(STRTAB_LOG2SIZE));
	write64(LAB_SMMU_BASE + SMMU_CMDQ_BASE, (uint64_t)cmdq | CMDQ_LOG2SIZE);
	write32(LAB_SMMU_BASE + SMMU_CMDQ_PROD, 0);
	write32(LAB_SMMU_BASE + SMMU_CMDQ_CONS, 0);
	write64(LAB_SMMU_BASE + SMMU_EVENTQ_BASE, EVENTQ_BASE | EVENTQ_LOG2SIZE);
	write32(LAB_SMMU_BASE + SMMU_EVENTQ_PROD, 0);
	write32(LAB_SMMU_BASE + SMMU_EVENTQ_CONS, 0);

	/* Tables in memory before the SMMU looks at them */
	asm volatile("dsb sy" ::: "memory");
	write32(LAB_SMMU_BASE + SMMU_CR0, cr0);
	while (read32(LAB_SMMU_BASE + SMMU_CR0ACK) != cr0)
		if (!--tries)
			fatal("SMMU does not come up");
}

void stub_main(void)
{
	uint64_t el;

	asm volatile("mrs %0, CurrentEL" : "=r" (el));
	if (el != CURRENT_EL2)
		fatal("not at EL2: -M virt,virtualization=on");
	if (read32(DTB_BASE) != FDT_MAGIC)
		fatal("no device tree at DTB_BASE");
	if (read32(NEXT_BASE + IMAGE_MAGIC_OFFSET) != IMAGE_MAGIC)
		fatal("no arm64 Image to start at " NEXT_NAME);

	check_smmu();
	make_stream_table(make_stage2());
	enable_smmu();
	put_string("window: SMMU on, geometry " WINDOW_NAME ", starting "
		   NEXT_NAME "\r\n");
}
