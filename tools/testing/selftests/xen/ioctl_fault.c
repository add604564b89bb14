// SPDX-License-Identifier: GPL-2.0
/*
 * Ioctls and mappings of Xen's devices in which an allocation fails: the first
 * one, then the second one, and so on until there is none left to fail. Each
 * time the call does its work or says that there is no memory, and nothing is
 * lost; without a failure it works then as before.
 *
 * ioctl_fault.sh prepares the kernel, which needs CONFIG_FAILSLAB and
 * CONFIG_FAIL_PAGE_ALLOC. No guest is needed:
 *
 *	./ioctl_fault.sh
 */
#include "xen_util.h"

#include "kselftest_harness.h"

#define GRANTS		3U
#define ROUNDS		64
/* Where nothing is mapped, so that page tables have to be allocated */
#define FAR_AWAY	((void *)(1UL << (sizeof(long) == 8 ? 37 : 30)))
/* No call here has so many allocations */
#define MAX_NTH		500

struct state {
	domid_t domid;
	domid_t guest;
	int nth_fd;		/* /proc/thread-self/fail-nth */
	unsigned int nth;	/* the allocation that is to fail; 0: none */
	bool failed;		/* there was one */
	int gntalloc;
	int gntdev;
	int privcmd;
	int buf;		/* a dma-buf of the kernel's */
	struct granted mine;
	struct granted g;
	struct mapped m;
	uint8_t *va;
	int fd;
	union {
		struct ioctl_gntdev_map_grant_ref map;
		struct ioctl_gntdev_dmabuf_exp_from_refs export;
		struct ioctl_gntdev_dmabuf_imp_to_refs import;
		struct ioctl_gntalloc_alloc_gref alloc;
		uint8_t room[256];
	} op;
};

static void begin(struct state *s)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", s->nth);

	if (pwrite(s->nth_fd, text, n, 0) != n)
		abort();
}

static void end(struct state *s)
{
	char text[16] = "";

	if (pread(s->nth_fd, text, sizeof(text) - 1, 0) <= 0 ||
	    pwrite(s->nth_fd, "0", 1, 0) != 1)
		abort();
	s->failed = s->nth && !strtoul(text, NULL, 10);
}

static int try_ioctl(struct state *s, int fd, unsigned long cmd, void *arg)
{
	int ret;

	begin(s);
	ret = xen_ioctl(fd, cmd, arg);
	end(s);
	return ret;
}

static int try_mmap(struct state *s, int fd, uint64_t offset, size_t len)
{
	int ret;

	begin(s);
	s->va = mmap(FAR_AWAY, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     offset);
	ret = s->va == MAP_FAILED ? -errno : 0;
	end(s);
	if (ret)
		s->va = NULL;
	return ret;
}

static int no_setup(struct state *s)
{
	return 0;
}

/* gntdev */

static int map_ref(struct state *s)
{
	unsigned int i;

	memset(&s->op, 0, sizeof(s->op));
	s->op.map.count = GRANTS;
	for (i = 0; i < GRANTS; i++) {
		s->op.map.refs[i].domid = s->domid;
		s->op.map.refs[i].ref = s->mine.refs[i];
	}
	return try_ioctl(s, s->gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &s->op);
}

static int map_ref_undo(struct state *s, int ret)
{
	s->m.fd = s->gntdev;
	s->m.index = s->op.map.index;
	s->m.count = GRANTS;
	return ret ? 0 : mapped_remove(&s->m);
}

static int insert(struct state *s)
{
	return mapped_insert(&s->m, s->gntdev, s->domid, s->mine.refs, GRANTS);
}

static int map_grants(struct state *s)
{
	int ret = try_mmap(s, s->gntdev, s->m.index, GRANTS * page_size());

	s->m.va = s->va;
	if (ret)
		return ret;
	/* It is what it was said to be */
	fill(s->mine.va, GRANTS, 7);
	return differing(s->va, GRANTS, 7) ? -EIO : 0;
}

static int map_grants_undo(struct state *s, int ret)
{
	return mapped_free(&s->m);
}

static int insert_map(struct state *s)
{
	int ret = mapped_map(&s->m, s->gntdev, s->domid, s->mine.refs, GRANTS,
			     PROT_READ);

	return ret ?: mapped_munmap(&s->m);
}

static int unmap_ref(struct state *s)
{
	struct ioctl_gntdev_unmap_grant_ref op = {
		.index = s->m.index,
		.count = GRANTS,
	};

	return try_ioctl(s, s->gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op);
}

static int unmap_ref_undo(struct state *s, int ret)
{
	return ret ? mapped_remove(&s->m) : 0;
}

static int export_refs(struct state *s)
{
	memset(&s->op, 0, sizeof(s->op));
	s->op.export.count = GRANTS;
	s->op.export.domid = s->domid;
	memcpy(s->op.export.refs, s->mine.refs, GRANTS * sizeof(uint32_t));
	return try_ioctl(s, s->gntdev, IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS,
			 &s->op);
}

static int export_refs_undo(struct state *s, int ret)
{
	return ret ? 0 : close(s->op.export.fd);
}

static int export_wait_setup(struct state *s)
{
	s->nth = 0;
	return export_refs(s);
}

static int export_wait(struct state *s)
{
	struct ioctl_gntdev_dmabuf_exp_wait_released op = {
		.fd = s->op.export.fd,
		.wait_to_ms = 10,
	};

	return try_ioctl(s, s->gntdev, IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED,
			 &op);
}

static int export_wait_undo(struct state *s, int ret)
{
	return close(s->op.export.fd);
}

static int import_refs(struct state *s)
{
	memset(&s->op, 0, sizeof(s->op));
	s->op.import.fd = s->buf;
	s->op.import.count = GRANTS;
	s->op.import.domid = s->domid;
	return try_ioctl(s, s->gntdev, IOCTL_GNTDEV_DMABUF_IMP_TO_REFS, &s->op);
}

static int import_refs_undo(struct state *s, int ret)
{
	struct ioctl_gntdev_dmabuf_imp_release op = { .fd = s->buf };

	return ret ? 0 : xen_ioctl(s->gntdev, IOCTL_GNTDEV_DMABUF_IMP_RELEASE,
				   &op);
}

/* gntalloc */

static int alloc_grants(struct state *s)
{
	memset(&s->op, 0, sizeof(s->op));
	s->op.alloc.domid = s->domid;
	s->op.alloc.count = GRANTS;
	return try_ioctl(s, s->gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &s->op);
}

static int alloc_grants_undo(struct state *s, int ret)
{
	s->g.fd = s->gntalloc;
	s->g.index = s->op.alloc.index;
	s->g.count = GRANTS;
	return ret ? 0 : granted_revoke(&s->g);
}

static int alloc_unmap(struct state *s)
{
	int ret = granted_alloc(&s->g, s->gntalloc, s->domid, GRANTS, true);

	return ret ?: granted_unmap(&s->g);
}

static int map_own(struct state *s)
{
	int ret = try_mmap(s, s->gntalloc, s->g.index, GRANTS * page_size());

	s->g.va = s->va;
	return ret;
}

static int map_own_undo(struct state *s, int ret)
{
	return granted_free(&s->g);
}

/* privcmd */

static int map_nothing(struct state *s)
{
	int ret;

	s->va = xen_mmap(s->privcmd, 0, GRANTS * page_size(), PROT_READ,
			 MAP_SHARED, &ret);
	return ret;
}

static int try_batch(struct state *s, domid_t dom, const xen_pfn_t *arr,
		     int *err, unsigned int num)
{
	int ret;

	begin(s);
	ret = mmapbatch_v2(s->privcmd, s->va, dom, arr, err, num);
	end(s);
	return ret;
}

static int batch(struct state *s)
{
	static xen_pfn_t arr[GRANTS * 16];
	static int err[GRANTS * 16];

	/* Xen refuses each frame, as they are our own */
	return try_batch(s, s->domid, arr, err,
			 GRANTS * page_size() / XEN_PAGE);
}

/* Where the kernel needs a page table for it */
static int map_far(struct state *s)
{
	s->va = mmap(FAR_AWAY, GRANTS * page_size(), PROT_READ, MAP_SHARED,
		     s->privcmd, 0);
	if (s->va != MAP_FAILED)
		return 0;
	s->va = NULL;
	return -errno;
}

/* Of a guest. What is said to be mapped is there, and nothing else */
static int batch_of_guest(struct state *s)
{
	int err[GRANTS], pipes[2], ret;
	xen_pfn_t arr[GRANTS];
	unsigned int i;

	for (i = 0; i < GRANTS; i++)
		arr[i] = GUEST_RAM0_GFN + i;
	ret = try_batch(s, s->guest, arr, err, GRANTS);
	if (ret)
		return ret;
	if (pipe(pipes))
		return -errno;
	for (i = 0; i < GRANTS; i++) {
		bool there = write(pipes[1], s->va + i * page_size(), 1) == 1;

		if (there == !!err[i])
			ret = -EIO;
	}
	close(pipes[0]);
	close(pipes[1]);
	return ret;
}

static int resource(struct state *s)
{
	struct privcmd_mmap_resource op = {
		.dom = s->domid,
		.type = 1,	/* XENMEM_resource_grant_table */
		.num = GRANTS * page_size() / XEN_PAGE,
		.addr = (uintptr_t)s->va,
	};

	return try_ioctl(s, s->privcmd, IOCTL_PRIVCMD_MMAP_RESOURCE, &op);
}

static int unmap_va(struct state *s, int ret)
{
	return munmap(s->va, GRANTS * page_size()) ? -errno : 0;
}

static int dm_op(struct state *s)
{
	static uint8_t data[64];
	struct privcmd_dm_op_buf buf[2] = {
		{ .uptr = data, .size = sizeof(data) },
		{ .uptr = &s->op, .size = sizeof(s->op) },
	};
	struct privcmd_dm_op op = {
		.dom = s->domid,
		.num = 2,
		.ubufs = buf,
	};

	return try_ioctl(s, s->privcmd, IOCTL_PRIVCMD_DM_OP, &op);
}

static int no_undo(struct state *s, int ret)
{
	return 0;
}

/* In pages, without what slabs keep for later */
static long free_memory(void)
{
	shrink_slabs();
	return free_pages();
}

/* What is freed by RCU, page tables for one, takes its time */
static long lost_memory(long before, long enough)
{
	unsigned int i;
	long lost = 0;

	for (i = 0; i < 40; i++) {
		lost = before - free_memory();
		if (lost < enough)
			break;
		usleep(250 * 1000);
	}
	return lost;
}

FIXTURE(fault)
{
	struct state s;
};

struct call {
	int (*setup)(struct state *s);
	int (*call)(struct state *s);
	int (*undo)(struct state *s, int ret);
	int also;	/* an error that means the same as -ENOMEM */
};

FIXTURE_VARIANT(fault)
{
	struct call call;
};

FIXTURE_VARIANT_ADD(fault, gntdev_map_grant_ref) {
	.call = { no_setup, map_ref, map_ref_undo },
};

/* vm_map_pages_zero() says -EFAULT when there is no memory for a page directory */
FIXTURE_VARIANT_ADD(fault, gntdev_mmap) {
	.call = { insert, map_grants, map_grants_undo, -EFAULT },
};

FIXTURE_VARIANT_ADD(fault, gntdev_unmap_grant_ref) {
	.call = { insert_map, unmap_ref, unmap_ref_undo },
};

FIXTURE_VARIANT_ADD(fault, gntdev_dmabuf_exp_from_refs) {
	.call = { no_setup, export_refs, export_refs_undo },
};

FIXTURE_VARIANT_ADD(fault, gntdev_dmabuf_exp_wait_released) {
	.call = { export_wait_setup, export_wait, export_wait_undo },
};

FIXTURE_VARIANT_ADD(fault, gntdev_dmabuf_imp_to_refs) {
	.call = { no_setup, import_refs, import_refs_undo },
};

FIXTURE_VARIANT_ADD(fault, gntalloc_alloc_gref) {
	.call = { no_setup, alloc_grants, alloc_grants_undo },
};

FIXTURE_VARIANT_ADD(fault, gntalloc_mmap) {
	.call = { alloc_unmap, map_own, map_own_undo },
};

FIXTURE_VARIANT_ADD(fault, privcmd_mmapbatch_v2) {
	.call = { map_nothing, batch, unmap_va },
};

FIXTURE_VARIANT_ADD(fault, privcmd_mmapbatch_v2_of_guest) {
	.call = { map_far, batch_of_guest, unmap_va },
};

FIXTURE_VARIANT_ADD(fault, privcmd_mmap_resource) {
	.call = { map_nothing, resource, unmap_va },
};

FIXTURE_VARIANT_ADD(fault, privcmd_dm_op) {
	.call = { no_setup, dm_op, no_undo },
};

FIXTURE_SETUP(fault)
{
	struct state *s = &self->s;
	int ret;

	s->nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (s->nth_fd < 0)
		SKIP(return, "kernel without CONFIG_FAULT_INJECTION");
	s->gntalloc = xen_open(DEV_GNTALLOC);
	s->gntdev = xen_open(DEV_GNTDEV);
	s->privcmd = xen_open(DEV_PRIVCMD);
	ret = xen_own_domid();
	if (s->gntalloc < 0 || s->gntdev < 0 || s->privcmd < 0 || ret < 0)
		SKIP(return, "no gntalloc, gntdev, privcmd or domain id");
	s->domid = ret;
	ASSERT_EQ(0, granted_alloc(&s->mine, s->gntalloc, s->domid, GRANTS,
				   true));
	s->buf = heap_buffer(GRANTS * page_size());
}

FIXTURE_TEARDOWN(fault)
{
}

/* One call: what it returns; sets s->failed */
static int one(struct __test_metadata *_metadata, const struct call *call,
	       struct state *s, unsigned int nth)
{
	int ret;

	s->nth = 0;
	ASSERT_EQ(0, call->setup(s));
	s->nth = nth;
	ret = call->call(s);
	s->nth = 0;
	ASSERT_EQ(0, call->undo(s, ret))
		TH_LOG("allocation %u: cannot be undone", nth);
	return ret;
}

/* The number of allocations that there are to fail */
static unsigned int all(struct __test_metadata *_metadata,
			const struct call *call, struct state *s, int base)
{
	unsigned int nth;
	int ret;

	for (nth = 1; nth < MAX_NTH; nth++) {
		ret = one(_metadata, call, s, nth);
		if (!s->failed)
			break;
		EXPECT_TRUE(ret == base || ret == -ENOMEM ||
			    (call->also && ret == call->also))
			TH_LOG("allocation %u fails: %d", nth, ret);
	}
	EXPECT_EQ(base, ret)
		TH_LOG("no allocation fails");
	EXPECT_LT(nth, MAX_NTH);
	return nth - 1;
}

TEST_F_TIMEOUT(fault, each_allocation, 120)
{
	const struct call *call = &variant->call;
	struct state *s = &self->s;
	unsigned int i, again, nr;
	long grants, mem, given, lost;
	int base;

	if (call->call == import_refs && s->buf < 0)
		SKIP(return, "no " DEV_DMA_HEAP);
	if (call->call == batch_of_guest) {
		s->guest = find_guest(s->privcmd);
		if (!s->guest)
			SKIP(return, "no guest with frames that can be mapped");
	}
	base = one(_metadata, call, s, 0);
	if (base == -ENOTTY || base == -EOPNOTSUPP)
		SKIP(return, "this kernel cannot do it");
	nr = all(_metadata, call, s, base);
	TH_LOG("%u allocations, else %d", nr, base);

	grants = free_grants(s->domid);
	given = settled_given_memory();
	/* What others take meanwhile they don't take each time */
	for (again = 0; again < 3; again++) {
		mem = free_memory();
		for (i = 0; i < ROUNDS; i++)
			all(_metadata, call, s, base);
		/* A page for two rounds: less than any call here has to lose */
		lost = lost_memory(mem, ROUNDS / 2);
		if (lost < ROUNDS / 2)
			break;
	}
	EXPECT_GT(ROUNDS / 2, lost)
		TH_LOG("%ld pages are lost in %d rounds", lost, ROUNDS);
	EXPECT_EQ(grants, free_grants(s->domid))
		TH_LOG("grants are lost");
	EXPECT_EQ(given, settled_given_memory());
	EXPECT_EQ(base, one(_metadata, call, s, 0));
}

/* Before the tests: what else has leaked is not theirs */
static __attribute__((constructor)) void forget_leaks(void)
{
	kmemleak_forget();
}

/* After them: also what is too little to be missed among the free pages */
FIXTURE(leaks)
{
};

FIXTURE_SETUP(leaks)
{
}

FIXTURE_TEARDOWN(leaks)
{
}

TEST_F_TIMEOUT(leaks, none, 300)
{
	long n = kmemleak_scan();

	if (n == -ENOENT)
		SKIP(return, "kernel without kmemleak");
	EXPECT_EQ(0, n);
}

TEST_HARNESS_MAIN
