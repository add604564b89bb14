/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bare-metal guests of the lab: entry, as an arm64 Image, at EL1 with the MMU
 * off, and the one hypercall trampoline.
 */
#include "layout.h"

#define IMAGE_MAGIC	0x644d5241	/* "ARM\x64" */
#define IMAGE_FLAGS	0xa		/* little endian, 4 KB pages */
#define XEN_HVC_TAG	0xea1		/* XEN_HYPERCALL_TAG */

	.section .head, "ax"
	.globl	_start
_start:
	b	1f
	.long	0
	.quad	GUEST_TEXT_OFFSET
	.quad	_end - _start
	.quad	IMAGE_FLAGS
	.quad	0, 0, 0
	.long	IMAGE_MAGIC
	.long	0

1:	ldr	x1, =stack_top
	mov	sp, x1
	adr	x0, _start
	bl	bare_main
1:	wfi
	b	1b

	.text
/* long hypercall(op, a1, a2, a3) */
	.globl	hypercall
hypercall:
	mov	x16, x0
	mov	x0, x1
	mov	x1, x2
	mov	x2, x3
	hvc	#XEN_HVC_TAG
	ret

/*
 * void mmu_on(root, mair, tcr): flat map, caches on. Xen wants what guests
 * share with it and with each other to be normal write-back memory.
 */
	.globl	mmu_on
mmu_on:
	msr	mair_el1, x1
	msr	tcr_el1, x2
	msr	ttbr0_el1, x0
	tlbi	vmalle1
	ic	iallu
	dsb	sy
	isb
	mrs	x3, sctlr_el1
	mov	x4, #(1 << 0 | 1 << 2 | 1 << 12)	/* M, C, I */
	orr	x3, x3, x4
	msr	sctlr_el1, x3
	isb
	ret
