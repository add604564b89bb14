/* SPDX-License-Identifier: GPL-2.0-only */
/* As much of the kernel's header as include/xen/bus-addr.h needs. */
#ifndef SHIM_LINUX_TYPES_H
#define SHIM_LINUX_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __CHECKER__
#define __bitwise	__attribute__((bitwise))
#define __force		__attribute__((force))
#else
#define __bitwise
#define __force
#endif

typedef uint64_t u64;
typedef u64 phys_addr_t;
typedef u64 dma_addr_t;

#endif
