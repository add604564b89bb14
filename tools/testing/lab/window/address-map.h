/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address map of the window lab: QEMU's "virt" machine with LAB_RAM_SIZE of RAM.
 *
 * Shared by the boot stub (C, assembler, linker script) and by the scripts,
 * which read it through lab_address() in lib.sh. So: only lines of the form
 * "#define NAME number".
 *
 * Everything the lab loads lies below 0x80000000, where dom0's memory begins.
 */
#ifndef LAB_WINDOW_ADDRESS_MAP_H
#define LAB_WINDOW_ADDRESS_MAP_H

/* What the machine has (QEMU hw/arm/virt.c, base_memmap[]) */
#define LAB_RAM_BASE		0x40000000
/*
 * RAM up to 0xd7ffffff: above 0x80000000 only 1 GB that ends at 0xc0000000 has
 * room for 512 MB or more in one piece, so that is where dom0's first bank
 * goes. With 512M of memory dom0 takes 0xa0000000 to 0xbfffffff, and other
 * guests get memory around it, inside and outside of the 1 GB window.
 */
#define LAB_RAM_SIZE		0x98000000
#define LAB_UART_BASE		0x09000000
#define LAB_SMMU_BASE		0x09050000
#define LAB_SMMU_SIZE		0x00020000
/* GICv2m frame: the one thing but RAM that devices write to, for their MSIs */
#define LAB_MSI_BASE		0x08020000
#define LAB_MSI_SIZE		0x00001000

/*
 * The stub: loaded by QEMU's -kernel at RAM base + text offset. Its memory is
 * kept from Xen and Linux by a /memreserve/ of STUB_BASE, STUB_SIZE.
 */
#define STUB_BASE		0x40200000
#define STUB_TEXT_OFFSET	0x00200000
#define STUB_SIZE		0x00400000

/* SMMU event queue, inside the stub's memory: 32 bytes an entry */
#define EVENTQ_BASE		0x40400000
#define EVENTQ_LOG2SIZE		16
#define EVENTQ_SIZE		0x00200000

/* Where the runner loads what the stub hands over to (-device loader) */
#define DTB_BASE		0x40600000
#define DTB_SIZE		0x00200000
#define XEN_BASE		0x44000000
/* QEMU's own device tree, which nobody reads, takes 0x48000000 to 0x480fffff */
#define KERNEL_BASE		0x49000000
#define PEER_BASE		0x4e000000
/*
 * Last, and on purpose in the middle of what would else be 512 MB of free RAM
 * below 0x80000000: so a dom0 of 512 MB or 1 GB has to go above.
 */
#define INITRD_BASE		0x70000000

/*
 * Linux on bare metal instead of Xen: it gets the RAM that a dom0 with 512M
 * gets, so that the two can be compared.
 */
#define BARE_RAM_BASE		0xa0000000
#define BARE_RAM_SIZE		0x20000000
#define BARE_KERNEL_BASE	0xa0000000
#define BARE_INITRD_BASE	0xa8000000

#endif
