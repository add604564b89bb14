/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boot stub of the emulated Raspberry Pi 4.
 *
 * QEMU's raspi4b writes its own device tree for the first 960 MB only. This
 * stub is what QEMU gets as -kernel: it hands the lab's device tree, which
 * describes all of the 2 GB, to Xen. Both lie in RAM already (-device loader);
 * XEN_ADDR and DTB_ADDR come from tools/testing/lab/rpi4/layout.
 *
 * Entry: EL2, MMU off, as Documentation/arch/arm64/booting.rst describes.
 * The secondary CPUs wait in QEMU's spin table until Xen releases them.
 */

	.section .text
	.globl	_start
_start:
	b	1f				/* arm64 Image header: code0 */
	.long	0				/* code1 */
	.quad	0x80000				/* text offset */
	.quad	_image_size			/* image size */
	.quad	0xa				/* little endian, 4K pages, anywhere */
	.quad	0, 0, 0				/* reserved */
	.ascii	"ARM\x64"			/* magic */
	.long	0				/* no PE header */
1:	ldr	x0, =DTB_ADDR
	mov	x1, xzr
	mov	x2, xzr
	mov	x3, xzr
	ldr	x9, =XEN_ADDR
	br	x9
	.ltorg
	.globl	_image_size
	.equ	_image_size, 0x1000
