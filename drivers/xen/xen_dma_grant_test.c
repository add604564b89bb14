// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of grants in a direct-mapped Xen domain (dom0 on Arm): what
 * becomes of them when Xen refuses something, and of the dma-bufs that gntdev
 * makes of them. And of other domains' memory that privcmd maps: that needs a
 * guest, which is only read from.
 *
 * The domain grants pages to itself. They are one block of its own memory, so
 * the machine frame behind each grant is known without asking the code that
 * is tested. Failures are made by probes that change what a function is asked
 * for or what it returns, for the testing task only; on a kernel without the
 * fixes they do no lasting harm.
 *
 * To run: modprobe xen_dma_grant_test, and read
 * /sys/kernel/debug/kunit/xen_dma_grant_test/results, or let
 * tools/testing/selftests/xen/grants.sh do both.
 */

#include <kunit/device.h>
#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/oom.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/swiotlb.h>
#include <linux/uaccess.h>
#include <linux/virtio.h>
#include <linux/virtio_anchor.h>

#include <xen/balloon.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/gntdev.h>
#include <xen/interface/event_channel.h>
#include <xen/interface/grant_table.h>
#include <xen/interface/memory.h>
#include <xen/mem-reservation.h>
#include <xen/page.h>
#include <xen/privcmd.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen-front-pgdir-shbuf.h>
#include <xen/xen-ops.h>
#include <xen/xen.h>
#include <xen/xenbus.h>

#include <asm/xen/hypercall.h>

#include "xen_dma_test_watch.h"

/*
 * Probes
 */

static void probe_set_arg(struct pt_regs *regs, unsigned int n,
			  unsigned long val)
{
#ifdef CONFIG_ARM
	regs->uregs[n] = val;
#else
	regs->regs[n] = val;
#endif
}

/*
 * Nothing is changed or counted but what the testing task does. Written by it
 * alone, and read by handlers that run in it.
 */
static struct task_struct *probe_task;

static bool probe_mine(void)
{
	return READ_ONCE(probe_task) == current && in_task();
}

static void probe_stop(void *kretprobe)
{
	WRITE_ONCE(probe_task, NULL);
	unregister_kretprobe(kretprobe);
}

static void probe_start(struct kunit *test, struct kretprobe *rp)
{
	int ret;

	/* What an earlier registration left in it is refused. */
	rp->kp.addr = NULL;
	rp->kp.flags = 0;
	ret = register_kretprobe(rp);
	if (ret)
		kunit_skip(test, "no probe on %s: %d", rp->kp.symbol_name, ret);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, probe_stop, rp));
	WRITE_ONCE(probe_task, current);
}

/*
 * The devices of Xen's that user space uses. Tests run in a kernel thread,
 * which has no /dev: opened by who has the suite run.
 */
static struct file *gntdev_file, *privcmd_file;

static struct file *open_device(const char *path)
{
	struct file *file = filp_open(path, O_RDWR, 0);

	if (IS_ERR(file)) {
		pr_info("%s: %pe\n", path, file);
		return NULL;
	}
	return file;
}

/*
 * Pages that this domain grants to itself
 */

#define MAX_GRANTS	96

struct grants {
	struct kunit *test;
	struct page *block;
	unsigned int order;
	unsigned int step;		/* in pages of the block */
	unsigned int nr;
	grant_ref_t ref[MAX_GRANTS];
};

static void end_grants(void *data)
{
	struct grants *g = data;
	unsigned int i, ms;

	/* Others drop their mappings when they get to it. */
	for (i = 0; i < g->nr; i++) {
		for (ms = 0; ms < 5000; ms += 20) {
			if (gnttab_try_end_foreign_access(g->ref[i]))
				break;
			msleep(20);
		}
		if (ms < 5000)
			continue;
		KUNIT_FAIL(g->test, "grant %u is still mapped, its memory is lost",
			   g->ref[i]);
		return;
	}
	__free_pages(g->block, g->order);
}

static u64 grant_machine(const struct grants *g, unsigned int i)
{
	return page_to_phys(g->block) + (u64)i * g->step * PAGE_SIZE;
}

/* As the domain sees it that has granted the page. */
static u8 *grant_owner(const struct grants *g, unsigned int i)
{
	return page_address(g->block + i * g->step);
}

/* Grant the first frames of pages 0, @step, 2 * @step ... of a block. */
static struct grants *make_grants(struct kunit *test, unsigned int nr,
				  unsigned int step)
{
	struct grants *g;
	int ret;

	if (!xen_initial_domain())
		kunit_skip(test, "not dom0: own number not known");

	g = kunit_kzalloc(test, sizeof(*g), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, g);
	KUNIT_ASSERT_LE(test, nr, MAX_GRANTS);
	g->test = test;
	g->step = step;
	g->order = get_order(nr * step * PAGE_SIZE);
	g->block = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN,
			       g->order);
	if (!g->block)
		kunit_skip(test, "no contiguous memory");
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, end_grants, g));
	while (g->nr < nr) {
		unsigned long gfn = xen_page_to_gfn(g->block + g->nr * step);

		ret = gnttab_grant_foreign_access(0, gfn, 0);
		KUNIT_ASSERT_GE(test, ret, 0);
		g->ref[g->nr++] = ret;
	}
	return g;
}

static int page_cmp(const void *a, const void *b)
{
	unsigned long x = page_to_pfn(*(struct page **)a);
	unsigned long y = page_to_pfn(*(struct page **)b);

	return x < y ? 1 : x > y ? -1 : 0;
}

/*
 * Who asks next for @nr pages to map grants at gets neighbours, the lowest
 * first: the list of free ones is last in, first out.
 */
static void sort_free_pages(struct kunit *test, unsigned int nr)
{
	struct page **pages;

	pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_EQ(test, 0, xen_alloc_unpopulated_pages(nr, pages));
	sort(pages, nr, sizeof(*pages), page_cmp, NULL);
	xen_free_unpopulated_pages(nr, pages);
}

/*
 * Pages to map grants at. Where there is no address space for them they come
 * from the balloon, also on a kernel that does not fall back by itself:
 * unpopulated_without_space is for that.
 */
static int take_pages(unsigned int nr, struct page **pages, bool *ballooned)
{
	int ret = gnttab_alloc_pages(nr, pages);

	*ballooned = ret;
	if (!ret)
		return 0;
	ret = xen_alloc_ballooned_pages(nr, pages);
	if (ret)
		return ret;
	ret = gnttab_pages_set_private(nr, pages);
	if (ret)
		xen_free_ballooned_pages(nr, pages);
	return ret;
}

static void give_pages(unsigned int nr, struct page **pages, bool ballooned)
{
	if (!ballooned) {
		gnttab_free_pages(nr, pages);
		return;
	}
	gnttab_pages_clear_private(nr, pages);
	xen_free_ballooned_pages(nr, pages);
}

/*
 * Unmaps that fail
 */

/* One page to map grants at, and the mappings that may still be there. */
struct slot {
	struct page *page;
	bool ballooned;
	grant_handle_t handle[2];
};

static int slot_unmap(struct slot *slot, grant_handle_t handle)
{
	struct gnttab_unmap_grant_ref op;
	int ret;

	gnttab_set_unmap_op(&op, (unsigned long)page_address(slot->page),
			    GNTMAP_host_map, handle);
	ret = gnttab_unmap_refs(&op, NULL, &slot->page, 1);
	return ret ?: op.status;
}

static int slot_map(struct slot *slot, struct grants *g, unsigned int i)
{
	struct gnttab_map_grant_ref op;
	int ret;

	gnttab_set_map_op(&op, (unsigned long)page_address(slot->page),
			  GNTMAP_host_map, g->ref[i], 0);
	ret = gnttab_map_refs(&op, NULL, &slot->page, 1);
	if (!ret && !op.status)
		slot->handle[i] = op.handle;
	return ret ?: op.status;
}

static void free_slot(void *data)
{
	struct slot *slot = data;
	int i;

	/* The newer mapping first: Xen refuses to remove the hidden one. */
	for (i = ARRAY_SIZE(slot->handle) - 1; i >= 0; i--)
		if (slot->handle[i] != INVALID_GRANT_HANDLE)
			slot_unmap(slot, slot->handle[i]);
	give_pages(1, &slot->page, slot->ballooned);
}

static struct slot *make_slot(struct kunit *test)
{
	struct slot *slot;

	slot = kunit_kzalloc(test, sizeof(*slot), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, slot);
	slot->handle[0] = INVALID_GRANT_HANDLE;
	slot->handle[1] = INVALID_GRANT_HANDLE;
	KUNIT_ASSERT_EQ(test, 0, take_pages(1, &slot->page, &slot->ballooned));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_slot, slot));
	return slot;
}

static u64 slot_machine(const struct slot *slot)
{
	return (u64)pfn_to_bfn(page_to_xen_pfn(slot->page)) << XEN_PAGE_SHIFT;
}

/* What Xen has refused to unmap is still there, and still foreign. */
static void failed_unmap_stays_foreign(struct kunit *test)
{
	struct grants *g = make_grants(test, 1, 1);
	struct slot *slot = make_slot(test);
	int status;

	KUNIT_ASSERT_EQ(test, 0, slot_map(slot, g, 0));
	KUNIT_ASSERT_EQ(test, grant_machine(g, 0), slot_machine(slot));

	status = slot_unmap(slot, slot->handle[0] + 0x10000);
	KUNIT_ASSERT_NE_MSG(test, 0, status, "Xen takes any handle");
	strscpy(grant_owner(g, 0), "mapped", PAGE_SIZE);
	KUNIT_ASSERT_STREQ_MSG(test, "mapped", page_address(slot->page),
			       "Xen has unmapped it all the same");
	KUNIT_EXPECT_EQ_MSG(test, grant_machine(g, 0), slot_machine(slot),
			    "the frame is forgotten while it is mapped");

	KUNIT_EXPECT_EQ(test, 0, slot_unmap(slot, slot->handle[0]));
	slot->handle[0] = INVALID_GRANT_HANDLE;
	KUNIT_EXPECT_NE_MSG(test, grant_machine(g, 0), slot_machine(slot),
			    "the frame is kept while nothing is mapped");
}

/* Nor may it be in the way of what Xen then maps over it. */
static void mapped_over_a_failed_unmap(struct kunit *test)
{
	struct grants *g = make_grants(test, 2, 2);
	struct slot *slot = make_slot(test);

	KUNIT_ASSERT_EQ(test, 0, slot_map(slot, g, 0));
	KUNIT_ASSERT_NE(test, 0, slot_unmap(slot, slot->handle[0] + 0x10000));
	KUNIT_ASSERT_EQ(test, 0, slot_map(slot, g, 1));
	strscpy(grant_owner(g, 0), "old", PAGE_SIZE);
	strscpy(grant_owner(g, 1), "new", PAGE_SIZE);
	KUNIT_EXPECT_STREQ(test, "new", page_address(slot->page));
	KUNIT_EXPECT_EQ(test, grant_machine(g, 1), slot_machine(slot));
}

/* A grant that ends while it is mapped takes its page along, until later. */
static void end_while_mapped(struct kunit *test)
{
	struct grants *g = make_grants(test, 1, 1);
	struct slot *slot = make_slot(test);
	int refs = page_ref_count(g->block);
	unsigned int ms;

	KUNIT_ASSERT_EQ(test, 0, slot_map(slot, g, 0));
	gnttab_end_foreign_access(g->ref[0], NULL);
	g->nr = 0;
	KUNIT_EXPECT_EQ_MSG(test, refs + 1, page_ref_count(g->block),
			    "another page is kept, not the granted one");

	KUNIT_EXPECT_EQ(test, 0, slot_unmap(slot, slot->handle[0]));
	slot->handle[0] = INVALID_GRANT_HANDLE;
	for (ms = 0; ms < 5000 && page_ref_count(g->block) > refs; ms += 20)
		msleep(20);
	KUNIT_EXPECT_EQ(test, refs, page_ref_count(g->block));
}

/*
 * Memory that is short
 */

#define SHORT_ROUNDS	100

/* The size of the object that the lookup of foreign frames once needed. */
struct hog {
	struct hog *next;
	u64 rest[5];
};

/* All memory that is to be had at once: whole pages, then small objects. */
static void take_all_memory(struct list_head *pages, struct hog **hogs)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct page *page;
	struct hog *hog;
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--) {
		while ((page = alloc_pages(gfp, order))) {
			set_page_private(page, order);
			list_add(&page->lru, pages);
		}
	}
	while ((hog = kmalloc_obj(*hog, gfp))) {
		hog->next = *hogs;
		*hogs = hog;
	}
}

static void give_all_memory(struct list_head *pages, struct hog *hogs)
{
	struct page *page, *next_page;
	struct hog *next;

	for (; hogs; hogs = next) {
		next = hogs->next;
		kfree(hogs);
		cond_resched();
	}
	list_for_each_entry_safe(page, next_page, pages, lru)
		__free_pages(page, page_private(page));
}

/* Nothing is to be killed for memory that is back in a moment. */
static int no_killing(struct notifier_block *nb, unsigned long unused,
		      void *freed)
{
	*(unsigned long *)freed += 1;
	return NOTIFY_OK;
}

static struct notifier_block oom_notifier = { .notifier_call = no_killing };

/*
 * A guest's I/O is carried out while dom0 itself has no memory: what a mapping
 * needs has to be there before. A dom0 that fails it here fails the guest's I/O.
 * Several times: what another CPU frees meanwhile is memory for the mapping.
 */
static void map_while_memory_is_short(struct kunit *test)
{
	struct grants *g = make_grants(test, 1, 1);
	struct slot *slot = make_slot(test);
	struct hog *hogs = NULL;
	int status = GNTST_okay, lost = 0, i;
	u64 machine = 0;
	LIST_HEAD(pages);

	KUNIT_ASSERT_EQ(test, 0, register_oom_notifier(&oom_notifier));
	/* On one CPU: others have small objects that are not to be had here. */
	preempt_disable();
	for (i = 0; i < SHORT_ROUNDS; i++) {
		take_all_memory(&pages, &hogs);
		status = slot_map(slot, g, 0);
		if (status)
			break;
		machine = slot_machine(slot);
		lost = slot_unmap(slot, slot->handle[0]);
		if (!lost)
			slot->handle[0] = INVALID_GRANT_HANDLE;
		if (lost || machine != grant_machine(g, 0))
			break;
	}
	preempt_enable();
	give_all_memory(&pages, hogs);
	unregister_oom_notifier(&oom_notifier);

	KUNIT_EXPECT_EQ_MSG(test, GNTST_okay, status, "round %d: mapping", i);
	KUNIT_EXPECT_EQ_MSG(test, 0, lost, "round %d: unmapping", i);
	if (!status)
		KUNIT_EXPECT_EQ(test, grant_machine(g, 0), machine);
}

/*
 * The lookup of foreign frames
 */

/* Far from any memory. */
#define P2M_PFN		(1UL << (BITS_PER_LONG == 64 ? 34 : 12))
#define P2M_MFN		(P2M_PFN * 2)
#define P2M_PAGES	4

static const struct p2m_case {
	const char *name;
	int first;
	unsigned int nr;
} p2m_cases[] = {
	{ "same", 0, P2M_PAGES },
	{ "same_start", 0, 2 },
	{ "same_end", 2, 2 },
	{ "page_inside", 1, 1 },
	{ "across_start", -2, 4 },
	{ "across_end", 3, 4 },
	{ "around", -1, 6 },
	{ "before", -2, 2 },
	{ "after", P2M_PAGES, 2 },
};

KUNIT_ARRAY_PARAM_DESC(p2m, p2m_cases, name);

static void p2m_forget(void *unused)
{
	unsigned int try;
	int i;

	/* As ranges, and then whatever a lookup still finds. */
	__set_phys_to_machine_multi(P2M_PFN, INVALID_P2M_ENTRY, P2M_PAGES);
	for (i = -4; i < P2M_PAGES + 4; i++)
		for (try = 0; try < 4; try++)
			if (__pfn_to_mfn(P2M_PFN + i) != INVALID_P2M_ENTRY)
				set_phys_to_machine(P2M_PFN + i,
						    INVALID_P2M_ENTRY);
}

static void p2m_expect(struct kunit *test, int i, unsigned long mfn)
{
	KUNIT_EXPECT_EQ_MSG(test, mfn, __pfn_to_mfn(P2M_PFN + i), "page %d", i);
}

/* Which of two ranges counts for a page must not depend on a tree's shape. */
static void p2m_ranges_do_not_overlap(struct kunit *test)
{
	const struct p2m_case *c = test->param_value;
	bool beside = c->first + (int)c->nr <= 0 || c->first >= P2M_PAGES;
	bool same = !c->first && c->nr == P2M_PAGES, added;
	int i;

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, p2m_forget, NULL));
	KUNIT_ASSERT_TRUE(test, __set_phys_to_machine_multi(P2M_PFN, P2M_MFN,
							    P2M_PAGES));
	added = __set_phys_to_machine_multi(P2M_PFN + c->first,
					    P2M_MFN + 0x1000 + c->first, c->nr);
	/* The same pages again, that is mapping over what was there. */
	if (!same)
		KUNIT_EXPECT_EQ_MSG(test, beside, added, "range added");
	for (i = 0; i < P2M_PAGES; i++)
		p2m_expect(test, i, P2M_MFN + i + (same && added ? 0x1000 : 0));
	for (i = c->first; beside && i < c->first + (int)c->nr; i++)
		p2m_expect(test, i, P2M_MFN + 0x1000 + i);
	if (added && !same)
		__set_phys_to_machine_multi(P2M_PFN + c->first,
					    INVALID_P2M_ENTRY, c->nr);
}

/* To take away one page of a range is no reason to lose the others. */
static void p2m_range_loses_no_more_pages(struct kunit *test)
{
	int i;

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, p2m_forget, NULL));
	KUNIT_ASSERT_TRUE(test, __set_phys_to_machine_multi(P2M_PFN, P2M_MFN,
							    P2M_PAGES));
	set_phys_to_machine(P2M_PFN + 1, INVALID_P2M_ENTRY);
	for (i = 0; i < P2M_PAGES; i++)
		if (i != 1)
			p2m_expect(test, i, P2M_MFN + i);

	KUNIT_EXPECT_TRUE(test,
			  __set_phys_to_machine_multi(P2M_PFN,
						      INVALID_P2M_ENTRY,
						      P2M_PAGES));
	p2m_expect(test, 0, INVALID_P2M_ENTRY);
	p2m_expect(test, P2M_PAGES - 1, INVALID_P2M_ENTRY);
}

/*
 * Devices
 */

/* A device that sees @size bytes from @cpu on at @dma; 0: all as it is. */
static struct device *make_device(struct kunit *test, const char *name,
				  bool coherent, u64 cpu, u64 dma, u64 size)
{
	struct bus_dma_region *map;
	struct device *dev;

	dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	if (is_swiotlb_force_bounce(dev))
		kunit_skip(test, "booted with swiotlb=force");
	if (size) {
		/* The driver core frees it together with the device. */
		map = kcalloc(2, sizeof(*map), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, map);
		map[0].cpu_start = cpu;
		map[0].dma_start = dma;
		map[0].size = size;
		dev->dma_range_map = map;
		dev->bus_dma_limit = dma + size - 1;
	}
	dev->coherent_dma_mask = ~0ULL;
	KUNIT_ASSERT_EQ(test, 0, of_dma_configure_id(dev, of_root, true, NULL));
#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE
	dev_assign_dma_coherent(dev, coherent);
#endif
	KUNIT_ASSERT_EQ(test, 0,
			dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64)));
	return dev;
}

/*
 * dma-bufs made of grants
 */

#define POOL_DMA	0x50000000ULL

struct import {
	struct device *dev;
	struct dma_buf *buf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};

static void import_end(void *data)
{
	struct import *im = data;

	if (!IS_ERR_OR_NULL(im->attach))
		dma_buf_detach(im->buf, im->attach);
	dma_buf_put(im->buf);
	flush_delayed_fput();
}

/* Have gntdev make a dma-buf of the grants, as user space would. */
static struct dma_buf *gntdev_export_flags(struct kunit *test, struct grants *g,
					   struct file *file, u32 flags)
{
	struct ioctl_gntdev_dmabuf_exp_from_refs op = {
		.count = g->nr,
		.flags = flags,
	};
	const size_t head = offsetof(typeof(op), refs);
	void __user *arg;
	struct dma_buf *buf;
	unsigned long addr;
	long ret;

	if (!file)
		kunit_skip(test, "no /dev/xen/gntdev");
	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	arg = (void __user *)addr;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg, &op, head));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg + head, g->ref,
					      g->nr * sizeof(g->ref[0])));
	sort_free_pages(test, g->nr);
	ret = file->f_op->unlocked_ioctl(file,
					 IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS,
					 addr);
	KUNIT_ASSERT_EQ(test, 0, ret);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&op, arg, head));
	buf = dma_buf_get(op.fd);
	close_fd(op.fd);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	return buf;
}

static struct import *import_buf(struct kunit *test, struct dma_buf *buf,
				 struct device *dev)
{
	struct import *im;

	im = kunit_kzalloc(test, sizeof(*im), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, im);
	im->dev = dev;
	im->buf = buf;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, import_end, im));
	im->attach = dma_buf_attach(im->buf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, im->attach);
	return im;
}

static struct import *make_import(struct kunit *test, struct grants *g,
				  struct device *dev)
{
	return import_buf(test, gntdev_export_flags(test, g, gntdev_file, 0),
			  dev);
}

static void import_map(struct kunit *test, struct import *im,
		       enum dma_data_direction dir)
{
	im->sgt = dma_buf_map_attachment_unlocked(im->attach, dir);
	if (IS_ERR(im->sgt))
		KUNIT_FAIL_AND_ABORT(test, "cannot be mapped: %pe", im->sgt);
}

static const struct entries_case {
	const char *name;
	unsigned int nr;
	unsigned int step;
	u64 offset;
} entries_cases[] = {
	{ "contiguous", 4, 1 },
	{ "scattered", 4, 2 },
	{ "scattered_offset", 4, 2, 0x1000000000ULL },
	/* More than what can bounce as one piece. */
	{ "scattered_320_KB", 80, 2 },
};

KUNIT_ARRAY_PARAM_DESC(entries, entries_cases, name);

/* A device that reaches all of a buffer works on it, not on a copy. */
static void gntdev_dmabuf_entries(struct kunit *test)
{
	const struct entries_case *c = test->param_value;
	struct grants *g = make_grants(test, c->nr, c->step);
	struct sg_dma_page_iter iter;
	struct device *dev;
	struct import *im;
	unsigned int i = 0, wrong = 0;

	dev = make_device(test, "dma", true, 0, c->offset, c->offset);
	im = make_import(test, g, dev);
	import_map(test, im, DMA_BIDIRECTIONAL);
	for_each_sgtable_dma_page(im->sgt, &iter, 0) {
		u64 dma = sg_page_iter_dma_address(&iter);

		if (i < g->nr && dma != grant_machine(g, i) + c->offset &&
		    !wrong++)
			KUNIT_FAIL(test,
				   "page %u: DMA address 0x%llx, expected 0x%llx",
				   i, dma, grant_machine(g, i) + c->offset);
		i++;
	}
	KUNIT_EXPECT_EQ(test, g->nr, i);
	dma_buf_unmap_attachment_unlocked(im->attach, im->sgt,
					  DMA_BIDIRECTIONAL);
}

/* Where the device finds page @n, if that is in the bounce pool. */
static u8 *device_page(struct import *im, unsigned int n)
{
	const struct io_tlb_pool *pool = &im->dev->dma_io_tlb_mem->defpool;
	struct sg_dma_page_iter iter;

	for_each_sgtable_dma_page(im->sgt, &iter, n) {
		u64 dma = sg_page_iter_dma_address(&iter);

		if (dma < POOL_DMA ||
		    dma - POOL_DMA > pool->end - pool->start - XEN_PAGE_SIZE)
			return NULL;
		return phys_to_virt(pool->start + (dma - POOL_DMA));
	}
	return NULL;
}

static void owner_writes(struct grants *g, u8 byte)
{
	unsigned int i;

	for (i = 0; i < g->nr; i++)
		memset(grant_owner(g, i), byte + i, XEN_PAGE_SIZE);
}

static void owner_expect(struct kunit *test, struct grants *g, u8 byte,
			 const char *when)
{
	unsigned int i;

	for (i = 0; i < g->nr; i++)
		if (memchr_inv(grant_owner(g, i), byte + i, XEN_PAGE_SIZE))
			break;
	if (i < g->nr)
		KUNIT_FAIL(test, "%s, the guest sees 0x%02x in page %u, not 0x%02x",
			   when, *grant_owner(g, i), i, byte + i);
}

static void device_writes(struct kunit *test, struct grants *g,
			  struct import *im, u8 byte)
{
	unsigned int i;

	for (i = 0; i < g->nr; i++) {
		u8 *p = device_page(im, i);

		KUNIT_ASSERT_NOT_NULL_MSG(test, p, "page %u is not bounced", i);
		memset(p, byte + i, XEN_PAGE_SIZE);
	}
}

static void device_expect(struct kunit *test, struct grants *g,
			  struct import *im, u8 byte, const char *when)
{
	unsigned int i;

	for (i = 0; i < g->nr; i++) {
		u8 *p = device_page(im, i);

		KUNIT_ASSERT_NOT_NULL_MSG(test, p, "page %u is not bounced", i);
		if (!memchr_inv(p, byte + i, XEN_PAGE_SIZE))
			continue;
		KUNIT_FAIL(test, "%s, the device sees 0x%02x in page %u, not 0x%02x",
			   when, *p, i, byte + i);
		return;
	}
}

static const struct dir_case {
	const char *name;
	enum dma_data_direction dir;
} dir_cases[] = {
	{ "to_device", DMA_TO_DEVICE },
	{ "from_device", DMA_FROM_DEVICE },
	{ "both_ways", DMA_BIDIRECTIONAL },
};

KUNIT_ARRAY_PARAM_DESC(dir, dir_cases, name);

/*
 * The device reaches nothing but the bounce pool: each hand-over of the buffer
 * has to copy it. The device is coherent, so that the pool's pages look the
 * same to it and to this test.
 */
static void gntdev_dmabuf_bounced(struct kunit *test)
{
	enum dma_data_direction dir =
		((const struct dir_case *)test->param_value)->dir;
	struct grants *g = make_grants(test, 4, 2);
	const struct io_tlb_pool *pool;
	struct device *dev;
	struct import *im;

	dev = make_device(test, "any", true, 0, 0, 0);
	pool = &dev->dma_io_tlb_mem->defpool;
	if (!dev->dma_io_tlb_mem->nslabs)
		kunit_skip(test, "no bounce pool");
	dev = make_device(test, "dma", true, pool->start, POOL_DMA,
			  pool->end - pool->start);
	im = make_import(test, g, dev);

	owner_writes(g, 0x10);
	import_map(test, im, dir);
	if (dir != DMA_FROM_DEVICE)
		device_expect(test, g, im, 0x10, "mapped");
	if (dir != DMA_TO_DEVICE)
		device_writes(test, g, im, 0x20);
	dma_buf_unmap_attachment_unlocked(im->attach, im->sgt, dir);
	if (dir != DMA_TO_DEVICE)
		owner_expect(test, g, 0x20, "unmapped");

	/* Once more: the exporter keeps the mapping. */
	owner_writes(g, 0x30);
	import_map(test, im, dir);
	if (dir != DMA_FROM_DEVICE)
		device_expect(test, g, im, 0x30, "mapped again");
	if (dir != DMA_TO_DEVICE)
		device_writes(test, g, im, 0x40);
	dma_buf_unmap_attachment_unlocked(im->attach, im->sgt, dir);
	dma_buf_detach(im->buf, im->attach);
	im->attach = NULL;
	owner_expect(test, g, dir == DMA_TO_DEVICE ? 0x30 : 0x40, "detached");
}

struct machine_pages {
	struct grants *g;
	u64 paddr[MAX_GRANTS];
};

static u64 to_machine(void *arg, u64 paddr)
{
	struct machine_pages *mp = arg;
	unsigned int i;

	for (i = 0; i < mp->g->nr; i++)
		if (paddr == mp->paddr[i])
			return grant_machine(mp->g, i);
	return paddr;
}

/* A device that looks past the caches: each hand-over maintains them. */
static void gntdev_dmabuf_maintained(struct kunit *test)
{
	struct grants *g = make_grants(test, 4, 2);
	struct xen_dma_watch_range range[4];
	struct xen_dma_watch_record *rec;
	struct machine_pages *mp;
	struct sg_page_iter iter;
	unsigned int i = 0, round;
	struct import *im;
	char why[160];

	if (!IS_ENABLED(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE))
		kunit_skip(test, "every device is coherent here");
	if (IS_ENABLED(CONFIG_DMABUF_DEBUG))
		kunit_skip(test, "CONFIG_DMABUF_DEBUG hides the pages");
	rec = kunit_kzalloc(test, sizeof(*rec), GFP_KERNEL);
	mp = kunit_kzalloc(test, sizeof(*mp), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rec);
	KUNIT_ASSERT_NOT_NULL(test, mp);
	mp->g = g;
	for (i = 0; i < g->nr; i++) {
		range[i].start = grant_machine(g, i);
		range[i].len = XEN_PAGE_SIZE;
	}
	im = make_import(test, g, make_device(test, "dma", false, 0, 0, 0));

	if (xen_dma_watch_get())
		kunit_skip(test, "nowhere to watch");
	for (round = 0; round < 2; round++) {
		xen_dma_watch_begin(im->dev, rec);
		im->sgt = dma_buf_map_attachment_unlocked(im->attach,
							  DMA_BIDIRECTIONAL);
		xen_dma_watch_end();
		if (IS_ERR(im->sgt)) {
			KUNIT_FAIL(test, "cannot be mapped: %pe", im->sgt);
			break;
		}
		i = 0;
		for_each_sgtable_page(im->sgt, &iter, 0)
			mp->paddr[i++] = page_to_phys(sg_page_iter_page(&iter));
		if (!xen_dma_watch_check(rec, XEN_DMA_WATCH_WANT_DEVICE, range,
					 g->nr, to_machine, mp, why,
					 sizeof(why)))
			KUNIT_FAIL(test, "map %u: %s", round, why);

		xen_dma_watch_begin(im->dev, rec);
		dma_buf_unmap_attachment_unlocked(im->attach, im->sgt,
						  DMA_BIDIRECTIONAL);
		xen_dma_watch_end();
		if (!xen_dma_watch_check(rec, XEN_DMA_WATCH_WANT_CPU, range,
					 g->nr, to_machine, mp, why,
					 sizeof(why)))
			KUNIT_FAIL(test, "unmap %u: %s", round, why);
	}
	xen_dma_watch_put();
}

/*
 * Buffers for grants, when Xen does only part of what it is asked for
 */

#define BUF_PAGES	8

static struct {
	unsigned int decrease;		/* so many pages, and no more */
	unsigned int increase;		/* says Xen */
	unsigned int populated;
	xen_pfn_t frame[BUF_PAGES];	/* of those */
	void *vaddr;			/* is it given back? */
	bool freed;
} xenmem;

static int decrease_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (probe_mine() && xen_dma_watch_arg(regs, 0) > xenmem.decrease)
		probe_set_arg(regs, 0, xenmem.decrease);
	return 1;
}

static int increase_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const xen_pfn_t *frames = (void *)xen_dma_watch_arg(regs, 1);
	unsigned int i, nr = xen_dma_watch_arg(regs, 0);

	if (!probe_mine())
		return 1;
	for (i = 0; i < nr; i++)
		if (xenmem.populated < BUF_PAGES)
			xenmem.frame[xenmem.populated++] = frames[i];
	return 0;
}

static int increase_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	/* The pages are all there: whoever gets them does no harm. */
	if (regs_return_value(regs) > xenmem.increase)
		regs_set_return_value(regs, xenmem.increase);
	return 0;
}

static int free_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (probe_mine() &&
	    xen_dma_watch_arg(regs, 2) == (unsigned long)xenmem.vaddr)
		xenmem.freed = true;
	return 1;
}

static struct kretprobe decrease_probe = {
	.kp.symbol_name = "xenmem_reservation_decrease",
	.entry_handler = decrease_entry,
};

static struct kretprobe increase_probe = {
	.kp.symbol_name = "xenmem_reservation_increase",
	.entry_handler = increase_entry,
	.handler = increase_return,
};

static struct kretprobe free_probe = {
	.kp.symbol_name = "dma_free_attrs",
	.entry_handler = free_entry,
};

static struct gnttab_dma_alloc_args *make_dma_args(struct kunit *test)
{
	struct gnttab_dma_alloc_args *args;

	args = kunit_kzalloc(test, sizeof(*args), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, args);
	args->dev = make_device(test, "dma", true, 0, 0, 0);
	args->coherent = true;
	args->nr_pages = BUF_PAGES;
	args->pages = kunit_kcalloc(test, BUF_PAGES, sizeof(*args->pages),
				    GFP_KERNEL);
	args->frames = kunit_kcalloc(test, BUF_PAGES, sizeof(*args->frames),
				     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, args->pages);
	KUNIT_ASSERT_NOT_NULL(test, args->frames);
	memset(&xenmem, 0, sizeof(xenmem));
	xenmem.decrease = BUF_PAGES;
	xenmem.increase = BUF_PAGES;
	return args;
}

static const struct part_case {
	const char *name;
	unsigned int nr;
} part_cases[] = {
	{ "none", 0 },
	{ "some", 3 },
	{ "all_but_one", BUF_PAGES - 1 },
};

KUNIT_ARRAY_PARAM_DESC(part, part_cases, name);

/* Xen does not take all pages of a buffer: those it took get memory again. */
static void gnttab_dma_partly_taken(struct kunit *test)
{
	unsigned int nr = ((const struct part_case *)test->param_value)->nr, i;
	struct gnttab_dma_alloc_args *args = make_dma_args(test);

	xenmem.decrease = nr;
	probe_start(test, &decrease_probe);
	probe_start(test, &increase_probe);
	KUNIT_ASSERT_NE(test, 0, gnttab_dma_alloc_pages(args));
	KUNIT_EXPECT_EQ_MSG(test, nr, xenmem.populated,
			    "pages populated, of %u that were taken", nr);
	for (i = 0; i < min(nr, xenmem.populated); i++)
		KUNIT_EXPECT_EQ(test, (u64)page_to_xen_pfn(args->pages[i]),
				(u64)xenmem.frame[i]);
}

/* A page without memory behind it must not get to the page allocator. */
static void gnttab_dma_partly_populated(struct kunit *test)
{
	unsigned int nr = ((const struct part_case *)test->param_value)->nr;
	struct gnttab_dma_alloc_args *args = make_dma_args(test);

	KUNIT_ASSERT_EQ(test, 0, gnttab_dma_alloc_pages(args));
	xenmem.vaddr = args->vaddr;
	xenmem.increase = nr;
	probe_start(test, &increase_probe);
	probe_start(test, &free_probe);
	KUNIT_EXPECT_NE(test, 0, gnttab_dma_free_pages(args));
	KUNIT_EXPECT_FALSE_MSG(test, xenmem.freed,
			       "the buffer is freed, with memory for %u of %u pages",
			       nr, BUF_PAGES);
	/* In truth it has all of it. */
	if (!xenmem.freed)
		dma_free_coherent(args->dev, BUF_PAGES * PAGE_SIZE, args->vaddr,
				  args->dev_bus_addr);
}

/*
 * Pages to map grants at, when there is no address space left for them
 */

#define CHUNK		64
#define MAX_FREE	(32 * PAGES_PER_SECTION)

static struct {
	struct page **pages;
	unsigned int nr;
	unsigned int refused;
} space;

static int allocate_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (!probe_mine())
		return 1;
	/* So much that there is no such stretch. */
	if (sizeof(resource_size_t) == sizeof(long)) {
		probe_set_arg(regs, 2, ULONG_MAX / 2);
	} else {
		probe_set_arg(regs, 2, ULONG_MAX);
		probe_set_arg(regs, 3, LONG_MAX);
	}
	space.refused++;
	return 1;
}

static struct kretprobe allocate_probe = {
	.kp.symbol_name = "allocate_resource",
	.entry_handler = allocate_entry,
};

static void free_space_pages(void *unused)
{
	gnttab_free_pages(space.nr, space.pages);
	kvfree(space.pages);
	space.pages = NULL;
}

static void unpopulated_without_space(struct kunit *test)
{
	struct grants *g = make_grants(test, 1, 1);
	struct gnttab_unmap_grant_ref unmap;
	struct gnttab_map_grant_ref map;
	struct page *page;
	int ret = 0;

	space.nr = 0;
	space.refused = 0;
	space.pages = kvcalloc(MAX_FREE, sizeof(*space.pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, space.pages);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, free_space_pages,
						  NULL));
	probe_start(test, &allocate_probe);
	while (!space.refused && space.nr + CHUNK <= MAX_FREE) {
		ret = gnttab_alloc_pages(CHUNK, space.pages + space.nr);
		if (ret)
			break;
		space.nr += CHUNK;
		if (!space.refused &&
		    !is_zone_device_page(space.pages[space.nr - 1]))
			kunit_skip(test, "no address space from Xen: pages are ballooned");
	}
	if (!space.refused)
		kunit_skip(test, "address space does not come to an end");
	KUNIT_ASSERT_EQ_MSG(test, 0, ret,
			    "no page to map a grant at after %u of them",
			    space.nr);

	page = space.pages[space.nr - 1];
	gnttab_set_map_op(&map, (unsigned long)page_address(page),
			  GNTMAP_host_map, g->ref[0], 0);
	KUNIT_ASSERT_EQ(test, 0, gnttab_map_refs(&map, NULL, &page, 1));
	KUNIT_ASSERT_EQ(test, GNTST_okay, map.status);
	strscpy(grant_owner(g, 0), "mapped", PAGE_SIZE);
	KUNIT_EXPECT_STREQ(test, "mapped", page_address(page));
	gnttab_set_unmap_op(&unmap, (unsigned long)page_address(page),
			    GNTMAP_host_map, map.handle);
	KUNIT_EXPECT_EQ(test, 0, gnttab_unmap_refs(&unmap, NULL, &page, 1));
	KUNIT_EXPECT_EQ(test, GNTST_okay, unmap.status);
}

/*
 * Pages that are nobody's, as far as this domain knows
 */

static void map_in_vain(struct kunit *test, struct device *dev,
			struct page *page, const char *what)
{
	dma_addr_t dma;

	/* Coherent: that a cache is maintained there is none of this. */
	dma = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, dma))
		return;
	KUNIT_FAIL(test, "%s at pseudo-physical 0x%llx is mapped to 0x%llx",
		   what, (u64)page_to_phys(page), (u64)dma);
	dma_unmap_page(dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
}

/*
 * Where dom0 has given its memory back, or never had any, there is nothing for
 * a device: the machine has something else at that address.
 */
static void no_bus_address_without_memory(struct kunit *test)
{
	struct device *dev = make_device(test, "xen-dma-grant-hole", true, 0, 0, 0);
	struct grants *g = make_grants(test, 1, 1);
	struct slot *slot = make_slot(test);

	map_in_vain(test, dev, slot->page, "a page without memory");
	KUNIT_ASSERT_EQ(test, 0, slot_map(slot, g, 0));
	KUNIT_ASSERT_EQ(test, 0, slot_unmap(slot, slot->handle[0]));
	slot->handle[0] = INVALID_GRANT_HANDLE;
	map_in_vain(test, dev, slot->page, "a page with no grant any more");
}

static void map_again(struct kunit *test, struct device *dev,
		      struct page *page, const char *what)
{
	dma_addr_t dma = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);

	if (dma_mapping_error(dev, dma)) {
		KUNIT_FAIL(test, "%s at pseudo-physical 0x%llx cannot be mapped",
			   what, (u64)page_to_phys(page));
		return;
	}
	KUNIT_EXPECT_EQ(test, (u64)page_to_phys(page), (u64)dma);
	dma_unmap_page(dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
}

/* What has memory again is anybody's, so that any driver may get it. */
static void bus_address_after_dma_buffer(struct kunit *test)
{
	struct gnttab_dma_alloc_args *args = make_dma_args(test);
	struct page *page;

	/* One page does not come from CMA, which wants all references back. */
	args->nr_pages = 1;
	KUNIT_ASSERT_EQ(test, 0, gnttab_dma_alloc_pages(args));
	page = args->pages[0];
	get_page(page);
	KUNIT_EXPECT_EQ(test, 0, gnttab_dma_free_pages(args));
	map_again(test, args->dev, page, "a page of a DMA buffer that is freed");
	put_page(page);
}

static void bus_address_after_balloon(struct kunit *test)
{
	struct device *dev = make_device(test, "xen-dma-grant-balloon", true,
					 0, 0, 0);
	struct page *page;
	unsigned int ms;

	KUNIT_ASSERT_EQ(test, 0, xen_alloc_ballooned_pages(1, &page));
	xen_free_ballooned_pages(1, &page);
	for (ms = 0; ms < 5000 && PageOffline(page); ms += 20)
		msleep(20);
	if (PageOffline(page))
		kunit_skip(test, "the balloon keeps its pages");
	/* It may be somebody's already: nothing looks into it here. */
	map_again(test, dev, page, "a page that was in the balloon");
}

/* Waits until the domain has all of its memory but for pages that are in use. */
static bool balloon_is_done(void)
{
	unsigned int ms;

	for (ms = 0; ms < 5000; ms += 20) {
		if (balloon_stats.target_pages <=
		    balloon_stats.current_pages +
		    balloon_stats.target_unpopulated)
			return true;
		msleep(20);
	}
	return false;
}

/*
 * The balloon driver gives up when all pages that it wants back are in use. As
 * soon as they are not it has to go on.
 */
static void balloon_is_given_all_back(struct kunit *test)
{
	struct page *pages[2];

	if (IS_ENABLED(CONFIG_XEN_BALLOON_MEMORY_HOTPLUG))
		kunit_skip(test, "new memory is added for what is in use");

	KUNIT_ASSERT_EQ(test, 0, xen_alloc_ballooned_pages(2, pages));
	xen_free_ballooned_pages(1, &pages[0]);
	KUNIT_EXPECT_TRUE_MSG(test, balloon_is_done(), "one of two pages");
	/* For the driver to look whether there are more */
	msleep(100);
	xen_free_ballooned_pages(1, &pages[1]);
	KUNIT_EXPECT_TRUE_MSG(test, balloon_is_done(), "the other one");
}

/*
 * Grants of a driver in a guest: frames are Xen's, and may be smaller than pages
 */

/* What a backend finds through a grant of this domain's; it is one itself. */
static int read_grant(grant_ref_t ref, void *to)
{
	struct gnttab_copy op = {
		.source.u.ref = ref,
		.dest.u.gmfn = virt_to_gfn(to),
		.dest.domid = DOMID_SELF,
		.len = XEN_PAGE_SIZE,
		.flags = GNTCOPY_source_gref,
	};

	gnttab_batch_copy(&op, 1);
	return op.status;
}

/* @len bytes at @vaddr, from the start of a frame on, are behind @ref. */
static void expect_granted(struct kunit *test, const char *what,
			   grant_ref_t ref, u8 *vaddr, size_t len)
{
	u8 *to = kunit_kzalloc(test, XEN_PAGE_SIZE, GFP_KERNEL);
	unsigned int i, nr = len / XEN_PAGE_SIZE;
	int status;

	KUNIT_ASSERT_NOT_NULL(test, to);
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED((unsigned long)to, XEN_PAGE_SIZE));
	for (i = 0; i < nr; i++)
		memset(vaddr + i * XEN_PAGE_SIZE, 0x40 + i, XEN_PAGE_SIZE);
	for (i = 0; i < nr; i++) {
		status = read_grant(ref + i, to);
		if (!status && !memchr_inv(to, 0x40 + i, XEN_PAGE_SIZE))
			continue;
		KUNIT_FAIL(test, "%s: frame %u of %u is not what is granted (status %d, 0x%02x)",
			   what, i, nr, status, to[0]);
		return;
	}
}

static int parse_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct of_phandle_args **out = (void *)ri->data;

	if (!probe_mine())
		return 1;
#ifdef CONFIG_ARM
	*out = (void *)regs_get_kernel_stack_nth(regs, 1);
#else
	*out = (void *)regs_get_kernel_argument(regs, 5);
#endif
	return 0;
}

static int parse_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct of_phandle_args *out = *(struct of_phandle_args **)ri->data;

	out->np = of_node_get(of_root);
	out->args_count = 1;
	out->args[0] = 0;
	regs_set_return_value(regs, 0);
	return 0;
}

static int compatible_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const char *name = (void *)xen_dma_watch_arg(regs, 1);

	return !probe_mine() || strcmp(name, "xen,grant-dma");
}

static int compatible_return(struct kretprobe_instance *ri,
			     struct pt_regs *regs)
{
	regs_set_return_value(regs, 1);
	return 0;
}

static struct kretprobe parse_probe = {
	.kp.symbol_name = "__of_parse_phandle_with_args",
	.entry_handler = parse_entry,
	.handler = parse_return,
	.data_size = sizeof(struct of_phandle_args *),
};

static struct kretprobe compatible_probe = {
	.kp.symbol_name = "of_device_is_compatible",
	.entry_handler = compatible_entry,
	.handler = compatible_return,
};

static bool uses_grant_dma(struct virtio_device *vdev)
{
#ifdef CONFIG_XEN_VIRTIO
	return virtio_check_mem_acc_cb(vdev);
#else
	return false;
#endif
}

/* As if the device tree had: iommus = <&xen-grant-dma 0>; */
static struct device *make_grant_dma_device(struct kunit *test)
{
	const struct dma_map_ops *ops;
	struct virtio_device *vdev;
	struct device *dev;
	bool uses;

	if (!IS_ENABLED(CONFIG_XEN_VIRTIO))
		kunit_skip(test, "needs CONFIG_XEN_VIRTIO");
	if (!xen_initial_domain())
		kunit_skip(test, "not dom0: own number not known");
	vdev = kunit_kzalloc(test, sizeof(*vdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vdev);
	dev = make_device(test, "virtio", true, 0, 0, 0);
	vdev->dev.parent = dev;
	probe_start(test, &parse_probe);
	probe_start(test, &compatible_probe);
	ops = dev->dma_ops;
	dev->of_node = of_root;
	uses = uses_grant_dma(vdev);
	dev->of_node = NULL;
	KUNIT_ASSERT_TRUE(test, uses);
	/* What grant-dma-ops knows of a device outlives it. */
	if (dev->dma_ops == ops)
		kunit_skip(test, "the device has an earlier one's address: boot again");
	return dev;
}

static grant_ref_t dma_to_ref(dma_addr_t dma)
{
	return (dma & ~BIT_ULL(63)) >> XEN_PAGE_SHIFT;
}

static void grant_dma_frames(struct kunit *test)
{
	static const size_t sizes[] = {
		XEN_PAGE_SIZE, 3 * XEN_PAGE_SIZE, PAGE_SIZE + XEN_PAGE_SIZE,
	};
	const size_t off = 5 * XEN_PAGE_SIZE % PAGE_SIZE;
	struct device *dev = make_grant_dma_device(test);
	struct page *page;
	unsigned int i;
	dma_addr_t dma;
	u8 *vaddr;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		vaddr = dma_alloc_coherent(dev, sizes[i], &dma, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, vaddr);
		expect_granted(test, "dma_alloc_coherent", dma_to_ref(dma),
			       vaddr, sizes[i]);
		dma_free_coherent(dev, sizes[i], vaddr, dma);

		page = dma_alloc_pages(dev, sizes[i], &dma, DMA_BIDIRECTIONAL,
				       GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		expect_granted(test, "dma_alloc_pages", dma_to_ref(dma),
			       page_address(page), sizes[i]);
		dma_free_pages(dev, sizes[i], page, dma, DMA_BIDIRECTIONAL);

		vaddr = alloc_pages_exact(off + sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, vaddr);
		dma = dma_map_single(dev, vaddr + off + 0x123,
				     sizes[i] - 0x123, DMA_TO_DEVICE);
		KUNIT_EXPECT_EQ(test, 0, dma_mapping_error(dev, dma));
		KUNIT_EXPECT_EQ(test, 0x123, dma & ~XEN_PAGE_MASK);
		expect_granted(test, "dma_map_single", dma_to_ref(dma),
			       vaddr + off, sizes[i]);
		dma_unmap_single(dev, dma, sizes[i] - 0x123, DMA_TO_DEVICE);
		free_pages_exact(vaddr, off + sizes[i]);
	}
}

/*
 * Buffers that a frontend and its backend share page by page
 */

#define SHBUF_PAGES	3

struct shbuf {
	struct xenbus_device xb_dev;
	struct xen_front_pgdir_shbuf buf;
	struct page *page[SHBUF_PAGES];
	bool ballooned;
	bool made;
};

static void end_shbuf(void *data)
{
	struct shbuf *s = data;

	if (s->made) {
		xen_front_pgdir_shbuf_unmap(&s->buf);
		xen_front_pgdir_shbuf_free(&s->buf);
	}
	give_pages(SHBUF_PAGES, s->page, s->ballooned);
}

/* The backend has granted pages, and the frontend maps them to its own. */
static void shbuf_maps_to_its_pages(struct kunit *test)
{
	struct grants *g = make_grants(test, SHBUF_PAGES, 2);
	struct xen_front_pgdir_shbuf_cfg cfg = {
		.num_pages = SHBUF_PAGES,
		.be_alloc = true,
	};
	struct shbuf *s;
	unsigned int i;
	u64 machine;

	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	s->xb_dev.dev.init_name = "shbuf";
	cfg.xb_dev = &s->xb_dev;
	cfg.pgdir = &s->buf;
	cfg.pages = s->page;
	KUNIT_ASSERT_EQ(test, 0,
			take_pages(SHBUF_PAGES, s->page, &s->ballooned));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_shbuf, s));
	KUNIT_ASSERT_EQ(test, 0, xen_front_pgdir_shbuf_alloc(&cfg));
	s->made = true;
	/* The first word is for the next page of the directory. */
	for (i = 0; i < SHBUF_PAGES; i++)
		((grant_ref_t *)s->buf.directory)[i + 1] = g->ref[i];

	KUNIT_ASSERT_EQ(test, 0, xen_front_pgdir_shbuf_map(&s->buf));
	for (i = 0; i < SHBUF_PAGES; i++) {
		/* Where nothing is mapped, nothing may be read. */
		machine = (u64)pfn_to_bfn(page_to_xen_pfn(s->page[i]))
			  << XEN_PAGE_SHIFT;
		KUNIT_EXPECT_EQ_MSG(test, grant_machine(g, i), machine,
				    "page %u is not mapped", i);
		if (machine != grant_machine(g, i))
			continue;
		strscpy(grant_owner(g, i), "mapped", XEN_PAGE_SIZE);
		KUNIT_EXPECT_STREQ(test, "mapped", page_address(s->page[i]));
	}
}

/* The allocator takes a page back only if nobody has left something in it. */
static void gnttab_private_is_cleared(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned long left;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, page);
	ret = gnttab_pages_set_private(1, &page);
	/* As when a grant is mapped there; on 32 bits it is a pointer already. */
	if (BITS_PER_LONG == 64)
		set_page_private(page, ~0UL);
	gnttab_pages_clear_private(1, &page);
	left = page_private(page);
	set_page_private(page, 0);
	__free_page(page);
	KUNIT_ASSERT_EQ(test, 0, ret);
	KUNIT_EXPECT_EQ(test, left, 0UL);
}

/* More references than a u16 can count. There may be less in all. */
static void references_are_counted(struct kunit *test)
{
	const unsigned int count = U16_MAX + 1;
	grant_ref_t head;
	unsigned int i;

	/* One would leave the list of free ones, which never gets right again. */
	if (__same_type(&gnttab_alloc_grant_references,
			(int (*)(u16, grant_ref_t *))NULL)) {
		KUNIT_FAIL(test, "%u references are taken for none", count);
		return;
	}
	if (gnttab_alloc_grant_references(count, &head))
		return;
	for (i = 0; i < count; i++) {
		int ref = gnttab_claim_grant_reference(&head);

		if (ref < 0)
			break;
		gnttab_free_grant_reference(ref);
	}
	KUNIT_EXPECT_EQ(test, i, count);
}

/*
 * Event channels that a process names: those of a driver are the driver's
 */

static irqreturn_t no_interrupt(int irq, void *unused)
{
	return IRQ_NONE;
}

static void channel_is_not_taken(struct kunit *test)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = DOMID_SELF,
	};
	struct evtchn_status status = { .dom = DOMID_SELF };
	int irq, other;

	KUNIT_ASSERT_EQ(test, 0,
			HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound,
						    &alloc));
	irq = bind_evtchn_to_irqhandler(alloc.port, no_interrupt, 0,
					"xen_dma_test", test);
	KUNIT_ASSERT_GT(test, irq, 0);

	/* As IOCTL_PRIVCMD_IOEVENTFD does with any port */
	other = bind_evtchn_to_irqhandler_lateeoi(alloc.port, no_interrupt,
						  IRQF_SHARED, "xen_dma_test",
						  &other);
	KUNIT_EXPECT_EQ(test, other, -EBUSY);

	status.port = alloc.port;
	KUNIT_EXPECT_EQ(test, 0,
			HYPERVISOR_event_channel_op(EVTCHNOP_status, &status));
	KUNIT_EXPECT_EQ_MSG(test, status.status, EVTCHNSTAT_unbound,
			    "the driver's channel is closed");
	KUNIT_EXPECT_EQ_MSG(test, irq_from_evtchn(alloc.port), irq,
			    "its interrupt is freed");
	if (irq_from_evtchn(alloc.port) == irq)
		unbind_from_irqhandler(irq, test);
}

/*
 * Memory for devices that don't reach all of it
 */

#ifndef IOCTL_GNTDEV_SET_DMA_LIMIT
#define IOCTL_GNTDEV_SET_DMA_LIMIT	_IOC(_IOC_NONE, 'G', 13, sizeof(u64))
#endif

static long set_dma_limit(struct kunit *test, struct file *file, u64 last)
{
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, 0,
			copy_to_user((void __user *)addr, &last, sizeof(last)));
	return file->f_op->unlocked_ioctl(file, IOCTL_GNTDEV_SET_DMA_LIMIT,
					  addr);
}

static void limit_file_end(void *file)
{
	fput(file);
	flush_delayed_fput();
}

/* Tests run in a kernel thread, which has no /dev to open a file in. */
static struct file *gntdev_again(struct kunit *test)
{
	struct file *file;

	if (!gntdev_file)
		kunit_skip(test, "no /dev/xen/gntdev");
	file = dentry_open(&gntdev_file->f_path, O_RDWR, gntdev_file->f_cred);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, limit_file_end,
							   file));
	return file;
}

/* The highest address in a buffer of these grants that gntdev has allocated. */
static u64 buffer_end(struct kunit *test, struct grants *g, struct device *dev,
		      struct file *file, u32 flags)
{
	struct sg_page_iter iter;
	struct import *im;
	u64 end = 0;

	im = import_buf(test, gntdev_export_flags(test, g, file, flags), dev);
	import_map(test, im, DMA_BIDIRECTIONAL);
	for_each_sgtable_page(im->sgt, &iter, 0)
		end = max_t(u64, end, page_to_phys(sg_page_iter_page(&iter)) +
				      PAGE_SIZE - 1);
	dma_buf_unmap_attachment_unlocked(im->attach, im->sgt,
					  DMA_BIDIRECTIONAL);
	return end;
}

static const struct limit_case {
	const char *name;
	u32 flags;
} limit_cases[] = {
	{ "write-combine", GNTDEV_DMA_FLAG_WC },
	{ "coherent", GNTDEV_DMA_FLAG_COHERENT },
};

KUNIT_ARRAY_PARAM_DESC(limit, limit_cases, name);

/* The end of the GB in which the kernel has memory for the poorest devices */
static u64 low_gigabyte(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL | GFP_DMA);
	u64 addr;

	KUNIT_ASSERT_NOT_NULL(test, page);
	addr = page_to_phys(page);
	__free_page(page);
	return addr | (SZ_1G - 1);
}

/* A buffer for a device that reaches 1 GB lies there, if user space says so. */
static void gntdev_dma_limit(struct kunit *test)
{
	const struct limit_case *c = test->param_value;
	const u64 limit = low_gigabyte(test);
	/* More than one page comes from CMA, and that lies low. */
	struct grants *g = make_grants(test, 1, 1);
	struct file *file = gntdev_again(test);
	struct device *dev;
	u64 end;

	dev = make_device(test, "dma", true, 0, 0, 0);
	end = buffer_end(test, g, dev, file, c->flags);
	if (end <= limit)
		kunit_skip(test, "no memory above 0x%llx: the buffer ends at 0x%llx",
			   limit, end);
	kunit_info(test, "without a limit the buffer ends at 0x%llx\n", end);
	KUNIT_EXPECT_EQ(test, 0, set_dma_limit(test, file, limit));
	KUNIT_EXPECT_LE(test, buffer_end(test, g, dev, file, c->flags),
			limit);
	KUNIT_EXPECT_GT(test, buffer_end(test, g, dev, gntdev_file, c->flags),
			limit);
}

static void gntdev_dma_limit_refused(struct kunit *test)
{
	struct file *file = gntdev_again(test);

	KUNIT_EXPECT_EQ(test, -EIO, set_dma_limit(test, file, 0));
	KUNIT_EXPECT_EQ(test, -EIO, set_dma_limit(test, file, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			file->f_op->unlocked_ioctl(file,
						   IOCTL_GNTDEV_SET_DMA_LIMIT,
						   8));
	/* What was refused is not set. */
	KUNIT_EXPECT_EQ(test, 0, set_dma_limit(test, file, U64_MAX));
	KUNIT_EXPECT_EQ(test, -EBUSY, set_dma_limit(test, file, U64_MAX));
}

/*
 * Another domain's frames, mapped through privcmd
 */

#define MAX_FRAMES	1024
/* Frame of the first RAM of a guest on Arm, and one where there is none. */
#define GUEST_RAM	0x40000ULL
#define NO_RAM		0x10000000000ULL

struct foreign {
	struct file *file;
	unsigned long args;		/* user memory: the arrays come first */
	domid_t dom;
	xen_pfn_t gfn[MAX_FRAMES];
	int err[MAX_FRAMES];
	unsigned int nr;
};

static struct {
	unsigned int maps, unmaps;
	bool refuse;			/* to map, as a whole */
	void *call;			/* of the multicall that is made */
	unsigned int nr_calls;
	unsigned int given_back;	/* pages that were mapped at */
} hypercalls;

static int memory_op_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (!probe_mine())
		return 1;
	if (xen_dma_watch_arg(regs, 0) == XENMEM_add_to_physmap_range) {
		hypercalls.maps++;
		/* There is no such operation, says Xen. */
		if (hypercalls.refuse)
			probe_set_arg(regs, 0, 0x3f);
	}
	if (xen_dma_watch_arg(regs, 0) == XENMEM_remove_from_physmap)
		hypercalls.unmaps++;
	return 1;
}

static int multicall_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (probe_mine())
		hypercalls.unmaps++;
	return 1;
}

static struct kretprobe memory_op_probe = {
	.kp.symbol_name = "HYPERVISOR_memory_op",
	.entry_handler = memory_op_entry,
};

static struct kretprobe multicall_probe = {
	.kp.symbol_name = "HYPERVISOR_multicall",
	.entry_handler = multicall_entry,
};

static int unmap_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return !probe_mine() ||
	       xen_dma_watch_arg(regs, 0) != XENMEM_remove_from_physmap;
}

/* It is done all the same: the page does no harm. */
static int unmap_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	hypercalls.unmaps++;
	regs_set_return_value(regs, -ENOMEM);
	return 0;
}

static int unmaps_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (!probe_mine())
		return 1;
	hypercalls.call = (void *)xen_dma_watch_arg(regs, 0);
	hypercalls.nr_calls = xen_dma_watch_arg(regs, 1);
	return 0;
}

static int unmaps_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct multicall_entry *call = hypercalls.call;

	hypercalls.unmaps++;
	if (!regs_return_value(regs))
		call[hypercalls.nr_calls - 1].result = -ENOMEM;
	return 0;
}

static struct kretprobe unmap_probe = {
	.kp.symbol_name = "HYPERVISOR_memory_op",
	.entry_handler = unmap_entry,
	.handler = unmap_return,
};

static struct kretprobe unmaps_probe = {
	.kp.symbol_name = "HYPERVISOR_multicall",
	.entry_handler = unmaps_entry,
	.handler = unmaps_return,
};

static int give_back_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (probe_mine())
		hypercalls.given_back += xen_dma_watch_arg(regs, 0);
	return 1;
}

static struct kretprobe give_back_probe = {
	.kp.symbol_name = "xen_free_unpopulated_pages",
	.entry_handler = give_back_entry,
};

static unsigned long user_map(struct kunit *test, struct file *file, size_t len)
{
	unsigned long addr;

	addr = kunit_vm_mmap(test, file, 0, len, PROT_READ | PROT_WRITE,
			     file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS,
			     0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

/* Map frames of @dom at @addr: what the ioctl returns, and f->err. */
static long foreign_map(struct kunit *test, struct foreign *f, domid_t dom,
			unsigned long addr, unsigned int first, unsigned int nr)
{
	xen_pfn_t __user *arr = (void __user *)f->args;
	int __user *err = (void __user *)(arr + MAX_FRAMES);
	struct privcmd_mmapbatch_v2 op = {
		.num = nr,
		.dom = dom,
		.addr = addr,
		.arr = arr,
		.err = err,
	};
	void __user *arg = err + MAX_FRAMES;
	long ret;

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arr, f->gfn + first,
					      nr * sizeof(f->gfn[0])));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg, &op, sizeof(op)));
	ret = f->file->f_op->unlocked_ioctl(f->file,
					    IOCTL_PRIVCMD_MMAPBATCH_V2,
					    (unsigned long)arg);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(f->err + first, err,
						nr * sizeof(f->err[0])));
	return ret;
}

/* The same with the older ioctl, which puts errors into the frames. */
static long foreign_map_v1(struct kunit *test, struct foreign *f,
			   unsigned long addr, xen_pfn_t *result)
{
	xen_pfn_t __user *arr = (void __user *)f->args;
	struct privcmd_mmapbatch op = {
		.num = f->nr,
		.dom = f->dom,
		.addr = addr,
		.arr = arr,
	};
	void __user *arg = arr + MAX_FRAMES;
	long ret;

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arr, f->gfn,
					      f->nr * sizeof(f->gfn[0])));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg, &op, sizeof(op)));
	ret = f->file->f_op->unlocked_ioctl(f->file, IOCTL_PRIVCMD_MMAPBATCH,
					    (unsigned long)arg);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(result, arr,
						f->nr * sizeof(*result)));
	return ret;
}

static struct foreign *make_foreign(struct kunit *test)
{
	struct foreign *f;
	unsigned long addr;
	unsigned int i;

	if (PAGE_SIZE != XEN_PAGE_SIZE)
		kunit_skip(test, "needs pages of the size of Xen's");
	if (!xen_initial_domain())
		kunit_skip(test, "not dom0");
	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	f->file = privcmd_file;
	if (!f->file)
		kunit_skip(test, "no /dev/xen/privcmd");
	f->args = user_map(test, NULL, SZ_16K);

	f->nr = MAX_FRAMES;
	for (i = 0; i < f->nr; i++)
		f->gfn[i] = GUEST_RAM + i;
	for (f->dom = 1; f->dom < 8; f->dom++) {
		long ret;

		addr = user_map(test, f->file, PAGE_SIZE);
		ret = foreign_map(test, f, f->dom, addr, f->nr - 1, 1);
		vm_munmap(addr, PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, 0, ret);
		if (!f->err[f->nr - 1])
			return f;
	}
	kunit_skip(test, "no guest (domain 1 to 7) with 4 MB of RAM");
	return NULL;
}

/* A thousand frames are not a thousand times the work of one. */
static void privcmd_few_hypercalls(struct kunit *test)
{
	struct foreign *f = make_foreign(test);
	size_t size = f->nr * PAGE_SIZE;
	unsigned long addr;
	unsigned int i;

	addr = user_map(test, f->file, size);
	memset(&hypercalls, 0, sizeof(hypercalls));
	probe_start(test, &memory_op_probe);
	probe_start(test, &multicall_probe);
	KUNIT_EXPECT_EQ(test, 0, foreign_map(test, f, f->dom, addr, 0, f->nr));
	KUNIT_EXPECT_LE_MSG(test, hypercalls.maps, 4,
			    "hypercalls to map %u frames", f->nr);
	KUNIT_EXPECT_GE(test, hypercalls.maps, 1);
	for (i = 0; i < f->nr && !f->err[i]; i++)
		;
	KUNIT_EXPECT_EQ_MSG(test, f->nr, i, "frames mapped");

	memset(&hypercalls, 0, sizeof(hypercalls));
	vm_munmap(addr, size);
	KUNIT_EXPECT_LE_MSG(test, hypercalls.unmaps, 32,
			    "hypercalls to unmap %u frames", f->nr);
	KUNIT_EXPECT_GE(test, hypercalls.unmaps, 1);
}

/* Frames 2 MB apart: the lab's peer has pages there that differ. */
static void spread_frames(struct foreign *f, unsigned int nr)
{
	unsigned int i;

	f->nr = nr;
	for (i = 0; i < nr; i++)
		f->gfn[i] = GUEST_RAM + (i & 1 ? i : i / 2 * (SZ_2M / SZ_4K));
}

/* Is at these two places the same? @blank: nothing to tell it by. */
static bool same_page(struct kunit *test, unsigned long at,
		      unsigned long other, bool *blank)
{
	u8 *a = kunit_kmalloc(test, 2 * PAGE_SIZE, GFP_KERNEL);
	bool same;

	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_EQ(test, 0,
			copy_from_user(a, (void __user *)at, PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(a + PAGE_SIZE,
						(void __user *)other,
						PAGE_SIZE));
	same = !memcmp(a, a + PAGE_SIZE, PAGE_SIZE);
	*blank = !memchr_inv(a, a[0], PAGE_SIZE);
	kunit_kfree(test, a);
	return same;
}

/*
 * Each frame's error, and what is mapped, must be as if the frame had been
 * mapped alone.
 */
static void privcmd_same_as_one_by_one(struct kunit *test)
{
	static const unsigned int bad[] = { 0, 1, 255, 256, 511, 512, 513, 1000 };
	struct foreign *f = make_foreign(test);
	unsigned int i, differing = 0, failed = 0, shown = 0;
	unsigned long all, one;
	xen_pfn_t *v1;
	bool blank;
	int *err;

	v1 = kunit_kcalloc(test, MAX_FRAMES, sizeof(*v1), GFP_KERNEL);
	err = kunit_kcalloc(test, MAX_FRAMES, sizeof(*err), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, v1);
	KUNIT_ASSERT_NOT_NULL(test, err);

	/* No multiple of any batch's size. */
	spread_frames(f, MAX_FRAMES - 19);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		f->gfn[bad[i]] = NO_RAM + i;

	all = user_map(test, f->file, f->nr * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, foreign_map(test, f, f->dom, all, 0, f->nr));
	memcpy(err, f->err, f->nr * sizeof(*err));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL, err[bad[i]]);

	for (i = 0; i < f->nr && shown < 8; i++) {
		one = user_map(test, f->file, PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, 0,
				foreign_map(test, f, f->dom, one, i, 1));
		if (f->err[i] != err[i]) {
			KUNIT_FAIL(test, "frame %u: error %d, alone %d", i,
				   err[i], f->err[i]);
			shown++;
		} else if (f->err[i]) {
			failed++;
		} else {
			if (!same_page(test, all + i * PAGE_SIZE, one, &blank)) {
				KUNIT_FAIL(test, "frame %u: another page", i);
				shown++;
			}
			differing += !blank;
		}
		vm_munmap(one, PAGE_SIZE);
	}
	kunit_info(test, "%u frames failed, %u pages are not blank\n", failed,
		   differing);
	vm_munmap(all, f->nr * PAGE_SIZE);

	all = user_map(test, f->file, f->nr * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, foreign_map_v1(test, f, all, v1));
	for (i = 0; i < f->nr; i++) {
		xen_pfn_t want = f->gfn[i];

		if (err[i])
			want |= PRIVCMD_MMAPBATCH_MFN_ERROR;
		if (v1[i] == want)
			continue;
		KUNIT_FAIL(test, "V1, frame %u: 0x%llx, expected 0x%llx", i,
			   (u64)v1[i], (u64)want);
		break;
	}
	vm_munmap(all, f->nr * PAGE_SIZE);
}

/*
 * privcmd comes with 512 frames at most; what it calls may be given more. The
 * mapping frees the pages, as those that privcmd puts there itself.
 */
static void remap_more_than_privcmd(struct kunit *test)
{
	static const unsigned int look[] = { 0, 2, 510, 511, 512, 514, 598 };
	struct foreign *f = make_foreign(test);
	struct vm_area_struct *vma;
	unsigned int i, differing = 0;
	unsigned long addr, one;
	struct page **pages;
	int mapped;

	spread_frames(f, 600);
	addr = user_map(test, f->file, f->nr * PAGE_SIZE);
	pages = kvzalloc_objs(*pages, f->nr);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	if (xen_alloc_unpopulated_pages(f->nr, pages)) {
		kvfree(pages);
		KUNIT_FAIL_AND_ABORT(test, "no pages without memory");
	}
	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	vma->vm_private_data = pages;
	mapped = xen_remap_domain_gfn_array(vma, addr, f->gfn, f->nr, f->err,
					    vma->vm_page_prot, f->dom, pages);
	mmap_write_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, f->nr, mapped);

	for (i = 0; i < ARRAY_SIZE(look); i++) {
		bool blank;

		one = user_map(test, f->file, PAGE_SIZE);
		KUNIT_ASSERT_EQ(test, 0, foreign_map(test, f, f->dom, one,
						     look[i], 1));
		KUNIT_EXPECT_TRUE_MSG(test,
				      same_page(test, addr + look[i] * PAGE_SIZE,
						one, &blank),
				      "frame %u: another page", look[i]);
		differing += !blank;
		vm_munmap(one, PAGE_SIZE);
	}
	vm_munmap(addr, f->nr * PAGE_SIZE);
	if (!differing && test->status != KUNIT_FAILURE)
		kunit_skip(test, "the guest's pages are all blank");
}

/* What has failed as a whole can be filled in piece by piece. */
static void privcmd_retry(struct kunit *test)
{
	struct foreign *f = make_foreign(test);
	unsigned int i;
	unsigned long addr;

	addr = user_map(test, f->file, f->nr * PAGE_SIZE);
	memset(&hypercalls, 0, sizeof(hypercalls));
	hypercalls.refuse = true;
	probe_start(test, &memory_op_probe);
	KUNIT_ASSERT_EQ(test, 0, foreign_map(test, f, f->dom, addr, 0, f->nr));
	hypercalls.refuse = false;
	for (i = 0; i < f->nr; i++)
		if (f->err[i] != -ENOSYS)
			break;
	KUNIT_EXPECT_EQ_MSG(test, f->nr, i, "frames refused with -ENOSYS");

	KUNIT_EXPECT_EQ(test, 0,
			foreign_map(test, f, f->dom, addr + 600 * PAGE_SIZE,
				    600, 100));
	for (i = 600; i < 700; i++)
		if (f->err[i])
			break;
	KUNIT_EXPECT_EQ_MSG(test, 700, i, "frames mapped in the hole");
	/* And are there now, so that they cannot be mapped over. */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			foreign_map(test, f, f->dom, addr + 650 * PAGE_SIZE,
				    650, 1));
	KUNIT_EXPECT_EQ(test, 0,
			foreign_map(test, f, f->dom, addr + 599 * PAGE_SIZE,
				    599, 1));
	vm_munmap(addr, f->nr * PAGE_SIZE);
}

/* No page that is free again may still show a guest's memory. */
static void privcmd_unmaps_all(struct kunit *test)
{
	struct foreign *f = make_foreign(test);
	unsigned long addr, *pfn;
	unsigned int i;

	f->nr = MAX_FRAMES - 23;
	pfn = kunit_kcalloc(test, f->nr, sizeof(*pfn), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pfn);
	addr = user_map(test, f->file, f->nr * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, foreign_map(test, f, f->dom, addr, 0, f->nr));
	for (i = 0; i < f->nr; i++)
		KUNIT_ASSERT_EQ(test, 0,
				xen_dma_watch_user_pfn(addr + i * PAGE_SIZE,
						       &pfn[i]));
	vm_munmap(addr, f->nr * PAGE_SIZE);
	for (i = 0; i < f->nr; i++) {
		struct xen_remove_from_physmap xrp = {
			.domid = DOMID_SELF,
			.gpfn = pfn[i],
		};

		if (HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &xrp))
			continue;
		KUNIT_FAIL(test, "page %u was still mapped", i);
		break;
	}
}

/* Nor is a page free again that may do so. Three pages are lost with this. */
static void privcmd_unmap_fails(struct kunit *test)
{
	struct foreign *f = make_foreign(test);
	unsigned long addr;

	memset(&hypercalls, 0, sizeof(hypercalls));
	probe_start(test, &give_back_probe);
	addr = user_map(test, f->file, 3 * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, foreign_map(test, f, f->dom, addr, 0, 3));
	vm_munmap(addr, 3 * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 3, hypercalls.given_back);

	addr = user_map(test, f->file, 3 * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, foreign_map(test, f, f->dom, addr, 0, 3));
	hypercalls.given_back = 0;
	probe_start(test, &unmap_probe);
	probe_start(test, &unmaps_probe);
	vm_munmap(addr, 3 * PAGE_SIZE);
	KUNIT_EXPECT_GE(test, hypercalls.unmaps, 1);
	KUNIT_EXPECT_EQ_MSG(test, 0, hypercalls.given_back,
			    "pages free again that Xen has not unmapped");
}

/* What is mapped there is foreign, and nobody has said where it is. */
static void privcmd_has_no_bus_address(struct kunit *test)
{
	struct device *dev = make_device(test, "xen-dma-grant-privcmd", true,
					 0, 0, 0);
	struct foreign *f = make_foreign(test);
	unsigned long addr, pfn;

	addr = user_map(test, f->file, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, foreign_map(test, f, f->dom, addr, 0, 1));
	KUNIT_ASSERT_EQ(test, 0, xen_dma_watch_user_pfn(addr, &pfn));
	map_in_vain(test, dev, pfn_to_page(pfn), "a page of another domain");
	vm_munmap(addr, PAGE_SIZE);
}

/*
 * The suite
 */

static struct kunit_case xen_dma_grant_test_cases[] = {
	KUNIT_CASE(failed_unmap_stays_foreign),
	KUNIT_CASE(mapped_over_a_failed_unmap),
	KUNIT_CASE_SLOW(map_while_memory_is_short),
	KUNIT_CASE(no_bus_address_without_memory),
	KUNIT_CASE(bus_address_after_dma_buffer),
	KUNIT_CASE(bus_address_after_balloon),
	KUNIT_CASE(balloon_is_given_all_back),
	KUNIT_CASE(end_while_mapped),
	KUNIT_CASE_PARAM(p2m_ranges_do_not_overlap, p2m_gen_params),
	KUNIT_CASE(p2m_range_loses_no_more_pages),
	KUNIT_CASE_PARAM(gntdev_dmabuf_entries, entries_gen_params),
	KUNIT_CASE_PARAM(gntdev_dmabuf_bounced, dir_gen_params),
	KUNIT_CASE(gntdev_dmabuf_maintained),
	KUNIT_CASE_PARAM(gnttab_dma_partly_taken, part_gen_params),
	KUNIT_CASE_PARAM(gnttab_dma_partly_populated, part_gen_params),
	KUNIT_CASE(gnttab_private_is_cleared),
	KUNIT_CASE(references_are_counted),
	KUNIT_CASE(channel_is_not_taken),
	KUNIT_CASE_PARAM(gntdev_dma_limit, limit_gen_params),
	KUNIT_CASE(gntdev_dma_limit_refused),
	KUNIT_CASE(unpopulated_without_space),
	KUNIT_CASE(grant_dma_frames),
	KUNIT_CASE(shbuf_maps_to_its_pages),
	KUNIT_CASE(privcmd_few_hypercalls),
	KUNIT_CASE_SLOW(privcmd_same_as_one_by_one),
	KUNIT_CASE(remap_more_than_privcmd),
	KUNIT_CASE(privcmd_retry),
	KUNIT_CASE(privcmd_unmaps_all),
	KUNIT_CASE(privcmd_unmap_fails),
	KUNIT_CASE(privcmd_has_no_bus_address),
	{}
};

static int xen_dma_grant_test_suite_init(struct kunit_suite *suite)
{
	if (!xen_domain())
		return 0;
	gntdev_file = open_device("/dev/xen/gntdev");
	privcmd_file = open_device("/dev/xen/privcmd");
	return 0;
}

static void xen_dma_grant_test_suite_exit(struct kunit_suite *suite)
{
	if (gntdev_file)
		fput(gntdev_file);
	if (privcmd_file)
		fput(privcmd_file);
	gntdev_file = NULL;
	privcmd_file = NULL;
}

static int xen_dma_grant_test_init(struct kunit *test)
{
	if (!xen_swiotlb_detect())
		kunit_skip(test, "not a direct-mapped Xen domain");
	return 0;
}

static struct kunit_suite xen_dma_grant_test_suite = {
	.name = "xen_dma_grant_test",
	.suite_init = xen_dma_grant_test_suite_init,
	.suite_exit = xen_dma_grant_test_suite_exit,
	.init = xen_dma_grant_test_init,
	.test_cases = xen_dma_grant_test_cases,
};

kunit_test_suite(xen_dma_grant_test_suite);

MODULE_DESCRIPTION("KUnit tests of grants in a direct-mapped Xen domain");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
