// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a device really reads and writes the memory it was given, dom0's
 * own and that of another domain, with QEMU's "edu" devices (-device edu).
 *
 * They need a machine on which a wrong address does not work: the window lab
 * (tools/testing/lab/window), whose PCI devices reach RAM only through a window
 * and whose peer guest (tools/testing/lab/peer) says what it sees in its memory.
 *
 * An edu device has a buffer of 4 KB that only its own DMA can get at. Data to
 * write is loaded from, and data read is put into, a coherent buffer. Each
 * command takes 100 ms, so cases run side by side on all devices there are;
 * eight are best.
 *
 * data_* tests look at the data and at the DMA addresses, maintenance_* tests
 * at the cache maintenance: emulated caches lose nothing, so what a call
 * maintained is watched and compared with the DMA API's rules. Expected
 * addresses come from the device tree and from Xen.
 *
 * selftest_* tests are about the lab itself. A deliberate DMA fault is
 * announced by a line "expect-dma-fault: device address read|write" in the log.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/uaccess.h>

#include <xen/balloon.h>
#include <xen/grant_table.h>
#include <xen/gntdev.h>
#include <xen/page.h>
#include <xen/xen.h>

#include "xen_dma_edu_peer.h"
#include "xen_dma_test_watch.h"

static unsigned int peer_domid = 1;
module_param_named(peer, peer_domid, uint, 0444);
MODULE_PARM_DESC(peer, "domain of the peer guest, 0: there is none (1)");

static unsigned int peer_timeout_ms = 5000;
module_param(peer_timeout_ms, uint, 0444);
MODULE_PARM_DESC(peer_timeout_ms, "how long the peer may take to answer (5000)");

static unsigned int dma_bits = 32;
module_param(dma_bits, uint, 0444);
MODULE_PARM_DESC(dma_bits, "address bits that the edu devices drive, log2(dma_mask) (32)");

static char *lab_fault = "";
module_param(lab_fault, charp, 0444);
MODULE_PARM_DESC(lab_fault, "test of the lab, which must fail then: pattern (expect wrong data), mute, die (the peer does)");

static unsigned int race_ms = 1500;
module_param(race_ms, uint, 0444);
MODULE_PARM_DESC(race_ms, "how long unmap_races_with_sync races (1500)");

/* Registers and the DMA buffer of the device, QEMU's docs/specs/edu.rst */
#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8
#define EDU_REG_DMA_SRC		0x80
#define EDU_REG_DMA_DST		0x88
#define EDU_REG_DMA_COUNT	0x90
#define EDU_REG_DMA_CMD		0x98
#define EDU_DMA_RUN		BIT(0)
#define EDU_DMA_TO_RAM		BIT(1)
#define EDU_BUF			0x40000
#define EDU_BUF_SIZE		4096

#define EDU_MAX			8
#define EDU_MAX_RANGES		8
#define EDU_TIMEOUT_US		(5 * USEC_PER_SEC)

/* One entry of the host bridge's dma-ranges */
struct edu_range {
	u64 dma;
	u64 machine;
	u64 size;
};

/**
 * struct edu - one device
 * @pdev: the device
 * @regs: its registers
 * @stage_in: coherent buffer whose content the device can be made to write
 * @stage_out: coherent buffer for what the device has read
 * @stage_in_dma: address of @stage_in for the device
 * @stage_out_dma: address of @stage_out for the device
 * @range: what the device tree says about the device's addresses
 * @nr_ranges: entries in @range; 0: an address is a machine address
 */
struct edu {
	struct pci_dev *pdev;
	void __iomem *regs;
	u8 *stage_in;
	u8 *stage_out;
	dma_addr_t stage_in_dma;
	dma_addr_t stage_out_dma;
	struct edu_range range[EDU_MAX_RANGES];
	unsigned int nr_ranges;
};

static struct edu *edus[EDU_MAX];
static unsigned int nr_edus;
/* The devices do not even get at their staging buffers: nothing else can work */
static bool edus_broken;

static struct peer *peer;
static struct xen_dma_watch_record watch_record;
static bool watching;

/*
 * The device and what the device tree says about it
 */

/* Read dma-ranges as it stands: kernel/dma and drivers/of are not asked */
static int edu_read_ranges(struct edu *edu)
{
	struct pci_host_bridge *bridge = pci_find_host_bridge(edu->pdev->bus);
	struct device_node *np = dev_of_node(bridge->dev.parent);
	const int na = 3, ns = 2;
	const __be32 *cell;
	int len, pna;

	if (!np)
		return 0;
	cell = of_get_property(np, "dma-ranges", &len);
	if (!cell)
		return 0;
	pna = of_n_addr_cells(np);
	for (len /= sizeof(*cell); len >= na + pna + ns; len -= na + pna + ns) {
		if (edu->nr_ranges == EDU_MAX_RANGES)
			return -ENOSPC;
		edu->range[edu->nr_ranges++] = (struct edu_range) {
			/* The first cell has flags, not address bits */
			.dma = of_read_number(cell + 1, na - 1),
			.machine = of_read_number(cell + na, pna),
			.size = of_read_number(cell + na + pna, ns),
		};
		cell += na + pna + ns;
	}
	return 0;
}

/* Address by which the device reaches machine memory, false: not as a whole */
static bool edu_reaches(const struct edu *edu, u64 machine, u64 len, u64 *dma)
{
	u64 end, mask = DMA_BIT_MASK(dma_bits);
	unsigned int i;

	if (!edu->nr_ranges) {
		*dma = machine;
		return machine + len - 1 <= mask;
	}
	for (i = 0; i < edu->nr_ranges; i++) {
		const struct edu_range *r = &edu->range[i];

		if (machine < r->machine || machine - r->machine >= r->size)
			continue;
		*dma = machine - r->machine + r->dma;
		end = machine - r->machine + len;
		return end <= r->size && *dma + len - 1 <= mask;
	}
	return false;
}

/* Machine memory behind the device's address, false: none, or not as a whole */
static bool edu_machine(const struct edu *edu, u64 dma, u64 len, u64 *machine)
{
	unsigned int i;

	if (!edu->nr_ranges) {
		*machine = dma;
		return true;
	}
	for (i = 0; i < edu->nr_ranges; i++) {
		const struct edu_range *r = &edu->range[i];

		if (dma < r->dma || dma - r->dma >= r->size)
			continue;
		*machine = dma - r->dma + r->machine;
		return dma - r->dma + len <= r->size;
	}
	return false;
}

static struct device *edu_dev(const struct edu *edu)
{
	return &edu->pdev->dev;
}

/* Start a transfer between @dma and the device's buffer; edu_wait() ends it */
static void edu_start(struct edu *edu, u64 dma, size_t len, bool to_ram)
{
	writeq(to_ram ? EDU_BUF : dma, edu->regs + EDU_REG_DMA_SRC);
	writeq(to_ram ? dma : EDU_BUF, edu->regs + EDU_REG_DMA_DST);
	writeq(len, edu->regs + EDU_REG_DMA_COUNT);
	writeq(EDU_DMA_RUN | (to_ram ? EDU_DMA_TO_RAM : 0),
	       edu->regs + EDU_REG_DMA_CMD);
}

static int edu_wait(struct edu *edu)
{
	u64 cmd;

	return readq_poll_timeout(edu->regs + EDU_REG_DMA_CMD, cmd,
				  !(cmd & EDU_DMA_RUN), 1000, EDU_TIMEOUT_US);
}

static int edu_transfer(struct edu *edu, u64 dma, size_t len, bool to_ram)
{
	edu_start(edu, dma, len, to_ram);
	return edu_wait(edu);
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu;
	int ret;

	if (nr_edus == EDU_MAX)
		return -ENOSPC;
	edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;
	edu->pdev = pdev;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	edu->regs = pcim_iomap(pdev, 0, 0);
	if (!edu->regs)
		return -ENOMEM;
	ret = edu_read_ranges(edu);
	if (ret)
		return ret;
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(dma_bits));
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "DMA mask of %u bits\n",
				     dma_bits);
	edu->stage_in = dmam_alloc_coherent(&pdev->dev, EDU_BUF_SIZE,
					    &edu->stage_in_dma, GFP_KERNEL);
	edu->stage_out = dmam_alloc_coherent(&pdev->dev, EDU_BUF_SIZE,
					     &edu->stage_out_dma, GFP_KERNEL);
	if (!edu->stage_in || !edu->stage_out)
		return dev_err_probe(&pdev->dev, -ENOMEM,
				     "no coherent memory for the device\n");
	pci_set_master(pdev);
	edus[nr_edus++] = edu;
	return 0;
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{ }
};

/* No MODULE_DEVICE_TABLE: tests run when they are asked for */
static struct pci_driver edu_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = edu_probe,
};

/*
 * Memory to test with
 */

enum edu_kind {
	/* dom0's own, in and out of the device's reach */
	LOCAL,
	LOCAL_OUTSIDE,
	/* The peer's; _PFN_VALID: the machine frame's number is a valid pfn too */
	FOREIGN,
	FOREIGN_PFN_VALID,
	FOREIGN_OUTSIDE,
};

static const char * const edu_kind_name[] = {
	[LOCAL] = "local",
	[LOCAL_OUTSIDE] = "local_bounced",
	[FOREIGN] = "foreign",
	[FOREIGN_PFN_VALID] = "foreign_pfn_valid",
	[FOREIGN_OUTSIDE] = "foreign_bounced",
};

static const char * const edu_dir_name[] = {
	[DMA_BIDIRECTIONAL] = "bidirectional",
	[DMA_TO_DEVICE] = "to_device",
	[DMA_FROM_DEVICE] = "from_device",
};

#define AREA_PAGES		4
#define AREA_SIZE		(AREA_PAGES * PAGE_SIZE)
#define MEM_PAGES		XEN_DMA_PEER_RUN_PAGES
#define MEM_SIZE		(MEM_PAGES * PAGE_SIZE)

/**
 * struct edu_mem - MEM_PAGES pages of one kind, contiguous in machine memory
 * @kind: the kind
 * @page: first page
 * @machine: machine address
 * @run: run of the peer's, for foreign memory
 * @slot: first slot that it is mapped to, for foreign memory
 */
struct edu_mem {
	enum edu_kind kind;
	struct page *page;
	u64 machine;
	u32 run;
	unsigned int slot;
};

static bool kind_is_foreign(enum edu_kind kind)
{
	return kind >= FOREIGN;
}

static bool kind_is_direct(enum edu_kind kind)
{
	return kind != LOCAL_OUTSIDE && kind != FOREIGN_OUTSIDE;
}

/* A seed for each purpose; distinct, and the same in each run */
static u64 new_seed(void)
{
	static u64 seed;

	return ++seed << 32;
}

static void mem_fill(struct kunit *test, const struct edu_mem *mem, size_t off,
		     size_t len, u64 seed)
{
	u8 *p = page_address(mem->page) + off;
	size_t i;

	if (kind_is_foreign(mem->kind)) {
		KUNIT_ASSERT_EQ_MSG(test,
				    peer_order(peer, XEN_DMA_PEER_FILL,
					       mem->run, off, len, seed),
				    0, "%s", peer->why);
		return;
	}
	for (i = 0; i < len; i++)
		p[i] = xen_dma_peer_pattern(seed, i);
}

/* Compare with pattern @seed: in the eyes of the memory's owner */
static void mem_expect(struct kunit *test, const struct edu_mem *mem,
		       const char *what, size_t off, size_t len, u64 seed)
{
	u8 *p = page_address(mem->page) + off;
	size_t i;

	if (!strcmp(lab_fault, "pattern"))
		seed++;
	if (kind_is_foreign(mem->kind)) {
		const struct xen_dma_peer_ctrl *c = peer->ctrl;

		KUNIT_ASSERT_EQ_MSG(test,
				    peer_order(peer, XEN_DMA_PEER_CHECK,
					       mem->run, off, len, seed),
				    0, "%s", peer->why);
		if (c->rsp_bad)
			KUNIT_FAIL(test,
				   "%s: the peer sees %u of %zu bytes wrong, the first at 0x%zx: 0x%02x, not 0x%02x",
				   what, c->rsp_bad, len, off + c->rsp_first,
				   c->rsp_got, c->rsp_want);
		return;
	}
	for (i = 0; i < len; i++) {
		u8 want = xen_dma_peer_pattern(seed, i);

		if (p[i] == want)
			continue;
		KUNIT_FAIL(test, "%s: wrong at 0x%zx of %zu bytes: 0x%02x, not 0x%02x",
			   what, off + i, len, p[i], want);
		return;
	}
}

/* Nothing may have been written to what the peer granted to nobody */
static void expect_guards(struct kunit *test)
{
	const struct xen_dma_peer_ctrl *c = peer->ctrl;

	KUNIT_ASSERT_EQ_MSG(test,
			    peer_order(peer, XEN_DMA_PEER_GUARDS, 0, 0, 0, 0),
			    0, "%s", peer->why);
	if (c->rsp_bad)
		KUNIT_FAIL(test,
			   "%u bytes of pages that the peer did not grant were overwritten, the first at %d of run %u: 0x%02x, not 0x%02x",
			   c->rsp_bad, c->rsp_first, c->rsp_run, c->rsp_got,
			   c->rsp_want);
}

static void need_edu(struct kunit *test)
{
	struct pci_dev *pdev;

	if (edus_broken)
		KUNIT_FAIL_AND_ABORT(test,
				     "the devices reach no coherent memory, see selftest_stage");
	if (nr_edus)
		return;
	pdev = pci_get_device(EDU_VENDOR, EDU_DEVICE, NULL);
	if (!pdev)
		kunit_skip(test, "no edu device (QEMU: -device edu,dma_mask=...)");
	pci_dev_put(pdev);
	KUNIT_FAIL_AND_ABORT(test, "no edu device came up, the log says why");
}

static void need_peer(struct kunit *test)
{
	need_edu(test);
	if (!peer)
		kunit_skip(test, xen_domain() ? "told that there is no peer (peer=0)" :
						"not running under Xen");
	if (PAGE_SIZE != XEN_PAGE_SIZE)
		kunit_skip(test, "%s", peer->why);
	if (peer->why[0])
		KUNIT_FAIL_AND_ABORT(test, "%s", peer->why);
}

static void need_watch(struct kunit *test)
{
	if (!watching)
		kunit_skip(test, "no kprobes on the cache maintenance functions");
}

static void free_mem_pages(void *page)
{
	__free_pages(page, get_order(MEM_SIZE));
}

static void unmap_mem_slots(void *slot)
{
	int ret = peer_unmap(peer, (unsigned long)slot, MEM_PAGES);

	if (ret)
		pr_err("cannot unmap slots from %lu on: %d\n",
		       (unsigned long)slot, ret);
}

/* Local pages in or out of the device's reach, NULL if there are none */
static struct page *get_local(struct kunit *test, struct edu *edu, bool inside)
{
	const unsigned int order = get_order(MEM_SIZE), tries = 3072;
	const gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;
	struct page *page, *found = NULL;
	LIST_HEAD(rejected);
	unsigned int i;
	u64 dma;

	/* dom0 may have many pages of the other kind, that come first */
	for (i = 0; i < tries && !found; i++) {
		page = alloc_pages(gfp | (inside && (i & 1) ? __GFP_DMA : 0),
				   order);
		if (!page)
			continue;
		if (edu_reaches(edu, page_to_phys(page), MEM_SIZE, &dma) == inside &&
		    (inside || !edu_reaches(edu, page_to_phys(page), 1, &dma)))
			found = page;
		else
			list_add(&page->lru, &rejected);
	}
	while ((page = list_first_entry_or_null(&rejected, struct page, lru))) {
		list_del(&page->lru);
		__free_pages(page, order);
	}
	if (found)
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, free_mem_pages,
							  found));
	return found;
}

static bool run_is(struct edu *edu, u32 run, enum edu_kind kind)
{
	u64 dma, machine = peer->run_machine[run];
	bool inside, valid;

	if (machine == PEER_SCATTERED)
		return false;
	inside = edu_reaches(edu, machine, MEM_SIZE, &dma);
	valid = pfn_valid(PFN_DOWN(machine));

	switch (kind) {
	case FOREIGN:
		return inside && !valid;
	case FOREIGN_PFN_VALID:
		return inside && valid;
	case FOREIGN_OUTSIDE:
		return !inside && !edu_reaches(edu, machine, 1, &dma);
	default:
		return false;
	}
}

static bool find_run(struct edu *edu, enum edu_kind kind, u32 *run)
{
	for (*run = 0; *run < peer->nr_runs; (*run)++)
		if (run_is(edu, *run, kind))
			return true;
	return false;
}

/*
 * Pages for grants and foreign mappings come from address space that dom0 has
 * no RAM in, where other domains do: ask for more of them until their numbers
 * meet machine frames of the peer's. It happens by itself in a dom0 that maps
 * much.
 */
static bool make_pfn_valid(struct edu *edu, u32 *run)
{
	const unsigned int max_sections = 24;
	struct page ***section;
	unsigned int i, nr = 0;
	bool found = false;

	section = kzalloc_objs(*section, max_sections);
	if (!section)
		return false;
	while (!(found = find_run(edu, FOREIGN_PFN_VALID, run)) &&
	       nr < max_sections) {
		section[nr] = kvcalloc(PAGES_PER_SECTION, sizeof(**section),
				       GFP_KERNEL);
		if (!section[nr])
			break;
		if (xen_alloc_unpopulated_pages(PAGES_PER_SECTION,
						section[nr])) {
			kvfree(section[nr]);
			break;
		}
		nr++;
	}
	for (i = 0; i < nr; i++) {
		xen_free_unpopulated_pages(PAGES_PER_SECTION, section[i]);
		kvfree(section[i]);
	}
	kfree(section);
	return found;
}

/* Memory of a kind, given back when the test ends; skips if there is none */
static void get_mem(struct kunit *test, struct edu *edu, enum edu_kind kind,
		    unsigned int slot, bool readonly, struct edu_mem *mem)
{
	int ret;

	*mem = (struct edu_mem) { .kind = kind, .slot = slot };

	if (!kind_is_foreign(kind)) {
		mem->page = get_local(test, edu, kind == LOCAL);
		if (!mem->page)
			kunit_skip(test, "dom0 has no memory %s the device's window",
				   kind == LOCAL ? "in" : "out of");
		mem->machine = page_to_phys(mem->page);
		return;
	}

	need_peer(test);
	if (!find_run(edu, kind, &mem->run) &&
	    !(kind == FOREIGN_PFN_VALID && make_pfn_valid(edu, &mem->run)))
		kunit_skip(test, "the peer has no memory %s the device's window%s",
			   kind_is_direct(kind) ? "in" : "out of",
			   kind == FOREIGN ? " whose machine frames are no valid pfns" :
			   kind == FOREIGN_PFN_VALID ?
			   " whose machine frames are valid pfns" : "");
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, unmap_mem_slots,
						  (void *)(unsigned long)slot));
	ret = peer_map(peer, slot, mem->run, 0, MEM_PAGES, readonly);
	KUNIT_ASSERT_EQ(test, ret, 0);
	mem->page = peer->slot[slot].page;
	mem->machine = peer->slot[slot].machine;
	KUNIT_ASSERT_EQ(test, mem->machine, peer->run_machine[mem->run]);
}

/*
 * What the mapping functions must return: the address by which the device
 * reaches the memory itself, or that of a bounce buffer in dom0's RAM. Memory
 * in reach may be bounced only if the device writes to parts of cache lines and
 * is not coherent; Linux does so where the length is one that kmalloc() does
 * not align for DMA.
 */
static void expect_dma_addr(struct kunit *test, struct edu *edu,
			    const char *what, enum edu_kind kind, u64 machine,
			    size_t len, enum dma_data_direction dir,
			    dma_addr_t dma)
{
	bool may_bounce = dir != DMA_TO_DEVICE &&
			  !dev_is_dma_coherent(edu_dev(edu)) &&
			  !IS_ALIGNED(len, dma_get_cache_alignment());
	u64 want, got;

	if (kind_is_direct(kind))
		KUNIT_ASSERT_TRUE(test, edu_reaches(edu, machine, len, &want));
	if (kind_is_direct(kind) && (!may_bounce || dma == want)) {
		KUNIT_EXPECT_EQ_MSG(test, (u64)dma, want,
				    "%s: DMA address of machine address 0x%llx",
				    what, machine);
		return;
	}
	KUNIT_ASSERT_TRUE_MSG(test, edu_machine(edu, dma, len, &got),
			      "%s: DMA addresses 0x%llx+0x%zx leave the device's window",
			      what, (u64)dma, len);
	KUNIT_EXPECT_TRUE_MSG(test, page_is_ram(PFN_DOWN(got)),
			      "%s: bounce buffer at 0x%llx is not in dom0's RAM",
			      what, got);
	KUNIT_EXPECT_TRUE_MSG(test, got + len <= machine || machine + len <= got,
			      "%s: not bounced, but out of reach", what);
}

/*
 * Transfers
 */

struct edu_shape {
	unsigned int off;
	unsigned int len;
};

/* Whole cache lines (of up to 128 bytes), in one page and across pages */
static const struct edu_shape shapes_lines[] = {
	{ 0x000, 0x1000 }, { 0x080, 0x0080 }, { 0xf80, 0x0080 },
	{ 0x800, 0x0800 }, { 0x800, 0x1000 }, { 0x200, 0x2000 },
	{ 0xf80, 0x0100 }, { 0x000, AREA_SIZE },
};

/* Parts of cache lines */
static const struct edu_shape shapes_parts[] = {
	{ 0, 1 }, { 1, 1 }, { 4095, 1 }, { 60, 8 }, { 100, 1000 },
	{ 4090, 12 }, { 3, 0x1ffd }, { 0x7ff, 0x1002 },
};

/**
 * struct edu_job - one transfer, of one of several that run side by side
 * @edu: the device that does it
 * @name: for messages
 * @base: offset of its area in the memory
 * @off: offset of the buffer in the memory
 * @len: length of the buffer
 * @dma: the buffer's mapping
 * @before: pattern of the area in front of the buffer
 * @inside: pattern of the buffer
 * @behind: pattern of the area behind the buffer
 * @written: pattern that the device writes to the buffer
 */
struct edu_job {
	struct edu *edu;
	char name[40];
	size_t base;
	size_t off;
	size_t len;
	dma_addr_t dma;
	u64 before;
	u64 inside;
	u64 behind;
	u64 written;
};

/* The chunk of a transfer that a device can do at once; 0 if there is none */
static size_t job_chunk(const struct edu_job *job, size_t pos)
{
	return pos < job->len ? min(job->len - pos, (size_t)EDU_BUF_SIZE) : 0;
}

/* One command on each device that has a chunk at @pos */
static void jobs_step(struct kunit *test, struct edu_job *job, unsigned int nr,
		      size_t pos, bool stage, bool to_ram)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		u64 dma = job[i].dma + pos;
		size_t len = job_chunk(&job[i], pos);

		if (stage)
			dma = to_ram ? job[i].edu->stage_out_dma :
				       job[i].edu->stage_in_dma;
		if (len)
			edu_start(job[i].edu, dma, len, to_ram);
	}
	for (i = 0; i < nr; i++)
		if (job_chunk(&job[i], pos))
			KUNIT_ASSERT_EQ(test, edu_wait(job[i].edu), 0);
}

/* The devices read their buffers; compare with pattern edu_job::inside */
static void jobs_read(struct kunit *test, struct edu_job *job, unsigned int nr)
{
	size_t pos, i, k, len;

	for (pos = 0; pos < MEM_SIZE; pos += EDU_BUF_SIZE) {
		for (i = 0, len = 0; i < nr; i++)
			len += job_chunk(&job[i], pos);
		if (!len)
			return;
		jobs_step(test, job, nr, pos, false, false);
		jobs_step(test, job, nr, pos, true, true);
		for (i = 0; i < nr; i++) {
			len = job_chunk(&job[i], pos);
			for (k = 0; k < len; k++) {
				u8 want = xen_dma_peer_pattern(job[i].inside,
							       pos + k);
				u8 got = job[i].edu->stage_out[k];

				if (got == want)
					continue;
				KUNIT_FAIL(test,
					   "%s: the device read 0x%02x at 0x%zx, not 0x%02x",
					   job[i].name, got, pos + k, want);
				break;
			}
		}
	}
}

/* The devices write pattern edu_job::written to their buffers */
static void jobs_write(struct kunit *test, struct edu_job *job, unsigned int nr)
{
	size_t pos, i, k, len;

	for (pos = 0; pos < MEM_SIZE; pos += EDU_BUF_SIZE) {
		for (i = 0, len = 0; i < nr; i++) {
			len += job_chunk(&job[i], pos);
			for (k = 0; k < job_chunk(&job[i], pos); k++)
				job[i].edu->stage_in[k] =
					xen_dma_peer_pattern(job[i].written,
							     pos + k);
		}
		if (!len)
			return;
		jobs_step(test, job, nr, pos, true, false);
		jobs_step(test, job, nr, pos, false, true);
	}
}

/*
 * Transfers side by side, each on its own device with its own mapping: fill the
 * area, map, let the device read and write as @dir says, unmap, and see that
 * the buffer has what it should have and nothing beside it changed.
 */
static void run_jobs(struct kunit *test, const struct edu_mem *mem,
		     struct edu_job *job, unsigned int nr, size_t area_size,
		     enum dma_data_direction dir)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct edu_job *j = &job[i];
		size_t behind = j->off + j->len;

		snprintf(j->name, sizeof(j->name), "0x%zx+0x%zx",
			 j->off - j->base, j->len);
		j->before = new_seed();
		j->inside = new_seed();
		j->behind = new_seed();
		j->written = new_seed();
		mem_fill(test, mem, j->base, j->off - j->base, j->before);
		mem_fill(test, mem, j->off, j->len, j->inside);
		mem_fill(test, mem, behind, j->base + area_size - behind,
			 j->behind);
	}
	for (i = 0; i < nr; i++) {
		struct edu_job *j = &job[i];

		j->dma = dma_map_page(edu_dev(j->edu), mem->page, j->off,
				      j->len, dir);
		KUNIT_ASSERT_EQ_MSG(test,
				    dma_mapping_error(edu_dev(j->edu), j->dma),
				    0, "%s", j->name);
		expect_dma_addr(test, j->edu, j->name, mem->kind,
				mem->machine + j->off, j->len, dir, j->dma);
	}
	if (dir != DMA_FROM_DEVICE)
		jobs_read(test, job, nr);
	if (dir != DMA_TO_DEVICE)
		jobs_write(test, job, nr);
	for (i = 0; i < nr; i++) {
		struct edu_job *j = &job[i];
		size_t behind = j->off + j->len;

		dma_unmap_page(edu_dev(j->edu), j->dma, j->len, dir);
		mem_expect(test, mem, "in front of the buffer", j->base,
			   j->off - j->base, j->before);
		mem_expect(test, mem, j->name, j->off, j->len,
			   dir == DMA_TO_DEVICE ? j->inside : j->written);
		mem_expect(test, mem, "behind the buffer", behind,
			   j->base + area_size - behind, j->behind);
	}
	if (kind_is_foreign(mem->kind))
		expect_guards(test);
}

/*
 * Finding N4. Xen before 4.21 loops over all of memory when it is asked to
 * invalidate a part of a cache line, so on a kernel that asks for that nothing
 * of the kind may be tried. The question itself is harmless: Xen handles a
 * buffer that begins on a cache line.
 */
static bool invalidates_parts(struct kunit *test, struct edu *edu,
			      const struct edu_mem *mem)
{
	const size_t len = 100;
	unsigned int i, n = 0;
	dma_addr_t dma;

	if (dev_is_dma_coherent(edu_dev(edu)) || !kind_is_foreign(mem->kind) ||
	    !kind_is_direct(mem->kind))
		return false;
	need_watch(test);
	xen_dma_watch_begin(edu_dev(edu), &watch_record);
	dma = dma_map_page(edu_dev(edu), mem->page, 0, len, DMA_FROM_DEVICE);
	if (!dma_mapping_error(edu_dev(edu), dma))
		dma_unmap_page(edu_dev(edu), dma, len, DMA_FROM_DEVICE);
	xen_dma_watch_end();
	for (i = 0; i < watch_record.nr; i++)
		n += watch_record.ev[i].kind == XEN_DMA_WATCH_FLUSH &&
		     watch_record.ev[i].how == GNTTAB_CACHE_INVAL;
	return n;
}

#define N4_SKIP "this kernel has Xen invalidate parts of cache lines of foreign memory (finding N4), which may hang Xen"

struct data_case {
	enum edu_kind kind;
	enum dma_data_direction dir;
	bool parts;
};

static const struct data_case data_cases[] = {
	{ LOCAL, DMA_TO_DEVICE, false },
	{ LOCAL, DMA_TO_DEVICE, true },
	{ LOCAL, DMA_FROM_DEVICE, false },
	{ LOCAL, DMA_FROM_DEVICE, true },
	{ LOCAL, DMA_BIDIRECTIONAL, false },
	{ LOCAL, DMA_BIDIRECTIONAL, true },
	{ LOCAL_OUTSIDE, DMA_TO_DEVICE, false },
	{ LOCAL_OUTSIDE, DMA_TO_DEVICE, true },
	{ LOCAL_OUTSIDE, DMA_FROM_DEVICE, false },
	{ LOCAL_OUTSIDE, DMA_FROM_DEVICE, true },
	{ LOCAL_OUTSIDE, DMA_BIDIRECTIONAL, false },
	{ LOCAL_OUTSIDE, DMA_BIDIRECTIONAL, true },
	{ FOREIGN, DMA_TO_DEVICE, false },
	{ FOREIGN, DMA_TO_DEVICE, true },
	{ FOREIGN, DMA_FROM_DEVICE, false },
	{ FOREIGN, DMA_FROM_DEVICE, true },
	{ FOREIGN, DMA_BIDIRECTIONAL, false },
	{ FOREIGN, DMA_BIDIRECTIONAL, true },
	{ FOREIGN_PFN_VALID, DMA_TO_DEVICE, false },
	{ FOREIGN_PFN_VALID, DMA_TO_DEVICE, true },
	{ FOREIGN_PFN_VALID, DMA_FROM_DEVICE, false },
	{ FOREIGN_PFN_VALID, DMA_FROM_DEVICE, true },
	{ FOREIGN_PFN_VALID, DMA_BIDIRECTIONAL, false },
	{ FOREIGN_PFN_VALID, DMA_BIDIRECTIONAL, true },
	{ FOREIGN_OUTSIDE, DMA_TO_DEVICE, false },
	{ FOREIGN_OUTSIDE, DMA_TO_DEVICE, true },
	{ FOREIGN_OUTSIDE, DMA_FROM_DEVICE, false },
	{ FOREIGN_OUTSIDE, DMA_FROM_DEVICE, true },
	{ FOREIGN_OUTSIDE, DMA_BIDIRECTIONAL, false },
	{ FOREIGN_OUTSIDE, DMA_BIDIRECTIONAL, true },
};

static void data_case_desc(const struct data_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s%s", edu_kind_name[c->kind],
		 edu_dir_name[c->dir], c->parts ? "_parts_of_lines" : "");
}

KUNIT_ARRAY_PARAM(data, data_cases, data_case_desc);

/* Each kind of memory, direction and shape, with real transfers */
static void data_single(struct kunit *test)
{
	const struct data_case *c = test->param_value;
	const struct edu_shape *shape = c->parts ? shapes_parts : shapes_lines;
	const unsigned int nr_shapes = c->parts ? ARRAY_SIZE(shapes_parts) :
						  ARRAY_SIZE(shapes_lines);
	struct edu_job job[EDU_MAX];
	unsigned int done, i, nr;
	struct edu_mem mem;

	need_edu(test);
	get_mem(test, edus[0], c->kind, 0, false, &mem);
	if (c->parts && c->dir != DMA_TO_DEVICE &&
	    invalidates_parts(test, edus[0], &mem))
		kunit_skip(test, N4_SKIP);

	for (done = 0; done < nr_shapes; done += nr) {
		nr = min(nr_edus, nr_shapes - done);
		for (i = 0; i < nr; i++)
			job[i] = (struct edu_job) {
				.edu = edus[i],
				.base = i * AREA_SIZE,
				.off = i * AREA_SIZE + shape[done + i].off,
				.len = shape[done + i].len,
			};
		run_jobs(test, &mem, job, nr, AREA_SIZE, c->dir);
	}
}

/* A block of pages has its order in page_private() */
static void free_block(struct page *block)
{
	__free_pages(block, page_private(block));
}

static bool block_has(struct page *block, unsigned long pfn)
{
	return in_range(pfn, page_to_pfn(block), 1UL << page_private(block));
}

static struct page *find_block(struct list_head *blocks, unsigned long pfn)
{
	struct page *block;

	list_for_each_entry(block, blocks, lru)
		if (block_has(block, pfn))
			return block;
	return NULL;
}

/*
 * Two adjacent areas of dom0's memory, the first in the device's reach and the
 * second one not, or at an address that does not follow. They are taken before the
 * tests, which leave their own things in the memory there.
 */
static struct {
	struct page *behind;	/* the second; NULL if there are none */
	struct list_head blocks;
} window_end = { .blocks = LIST_HEAD_INIT(window_end.blocks) };

/* Takes all memory there is, the largest blocks first, and gives back the rest */
static void get_window_end(struct edu *edu)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY;
	struct page *page, *next;
	unsigned long pfn, first = 0;
	LIST_HEAD(blocks);
	u64 start, dma;
	int order;

	/* The lowest zone keeps something back unless it is asked for by name */
	for (order = MAX_PAGE_ORDER; order >= get_order(AREA_SIZE); order--) {
		while ((page = alloc_pages(gfp, order)) ||
		       (page = alloc_pages(gfp | __GFP_DMA, order))) {
			set_page_private(page, order);
			list_add(&page->lru, &blocks);
		}
	}
	list_for_each_entry(page, &blocks, lru) {
		for (pfn = page_to_pfn(page); block_has(page, pfn);
		     pfn += AREA_PAGES) {
			start = PFN_PHYS(pfn);
			if (edu_reaches(edu, start, AREA_SIZE, &dma) &&
			    !edu_reaches(edu, start, AREA_SIZE + 1, &dma) &&
			    find_block(&blocks, pfn + AREA_PAGES))
				first = pfn;
		}
	}
	window_end.behind = first ? pfn_to_page(first + AREA_PAGES) : NULL;
	list_for_each_entry_safe(page, next, &blocks, lru) {
		list_del(&page->lru);
		if (first && (block_has(page, first) ||
			      block_has(page, first + AREA_PAGES)))
			list_add(&page->lru, &window_end.blocks);
		else
			free_block(page);
	}
}

static void put_window_end(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &window_end.blocks, lru) {
		list_del(&page->lru);
		free_block(page);
	}
	window_end.behind = NULL;
}

/*
 * Finding B11: a buffer that leaves the device's window, or one range of it for
 * one with another offset, has to bounce. If it does not then nothing is
 * transferred here: the device would do its own damage.
 */
static void data_window_end(struct kunit *test)
{
	const enum dma_data_direction *dir = test->param_value;
	struct edu_job job = { .off = AREA_SIZE - PAGE_SIZE / 2, .len = PAGE_SIZE };
	struct edu_mem mem = { .kind = LOCAL_OUTSIDE };

	need_edu(test);
	job.edu = edus[0];
	if (!window_end.behind)
		kunit_skip(test, "dom0 has no free memory on both sides of an end of the window");
	mem.page = window_end.behind - AREA_PAGES;
	mem.machine = page_to_phys(mem.page);
	run_jobs(test, &mem, &job, 1, 2 * AREA_SIZE, *dir);
}

static const enum dma_data_direction dirs[] = {
	DMA_TO_DEVICE, DMA_FROM_DEVICE,
};

static void dir_desc(const enum dma_data_direction *dir, char *desc)
{
	strscpy(desc, edu_dir_name[*dir], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(dir, dirs, dir_desc);

static const struct data_case large_cases[] = {
	{ LOCAL, DMA_FROM_DEVICE },
	{ LOCAL_OUTSIDE, DMA_FROM_DEVICE },
	{ FOREIGN, DMA_TO_DEVICE },
	{ FOREIGN, DMA_FROM_DEVICE },
	{ FOREIGN_PFN_VALID, DMA_FROM_DEVICE },
	{ FOREIGN_OUTSIDE, DMA_TO_DEVICE },
	{ FOREIGN_OUTSIDE, DMA_FROM_DEVICE },
};

KUNIT_ARRAY_PARAM(large, large_cases, data_case_desc);

/* Many pages at once, contiguous in machine memory */
static void data_large(struct kunit *test)
{
	struct edu_job job = { .off = 0x1080, .len = 0x8000 };
	const struct data_case *c = test->param_value;
	struct edu_mem mem;

	need_edu(test);
	get_mem(test, edus[0], c->kind, 0, false, &mem);
	job.edu = edus[0];
	run_jobs(test, &mem, &job, 1, MEM_SIZE, c->dir);
}

/* A read-only grant serves a device that reads, and is never written to */
static void data_readonly_grant(struct kunit *test)
{
	struct edu_job job[] = {
		{ .base = 0 * AREA_SIZE, .off = 0 * AREA_SIZE, .len = PAGE_SIZE },
		{ .base = 1 * AREA_SIZE, .off = 1 * AREA_SIZE + 0x801, .len = 0x1001 },
	};
	const enum edu_kind *kind = test->param_value;
	struct edu_mem mem;
	unsigned int i;

	need_edu(test);
	get_mem(test, edus[0], *kind, 0, true, &mem);
	for (i = 0; i < ARRAY_SIZE(job); i++) {
		job[i].edu = edus[0];
		run_jobs(test, &mem, &job[i], 1, AREA_SIZE, DMA_TO_DEVICE);
	}
}

static const enum edu_kind foreign_kinds[] = {
	FOREIGN, FOREIGN_PFN_VALID, FOREIGN_OUTSIDE,
};

static void kind_desc(const enum edu_kind *kind, char *desc)
{
	strscpy(desc, edu_kind_name[*kind], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(foreign, foreign_kinds, kind_desc);

/* The device writes, the CPU syncs and looks, the device writes again */
static void data_sync(struct kunit *test)
{
	const enum edu_kind *kind = test->param_value;
	struct edu_job job = { .off = 0x800, .len = 0x1000 };
	struct edu_mem mem;
	struct device *dev;

	need_edu(test);
	get_mem(test, edus[0], *kind, 0, false, &mem);
	job.edu = edus[0];
	dev = edu_dev(job.edu);
	snprintf(job.name, sizeof(job.name), "first transfer");
	mem_fill(test, &mem, job.off, job.len, new_seed());
	job.dma = dma_map_page(dev, mem.page, job.off, job.len,
			       DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, dma_mapping_error(dev, job.dma), 0);

	job.written = new_seed();
	jobs_write(test, &job, 1);
	dma_sync_single_for_cpu(dev, job.dma, job.len, DMA_BIDIRECTIONAL);
	mem_expect(test, &mem, job.name, job.off, job.len, job.written);

	snprintf(job.name, sizeof(job.name), "second transfer");
	job.inside = new_seed();
	mem_fill(test, &mem, job.off, job.len, job.inside);
	dma_sync_single_for_device(dev, job.dma, job.len, DMA_BIDIRECTIONAL);
	jobs_read(test, &job, 1);
	job.written = new_seed();
	jobs_write(test, &job, 1);
	dma_unmap_page(dev, job.dma, job.len, DMA_BIDIRECTIONAL);
	mem_expect(test, &mem, job.name, job.off, job.len, job.written);
	if (kind_is_foreign(mem.kind))
		expect_guards(test);
}

static const enum edu_kind all_kinds[] = {
	LOCAL, LOCAL_OUTSIDE, FOREIGN, FOREIGN_PFN_VALID, FOREIGN_OUTSIDE,
};

KUNIT_ARRAY_PARAM(kind, all_kinds, kind_desc);

/*
 * A scatterlist of local and foreign memory by turns, foreign pages in
 * descending order. The memory is one stream to the device, so that parts that
 * are exchanged are noticed.
 */
#define SG_PARTS	8

struct sg_part {
	const struct edu_mem *mem;
	size_t off;
	size_t len;
	size_t pos;
};

static void sg_transfer(struct kunit *test, struct edu *edu,
			struct scatterlist *sgl, int nr, u64 seed, bool to_ram)
{
	struct edu_job job = { .edu = edu };
	struct scatterlist *sg;
	size_t pos = 0;
	int i;

	for_each_sg(sgl, sg, nr, i) {
		snprintf(job.name, sizeof(job.name), "part %d", i);
		job.dma = sg_dma_address(sg);
		job.len = sg_dma_len(sg);
		job.inside = xen_dma_peer_seed_at(seed, pos);
		job.written = job.inside;
		if (to_ram)
			jobs_write(test, &job, 1);
		else
			jobs_read(test, &job, 1);
		pos += job.len;
	}
}

static void data_sg(struct kunit *test)
{
	const enum edu_kind *kind = test->param_value;
	struct edu *edu;
	struct scatterlist sgl[SG_PARTS];
	struct sg_part part[SG_PARTS];
	struct edu_mem local, foreign;
	struct device *dev;
	char name[16];
	size_t pos = 0;
	unsigned int i;
	u64 seed;
	int nr;

	need_edu(test);
	edu = edus[0];
	dev = edu_dev(edu);
	get_mem(test, edu, LOCAL, 0, false, &local);
	get_mem(test, edu, *kind, 0, false, &foreign);

	sg_init_table(sgl, SG_PARTS);
	for (i = 0; i < SG_PARTS; i++) {
		part[i].mem = i % 2 ? &foreign : &local;
		part[i].off = (SG_PARTS - i) * 2 * PAGE_SIZE + i * 0x80;
		part[i].len = i < 4 ? PAGE_SIZE - i * 0x80 : 0x80 * i;
		part[i].pos = pos;
		pos += part[i].len;
		sg_set_page(&sgl[i],
			    part[i].mem->page + part[i].off / PAGE_SIZE,
			    part[i].len, offset_in_page(part[i].off));
	}

	seed = new_seed();
	for (i = 0; i < SG_PARTS; i++)
		mem_fill(test, part[i].mem, part[i].off, part[i].len,
			 xen_dma_peer_seed_at(seed, part[i].pos));
	nr = dma_map_sg(dev, sgl, SG_PARTS, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_GT(test, nr, 0);
	if (nr == SG_PARTS)
		for (i = 0; i < SG_PARTS; i++)
			expect_dma_addr(test, edu, "part", part[i].mem->kind,
					part[i].mem->machine + part[i].off,
					part[i].len, DMA_BIDIRECTIONAL,
					sg_dma_address(&sgl[i]));
	sg_transfer(test, edu, sgl, nr, seed, false);
	seed = new_seed();
	sg_transfer(test, edu, sgl, nr, seed, true);
	dma_unmap_sg(dev, sgl, SG_PARTS, DMA_BIDIRECTIONAL);

	for (i = 0; i < SG_PARTS; i++) {
		snprintf(name, sizeof(name), "part %u", i);
		mem_expect(test, part[i].mem, name, part[i].off, part[i].len,
			   xen_dma_peer_seed_at(seed, part[i].pos));
	}
	expect_guards(test);
}

/*
 * Cache maintenance
 */

/* One reason is a message, a hundred are noise: how many are printed a test */
#define MAINTENANCE_MESSAGES	3

static void print_record(struct kunit *test)
{
	static const char * const name[] = {
		[XEN_DMA_WATCH_FOR_DEVICE] = "arch_sync_dma_for_device, direction",
		[XEN_DMA_WATCH_FOR_CPU] = "arch_sync_dma_for_cpu, direction",
		[XEN_DMA_WATCH_FLUSH] = "GNTTABOP_cache_flush, op",
		[XEN_DMA_WATCH_TAKE] = "bounce buffer taken",
		[XEN_DMA_WATCH_RELEASE] = "bounce buffer released",
	};
	unsigned int i;

	for (i = 0; i < watch_record.nr; i++) {
		const struct xen_dma_watch_event *ev = &watch_record.ev[i];

		kunit_info(test, "seen: 0x%llx+0x%llx %s %u", ev->addr, ev->len,
			   name[ev->kind], ev->how);
	}
}

/* Compare what was seen with the rules, for the memory behind @dma */
static void expect_maintained(struct kunit *test, struct edu *edu,
			      const char *call, const struct edu_shape *shape,
			      dma_addr_t dma, enum xen_dma_watch_want want,
			      enum dma_data_direction dir)
{
	struct xen_dma_watch_range range = { .len = shape->len };
	unsigned long *messages = test->priv;
	char why[160];

	xen_dma_watch_end();
	KUNIT_ASSERT_TRUE(test, edu_machine(edu, dma, shape->len, &range.start));
	if (dev_is_dma_coherent(edu_dev(edu)) ||
	    (want == XEN_DMA_WATCH_WANT_CPU && dir == DMA_TO_DEVICE))
		want = XEN_DMA_WATCH_WANT_NONE;
	if (xen_dma_watch_check(&watch_record, want, &range, 1, peer_machine,
				peer, why, sizeof(why)))
		return;
	if ((*messages)++ >= MAINTENANCE_MESSAGES)
		return;
	print_record(test);
	KUNIT_FAIL(test, "%s of 0x%x+0x%x %s, machine memory 0x%llx: %s", call,
		   shape->off, shape->len, edu_dir_name[dir], range.start, why);
}

static void watch_one(struct kunit *test, struct edu *edu,
		      const struct edu_mem *mem, const struct edu_shape *shape,
		      enum dma_data_direction dir)
{
	struct device *dev = edu_dev(edu);
	dma_addr_t dma;

	xen_dma_watch_begin(dev, &watch_record);
	dma = dma_map_page(dev, mem->page, shape->off, shape->len, dir);
	if (dma_mapping_error(dev, dma)) {
		xen_dma_watch_end();
		KUNIT_FAIL(test, "cannot map 0x%x+0x%x", shape->off,
			   shape->len);
		return;
	}
	expect_maintained(test, edu, "map", shape, dma,
			  XEN_DMA_WATCH_WANT_DEVICE, dir);

	xen_dma_watch_begin(dev, &watch_record);
	dma_sync_single_for_cpu(dev, dma, shape->len, dir);
	expect_maintained(test, edu, "sync for the CPU", shape, dma,
			  XEN_DMA_WATCH_WANT_CPU, dir);

	xen_dma_watch_begin(dev, &watch_record);
	dma_sync_single_for_device(dev, dma, shape->len, dir);
	expect_maintained(test, edu, "sync for the device", shape, dma,
			  XEN_DMA_WATCH_WANT_DEVICE, dir);

	xen_dma_watch_begin(dev, &watch_record);
	dma_unmap_page(dev, dma, shape->len, dir);
	expect_maintained(test, edu, "unmap", shape, dma,
			  XEN_DMA_WATCH_WANT_CPU, dir);
}

enum maintenance_class {
	IN_PAGE,
	CROSSING,
	PARTS,
};

struct maintenance_case {
	enum edu_kind kind;
	enum maintenance_class class;
};

static const struct maintenance_case maintenance_cases[] = {
	{ LOCAL, IN_PAGE }, { LOCAL, CROSSING }, { LOCAL, PARTS },
	{ LOCAL_OUTSIDE, IN_PAGE }, { LOCAL_OUTSIDE, CROSSING }, { LOCAL_OUTSIDE, PARTS },
	{ FOREIGN, IN_PAGE }, { FOREIGN, CROSSING }, { FOREIGN, PARTS },
	{ FOREIGN_PFN_VALID, IN_PAGE }, { FOREIGN_PFN_VALID, CROSSING },
	{ FOREIGN_PFN_VALID, PARTS },
	{ FOREIGN_OUTSIDE, IN_PAGE }, { FOREIGN_OUTSIDE, CROSSING }, { FOREIGN_OUTSIDE, PARTS },
};

static void maintenance_case_desc(const struct maintenance_case *c, char *desc)
{
	static const char * const class_name[] = {
		[IN_PAGE] = "in_page",
		[CROSSING] = "crossing_pages",
		[PARTS] = "parts_of_lines",
	};

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s", edu_kind_name[c->kind],
		 class_name[c->class]);
}

KUNIT_ARRAY_PARAM(maintenance, maintenance_cases, maintenance_case_desc);

/* Each byte of the right machine memory, and nothing else, is maintained */
static void maintenance_single(struct kunit *test)
{
	const struct maintenance_case *c = test->param_value;
	const struct edu_shape *shape = c->class == PARTS ? shapes_parts :
							    shapes_lines;
	const unsigned int nr = c->class == PARTS ? ARRAY_SIZE(shapes_parts) :
						    ARRAY_SIZE(shapes_lines);
	struct edu_mem mem;
	bool left_out;
	unsigned int i;

	need_edu(test);
	need_watch(test);
	get_mem(test, edus[0], c->kind, 0, false, &mem);
	left_out = c->class == PARTS && invalidates_parts(test, edus[0], &mem);
	for (i = 0; i < nr; i++) {
		bool crossing = shape[i].off + shape[i].len > PAGE_SIZE;

		if (c->class == (crossing ? IN_PAGE : CROSSING))
			continue;
		watch_one(test, edus[0], &mem, &shape[i], DMA_TO_DEVICE);
		if (left_out)
			continue;
		watch_one(test, edus[0], &mem, &shape[i], DMA_FROM_DEVICE);
		watch_one(test, edus[0], &mem, &shape[i], DMA_BIDIRECTIONAL);
	}
	if (left_out && test->status != KUNIT_FAILURE)
		kunit_skip(test, "DMA_TO_DEVICE passed, the rest was left out: " N4_SKIP);
}

/*
 * Finding B3: a foreign frame whose number is a valid pfn of dom0's is foreign
 * nevertheless.
 */
static void foreign_unmap_maintains_foreign(struct kunit *test)
{
	static const struct edu_shape shape = { 0, PAGE_SIZE };
	struct edu_mem mem;

	need_edu(test);
	need_watch(test);
	get_mem(test, edus[0], FOREIGN_PFN_VALID, 0, false, &mem);
	kunit_info(test, "pfn 0x%lx is mapped to machine frame 0x%llx, of which pfn_valid() says %d",
		   page_to_pfn(mem.page), mem.machine >> XEN_PAGE_SHIFT,
		   pfn_valid(PFN_DOWN(mem.machine)));
	watch_one(test, edus[0], &mem, &shape, DMA_FROM_DEVICE);
}

/* Finding B4: a foreign buffer from the middle of a page into the next one */
static void foreign_crossing_page(struct kunit *test)
{
	static const struct edu_shape shape = { 0x800, 0x1000 };
	struct edu_mem mem;

	need_edu(test);
	need_watch(test);
	get_mem(test, edus[0], FOREIGN, 0, false, &mem);
	watch_one(test, edus[0], &mem, &shape, DMA_TO_DEVICE);
	watch_one(test, edus[0], &mem, &shape, DMA_FROM_DEVICE);
}

/*
 * Finding N4: what the CPU wrote beside a short transfer must not get lost, so
 * memory that is given to the device is cleaned, and never only invalidated.
 */
static void foreign_from_device_not_invalidated(struct kunit *test)
{
	static const struct edu_shape shape = { 0, PAGE_SIZE };
	struct edu_mem mem;
	struct device *dev;
	unsigned int i;
	dma_addr_t dma;

	need_edu(test);
	need_watch(test);
	get_mem(test, edus[0], FOREIGN, 0, false, &mem);
	dev = edu_dev(edus[0]);
	xen_dma_watch_begin(dev, &watch_record);
	dma = dma_map_page(dev, mem.page, shape.off, shape.len,
			   DMA_FROM_DEVICE);
	xen_dma_watch_end();
	KUNIT_ASSERT_EQ(test, dma_mapping_error(dev, dma), 0);
	dma_unmap_page(dev, dma, shape.len, DMA_FROM_DEVICE);
	for (i = 0; i < watch_record.nr; i++)
		if (watch_record.ev[i].kind == XEN_DMA_WATCH_FLUSH &&
		    watch_record.ev[i].how == GNTTAB_CACHE_INVAL) {
			print_record(test);
			KUNIT_FAIL(test, "map invalidates 0x%llx+0x%llx without cleaning it",
				   watch_record.ev[i].addr,
				   watch_record.ev[i].len);
		}
}

/* A device whose memory is maintained, and that can be watched */
static struct device *need_maintenance(struct kunit *test)
{
	struct device *dev;

	need_edu(test);
	need_watch(test);
	dev = edu_dev(edus[0]);
	if (dev_is_dma_coherent(dev))
		kunit_skip(test, "the device is coherent");
	return dev;
}

/* Finding C1: what dom0 has mapped it can maintain without Xen's help */
static void foreign_maintained_without_xen(struct kunit *test)
{
	const enum dma_data_direction dir = DMA_BIDIRECTIONAL;
	struct edu_mem mem;
	struct device *dev;
	dma_addr_t dma;
	unsigned int n;

	dev = need_maintenance(test);
	get_mem(test, edus[0], FOREIGN, 0, false, &mem);
	xen_dma_watch_begin(dev, &watch_record);
	dma = dma_map_page(dev, mem.page, 0, SZ_64K, dir);
	KUNIT_ASSERT_EQ(test, dma_mapping_error(dev, dma), 0);
	dma_sync_single_for_cpu(dev, dma, SZ_64K, dir);
	dma_sync_single_for_device(dev, dma, SZ_64K, dir);
	dma_unmap_page(dev, dma, SZ_64K, dir);
	xen_dma_watch_end();
	n = xen_dma_watch_count(&watch_record, XEN_DMA_WATCH_FLUSH);
	KUNIT_EXPECT_EQ_MSG(test, n, 0, "frames that Xen had to maintain");
}

/*
 * To invalidate a line the CPU needs the right to write to it (Arm ARM, DC IVAC),
 * which it has not where the grant is mapped read-only: that is left to Xen. Which
 * must not throw away what else is in the line.
 */
static void foreign_readonly_left_to_xen(struct kunit *test)
{
	const enum dma_data_direction dir = DMA_BIDIRECTIONAL;
	struct edu_mem mem;
	struct device *dev;
	dma_addr_t dma;
	unsigned int i, n;

	dev = need_maintenance(test);
	get_mem(test, edus[0], FOREIGN, 0, true, &mem);
	/* Not all of its lines; of a size that is not bounced for that. */
	dma = dma_map_page(dev, mem.page, 8, 128, dir);
	KUNIT_ASSERT_EQ(test, dma_mapping_error(dev, dma), 0);
	xen_dma_watch_begin(dev, &watch_record);
	dma_sync_single_for_cpu(dev, dma, 128, dir);
	xen_dma_watch_end();
	dma_unmap_page(dev, dma, 128, dir);
	n = xen_dma_watch_count(&watch_record, XEN_DMA_WATCH_FLUSH);
	KUNIT_EXPECT_GE_MSG(test, n, 1, "frames that Xen had to maintain");
	n = xen_dma_watch_count(&watch_record, XEN_DMA_WATCH_FOR_CPU);
	KUNIT_EXPECT_EQ_MSG(test, n, 0, "what the CPU has invalidated");
	for (i = 0; i < watch_record.nr; i++)
		if (watch_record.ev[i].kind == XEN_DMA_WATCH_FLUSH)
			KUNIT_EXPECT_TRUE(test, watch_record.ev[i].how &
						GNTTAB_CACHE_CLEAN);
}

/*
 * One CPU unmaps the page by which another maintains a frame's cache
 */

struct race {
	struct device *dev;
	struct page *page;
	dma_addr_t dma;
	unsigned long syncs;
	unsigned long maps;
	unsigned long map_errors;
};

static struct task_struct *race_task;
static unsigned long race_seen;

/* The page has to be there for as long as this takes; if not, we die here */
static int race_look(struct kprobe *p, struct pt_regs *regs)
{
	const u8 *byte = phys_to_virt(xen_dma_watch_arg(regs, 0));
	unsigned int i;

	if (current != READ_ONCE(race_task))
		return 0;
	for (i = 0; i < 16; i++) {
		READ_ONCE(*byte);
		udelay(1);
	}
	race_seen++;
	return 0;
}

static struct kprobe race_probe = {
	.symbol_name = "arch_sync_dma_for_cpu",
	.pre_handler = race_look,
};

static int race_sync(void *data)
{
	struct race *r = data;

	WRITE_ONCE(race_task, current);
	while (!kthread_should_stop()) {
		dma_sync_single_for_cpu(r->dev, r->dma, MEM_SIZE,
					DMA_FROM_DEVICE);
		r->syncs++;
		cond_resched();
	}
	WRITE_ONCE(race_task, NULL);
	return 0;
}

/* The same frames once more, wherever the scheduler puts it */
static int race_map(void *data)
{
	struct race *r = data;
	dma_addr_t dma;

	while (!kthread_should_stop()) {
		dma = dma_map_page(r->dev, r->page, 0, MEM_SIZE,
				   DMA_BIDIRECTIONAL);
		if (dma_mapping_error(r->dev, dma))
			r->map_errors++;
		else
			dma_unmap_page(r->dev, dma, MEM_SIZE,
				       DMA_BIDIRECTIONAL);
		r->maps++;
		cond_resched();
	}
	return 0;
}

static void stop_race(void *task)
{
	kthread_stop(task);
	unregister_kprobe(&race_probe);
}

static void stop_race_map(void *task)
{
	kthread_stop(task);
}

/* Xen refuses to unmap a page: it stays what it is, for Xen and for us. */
static void refused_unmap(struct kunit *test, struct peer *peer,
			  struct peer_slot *slot)
{
	grant_handle_t handle = slot->handle;

	slot->handle = ~1U;
	KUNIT_EXPECT_EQ(test, -EIO, peer_unmap(peer, slot - peer->slot, 1));
	slot->handle = handle;
}

/* Xen refuses to map a grant: there is none with this number. */
static void refused_map(struct kunit *test, struct peer *peer,
			struct peer_slot *slot)
{
	struct gnttab_map_grant_ref op;

	gnttab_set_map_op(&op, (unsigned long)page_address(slot->page),
			  GNTMAP_host_map, ~0U, peer->domid);
	KUNIT_EXPECT_EQ(test, 0, gnttab_map_refs(&op, NULL, &slot->page, 1));
	KUNIT_EXPECT_NE(test, op.status, GNTST_okay);
}

static void unmap_races_with_sync(struct kunit *test)
{
	struct task_struct *task, *map_task;
	struct edu_mem mem, keep;
	unsigned long turns, end;
	struct peer_slot *slot;
	struct race *r;
	int cpu;

	need_edu(test);
	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	if (cpu >= nr_cpu_ids)
		kunit_skip(test, "needs two CPUs");
	r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r);
	r->dev = edu_dev(edus[0]);
	/* Mapped twice, so that it is foreign all the time for Xen as well */
	get_mem(test, edus[0], FOREIGN, 0, false, &mem);
	get_mem(test, edus[0], FOREIGN, MEM_PAGES, false, &keep);
	KUNIT_ASSERT_EQ(test, mem.run, keep.run);
	r->page = keep.page;
	r->dma = dma_map_page(r->dev, keep.page, 0, MEM_SIZE, DMA_FROM_DEVICE);
	KUNIT_ASSERT_EQ(test, dma_mapping_error(r->dev, r->dma), 0);

	race_probe.addr = NULL;
	race_probe.flags = 0;
	race_seen = 0;
	KUNIT_ASSERT_EQ(test, 0, register_kprobe(&race_probe));
	task = kthread_run_on_cpu(race_sync, r, cpu, "xen-dma-race/%u");
	if (IS_ERR(task))
		unregister_kprobe(&race_probe);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, stop_race, task));
	map_task = kthread_run(race_map, r, "xen-dma-race-map");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, map_task);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, stop_race_map,
						  map_task));
	end = jiffies + msecs_to_jiffies(race_ms);
	for (turns = 0; time_before(jiffies, end); turns++) {
		slot = &peer->slot[turns % MEM_PAGES];
		if (turns % 4 == 1)
			refused_unmap(test, peer, slot);
		KUNIT_ASSERT_EQ(test, 0, peer_unmap(peer, 0, MEM_PAGES));
		if (turns % 4 == 3)
			refused_map(test, peer, slot);
		KUNIT_ASSERT_EQ(test, 0, peer_map(peer, 0, mem.run, 0,
						  MEM_PAGES, false));
		cond_resched();
	}
	kunit_release_action(test, stop_race_map, map_task);
	kunit_release_action(test, stop_race, task);
	dma_unmap_page(r->dev, r->dma, MEM_SIZE, DMA_FROM_DEVICE);
	kunit_info(test, "%lu turns, %lu syncs, %lu maps, %lu pages maintained by the CPU",
		   turns, r->syncs, r->maps, race_seen);
	KUNIT_EXPECT_GT(test, turns, 0UL);
	KUNIT_EXPECT_GT(test, r->syncs, 0UL);
	KUNIT_EXPECT_GT(test, r->maps, 0UL);
	KUNIT_EXPECT_EQ(test, r->map_errors, 0UL);
}

/*
 * dma-bufs of the peer's memory
 */

#define BUF_PAGES	4

/* Tests run in a kernel thread without a /dev: opened by who loads them */
static struct file *gntdev_file;

struct edu_buf {
	unsigned long args;	/* user memory */
	int fd;
	struct dma_buf *buf;
	struct dma_buf_attachment *attach;
};

static void free_buf(void *data)
{
	struct edu_buf *b = data;

	if (!IS_ERR_OR_NULL(b->attach))
		dma_buf_detach(b->buf, b->attach);
	if (!IS_ERR_OR_NULL(b->buf))
		dma_buf_put(b->buf);
	close_fd(b->fd);
	flush_delayed_fput();
}

/* Have gntdev make a dma-buf of pages of a run, as user space would */
static struct edu_buf *get_buf(struct kunit *test, u32 run)
{
	struct ioctl_gntdev_dmabuf_exp_from_refs op = {
		.count = BUF_PAGES,
		.domid = peer->domid,
	};
	const size_t head = offsetof(typeof(op), refs);
	u32 ref[BUF_PAGES];
	struct edu_buf *b;
	void __user *arg;
	unsigned int i;

	if (!gntdev_file)
		kunit_skip(test, "no /dev/xen/gntdev");
	b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b);
	b->args = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE,
				PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, b->args, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(b->args));
	arg = (void __user *)b->args;
	for (i = 0; i < BUF_PAGES; i++)
		ref[i] = xen_dma_peer_ref(run, i, false);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg, &op, head));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg + head, ref, sizeof(ref)));
	KUNIT_ASSERT_EQ(test, 0,
			gntdev_file->f_op->unlocked_ioctl(gntdev_file,
							  IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS,
							  b->args));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&op, arg, head));
	b->fd = op.fd;
	b->buf = dma_buf_get(b->fd);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_buf, b));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b->buf);
	return b;
}

static const struct data_case dmabuf_cases[] = {
	{ FOREIGN, DMA_TO_DEVICE },
	{ FOREIGN, DMA_FROM_DEVICE },
	{ FOREIGN, DMA_BIDIRECTIONAL },
	{ FOREIGN_PFN_VALID, DMA_BIDIRECTIONAL },
	{ FOREIGN_OUTSIDE, DMA_TO_DEVICE },
	{ FOREIGN_OUTSIDE, DMA_FROM_DEVICE },
	{ FOREIGN_OUTSIDE, DMA_BIDIRECTIONAL },
};

KUNIT_ARRAY_PARAM(dmabuf, dmabuf_cases, data_case_desc);

/*
 * What the peer has written the device reads from the dma-buf, and the other
 * way round; twice, since gntdev keeps the mapping.
 */
static void dmabuf_transfer(struct kunit *test)
{
	const struct data_case *c = test->param_value;
	const size_t size = BUF_PAGES * PAGE_SIZE;
	struct edu_mem mem;
	struct sg_table *sgt;
	struct edu_buf *b;
	unsigned int round;
	u64 seed, written;

	need_edu(test);
	/* The kind's run; gntdev is to map it, not this test */
	get_mem(test, edus[0], c->kind, 0, false, &mem);
	KUNIT_ASSERT_EQ(test, 0, peer_unmap(peer, 0, MEM_PAGES));
	b = get_buf(test, mem.run);
	b->attach = dma_buf_attach(b->buf, edu_dev(edus[0]));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b->attach);

	for (round = 0; round < 2; round++) {
		seed = new_seed();
		written = new_seed();
		mem_fill(test, &mem, 0, size, seed);
		sgt = dma_buf_map_attachment_unlocked(b->attach, c->dir);
		if (IS_ERR(sgt))
			KUNIT_FAIL_AND_ABORT(test, "not mapped: %pe", sgt);
		if (c->dir != DMA_FROM_DEVICE)
			sg_transfer(test, edus[0], sgt->sgl, sgt->nents, seed,
				    false);
		if (c->dir != DMA_TO_DEVICE)
			sg_transfer(test, edus[0], sgt->sgl, sgt->nents,
				    written, true);
		dma_buf_unmap_attachment_unlocked(b->attach, sgt, c->dir);
		mem_expect(test, &mem, round ? "second time" : "first time", 0,
			   size, c->dir == DMA_TO_DEVICE ? seed : written);
	}
	expect_guards(test);
}

/* The peer's memory is not dom0's to grant */
static void dmabuf_of_peer_is_not_granted(struct kunit *test)
{
	struct ioctl_gntdev_dmabuf_imp_to_refs op = {
		.count = BUF_PAGES,
		.domid = peer ? peer->domid : 0,
	};
	struct ioctl_gntdev_dmabuf_imp_release release = {};
	void __user *arg;
	struct edu_buf *b;
	long ret;

	need_peer(test);
	b = get_buf(test, 0);
	arg = (void __user *)b->args;
	op.fd = b->fd;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg, &op, sizeof(op)));
	ret = gntdev_file->f_op->unlocked_ioctl(gntdev_file,
						IOCTL_GNTDEV_DMABUF_IMP_TO_REFS,
						b->args);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, ret);
	if (ret)
		return;
	release.fd = b->fd;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(arg, &release, sizeof(release)));
	gntdev_file->f_op->unlocked_ioctl(gntdev_file,
					  IOCTL_GNTDEV_DMABUF_IMP_RELEASE,
					  b->args);
}

/*
 * The peer's grants
 */

/* A page in use is not revoked; a revoked one not mapped; a new grant works */
static void grant_revoke(struct kunit *test)
{
	const struct xen_dma_peer_ctrl *c;
	const u32 run = 0, page = 3;

	need_peer(test);
	c = peer->ctrl;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, unmap_mem_slots, NULL));

	KUNIT_ASSERT_EQ(test, peer_map(peer, 0, run, page, 1, false), 0);
	KUNIT_EXPECT_EQ(test, peer_order(peer, XEN_DMA_PEER_STATUS, run,
					 page * PAGE_SIZE, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, c->rsp_rw & (GTF_reading | GTF_writing),
			GTF_reading | GTF_writing);
	KUNIT_EXPECT_EQ(test, c->rsp_ro & (GTF_reading | GTF_writing), 0);
	KUNIT_EXPECT_EQ(test, peer_order(peer, XEN_DMA_PEER_REVOKE, run,
					 page * PAGE_SIZE, 0, 0), -EBUSY);

	KUNIT_ASSERT_EQ(test, peer_unmap(peer, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, peer_order(peer, XEN_DMA_PEER_STATUS, run,
					 page * PAGE_SIZE, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, c->rsp_rw & (GTF_reading | GTF_writing), 0);
	KUNIT_EXPECT_EQ(test, peer_order(peer, XEN_DMA_PEER_REVOKE, run,
					 page * PAGE_SIZE, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, peer_map(peer, 0, run, page, 1, false), -EACCES);
	KUNIT_EXPECT_EQ(test, peer_map(peer, 0, run, page, 1, true), -EACCES);

	KUNIT_EXPECT_EQ(test, peer_order(peer, XEN_DMA_PEER_GRANT, run,
					 page * PAGE_SIZE, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, peer_map(peer, 0, run, page, 1, false), 0);
	KUNIT_EXPECT_EQ(test, peer_unmap(peer, 0, 1), 0);
}

/*
 * Tests of the lab: does it see what it is there to see?
 */

/* The staging buffers, which all else relies on */
static void selftest_stage(struct kunit *test)
{
	unsigned int i, k;

	need_edu(test);
	for (i = 0; i < nr_edus; i++) {
		struct edu *edu = edus[i];
		u64 seed = new_seed();

		for (k = 0; k < EDU_BUF_SIZE; k++) {
			edu->stage_in[k] = xen_dma_peer_pattern(seed, k);
			edu->stage_out[k] = 0;
		}
		KUNIT_ASSERT_EQ(test, 0, edu_transfer(edu, edu->stage_in_dma,
						      EDU_BUF_SIZE, false));
		KUNIT_ASSERT_EQ(test, 0, edu_transfer(edu, edu->stage_out_dma,
						      EDU_BUF_SIZE, true));
		if (!memcmp(edu->stage_out, edu->stage_in, EDU_BUF_SIZE))
			continue;
		edus_broken = true;
		KUNIT_FAIL(test, "%s: what it read at 0x%llx is not what it wrote to 0x%llx",
			   pci_name(edu->pdev), (u64)edu->stage_in_dma,
			   (u64)edu->stage_out_dma);
	}
}

/*
 * A device that is given an address without its offset must not get at the
 * memory: the machine records a DMA fault.
 */
static void selftest_missing_offset_faults(struct kunit *test)
{
	struct edu *edu;
	struct edu_mem mem;
	u64 seed, machine;

	need_edu(test);
	edu = edus[0];
	get_mem(test, edu, LOCAL, 0, false, &mem);
	if (edu_machine(edu, mem.machine, PAGE_SIZE, &machine))
		kunit_skip(test, "no fault at a wrong address, the window has memory at 0x%llx too",
			   mem.machine);
	seed = new_seed();
	mem_fill(test, &mem, 0, PAGE_SIZE, seed);
	pr_info("expect-dma-fault: %s 0x%llx write\n", pci_name(edu->pdev),
		mem.machine);
	KUNIT_ASSERT_EQ(test, edu_transfer(edu, mem.machine, 64, true), 0);
	mem_expect(test, &mem, "memory at the wrong address", 0, PAGE_SIZE,
		   seed);
}

/* A device that writes to a page of another domain's is seen by that domain */
static void selftest_owner_sees_write(struct kunit *test)
{
	const struct xen_dma_peer_ctrl *c;
	struct edu *edu;
	struct edu_mem mem;
	u64 dma;

	need_peer(test);
	edu = edus[0];
	c = peer->ctrl;
	get_mem(test, edu, FOREIGN, 0, false, &mem);
	expect_guards(test);

	/* The guard page behind the run; 0x55 differs from its pattern or not */
	KUNIT_ASSERT_TRUE(test, edu_reaches(edu, mem.machine + MEM_SIZE,
					    PAGE_SIZE, &dma));
	memset(edu->stage_in, 0x55, 64);
	KUNIT_ASSERT_EQ(test, edu_transfer(edu, edu->stage_in_dma, 64, false), 0);
	KUNIT_ASSERT_EQ(test, edu_transfer(edu, dma + 128, 64, true), 0);

	KUNIT_ASSERT_EQ_MSG(test,
			    peer_order(peer, XEN_DMA_PEER_GUARDS, 0, 0, 0, 0),
			    0, "%s", peer->why);
	KUNIT_EXPECT_GE(test, c->rsp_bad, 56);
	KUNIT_EXPECT_LE(test, c->rsp_bad, 64);
	KUNIT_EXPECT_EQ(test, c->rsp_run, mem.run);
	KUNIT_EXPECT_GE(test, c->rsp_first, (s32)MEM_SIZE + 128);
	KUNIT_EXPECT_LT(test, c->rsp_first, (s32)MEM_SIZE + 128 + 8);
	KUNIT_EXPECT_EQ(test, c->rsp_got, 0x55);
	/* Restored by the peer */
	expect_guards(test);
}

static int edu_suite_init(struct kunit_suite *suite)
{
	watching = !xen_dma_watch_get();

	if (nr_edus)
		get_window_end(edus[0]);
	if (!xen_domain() || !peer_domid)
		return 0;
	gntdev_file = filp_open("/dev/xen/gntdev", O_RDWR, 0);
	if (IS_ERR(gntdev_file))
		gntdev_file = NULL;
	peer = kzalloc_obj(*peer);
	if (!peer) {
		put_window_end();
		return -ENOMEM;
	}
	/* What goes wrong is in peer->why, and fails each test that needs it */
	if (peer_open(peer, peer_domid, peer_timeout_ms))
		return 0;
	if (!strcmp(lab_fault, "mute"))
		peer_order(peer, XEN_DMA_PEER_MUTE, 0, 0, 0, 0);
	if (!strcmp(lab_fault, "die"))
		peer_order(peer, XEN_DMA_PEER_DIE, 0, 0, 0, 0);
	return 0;
}

static void edu_suite_exit(struct kunit_suite *suite)
{
	if (watching)
		xen_dma_watch_put();
	watching = false;
	if (gntdev_file)
		fput(gntdev_file);
	gntdev_file = NULL;
	if (peer)
		peer_close(peer);
	kfree(peer);
	peer = NULL;
	put_window_end();
}

static int edu_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(unsigned long), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void edu_test_exit(struct kunit *test)
{
	unsigned long *messages = test->priv;

	if (messages && *messages > MAINTENANCE_MESSAGES)
		kunit_info(test, "and %lu more like these",
			   *messages - MAINTENANCE_MESSAGES);
}

static struct kunit_case edu_cases[] = {
	KUNIT_CASE_SLOW(selftest_stage),
	KUNIT_CASE(selftest_missing_offset_faults),
	KUNIT_CASE(selftest_owner_sees_write),
	KUNIT_CASE(grant_revoke),
	KUNIT_CASE(foreign_crossing_page),
	KUNIT_CASE(foreign_from_device_not_invalidated),
	KUNIT_CASE(foreign_unmap_maintains_foreign),
	KUNIT_CASE(foreign_maintained_without_xen),
	KUNIT_CASE(foreign_readonly_left_to_xen),
	KUNIT_CASE_SLOW(unmap_races_with_sync),
	KUNIT_CASE_PARAM(maintenance_single, maintenance_gen_params),
	KUNIT_CASE_PARAM_ATTR(data_single, data_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM_ATTR(data_window_end, dir_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM_ATTR(data_large, large_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM(data_readonly_grant, foreign_gen_params),
	KUNIT_CASE_PARAM_ATTR(data_sync, kind_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM_ATTR(data_sg, foreign_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE(dmabuf_of_peer_is_not_granted),
	KUNIT_CASE_PARAM_ATTR(dmabuf_transfer, dmabuf_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	{ }
};

static struct kunit_suite edu_suite = {
	.name = "xen_dma_edu",
	.suite_init = edu_suite_init,
	.suite_exit = edu_suite_exit,
	.init = edu_test_init,
	.exit = edu_test_exit,
	.test_cases = edu_cases,
};

kunit_test_suite(edu_suite);

/* Devices are bound in here, before KUnit runs the suite */
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("Tests of DMA to dom0's and other domains' memory with QEMU's edu devices");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
