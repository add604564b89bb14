// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peer guest of the lab: another domain whose memory dom0's devices read and
 * write, and who says what it finds there. Bare metal, one vCPU, started by Xen
 * without a toolstack (dom0less).
 *
 * It grants dom0 (domain 0) pages spread over its RAM and takes orders through
 * a granted control page; drivers/xen/xen_dma_peer.h has the protocol. Between
 * orders it sleeps a millisecond at a time on its virtual timer, so that it
 * costs next to no CPU time.
 *
 * Hypercall structures and guest layout come from Xen's own public headers.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <public/grant_table.h>
#include <public/memory.h>

typedef int32_t __s32;
typedef uint32_t __u32;
typedef uint64_t __u64;
#include <xen_dma_peer.h>

#include "bare.h"

#define DOMID_DOM0		0

#define RUN_BYTES		(XEN_DMA_PEER_RUN_PAGES * PAGE_SIZE)
#define MB			(1UL << 20)
#define NR_REFS			(XEN_DMA_PEER_DATA_REF + 2 * \
				 XEN_DMA_PEER_MAX_RUNS * XEN_DMA_PEER_RUN_PAGES)
#define REFS_PER_FRAME		(PAGE_SIZE / sizeof(grant_entry_v1_t))
#define GUARD_SEED(run)		(0x6775617264000000ULL + (run))

static union {
	struct xen_dma_peer_ctrl ctrl;
	char page[PAGE_SIZE];
} ctrl_page __attribute__((aligned(PAGE_SIZE)));
static struct xen_dma_peer_ctrl *const ctrl = &ctrl_page.ctrl;

/* Memory of each run's first granted page; a guard page lies before it */
static uintptr_t runs[XEN_DMA_PEER_MAX_RUNS];
static unsigned int nr_runs;
static bool mute;

void put_string(const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;
	hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, len, (uintptr_t)s);
}

static grant_entry_v1_t *grant_entry(grant_ref_t ref)
{
	return (grant_entry_v1_t *)GUEST_GNTTAB_BASE + ref;
}

static void map_grant_table(void)
{
	for (unsigned long i = 0; i * REFS_PER_FRAME < NR_REFS; i++) {
		struct xen_add_to_physmap arg = {
			.domid = DOMID_SELF,
			.space = XENMAPSPACE_grant_table,
			.idx = i,
			.gpfn = (GUEST_GNTTAB_BASE >> 12) + i,
		};

		if (hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap,
			      (uintptr_t)&arg, 0))
			fatal("peer: cannot map the grant table");
	}
}

static void grant(grant_ref_t ref, uintptr_t addr, bool readonly)
{
	grant_entry_v1_t *entry = grant_entry(ref);

	entry->domid = DOMID_DOM0;
	entry->frame = addr >> 12;
	__atomic_store_n(&entry->flags, GTF_permit_access |
			 (readonly ? GTF_readonly : 0), __ATOMIC_RELEASE);
}

/* False if dom0 has the page mapped through this reference */
static bool revoke(grant_ref_t ref)
{
	grant_entry_v1_t *entry = grant_entry(ref);
	uint16_t flags = __atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE);

	do {
		if (flags & (GTF_reading | GTF_writing))
			return false;
	} while (!__atomic_compare_exchange_n(&entry->flags, &flags, 0, false,
					      __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return true;
}

static void fill(uintptr_t addr, size_t len, uint64_t seed)
{
	volatile uint8_t *p = (volatile uint8_t *)addr;

	for (size_t i = 0; i < len; i++)
		p[i] = xen_dma_peer_pattern(seed, i);
}

/* Bytes that differ; the first one's index, value and expected value go to ctrl */
static unsigned int check(uintptr_t addr, size_t len, uint64_t seed)
{
	volatile uint8_t *p = (volatile uint8_t *)addr;
	unsigned int bad = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t got = p[i], want = xen_dma_peer_pattern(seed, i);

		if (got == want)
			continue;
		if (!bad++) {
			ctrl->rsp_first = i;
			ctrl->rsp_got = got;
			ctrl->rsp_want = want;
		}
	}
	return bad;
}

static uintptr_t guard(unsigned int run, unsigned int which)
{
	return which ? runs[run] + RUN_BYTES : runs[run] - PAGE_SIZE;
}

static unsigned int check_guards(void)
{
	unsigned int bad = 0;

	for (unsigned int run = 0; run < nr_runs; run++)
		for (unsigned int which = 0; which < 2; which++) {
			uint64_t seed = GUARD_SEED(2 * run + which);
			struct xen_dma_peer_ctrl first = *ctrl;
			unsigned int n = check(guard(run, which), PAGE_SIZE,
					       seed);

			if (!n)
				continue;
			fill(guard(run, which), PAGE_SIZE, seed);
			if (bad) {
				/* Keep what was found first */
				ctrl->rsp_first = first.rsp_first;
				ctrl->rsp_got = first.rsp_got;
				ctrl->rsp_want = first.rsp_want;
			} else {
				ctrl->rsp_run = run;
				ctrl->rsp_first += (intptr_t)(guard(run, which) -
							      runs[run]);
			}
			bad += n;
		}
	return bad;
}

static void make_runs(void)
{
	domid_t self = DOMID_SELF;
	long pages = hypercall(__HYPERVISOR_memory_op,
			       XENMEM_current_reservation, (uintptr_t)&self, 0);
	uint64_t bytes, start, stride;

	if (pages <= 0)
		fatal("peer: cannot ask for the amount of memory");
	bytes = (uint64_t)pages * PAGE_SIZE;
	if (bytes > GUEST_RAM0_SIZE)
		bytes = GUEST_RAM0_SIZE;

	/* First run after the Image, the rest evenly up to the end of RAM */
	start = ((uintptr_t)_end + 2 * MB - 1) & ~(2 * MB - 1);
	bytes -= start - GUEST_RAM0_BASE;
	nr_runs = XEN_DMA_PEER_MAX_RUNS;
	if (bytes / (2 * MB) < nr_runs)
		nr_runs = bytes / (2 * MB);
	if (!nr_runs)
		fatal("peer: too little memory");
	stride = bytes / nr_runs & ~(2 * MB - 1);

	for (unsigned int run = 0; run < nr_runs; run++) {
		runs[run] = start + run * stride + PAGE_SIZE;
		fill(guard(run, 0), PAGE_SIZE, GUARD_SEED(2 * run));
		fill(guard(run, 1), PAGE_SIZE, GUARD_SEED(2 * run + 1));
		for (unsigned int i = 0; i < XEN_DMA_PEER_RUN_PAGES; i++) {
			uintptr_t addr = runs[run] + i * PAGE_SIZE;

			grant(xen_dma_peer_ref(run, i, 0), addr, false);
			grant(xen_dma_peer_ref(run, i, 1), addr, true);
		}
	}
}

static uint32_t execute(uint32_t op, uint32_t run, uint32_t offset, uint32_t len,
			uint64_t seed)
{
	uint32_t page = offset / PAGE_SIZE;
	uintptr_t addr;

	ctrl->rsp_bad = 0;
	ctrl->rsp_first = 0;

	if (run >= nr_runs || offset > RUN_BYTES || len > RUN_BYTES - offset)
		return XEN_DMA_PEER_INVAL;
	addr = runs[run] + offset;

	switch (op) {
	case XEN_DMA_PEER_PING:
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_FILL:
		fill(addr, len, seed);
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_CHECK:
		ctrl->rsp_bad = check(addr, len, seed);
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_SUM:
		ctrl->rsp_sum = XEN_DMA_PEER_SUM_INIT;
		for (uint32_t i = 0; i < len; i++)
			ctrl->rsp_sum = xen_dma_peer_sum(ctrl->rsp_sum,
						((volatile uint8_t *)addr)[i]);
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_GUARDS:
		ctrl->rsp_bad = check_guards();
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_MUTE:
		mute = true;
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_DIE:
		put_string("peer: ordered to die\n");
		power_off(SHUTDOWN_poweroff);
	}

	/* The rest is about one page */
	if (page >= XEN_DMA_PEER_RUN_PAGES)
		return XEN_DMA_PEER_INVAL;

	switch (op) {
	case XEN_DMA_PEER_REVOKE:
		if (!revoke(xen_dma_peer_ref(run, page, 0)) ||
		    !revoke(xen_dma_peer_ref(run, page, 1)))
			return XEN_DMA_PEER_BUSY;
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_GRANT:
		/* Where only one was revoked the other one may be mapped */
		addr = runs[run] + page * PAGE_SIZE;
		if (!grant_entry(xen_dma_peer_ref(run, page, 0))->flags)
			grant(xen_dma_peer_ref(run, page, 0), addr, false);
		if (!grant_entry(xen_dma_peer_ref(run, page, 1))->flags)
			grant(xen_dma_peer_ref(run, page, 1), addr, true);
		return XEN_DMA_PEER_OK;
	case XEN_DMA_PEER_STATUS:
		ctrl->rsp_rw = grant_entry(xen_dma_peer_ref(run, page, 0))->flags;
		ctrl->rsp_ro = grant_entry(xen_dma_peer_ref(run, page, 1))->flags;
		return XEN_DMA_PEER_OK;
	}
	return XEN_DMA_PEER_INVAL;
}

static _Noreturn void serve(void)
{
	uint32_t done = 0;

	for (;;) {
		uint32_t seq = __atomic_load_n(&ctrl->req_seq, __ATOMIC_ACQUIRE);

		__atomic_store_n(&ctrl->beat, ctrl->beat + 1, __ATOMIC_RELAXED);
		if (seq == done || mute) {
			sleep_until(counter() + counter_frequency() / 1000);
			continue;
		}
		ctrl->rsp_error = execute(ctrl->op, ctrl->run, ctrl->offset,
					  ctrl->len, ctrl->seed);
		/* DMA that was ordered next must find what was written here */
		asm volatile("dsb sy" ::: "memory");
		done = seq;
		__atomic_store_n(&ctrl->rsp_seq, done, __ATOMIC_RELEASE);
	}
}

void guest_main(void)
{
	map_grant_table();
	make_runs();

	ctrl->version = XEN_DMA_PEER_VERSION;
	ctrl->nr_runs = nr_runs;
	ctrl->run_pages = XEN_DMA_PEER_RUN_PAGES;
	grant(XEN_DMA_PEER_CTRL_REF, (uintptr_t)&ctrl_page, false);
	__atomic_store_n(&ctrl->magic, XEN_DMA_PEER_MAGIC, __ATOMIC_RELEASE);

	put_string("peer: ready\n");
	serve();
}
