/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boot stub of the window lab: entry, as an arm64 Image, and the jump to what
 * is started next (Xen, or Linux on bare metal).
 *
 * QEMU's -kernel loads the Image at STUB_BASE and enters it at EL2, MMU off,
 * with its own device tree in x0, which is ignored: the lab's lies at DTB_BASE.
 */
#include "address-map.h"

#define IMAGE_MAGIC		0x644d5241	/* "ARM\x64" */
/* Little endian, 4 KB pages, anywhere in memory (booting.rst) */
#define IMAGE_FLAGS		0xa

#define PSCI_0_2_FN_SYSTEM_OFF	0x84000008

	.section .head, "ax"
	.globl	_start
_start:
	b	1f
	.long	0
	.quad	STUB_TEXT_OFFSET
	.quad	STUB_SIZE
	.quad	IMAGE_FLAGS
	.quad	0, 0, 0
	.long	IMAGE_MAGIC
	.long	0

1:	ldr	x1, =stack_top
	mov	sp, x1
	bl	stub_main

	/* x0 = device tree, x1 to x3 zero: the arm64 boot protocol */
	ldr	x0, =DTB_BASE
	mov	x1, xzr
	mov	x2, xzr
	mov	x3, xzr
	ldr	x9, =NEXT_BASE
	br	x9

/* Ends the run: QEMU exits, so that nobody waits for a boot that never comes */
	.text
	.globl	power_off
power_off:
	ldr	w0, =PSCI_0_2_FN_SYSTEM_OFF
	smc	#0
1:	wfi
	b	1b
