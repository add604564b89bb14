/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watcher for the Xen DMA tests: what did one DMA-API call do to the caches
 * and to the bounce pool?
 */
#ifndef __XEN_DMA_TEST_WATCH_H
#define __XEN_DMA_TEST_WATCH_H

#include <linux/dma-direction.h>
#include <linux/ptrace.h>
#include <linux/types.h>

struct device;

/* Enough for a 256 KB foreign buffer: one hypercall per 4 KB, twice. */
#define XEN_DMA_WATCH_MAX	192

/**
 * enum xen_dma_watch_kind - what was seen
 * @XEN_DMA_WATCH_FOR_DEVICE: arch_sync_dma_for_device(), @how is the direction
 * @XEN_DMA_WATCH_FOR_CPU: arch_sync_dma_for_cpu(), @how is the direction
 * @XEN_DMA_WATCH_FLUSH: GNTTABOP_cache_flush, @how is the operation
 * @XEN_DMA_WATCH_TAKE: a bounce slot was asked for
 * @XEN_DMA_WATCH_RELEASE: a bounce slot was given back
 */
enum xen_dma_watch_kind {
	XEN_DMA_WATCH_FOR_DEVICE,
	XEN_DMA_WATCH_FOR_CPU,
	XEN_DMA_WATCH_FLUSH,
	XEN_DMA_WATCH_TAKE,
	XEN_DMA_WATCH_RELEASE,
};

/**
 * struct xen_dma_watch_event - one call that was seen
 * @kind: which one
 * @addr: pseudo-physical address, for %XEN_DMA_WATCH_FLUSH a machine address
 * @len: length in bytes
 * @how: direction or operation
 */
struct xen_dma_watch_event {
	enum xen_dma_watch_kind kind;
	u64 addr;
	u64 len;
	unsigned int how;
};

/**
 * struct xen_dma_watch_record - what was seen between begin and end
 * @nr: number of events in @ev
 * @lost: number of events that found no room
 * @ev: the events, oldest first
 */
struct xen_dma_watch_record {
	unsigned int nr;
	unsigned int lost;
	struct xen_dma_watch_event ev[XEN_DMA_WATCH_MAX];
};

/**
 * struct xen_dma_watch_range - machine memory that must have been maintained
 * @start: machine address
 * @len: length in bytes
 */
struct xen_dma_watch_range {
	u64 start;
	u64 len;
};

/* The machine address behind a pseudo-physical one; @arg is the caller's. */
typedef u64 (*xen_dma_watch_machine_fn)(void *arg, u64 paddr);

/**
 * enum xen_dma_watch_want - which maintenance the DMA-API rules ask for
 * @XEN_DMA_WATCH_WANT_NONE: none at all
 * @XEN_DMA_WATCH_WANT_DEVICE: what the CPU wrote must reach memory
 * @XEN_DMA_WATCH_WANT_CPU: what the CPU has cached must go
 */
enum xen_dma_watch_want {
	XEN_DMA_WATCH_WANT_NONE,
	XEN_DMA_WATCH_WANT_DEVICE,
	XEN_DMA_WATCH_WANT_CPU,
};

/* Argument @n, from 0, of a function that a probe has stopped. */
static inline unsigned long xen_dma_watch_arg(struct pt_regs *regs,
					      unsigned int n)
{
#ifdef CONFIG_ARM
	return regs->uregs[n];
#else
	return regs_get_kernel_argument(regs, n);
#endif
}

int xen_dma_watch_user_pfn(unsigned long addr, unsigned long *pfn);
int xen_dma_watch_get(void);
void xen_dma_watch_put(void);
void xen_dma_watch_begin(struct device *dev, struct xen_dma_watch_record *rec);
void xen_dma_watch_end(void);
unsigned int xen_dma_watch_count(const struct xen_dma_watch_record *rec,
				 enum xen_dma_watch_kind kind);
bool xen_dma_watch_check(const struct xen_dma_watch_record *rec,
			 enum xen_dma_watch_want want,
			 const struct xen_dma_watch_range *range,
			 unsigned int nr, xen_dma_watch_machine_fn to_machine,
			 void *arg, char *why, size_t why_size);

#endif /* __XEN_DMA_TEST_WATCH_H */
