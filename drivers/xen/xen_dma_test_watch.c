// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watcher for the Xen DMA tests.
 *
 * An emulator has no caches, so missing or misplaced cache maintenance does
 * not show in the data there. Kprobes on the functions that do the
 * maintenance, and on the hypercall that has Xen do it for foreign memory,
 * record it instead; the tests compare the record with what the rules of the
 * DMA API demand. Kprobes, because the watcher has to run on a kernel that
 * knows nothing of it.
 *
 * One test at a time is watched: what other tasks, or interrupts that hit the
 * testing task, do to their own buffers is not recorded.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cache.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <xen/interface/grant_table.h>
#include <xen/page.h>

#include "xen_dma_test_watch.h"

/* A phys_addr_t as first argument takes a pair of registers on LPAE. */
#define WATCH_PHYS_REGS		(sizeof(phys_addr_t) / sizeof(long))

static u64 watch_phys_arg(struct pt_regs *regs)
{
	u64 val = xen_dma_watch_arg(regs, 0);

	if (WATCH_PHYS_REGS > 1)
		val |= (u64)xen_dma_watch_arg(regs, 1) << 32;
	return val;
}

/*
 * Users of the kprobes. The lock is held while they are registered and
 * unregistered.
 */
static DEFINE_MUTEX(watch_users_lock);
static unsigned int watch_users;

/*
 * What is being watched: @watch_task is NULL when nothing is. Written by the
 * testing task only, and the handlers look further only when they run in that
 * very task, in process context; so no lock is needed.
 */
static struct task_struct *watch_task;
static struct device *watch_dev;
static struct xen_dma_watch_record *watch_rec;

/* A hypercall that is under way: what was seen before it, and its frames */
struct watch_call {
	unsigned int nr_before, count;
};

static bool watch_on(void)
{
	return READ_ONCE(watch_task) == current && in_task();
}

static void watch_add(enum xen_dma_watch_kind kind, u64 addr, u64 len,
		      unsigned int how)
{
	struct xen_dma_watch_record *rec = watch_rec;

	if (rec->nr == XEN_DMA_WATCH_MAX) {
		rec->lost++;
		return;
	}
	rec->ev[rec->nr++] = (struct xen_dma_watch_event) {
		.kind = kind,
		.addr = addr,
		.len = len,
		.how = how,
	};
}

static int watch_for_device(struct kprobe *p, struct pt_regs *regs)
{
	if (watch_on())
		watch_add(XEN_DMA_WATCH_FOR_DEVICE, watch_phys_arg(regs),
			  xen_dma_watch_arg(regs, WATCH_PHYS_REGS),
			  xen_dma_watch_arg(regs, WATCH_PHYS_REGS + 1));
	return 0;
}

static int watch_for_cpu(struct kprobe *p, struct pt_regs *regs)
{
	if (watch_on())
		watch_add(XEN_DMA_WATCH_FOR_CPU, watch_phys_arg(regs),
			  xen_dma_watch_arg(regs, WATCH_PHYS_REGS),
			  xen_dma_watch_arg(regs, WATCH_PHYS_REGS + 1));
	return 0;
}

static int watch_grant_op(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct watch_call *call = (void *)ri->data;
	const struct gnttab_cache_flush *op;
	unsigned int i;

	if (!watch_on() || xen_dma_watch_arg(regs, 0) != GNTTABOP_cache_flush)
		return 1;

	call->nr_before = watch_rec->nr;
	call->count = xen_dma_watch_arg(regs, 2);
	op = (const void *)xen_dma_watch_arg(regs, 1);
	for (i = 0; i < call->count; i++)
		/* Xen takes the frame only from the address */
		watch_add(XEN_DMA_WATCH_FLUSH,
			  op[i].a.dev_bus_addr + op[i].offset -
			  xen_offset_in_page(op[i].a.dev_bus_addr),
			  op[i].length, op[i].op);
	return 0;
}

/* Of several, Xen stops at the first error and does not say where. */
static int watch_grant_ret(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct watch_call *call = (void *)ri->data;

	if (call->count > 1 && regs_return_value(regs))
		watch_rec->nr = call->nr_before;
	return 0;
}

/* One task is watched, and the hypercall does not sleep. */
static struct kretprobe watch_grant_probe = {
	.kp.symbol_name = "HYPERVISOR_grant_table_op",
	.entry_handler = watch_grant_op,
	.handler = watch_grant_ret,
	.data_size = sizeof(struct watch_call),
	.maxactive = 64,
};

static int watch_take(struct kprobe *p, struct pt_regs *regs)
{
	if (watch_on() &&
	    xen_dma_watch_arg(regs, 0) == (unsigned long)watch_dev)
		watch_add(XEN_DMA_WATCH_TAKE, 0, 0, 0);
	return 0;
}

static int watch_release(struct kprobe *p, struct pt_regs *regs)
{
	if (watch_on() &&
	    xen_dma_watch_arg(regs, 0) == (unsigned long)watch_dev)
		watch_add(XEN_DMA_WATCH_RELEASE, 0, 0, 0);
	return 0;
}

static struct kprobe watch_probe[] = {
	{
		.symbol_name = "arch_sync_dma_for_device",
		.pre_handler = watch_for_device,
	}, {
		.symbol_name = "arch_sync_dma_for_cpu",
		.pre_handler = watch_for_cpu,
	}, {
		.symbol_name = "swiotlb_tbl_map_single",
		.pre_handler = watch_take,
	}, {
		.symbol_name = "__swiotlb_tbl_unmap_single",
		.pre_handler = watch_release,
	},
};

/**
 * xen_dma_watch_get - make the watcher ready
 *
 * May sleep. To be paired with xen_dma_watch_put().
 *
 * Return: 0, or a negative error when this kernel has nowhere to watch
 * (-ENOENT: a function is not there under its name).
 */
int xen_dma_watch_get(void)
{
	unsigned int i;
	int ret;

	guard(mutex)(&watch_users_lock);
	if (watch_users++)
		return 0;

	watch_grant_probe.kp.addr = NULL;
	watch_grant_probe.kp.flags = 0;
	ret = register_kretprobe(&watch_grant_probe);
	if (ret) {
		pr_info("cannot watch %s: %d\n",
			watch_grant_probe.kp.symbol_name, ret);
		watch_users--;
		return ret;
	}
	for (i = 0; i < ARRAY_SIZE(watch_probe); i++) {
		/* What an earlier registration left in it is refused. */
		watch_probe[i].addr = NULL;
		watch_probe[i].flags = 0;
		ret = register_kprobe(&watch_probe[i]);
		if (ret) {
			pr_info("cannot watch %s: %d\n",
				watch_probe[i].symbol_name, ret);
			while (i--)
				unregister_kprobe(&watch_probe[i]);
			unregister_kretprobe(&watch_grant_probe);
			watch_users--;
			return ret;
		}
	}
	return 0;
}
EXPORT_SYMBOL_GPL(xen_dma_watch_get);

/**
 * xen_dma_watch_put - undo one xen_dma_watch_get()
 */
void xen_dma_watch_put(void)
{
	unsigned int i;

	guard(mutex)(&watch_users_lock);
	if (--watch_users)
		return;

	for (i = 0; i < ARRAY_SIZE(watch_probe); i++)
		unregister_kprobe(&watch_probe[i]);
	unregister_kretprobe(&watch_grant_probe);
}
EXPORT_SYMBOL_GPL(xen_dma_watch_put);

/**
 * xen_dma_watch_begin - record what the current task does from now on
 * @dev: device whose bounce slots count
 * @rec: where to; emptied first, and to stay until xen_dma_watch_end()
 */
void xen_dma_watch_begin(struct device *dev, struct xen_dma_watch_record *rec)
{
	rec->nr = 0;
	rec->lost = 0;
	watch_dev = dev;
	watch_rec = rec;
	WRITE_ONCE(watch_task, current);
}
EXPORT_SYMBOL_GPL(xen_dma_watch_begin);

/**
 * xen_dma_watch_end - stop recording
 */
void xen_dma_watch_end(void)
{
	WRITE_ONCE(watch_task, NULL);
}
EXPORT_SYMBOL_GPL(xen_dma_watch_end);

/**
 * xen_dma_watch_count - how often was it seen
 * @rec: the record
 * @kind: what to count
 *
 * Return: number of events of @kind in @rec.
 */
unsigned int xen_dma_watch_count(const struct xen_dma_watch_record *rec,
				 enum xen_dma_watch_kind kind)
{
	unsigned int i, n = 0;

	for (i = 0; i < rec->nr; i++)
		n += rec->ev[i].kind == kind;
	return n;
}
EXPORT_SYMBOL_GPL(xen_dma_watch_count);

/* Did it touch any cache line? Nothing has to go for the CPU's own data. */
static bool watch_maintains(const struct xen_dma_watch_event *ev)
{
	switch (ev->kind) {
	case XEN_DMA_WATCH_FOR_DEVICE:
		return true;
	case XEN_DMA_WATCH_FOR_CPU:
		return ev->how != DMA_TO_DEVICE;
	case XEN_DMA_WATCH_FLUSH:
		return ev->how & (GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL);
	default:
		return false;
	}
}

/* Does it do what was asked for? A native clean is right for the device. */
static bool watch_serves(const struct xen_dma_watch_event *ev,
			 enum xen_dma_watch_want want)
{
	switch (ev->kind) {
	case XEN_DMA_WATCH_FOR_DEVICE:
		return want == XEN_DMA_WATCH_WANT_DEVICE;
	case XEN_DMA_WATCH_FOR_CPU:
		return want == XEN_DMA_WATCH_WANT_CPU;
	case XEN_DMA_WATCH_FLUSH:
		/* INVAL alone throws away what the device is to get. */
		return ev->how & (want == XEN_DMA_WATCH_WANT_DEVICE ?
				  GNTTAB_CACHE_CLEAN : GNTTAB_CACHE_INVAL);
	default:
		return false;
	}
}

/*
 * The part of @ev that starts @off bytes into it and ends with it or with its
 * Xen page: neighbouring pages may lie anywhere in machine memory.
 */
static void watch_chunk(const struct xen_dma_watch_event *ev, u64 off,
			xen_dma_watch_machine_fn to_machine, void *arg,
			struct xen_dma_watch_range *chunk)
{
	u64 addr = ev->addr + off;

	chunk->len = min_t(u64, ev->len - off,
			   XEN_PAGE_SIZE - xen_offset_in_page(addr));
	if (ev->kind != XEN_DMA_WATCH_FLUSH && to_machine)
		chunk->start = to_machine(arg, addr - xen_offset_in_page(addr)) |
			       xen_offset_in_page(addr);
	else
		chunk->start = addr;
}

/* Is @chunk part of what was asked for, give or take a cache line? */
static bool watch_wanted(const struct xen_dma_watch_range *chunk,
			 const struct xen_dma_watch_range *range,
			 unsigned int nr)
{
	u64 line = dma_get_cache_alignment();
	u64 pos = chunk->start, end = chunk->start + chunk->len;
	unsigned int i;

	/* Ranges may adjoin, so that the chunk is covered by several. */
	while (pos < end) {
		for (i = 0; i < nr; i++) {
			u64 from = round_down(range[i].start, line);
			u64 to = round_up(range[i].start + range[i].len, line);

			if (pos >= from && pos < to) {
				pos = to;
				break;
			}
		}
		if (i == nr)
			return false;
	}
	return true;
}

/* Up to where is memory maintained without a hole, from @pos on? */
static u64 watch_reaches(const struct xen_dma_watch_record *rec,
			 enum xen_dma_watch_want want, u64 pos, u64 end,
			 xen_dma_watch_machine_fn to_machine, void *arg)
{
	struct xen_dma_watch_range chunk;
	bool moved;
	unsigned int i;
	u64 off;

	do {
		moved = false;
		for (i = 0; i < rec->nr && pos < end; i++) {
			const struct xen_dma_watch_event *ev = &rec->ev[i];

			if (!watch_maintains(ev) || !watch_serves(ev, want))
				continue;
			for (off = 0; off < ev->len; off += chunk.len) {
				watch_chunk(ev, off, to_machine, arg, &chunk);
				if (pos < chunk.start ||
				    pos >= chunk.start + chunk.len)
					continue;
				pos = chunk.start + chunk.len;
				moved = true;
			}
		}
	} while (moved && pos < end);
	return min(pos, end);
}

/**
 * xen_dma_watch_check - compare a record with what should have been done
 * @rec: the record
 * @want: which maintenance the call had to do
 * @range: machine memory that had to be maintained
 * @nr: number of entries in @range
 * @to_machine: machine address of a pseudo-physical page; NULL when the caller
 *	has local memory only
 * @arg: for @to_machine
 * @why: where to say what is wrong
 * @why_size: size of @why
 *
 * Every byte of @range must have been maintained, by whatever means, and
 * nothing else, but for what shares a cache line with it.
 *
 * Return: %true if so, %false with @why filled in if not.
 */
bool xen_dma_watch_check(const struct xen_dma_watch_record *rec,
			 enum xen_dma_watch_want want,
			 const struct xen_dma_watch_range *range,
			 unsigned int nr, xen_dma_watch_machine_fn to_machine,
			 void *arg, char *why, size_t why_size)
{
	struct xen_dma_watch_range chunk;
	unsigned int i;
	u64 off, pos, end;

	if (rec->lost) {
		snprintf(why, why_size, "%u events lost", rec->lost);
		return false;
	}
	if (want == XEN_DMA_WATCH_WANT_NONE)
		nr = 0;

	for (i = 0; i < rec->nr; i++) {
		if (!watch_maintains(&rec->ev[i]))
			continue;
		for (off = 0; off < rec->ev[i].len; off += chunk.len) {
			watch_chunk(&rec->ev[i], off, to_machine, arg, &chunk);
			if (watch_wanted(&chunk, range, nr))
				continue;
			snprintf(why, why_size,
				 "maintained 0x%llx+0x%llx (kind %d, how %u), which nobody asked for",
				 chunk.start, chunk.len, rec->ev[i].kind,
				 rec->ev[i].how);
			return false;
		}
	}
	for (i = 0; i < nr; i++) {
		end = range[i].start + range[i].len;
		pos = watch_reaches(rec, want, range[i].start, end, to_machine,
				    arg);
		if (pos == end)
			continue;
		snprintf(why, why_size,
			 "0x%llx not maintained, of 0x%llx+0x%llx (%u events)",
			 pos, range[i].start, range[i].len, rec->nr);
		return false;
	}
	return true;
}
EXPORT_SYMBOL_GPL(xen_dma_watch_check);

/**
 * xen_dma_watch_user_pfn - which page does user space see at an address?
 * @addr: address in the current task's memory, in a mapping of page frames
 * @pfn: set to the page's number
 *
 * The page tables are looked at only: where a wrong address points may be
 * nothing at all. May sleep.
 *
 * Return: 0, or a negative error with @pfn as it was.
 */
int xen_dma_watch_user_pfn(unsigned long addr, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .address = addr };
	int ret = -EFAULT;

	mmap_read_lock(current->mm);
	args.vma = vma_lookup(current->mm, addr);
	if (args.vma)
		ret = follow_pfnmap_start(&args);
	if (!ret) {
		*pfn = args.pfn;
		follow_pfnmap_end(&args);
	}
	mmap_read_unlock(current->mm);
	return ret;
}
EXPORT_SYMBOL_GPL(xen_dma_watch_user_pfn);

MODULE_DESCRIPTION("Watcher for the Xen DMA tests");
MODULE_LICENSE("GPL");
