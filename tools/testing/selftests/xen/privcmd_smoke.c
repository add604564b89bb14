// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/xen/privcmd: hypercalls from user space, the mapping of another
 * domain's frames, and the restriction of a descriptor to one domain. What has
 * to be refused is refused, with the error that the ABI (and libxenctrl, which
 * looks at it) has.
 *
 * A smoke test, safe to run on a machine in use: its hypercalls read, or fail.
 * It needs root in dom0. A frame can only be mapped from another domain; where
 * there is none, that one case is skipped. Run it by itself, or one case:
 *
 *	./privcmd_smoke
 *	./privcmd_smoke -r mmapbatch_v2_errors
 *
 * IOCTL_PRIVCMD_MMAP_RESOURCE has a program of its own, privcmd_resource.
 */
#include "xen_util.h"

#include <limits.h>
#include <stdio.h>

#include <xen/interface/version.h>

#include "kselftest_harness.h"

#define BAD_DOMID	0x7abc
#define BAD_PTR		((void *)0x10UL)
/* A hypercall and a sub-operation that no version of Xen has */
#define BAD_HYPERCALL	63
#define BAD_OP		0xfff
/* In no domain: above the 40 (48) bits of guest address that Xen offers */
#define BAD_GFN		0x10000000000ULL
/* Highest domain id to look for a guest at */
#define LAST_DOMID	32

FIXTURE(privcmd)
{
	int fd;
	domid_t domid;
	void *buf;
};

FIXTURE_SETUP(privcmd)
{
	int ret;

	self->buf = NULL;
	self->fd = xen_open(DEV_PRIVCMD);
	if (self->fd < 0)
		SKIP(return, DEV_PRIVCMD ": %s", strerror(-self->fd));

	ret = xen_own_domid();
	if (ret < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-ret));
	self->domid = ret;

	self->buf = xen_hypercall_buffer(&ret);
	if (!self->buf)
		SKIP(return, DEV_HYPERCALL ": %s", strerror(-ret));
}

FIXTURE_TEARDOWN(privcmd)
{
	if (self->buf)
		munmap(self->buf, page_size());
	close(self->fd);
}

/* Hypercalls */

TEST_F(privcmd, xen_version)
{
	int version;

	version = xen_hypercall(self->fd, __HYPERVISOR_xen_version,
				XENVER_version, 0, 0);
	TH_LOG("Xen %d.%d", version >> 16, version & 0xffff);
	EXPECT_LE(4 << 16, version);
	/* Nothing that a kernel of this ABI could have been tested with */
	EXPECT_GT(100 << 16, version);
}

TEST_F(privcmd, xen_version_with_buffer)
{
	const size_t size = sizeof(struct xen_extraversion);
	char *extra = self->buf;

	/* Xen writes all of it, and not more */
	memset(extra, 0xff, 2 * size);
	ASSERT_EQ(0, xen_hypercall(self->fd, __HYPERVISOR_xen_version,
				   XENVER_extraversion, (uintptr_t)extra, 0));
	EXPECT_NE(NULL, memchr(extra, 0, size));
	EXPECT_EQ('\xff', extra[size]);
	TH_LOG("extraversion \"%.*s\"", (int)size, extra);
}

TEST_F(privcmd, refused_hypercalls)
{
	struct evtchn_status *status = self->buf;

	EXPECT_EQ(-ENOSYS, xen_hypercall(self->fd, BAD_HYPERCALL, 0, 0, 0));
	EXPECT_EQ(-ENOSYS, xen_hypercall(self->fd, __HYPERVISOR_xen_version,
					 BAD_OP, 0, 0));
	EXPECT_EQ(-ENOSYS, xen_hypercall(self->fd,
					 __HYPERVISOR_event_channel_op, BAD_OP,
					 (uintptr_t)self->buf, 0));

	memset(status, 0, sizeof(*status));
	status->dom = BAD_DOMID;
	EXPECT_EQ(-ESRCH, xen_hypercall(self->fd,
					__HYPERVISOR_event_channel_op,
					EVTCHNOP_status, (uintptr_t)status, 0));
	memset(status, 0, sizeof(*status));
	status->dom = DOMID_SELF;
	status->port = 0xffffff;
	EXPECT_EQ(-EINVAL, xen_hypercall(self->fd,
					 __HYPERVISOR_event_channel_op,
					 EVTCHNOP_status, (uintptr_t)status,
					 0));
}

TEST_F(privcmd, bad_pointers)
{
	static const unsigned long cmds[] = {
		IOCTL_PRIVCMD_HYPERCALL,
		IOCTL_PRIVCMD_MMAPBATCH,
		IOCTL_PRIVCMD_MMAPBATCH_V2,
		IOCTL_PRIVCMD_DM_OP,
		IOCTL_PRIVCMD_RESTRICT,
		IOCTL_PRIVCMD_MMAP_RESOURCE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		EXPECT_EQ(-EFAULT, xen_ioctl(self->fd, cmds[i], BAD_PTR))
			TH_LOG("command %#lx", cmds[i]);

	EXPECT_EQ(-ENOTTY, xen_ioctl(self->fd, _IO('P', 99), NULL));

	/* Xen says the same of its own arguments */
	EXPECT_EQ(-EFAULT, xen_hypercall(self->fd, __HYPERVISOR_xen_version,
					 XENVER_extraversion,
					 (uintptr_t)BAD_PTR, 0));
	EXPECT_EQ(-EFAULT, xen_hypercall(self->fd, __HYPERVISOR_xen_version,
					 XENVER_extraversion, UINT64_MAX, 0));
}

/* Device model operations: only the driver's checks, there is no model here */
TEST_F(privcmd, dm_op_counts)
{
	struct privcmd_dm_op op = { .dom = BAD_DOMID };
	struct privcmd_dm_op_buf bufs[17] = {};

	EXPECT_EQ(0, xen_ioctl(self->fd, IOCTL_PRIVCMD_DM_OP, &op));

	op.num = UINT16_MAX;
	op.ubufs = bufs;
	EXPECT_EQ(-E2BIG, xen_ioctl(self->fd, IOCTL_PRIVCMD_DM_OP, &op));

	op.num = 1;
	op.ubufs = BAD_PTR;
	EXPECT_EQ(-EFAULT, xen_ioctl(self->fd, IOCTL_PRIVCMD_DM_OP, &op));

	op.ubufs = bufs;
	bufs[0].uptr = self->buf;
	bufs[0].size = SIZE_MAX;
	EXPECT_EQ(-E2BIG, xen_ioctl(self->fd, IOCTL_PRIVCMD_DM_OP, &op));

	bufs[0].uptr = BAD_PTR;
	bufs[0].size = 16;
	EXPECT_EQ(-EFAULT, xen_ioctl(self->fd, IOCTL_PRIVCMD_DM_OP, &op));
}

TEST_F(privcmd, restricted_descriptor)
{
	struct privcmd_mmap_resource resource = {};
	struct privcmd_mmapbatch_v2 batch = {
		.num = 1,
		.dom = BAD_DOMID - 1,
		.arr = self->buf,
		.err = self->buf,
	};
	struct privcmd_dm_op op = { .dom = BAD_DOMID - 1, .num = 1 };
	domid_t dom = BAD_DOMID, other = BAD_DOMID - 1;

	ASSERT_EQ(0, xen_ioctl(self->fd, IOCTL_PRIVCMD_RESTRICT, &dom));
	EXPECT_EQ(0, xen_ioctl(self->fd, IOCTL_PRIVCMD_RESTRICT, &dom));
	EXPECT_EQ(-EINVAL, xen_ioctl(self->fd, IOCTL_PRIVCMD_RESTRICT, &other));

	EXPECT_EQ(-EPERM, xen_hypercall(self->fd, __HYPERVISOR_xen_version,
					XENVER_version, 0, 0));
	EXPECT_EQ(-EPERM, xen_ioctl(self->fd, IOCTL_PRIVCMD_MMAPBATCH_V2,
				    &batch));
	EXPECT_EQ(-EPERM, xen_ioctl(self->fd, IOCTL_PRIVCMD_MMAPBATCH, &batch));
	EXPECT_EQ(-EPERM, xen_ioctl(self->fd, IOCTL_PRIVCMD_DM_OP, &op));
	resource.dom = other;
	EXPECT_EQ(-EPERM, xen_ioctl(self->fd, IOCTL_PRIVCMD_MMAP_RESOURCE,
				    &resource));
}

/* Foreign frames */

static int mmapbatch(int fd, void *va, domid_t dom, xen_pfn_t *arr, int num)
{
	struct privcmd_mmapbatch op = {
		.num = num,
		.dom = dom,
		.addr = (uintptr_t)va,
		.arr = arr,
	};

	return xen_ioctl(fd, IOCTL_PRIVCMD_MMAPBATCH, &op);
}

TEST_F(privcmd, mmapbatch_arguments)
{
	/* Frames in one page of the kernel; the counts below are of those */
	const unsigned int per_page = page_size() / XEN_PAGE;
	xen_pfn_t *arr;
	void *va, *anon;
	int *errs, err;

	arr = calloc(3 * per_page, sizeof(*arr));
	errs = calloc(3 * per_page, sizeof(*errs));
	ASSERT_NE(NULL, arr);
	ASSERT_NE(NULL, errs);
	va = xen_mmap(self->fd, 0, 2 * page_size(), PROT_READ | PROT_WRITE,
		      MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	anon = xen_mmap(-1, 0, 2 * page_size(), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, &err);
	ASSERT_NE(NULL, anon);

	/* No frames */
	EXPECT_EQ(-EINVAL, mmapbatch(self->fd, va, BAD_DOMID, arr, 0));
	EXPECT_EQ(-EINVAL, mmapbatch_v2(self->fd, va, BAD_DOMID, arr, errs, 0));
	/* More, or fewer, than the mapping has room for */
	EXPECT_EQ(-EINVAL, mmapbatch_v2(self->fd, va, BAD_DOMID, arr, errs,
					3 * per_page));
	EXPECT_EQ(-EINVAL, mmapbatch_v2(self->fd, va, BAD_DOMID, arr, errs,
					per_page));
	EXPECT_EQ(-EINVAL, mmapbatch_v2(self->fd, va + page_size(), BAD_DOMID,
					arr, errs, per_page));
	/* Not a mapping of privcmd */
	EXPECT_EQ(-EINVAL, mmapbatch_v2(self->fd, anon, BAD_DOMID, arr, errs,
					2 * per_page));
	/* Arrays that are not there */
	EXPECT_EQ(-EFAULT, mmapbatch(self->fd, va, BAD_DOMID, BAD_PTR,
				     2 * per_page));
	EXPECT_EQ(-EFAULT, mmapbatch_v2(self->fd, va, BAD_DOMID, BAD_PTR, errs,
					2 * per_page));
	EXPECT_EQ(-EFAULT, mmapbatch_v2(self->fd, va, BAD_DOMID, arr, BAD_PTR,
					2 * per_page));

	EXPECT_EQ(0, munmap(anon, 2 * page_size()));
	EXPECT_EQ(0, munmap(va, 2 * page_size()));
	free(errs);
	free(arr);
}

/*
 * XENMAPSPACE_gmfn_foreign and MMU_NORMAL_PT_UPDATE are for others' frames. Xen
 * 4.17, and any to a PV domain, says that there is no such domain.
 */
static int own_frame_error(void)
{
	return xen_is_pv() || xen_minor() < 18 ? -ESRCH : -EPERM;
}

TEST_F(privcmd, mmapbatch_v2_errors)
{
	/* As many pages as there are reasons for Xen to refuse one */
	enum { PAGES = 4 };
	const unsigned int num = PAGES * page_size() / XEN_PAGE;
	const struct {
		const char *name;
		domid_t dom;
		int err;
	} cases[] = {
		{ "own domain", self->domid, own_frame_error() },
		{ "no such domain", BAD_DOMID, -ESRCH },
	};
	unsigned int i, j;
	xen_pfn_t *arr;
	int *errs, err;
	void *va;

	arr = calloc(num, sizeof(*arr));
	errs = calloc(num, sizeof(*errs));
	ASSERT_NE(NULL, arr);
	ASSERT_NE(NULL, errs);
	for (i = 0; i < num; i++)
		arr[i] = i & 1 ? BAD_GFN + i : i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		va = xen_mmap(self->fd, 0, PAGES * page_size(),
			      PROT_READ | PROT_WRITE, MAP_SHARED, &err);
		ASSERT_NE(NULL, va);

		/* The call succeeds, each frame fails */
		memset(errs, 0x77, num * sizeof(*errs));
		EXPECT_EQ(0, mmapbatch_v2(self->fd, va, cases[i].dom, arr, errs,
					  num));
		for (j = 0; j < num; j++)
			EXPECT_EQ(cases[i].err, errs[j])
				TH_LOG("%s, frame %u", cases[i].name, j);

		EXPECT_EQ(0, munmap(va, PAGES * page_size()));
	}
	free(errs);
	free(arr);
}

TEST_F(privcmd, mmapbatch_v1_errors)
{
	const unsigned int num = 2 * page_size() / XEN_PAGE;
	xen_pfn_t *arr;
	unsigned int i;
	void *va;
	int err;

	arr = calloc(num, sizeof(*arr));
	ASSERT_NE(NULL, arr);
	for (i = 0; i < num; i++)
		arr[i] = i;

	va = xen_mmap(self->fd, 0, 2 * page_size(), PROT_READ | PROT_WRITE,
		      MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	/* The error is in the top nibble of the frame's low word */
	EXPECT_EQ(0, mmapbatch(self->fd, va, self->domid, arr, num));
	for (i = 0; i < num; i++)
		EXPECT_EQ(PRIVCMD_MMAPBATCH_MFN_ERROR | i, arr[i])
			TH_LOG("frame %u", i);
	EXPECT_EQ(0, munmap(va, 2 * page_size()));
	free(arr);
}

TEST_F(privcmd, mmapbatch_again_and_again)
{
	enum { PAGES = 64 };
	const unsigned int num = PAGES * page_size() / XEN_PAGE;
	unsigned int round;
	xen_pfn_t *arr;
	int *errs, err;
	void *va;

	arr = calloc(num, sizeof(*arr));
	errs = calloc(num, sizeof(*errs));
	ASSERT_NE(NULL, arr);
	ASSERT_NE(NULL, errs);
	/* Pages that are allocated for frames which then fail come back */
	for (round = 0; round < 50; round++) {
		va = xen_mmap(self->fd, 0, PAGES * page_size(), PROT_READ,
			      MAP_SHARED, &err);
		ASSERT_NE(NULL, va);
		ASSERT_EQ(0, mmapbatch_v2(self->fd, va, self->domid, arr, errs,
					  num));
		ASSERT_EQ(own_frame_error(), errs[num - 1]);
		ASSERT_EQ(0, munmap(va, PAGES * page_size()));
	}
	free(errs);
	free(arr);
}

/* A mapping of foreign frames can be neither cut nor grown */
TEST_F(privcmd, mapping_in_one_piece)
{
	void *va, *more;
	int err;

	va = xen_mmap(self->fd, 0, 4 * page_size(), PROT_READ, MAP_SHARED,
		      &err);
	ASSERT_NE(NULL, va);
	EXPECT_EQ(-1, munmap(va, page_size()));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, munmap(va + page_size(), page_size()));
	EXPECT_EQ(EINVAL, errno);
	more = mremap(va, 4 * page_size(), 8 * page_size(), MREMAP_MAYMOVE);
	EXPECT_EQ(MAP_FAILED, more);
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, munmap(va, 4 * page_size()));
}

/* A page of a guest, and around it frames that are not there */
TEST_F(privcmd, mmapbatch_v2_of_a_guest)
{
	/* Whole pages of this kernel, the middle one is the guest's first */
	enum { PAGES = 3 };
	const unsigned int per_page = page_size() / XEN_PAGE;
	const unsigned int num = PAGES * per_page;
	unsigned int i, page, sum = 0;
	uint8_t *byte;
	xen_pfn_t *arr;
	int *errs, err;
	domid_t dom;
	void *va;

	arr = calloc(num, sizeof(*arr));
	errs = calloc(num, sizeof(*errs));
	ASSERT_NE(NULL, arr);
	ASSERT_NE(NULL, errs);

	for (dom = 1; dom <= LAST_DOMID; dom++) {
		for (i = 0; i < num; i++) {
			page = i / per_page;
			arr[i] = page == 1 ? GUEST_RAM0_GFN + i - per_page :
					     BAD_GFN + i;
		}
		va = xen_mmap(self->fd, 0, PAGES * page_size(),
			      PROT_READ | PROT_WRITE, MAP_SHARED, &err);
		ASSERT_NE(NULL, va);
		ASSERT_EQ(0, mmapbatch_v2(self->fd, va, dom, arr, errs, num));
		if (!errs[per_page])
			break;
		ASSERT_EQ(0, munmap(va, PAGES * page_size()));
	}
	if (dom > LAST_DOMID)
		SKIP(return, "no guest (domain 1 to %u) with RAM at frame %#llx",
		     LAST_DOMID, GUEST_RAM0_GFN);

	TH_LOG("domain %u", dom);
	for (i = 0; i < num; i++) {
		page = i / per_page;
		EXPECT_EQ(page == 1 ? 0 : -EINVAL, errs[i])
			TH_LOG("frame %u", i);
	}
	/* Readable to the last byte, or this ends with a signal */
	for (i = 0; i < page_size(); i++) {
		byte = (uint8_t *)va + page_size() + i;
		sum += READ_ONCE(*byte);
	}
	TH_LOG("sum of its bytes %u", sum);

	/* A page that is mapped cannot be mapped over */
	EXPECT_EQ(-EINVAL, mmapbatch_v2(self->fd, va + page_size(), dom,
					arr + per_page, errs, per_page));
	EXPECT_EQ(0, munmap(va, PAGES * page_size()));
	free(errs);
	free(arr);
}

TEST_HARNESS_MAIN
