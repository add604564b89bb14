// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the lab's bare-metal guests have in common, see bare.h. Needs a GICv2.
 */
#include <stdbool.h>

#include "bare.h"
#include "layout.h"

/* Translation: 4 GB flat, 4 KB granule, level 1 table of four entries */
#define PTE_BLOCK		1UL
#define PTE_TABLE		3UL
#define PTE_ATTR_NORMAL		(0UL << 2)
#define PTE_ATTR_DEVICE		(1UL << 2)
#define PTE_SH_INNER		(3UL << 8)
#define PTE_AF			(1UL << 10)
#define PTE_XN			(3UL << 53)
#define MAIR			0x04ffUL	/* 0: write-back, 1: nGnRE */
#define TCR_T0SZ_32BIT		(32UL << 0)
#define TCR_IRGN0_WBWA		(1UL << 8)
#define TCR_ORGN0_WBWA		(1UL << 10)
#define TCR_SH0_INNER		(3UL << 12)
#define TCR_EPD1		(1UL << 23)
#define TCR_IPS_40BIT		(2UL << 32)

/* GICv2, as much as waking up on the timer takes */
#define GICD_CTLR		0x000
#define GICD_ISENABLER0		0x100
#define GICC_CTLR		0x000
#define GICC_PMR		0x004
#define GICC_IAR		0x00c
#define GICC_EOIR		0x010
#define GICC_IAR_ID(v)		((v) & 0x3ff)
#define GIC_SPURIOUS		1020
#define CNTV_CTL_ENABLE		1UL

void mmu_on(const uint64_t *root, uint64_t mair, uint64_t tcr);
void bare_main(uintptr_t loaded_at);

static uint64_t level1[4] __attribute__((aligned(32)));
static uint64_t level2[512] __attribute__((aligned(PAGE_SIZE)));

_Noreturn void power_off(unsigned int reason)
{
	struct sched_shutdown arg = { .reason = reason };

	for (;;)
		hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown,
			  (uintptr_t)&arg, 0);
}

_Noreturn void fatal(const char *what)
{
	put_string("FATAL: ");
	put_string(what);
	put_string("\n");
	power_off(SHUTDOWN_crash);
}

static void map_memory(void)
{
	/*
	 * First GB: devices, but for the grant table and for the pages that the
	 * toolstack has put there, the console's
	 */
	for (uint64_t i = 0; i < 512; i++) {
		uint64_t addr = i << 21;
		bool normal = addr - GUEST_GNTTAB_BASE < GUEST_GNTTAB_SIZE ||
			      addr - GUEST_MAGIC_BASE < GUEST_MAGIC_SIZE;

		level2[i] = addr | PTE_BLOCK | PTE_AF | PTE_XN |
			    (normal ? PTE_ATTR_NORMAL | PTE_SH_INNER :
				      PTE_ATTR_DEVICE);
	}
	level1[0] = (uintptr_t)level2 | PTE_TABLE;
	for (uint64_t i = 1; i < 4; i++)
		level1[i] = i << 30 | PTE_BLOCK | PTE_AF | PTE_ATTR_NORMAL |
			    PTE_SH_INNER;
	mmu_on(level1, MAIR, TCR_T0SZ_32BIT | TCR_IRGN0_WBWA | TCR_ORGN0_WBWA |
			     TCR_SH0_INNER | TCR_EPD1 | TCR_IPS_40BIT);
}

static volatile uint32_t *gicd(unsigned int reg)
{
	return (volatile uint32_t *)(GUEST_GICD_BASE + reg);
}

static volatile uint32_t *gicc(unsigned int reg)
{
	return (volatile uint32_t *)(GUEST_GICC_BASE + reg);
}

static void init_timer(void)
{
	*gicd(GICD_ISENABLER0) = 1U << GUEST_TIMER_VIRT_PPI;
	*gicd(GICD_CTLR) = 1;
	*gicc(GICC_PMR) = 0xff;
	*gicc(GICC_CTLR) = 1;
}

uint64_t counter(void)
{
	uint64_t now;

	asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r" (now) :: "memory");
	return now;
}

uint64_t counter_frequency(void)
{
	uint64_t freq;

	asm volatile("mrs %0, cntfrq_el0" : "=r" (freq));
	return freq;
}

/* Interrupts stay masked: a pending one only ends the WFI */
uint64_t sleep_until(uint64_t when)
{
	uint64_t now;

	asm volatile("msr cntv_cval_el0, %0" :: "r" (when));
	do {
		uint32_t iar;

		/* Xen masks the timer when it passes its interrupt on */
		asm volatile("msr cntv_ctl_el0, %0" :: "r" (CNTV_CTL_ENABLE));
		asm volatile("isb\n\twfi" ::: "memory");
		now = counter();
		asm volatile("msr cntv_ctl_el0, %0\n\tisb" :: "r" (0UL));
		iar = *gicc(GICC_IAR);
		if (GICC_IAR_ID(iar) < GIC_SPURIOUS)
			*gicc(GICC_EOIR) = iar;
	} while ((int64_t)(now - when) < 0);
	return now;
}

void bare_main(uintptr_t loaded_at)
{
	if (loaded_at != GUEST_LOAD_ADDR ||
	    GUEST_LOAD_ADDR != GUEST_RAM0_BASE + GUEST_TEXT_OFFSET)
		fatal("not loaded where it was linked to");

	map_memory();
	init_timer();
	guest_main();
	power_off(SHUTDOWN_poweroff);
}
