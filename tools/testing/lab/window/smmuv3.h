/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few registers and fields of the Arm SMMUv3 (IHI 0070) that the boot stub
 * uses. Names as in the specification.
 */
#ifndef LAB_WINDOW_SMMUV3_H
#define LAB_WINDOW_SMMUV3_H

/* Registers, offsets from the SMMU's base; 6.3 */
#define SMMU_IDR0			0x0000
#define SMMU_IDR0_S2P			(1U << 0)	/* stage 2 supported */
#define SMMU_IDR1			0x0004
#define SMMU_IDR1_SIDSIZE(r)		((r) & 0x3f)
#define SMMU_IDR1_EVENTQS(r)		(((r) >> 16) & 0x1f)
#define SMMU_IDR5			0x0014
#define SMMU_IDR5_OAS(r)		((r) & 0x7)
#define SMMU_IDR5_GRAN4K		(1U << 4)
#define SMMU_CR0			0x0020
#define SMMU_CR0_SMMUEN			(1U << 0)
#define SMMU_CR0_EVENTQEN		(1U << 2)
#define SMMU_CR0_CMDQEN			(1U << 3)
#define SMMU_CR0ACK			0x0024
#define SMMU_STRTAB_BASE		0x0080		/* 64 bit */
#define SMMU_STRTAB_BASE_CFG		0x0088
#define SMMU_STRTAB_BASE_CFG_LINEAR(log2) (log2)	/* FMT = 0 */
#define SMMU_CMDQ_BASE			0x0090		/* 64 bit */
#define SMMU_CMDQ_PROD			0x0098
#define SMMU_CMDQ_CONS			0x009c
#define SMMU_EVENTQ_BASE		0x00a0		/* 64 bit */
#define SMMU_EVENTQ_PROD		0x100a8		/* page 1 */
#define SMMU_EVENTQ_CONS		0x100ac

/* Stream table entry, as 64-bit words; 5.2 */
#define STE_DWORDS			8
#define STE0_V				(1UL << 0)
#define STE0_CONFIG_S2_TRANS		(6UL << 1)	/* stage 1 bypassed */
#define STE1_SHCFG_INCOMING		(1UL << 44)
#define STE2_S2VMID(v)			((unsigned long)(v))
#define STE2_S2T0SZ(v)			((unsigned long)(v) << 32)
#define STE2_S2SL0_LEVEL1		(1UL << 38)
#define STE2_S2IR0_WBWA			(1UL << 40)
#define STE2_S2OR0_WBWA			(1UL << 42)
#define STE2_S2SH0_INNER		(3UL << 44)
#define STE2_S2TG_4K			(0UL << 46)
#define STE2_S2PS_40BIT			(2UL << 48)
#define STE2_S2AA64			(1UL << 51)
#define STE2_S2R			(1UL << 58)	/* record faults */

/* Stage 2 descriptors, VMSAv8-64, 4 KB granule (Arm ARM, D8.3) */
#define S2_ENTRIES			512
#define S2_VALID			(1UL << 0)
#define S2_TABLE			(1UL << 1)	/* levels 1, 2 */
#define S2_PAGE				(1UL << 1)	/* level 3 */
#define S2_ATTR_NORMAL_WB		(0xfUL << 2)
#define S2_ATTR_DEVICE_NGNRE		(0x1UL << 2)
#define S2_AP_RW			(3UL << 6)
#define S2_SH_INNER			(3UL << 8)
#define S2_AF				(1UL << 10)

#endif
