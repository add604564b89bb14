/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * First page of xen-direct.img: what a Raspberry Pi's firmware takes for the
 * kernel. Goes on to Xen, which lies behind it in the same file, with the device
 * tree that the firmware gave in x0.
 */
	.section .text
	.globl	_start
_start:
	b	1f				/* arm64 Image header: code0 */
	.long	0				/* code1 */
	.quad	0				/* text offset: 2 MB aligned */
	.quad	IMAGE_SIZE			/* image size */
	.quad	0xa				/* little endian, 4K pages, anywhere */
	.quad	0, 0, 0				/* reserved */
	.ascii	"ARM\x64"			/* magic */
	.long	0				/* no PE header */
1:	adr	x9, _start
	ldr	x10, =XEN_OFFSET
	add	x9, x9, x10
	br	x9
	.ltorg
