/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a bare-metal guest's Image lies in its RAM: the start of a Xen guest's RAM
 * (GUEST_RAM0_BASE of Xen's arch-arm.h; checked at run time) plus the text
 * offset. Shared by assembler, linker script and C.
 */
#define GUEST_TEXT_OFFSET	0x80000
#define GUEST_LOAD_ADDR		0x40080000
