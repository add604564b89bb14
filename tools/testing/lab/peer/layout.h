/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the peer's Image lies in its RAM: the start of a Xen guest's RAM
 * (GUEST_RAM0_BASE of Xen's arch-arm.h; checked at run time) plus the text
 * offset. Shared by assembler, linker script and C.
 */
#define PEER_TEXT_OFFSET	0x80000
#define PEER_LOAD_ADDR		0x40080000
