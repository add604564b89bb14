// SPDX-License-Identifier: GPL-2.0
/*
 * Grant tables from user space, against the same domain: pages that
 * /dev/xen/gntalloc grants are mapped, copied and made into dma-bufs by
 * /dev/xen/gntdev, and the data are compared both ways. Errors are compared
 * with what the drivers' ABI says, and everything has to be given back.
 *
 * A functional test, safe to run on a machine in use: it touches no memory but
 * its own. It needs no second domain, no xenstored and no toolstack, only root
 * in a domain that translates addresses (Arm, or x86 PVH and HVM) and the
 * devices below /dev/xen. Run it by itself, or one case of it:
 *
 *	./gnttab_loopback
 *	./gnttab_loopback -r copy_crossing_pages
 */
#include "xen_util.h"

#include <limits.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>

#include "kselftest_harness.h"

/* No reference that a grant table of any size has */
#define BAD_REF		0x7ffffff0U
/* No domain that exists, and none of Xen's special ones */
#define BAD_DOMID	0x7abc
/* In no process, on any architecture */
#define BAD_PTR		((void *)0x10UL)

FIXTURE(grants)
{
	int gntalloc;
	int gntdev;
	int evtchn;
	domid_t domid;
};

FIXTURE_SETUP(grants)
{
	int domid;

	self->gntalloc = xen_open(DEV_GNTALLOC);
	self->gntdev = xen_open(DEV_GNTDEV);
	self->evtchn = xen_open(DEV_EVTCHN);
	if (self->gntalloc < 0)
		SKIP(return, DEV_GNTALLOC ": %s", strerror(-self->gntalloc));
	if (self->gntdev < 0)
		SKIP(return, DEV_GNTDEV ": %s", strerror(-self->gntdev));
	if (self->evtchn < 0)
		SKIP(return, DEV_EVTCHN ": %s", strerror(-self->evtchn));

	domid = xen_own_domid();
	if (domid < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-domid));
	self->domid = domid;
}

FIXTURE_TEARDOWN(grants)
{
	/* Gives back what a test that failed has left behind */
	close(self->gntdev);
	close(self->gntalloc);
	close(self->evtchn);
}

/* Data, by number of pages */

FIXTURE(data)
{
	int gntalloc;
	int gntdev;
	domid_t domid;
	struct granted granted;
};

FIXTURE_VARIANT(data)
{
	unsigned int count;
};

FIXTURE_VARIANT_ADD(data, 1_page)	{ .count = 1, };
FIXTURE_VARIANT_ADD(data, 2_pages)	{ .count = 2, };
FIXTURE_VARIANT_ADD(data, 33_pages)	{ .count = 33, };
FIXTURE_VARIANT_ADD(data, 96_pages)	{ .count = 96, };

FIXTURE_SETUP(data)
{
	int domid;

	self->gntalloc = xen_open(DEV_GNTALLOC);
	self->gntdev = xen_open(DEV_GNTDEV);
	if (self->gntalloc < 0)
		SKIP(return, DEV_GNTALLOC ": %s", strerror(-self->gntalloc));
	if (self->gntdev < 0)
		SKIP(return, DEV_GNTDEV ": %s", strerror(-self->gntdev));

	domid = xen_own_domid();
	if (domid < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-domid));
	self->domid = domid;
	ASSERT_EQ(0, granted_alloc(&self->granted, self->gntalloc, self->domid,
				   variant->count, true));
}

FIXTURE_TEARDOWN(data)
{
	close(self->gntdev);
	close(self->gntalloc);
}

TEST_F(data, both_ways)
{
	struct granted *g = &self->granted;
	unsigned int count = variant->count;
	struct mapped m;

	fill(g->va, count, 1);
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g->refs, count,
				PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, differing(m.va, count, 1));

	fill(m.va, count, 2);
	EXPECT_EQ(0, differing(g->va, count, 2));
	fill(g->va, count, 3);
	EXPECT_EQ(0, differing(m.va, count, 3));

	EXPECT_EQ(0, mapped_free(&m));
	/* The granter's data are its own after the unmap */
	EXPECT_EQ(0, differing(g->va, count, 3));
	EXPECT_EQ(0, granted_free(g));
}

TEST_F(data, references_in_reverse)
{
	struct granted *g = &self->granted;
	unsigned int i, j, count = variant->count;
	uint32_t *refs;
	struct mapped m;

	refs = calloc(count, sizeof(*refs));
	ASSERT_NE(NULL, refs);
	for (i = 0; i < count; i++)
		refs[i] = g->refs[count - 1 - i];

	fill(g->va, count, 4);
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, refs, count,
				PROT_READ | PROT_WRITE));
	for (i = 0; i < count; i++) {
		for (j = 0; j < XEN_PAGE; j++)
			if (m.va[i * page_size() + j] !=
			    pattern(4, count - 1 - i, j))
				break;
		EXPECT_EQ(XEN_PAGE, j)
			TH_LOG("page %u differs at byte %u", i, j);
	}
	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(g));
	free(refs);
}

TEST_F(data, again_and_again)
{
	struct granted *g = &self->granted;
	unsigned int round, count = variant->count;
	struct mapped m;

	/* Few rounds of many pages: emulated machines are slow */
	for (round = 0; round < 1 + 100 / count; round++) {
		fill(g->va, count, round);
		ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g->refs,
					count, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, differing(m.va, count, round));
		ASSERT_EQ(0, mapped_free(&m));
	}
	EXPECT_EQ(0, granted_free(g));
}

/* Mapping */

TEST_F(grants, two_mappings_of_one_page)
{
	struct mapped a, b;
	struct granted g;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 1, true));
	ASSERT_EQ(0, mapped_map(&a, self->gntdev, self->domid, g.refs, 1,
				PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, mapped_map(&b, self->gntdev, self->domid, g.refs, 1,
				PROT_READ | PROT_WRITE));
	EXPECT_NE(a.index, b.index);

	fill(a.va, 1, 5);
	EXPECT_EQ(0, differing(b.va, 1, 5));
	/* One mapping gone, the other has to go on working */
	EXPECT_EQ(0, mapped_free(&a));
	EXPECT_EQ(0, differing(b.va, 1, 5));
	fill(b.va, 1, 6);
	EXPECT_EQ(0, differing(g.va, 1, 6));
	EXPECT_EQ(0, mapped_free(&b));
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, offsets_in_the_file)
{
	static const unsigned int counts[] = { 1, 3, 2 };
	struct ioctl_gntdev_get_offset_for_vaddr op;
	struct granted g[3];
	struct mapped m[3];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, granted_alloc(&g[i], self->gntalloc, self->domid,
					   counts[i], true));
		ASSERT_EQ(0, mapped_insert(&m[i], self->gntdev, self->domid,
					   g[i].refs, counts[i]));
		fill(g[i].va, counts[i], 10 + i);
	}
	/* The first one is at 0: include/uapi/xen/gntdev.h promises it */
	EXPECT_EQ(0, m[0].index);

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, mapped_mmap(&m[2 - i], PROT_READ | PROT_WRITE));

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, differing(m[i].va, counts[i], 10 + i));

		memset(&op, 0xff, sizeof(op));
		op.vaddr = (uintptr_t)m[i].va;
		EXPECT_EQ(0, xen_ioctl(self->gntdev,
				       IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &op));
		EXPECT_EQ(m[i].index, op.offset);
		EXPECT_EQ(counts[i], op.count);
	}

	op.vaddr = (uintptr_t)g[0].va;
	EXPECT_EQ(-EINVAL, xen_ioctl(self->gntdev,
				     IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &op));

	/* The middle one goes first, its neighbours stay */
	EXPECT_EQ(0, mapped_free(&m[1]));
	EXPECT_EQ(0, differing(m[0].va, counts[0], 10));
	EXPECT_EQ(0, differing(m[2].va, counts[2], 12));
	EXPECT_EQ(0, mapped_free(&m[0]));
	EXPECT_EQ(0, mapped_free(&m[2]));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, granted_free(&g[i]));
}

TEST_F(grants, mmap_that_does_not_fit)
{
	struct granted g;
	struct mapped m;
	int err;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 2, true));
	ASSERT_EQ(0, mapped_insert(&m, self->gntdev, self->domid, g.refs, 2));

	/* gntdev maps all of what one ioctl inserted, or nothing */
	EXPECT_EQ(NULL, xen_mmap(self->gntdev, m.index, page_size(), PROT_READ,
				 MAP_SHARED, &err));
	EXPECT_EQ(-EINVAL, err);
	EXPECT_EQ(NULL, xen_mmap(self->gntdev, m.index, 3 * page_size(),
				 PROT_READ, MAP_SHARED, &err));
	EXPECT_EQ(-EINVAL, err);
	EXPECT_EQ(NULL, xen_mmap(self->gntdev, m.index + page_size(),
				 page_size(), PROT_READ, MAP_SHARED, &err));
	EXPECT_EQ(-EINVAL, err);
	/* ... shared, if it is to be written */
	EXPECT_EQ(NULL, xen_mmap(self->gntdev, m.index, 2 * page_size(),
				 PROT_READ | PROT_WRITE, MAP_PRIVATE, &err));
	EXPECT_EQ(-EINVAL, err);
	/* ... and once */
	ASSERT_EQ(0, mapped_mmap(&m, PROT_READ | PROT_WRITE));
	EXPECT_EQ(NULL, xen_mmap(self->gntdev, m.index, 2 * page_size(),
				 PROT_READ | PROT_WRITE, MAP_SHARED, &err));
	EXPECT_EQ(-EINVAL, err);
	fill(g.va, 2, 20);
	EXPECT_EQ(0, differing(m.va, 2, 20));

	/* gntalloc, likewise */
	EXPECT_EQ(NULL, xen_mmap(self->gntalloc, g.index, 3 * page_size(),
				 PROT_READ, MAP_SHARED, &err));
	EXPECT_EQ(-ENOENT, err);
	EXPECT_EQ(NULL, xen_mmap(self->gntalloc, g.index, 2 * page_size(),
				 PROT_READ, MAP_PRIVATE, &err));
	EXPECT_EQ(-EINVAL, err);

	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, read_only)
{
	struct granted g;
	struct mapped m;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 2, false));
	fill(g.va, 2, 21);

	ASSERT_EQ(0, mapped_insert(&m, self->gntdev, self->domid, g.refs, 2));
	EXPECT_EQ(-EINVAL, mapped_mmap(&m, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mapped_remove(&m));

	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, 2,
				PROT_READ));
	EXPECT_EQ(0, differing(m.va, 2, 21));
	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, refused_reference)
{
	uint32_t ref = BAD_REF;
	struct mapped m;

	ASSERT_EQ(0, mapped_insert(&m, self->gntdev, self->domid, &ref, 1));
	EXPECT_EQ(-EINVAL, mapped_mmap(&m, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mapped_remove(&m));
}

TEST_F(grants, refused_reference_among_good_ones)
{
	struct granted g;
	struct mapped m;
	uint32_t refs[5];
	unsigned int i;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 5, true));
	for (i = 0; i < 5; i++) {
		memcpy(refs, g.refs, sizeof(refs));
		refs[i] = BAD_REF;
		ASSERT_EQ(0, mapped_insert(&m, self->gntdev, self->domid, refs,
					   5));
		EXPECT_EQ(-EINVAL, mapped_mmap(&m, PROT_READ | PROT_WRITE))
			TH_LOG("bad reference at %u", i);
		EXPECT_EQ(0, mapped_remove(&m));
	}

	/* None of the failures has left a reference in use, or a wrong page */
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, 5,
				PROT_READ | PROT_WRITE));
	fill(g.va, 5, 22);
	EXPECT_EQ(0, differing(m.va, 5, 22));
	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, refused_domain)
{
	struct granted g;
	struct mapped m;

	/* Granted to a domain that is not this one */
	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, BAD_DOMID, 1, true));
	ASSERT_EQ(0, mapped_insert(&m, self->gntdev, self->domid, g.refs, 1));
	EXPECT_EQ(-EINVAL, mapped_mmap(&m, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mapped_remove(&m));
	/* Granted by a domain that does not exist */
	ASSERT_EQ(0, mapped_insert(&m, self->gntdev, BAD_DOMID, g.refs, 1));
	EXPECT_EQ(-EINVAL, mapped_mmap(&m, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mapped_remove(&m));
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, revoked_reference)
{
	struct granted g;
	struct mapped m;
	uint32_t ref;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 1, true));
	ref = g.refs[0];
	EXPECT_EQ(0, granted_free(&g));
	ASSERT_EQ(0, mapped_insert(&m, self->gntdev, self->domid, &ref, 1));
	EXPECT_EQ(-EINVAL, mapped_mmap(&m, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mapped_remove(&m));
}

TEST_F(grants, bad_arguments)
{
	struct ioctl_gntdev_map_grant_ref map = { .count = 0 };
	struct ioctl_gntdev_unmap_grant_ref unmap = { .count = 1 };
	struct ioctl_gntalloc_dealloc_gref dealloc = { .count = 1 };
	struct ioctl_gntalloc_alloc_gref alloc = { .count = UINT_MAX };
	static const unsigned long gntdev_cmds[] = {
		IOCTL_GNTDEV_MAP_GRANT_REF,
		IOCTL_GNTDEV_UNMAP_GRANT_REF,
		IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
		IOCTL_GNTDEV_SET_UNMAP_NOTIFY,
		IOCTL_GNTDEV_GRANT_COPY,
	};
	static const unsigned long gntalloc_cmds[] = {
		IOCTL_GNTALLOC_ALLOC_GREF,
		IOCTL_GNTALLOC_DEALLOC_GREF,
		IOCTL_GNTALLOC_SET_UNMAP_NOTIFY,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gntdev_cmds); i++)
		EXPECT_EQ(-EFAULT, xen_ioctl(self->gntdev, gntdev_cmds[i],
					     BAD_PTR))
			TH_LOG("gntdev %#lx", gntdev_cmds[i]);
	for (i = 0; i < ARRAY_SIZE(gntalloc_cmds); i++)
		EXPECT_EQ(-EFAULT, xen_ioctl(self->gntalloc, gntalloc_cmds[i],
					     BAD_PTR))
			TH_LOG("gntalloc %#lx", gntalloc_cmds[i]);

	EXPECT_EQ(-ENOTTY, xen_ioctl(self->gntdev, _IO('G', 99), NULL));
	EXPECT_EQ(-ENOTTY, xen_ioctl(self->gntalloc, _IO('G', 99), NULL));

	/* No grant at all, and more than a mapping may have */
	EXPECT_EQ(-EINVAL, xen_ioctl(self->gntdev, IOCTL_GNTDEV_MAP_GRANT_REF,
				     &map));
	map.count = UINT_MAX;
	EXPECT_EQ(-EINVAL, xen_ioctl(self->gntdev, IOCTL_GNTDEV_MAP_GRANT_REF,
				     &map));
	EXPECT_EQ(-ENOSPC, xen_ioctl(self->gntalloc, IOCTL_GNTALLOC_ALLOC_GREF,
				     &alloc));
	/* Nothing has been inserted or allocated here */
	EXPECT_EQ(-ENOENT, xen_ioctl(self->gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF,
				     &unmap));
	EXPECT_EQ(-EINVAL, xen_ioctl(self->gntalloc,
				     IOCTL_GNTALLOC_DEALLOC_GREF, &dealloc));
}

/* The granter goes first */

TEST_F(grants, revoke_while_mapped)
{
	struct granted g, other;
	struct mapped m;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 4, true));
	fill(g.va, 4, 30);
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, 4,
				PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, granted_free(&g));

	/*
	 * The granter has let go, so its pages would be free were they not
	 * mapped. New ones must not be those: fill and compare.
	 */
	ASSERT_EQ(0, granted_alloc(&other, self->gntalloc, self->domid, 64,
				   true));
	fill(other.va, 64, 31);
	EXPECT_EQ(0, differing(m.va, 4, 30));
	fill(m.va, 4, 32);
	EXPECT_EQ(0, differing(m.va, 4, 32));
	EXPECT_EQ(0, differing(other.va, 64, 31));

	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(&other));
}

TEST_F(grants, close_while_mapped)
{
	struct granted g;
	struct mapped m;
	int gntdev;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 4, true));
	fill(g.va, 4, 33);
	gntdev = xen_open(DEV_GNTDEV);
	ASSERT_LE(0, gntdev);
	ASSERT_EQ(0, mapped_map(&m, gntdev, self->domid, g.refs, 4,
				PROT_READ | PROT_WRITE));
	/* The mapping holds the file, and the file the grants */
	EXPECT_EQ(0, close(gntdev));
	EXPECT_EQ(0, differing(m.va, 4, 33));
	fill(m.va, 4, 34);
	EXPECT_EQ(0, differing(g.va, 4, 34));
	EXPECT_EQ(0, mapped_munmap(&m));
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, remove_while_mapped)
{
	struct granted g;
	struct mapped m;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 4, true));
	fill(g.va, 4, 35);
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, 4,
				PROT_READ | PROT_WRITE));
	/* Forgotten by the file, kept by the mapping */
	EXPECT_EQ(0, mapped_remove(&m));
	EXPECT_EQ(-ENOENT, mapped_remove(&m));
	EXPECT_EQ(0, differing(m.va, 4, 35));
	EXPECT_EQ(0, mapped_munmap(&m));
	EXPECT_EQ(0, granted_free(&g));
}

/* Every grant that gntalloc counts against its limit comes back */
TEST_F_TIMEOUT(grants, counts_before_and_after, 120)
{
	unsigned int before = 0, after = 0, *count, round;
	struct granted g, one[2048];
	struct mapped m;
	unsigned int i;
	int ret;

	for (round = 0; round < 2; round++) {
		count = round ? &after : &before;
		for (*count = 0; *count < ARRAY_SIZE(one); (*count)++) {
			ret = granted_alloc(&one[*count], self->gntalloc,
					    self->domid, 1, true);
			if (ret)
				break;
		}
		for (i = 0; i < *count; i++)
			ASSERT_EQ(0, granted_free(&one[i]));
		if (*count < ARRAY_SIZE(one))
			EXPECT_EQ(-ENOSPC, ret);
		if (round)
			break;

		for (i = 0; i < 50; i++) {
			ASSERT_EQ(0, granted_alloc(&g, self->gntalloc,
						   self->domid, 16, true));
			ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid,
						g.refs, 16,
						PROT_READ | PROT_WRITE));
			ASSERT_EQ(0, mapped_free(&m));
			ASSERT_EQ(0, granted_free(&g));
		}
	}
	TH_LOG("%u grants before, %u after", before, after);
	EXPECT_LT(0, before);
	EXPECT_EQ(before, after);
}

/* What the other side sees of an unmap */

static int gntdev_notify(int gntdev, uint64_t index, uint32_t action,
			 uint32_t port)
{
	struct ioctl_gntdev_unmap_notify op = {
		.index = index,
		.action = action,
		.event_channel_port = port,
	};

	return xen_ioctl(gntdev, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &op);
}

static int gntalloc_notify(int gntalloc, uint64_t index, uint32_t action,
			   uint32_t port)
{
	struct ioctl_gntalloc_unmap_notify op = {
		.index = index,
		.action = action,
		.event_channel_port = port,
	};

	return xen_ioctl(gntalloc, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &op);
}

TEST_F(grants, notify_byte_cleared_on_unmap)
{
	static const unsigned int offsets[] = { 0, 1, 1234, XEN_PAGE - 1 };
	unsigned int i, off;
	struct granted g;
	struct mapped m;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 3, true));
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		/* In the second of three pages */
		off = page_size() + offsets[i];

		ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs,
					3, PROT_READ | PROT_WRITE));
		memset(g.va, 0xff, 3 * page_size());
		ASSERT_EQ(0, gntdev_notify(self->gntdev, m.index + off,
					   UNMAP_NOTIFY_CLEAR_BYTE, 0));
		EXPECT_EQ(0xff, g.va[off]);
		EXPECT_EQ(0, mapped_free(&m));
		EXPECT_EQ(0, g.va[off])
			TH_LOG("byte %#x", off);
		g.va[off] = 0xff;
		for (off = 0; off < 3 * page_size(); off++)
			ASSERT_EQ(0xff, g.va[off])
				TH_LOG("byte %#x", off);
	}
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, notify_event_on_unmap)
{
	const int others = xen_open(DEV_EVTCHN);
	int local, remote;
	struct granted g;
	struct mapped m;

	local = evtchn_unbound(self->evtchn, self->domid);
	ASSERT_LT(0, local);
	/* Binding sends it an event, which is not to be taken for another */
	remote = evtchn_interdomain(others, self->domid, local);
	ASSERT_LT(0, remote);

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 1, true));
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, 1,
				PROT_READ | PROT_WRITE));
	g.va[9] = 9;
	ASSERT_EQ(0, gntdev_notify(self->gntdev, m.index + 9,
				   UNMAP_NOTIFY_CLEAR_BYTE |
				   UNMAP_NOTIFY_SEND_EVENT, remote));
	EXPECT_EQ(-ETIMEDOUT, evtchn_wait(self->evtchn, 100));
	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(local, evtchn_wait(self->evtchn, 5000));
	EXPECT_EQ(0, g.va[9]);

	EXPECT_EQ(0, granted_free(&g));
	EXPECT_EQ(0, evtchn_unbind(others, remote));
	EXPECT_EQ(0, evtchn_unbind(self->evtchn, local));
	close(others);
}

TEST_F(grants, notify_when_the_granter_lets_go)
{
	const int others = xen_open(DEV_EVTCHN);
	int local, remote;
	struct granted g;
	struct mapped m;

	local = evtchn_unbound(self->evtchn, self->domid);
	ASSERT_LT(0, local);
	remote = evtchn_interdomain(others, self->domid, local);
	ASSERT_LT(0, remote);

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 1, true));
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, 1,
				PROT_READ | PROT_WRITE));
	memset(g.va, 0xff, XEN_PAGE);
	ASSERT_EQ(0, gntalloc_notify(self->gntalloc, g.index + 100,
				     UNMAP_NOTIFY_CLEAR_BYTE |
				     UNMAP_NOTIFY_SEND_EVENT, remote));
	EXPECT_EQ(0xff, m.va[100]);
	EXPECT_EQ(0, granted_free(&g));
	EXPECT_EQ(local, evtchn_wait(self->evtchn, 5000));
	EXPECT_EQ(0, m.va[100]);
	EXPECT_EQ(0xff, m.va[99]);
	EXPECT_EQ(0xff, m.va[101]);

	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, evtchn_unbind(others, remote));
	EXPECT_EQ(0, evtchn_unbind(self->evtchn, local));
	close(others);
}

TEST_F(grants, notify_refused)
{
	struct granted g;
	struct mapped m;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 1, true));
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, 1,
				PROT_READ));

	/* No such page; no such action; no such port; not to be written */
	EXPECT_EQ(-ENOENT, gntdev_notify(self->gntdev, m.index + page_size(),
					 UNMAP_NOTIFY_CLEAR_BYTE, 0));
	EXPECT_EQ(-EINVAL, gntdev_notify(self->gntdev, m.index, 1 << 5, 0));
	EXPECT_EQ(-EINVAL, gntdev_notify(self->gntdev, m.index,
					 UNMAP_NOTIFY_SEND_EVENT, 0xffffff));
	EXPECT_EQ(-EINVAL, gntdev_notify(self->gntdev, m.index,
					 UNMAP_NOTIFY_CLEAR_BYTE, 0));

	EXPECT_EQ(-ENOENT, gntalloc_notify(self->gntalloc,
					   g.index + page_size(),
					   UNMAP_NOTIFY_CLEAR_BYTE, 0));
	EXPECT_EQ(-EINVAL, gntalloc_notify(self->gntalloc, g.index, 1 << 5, 0));
	EXPECT_EQ(-EINVAL, gntalloc_notify(self->gntalloc, g.index,
					   UNMAP_NOTIFY_SEND_EVENT, 0xffffff));

	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(&g));
}

/* Grant copy */

static int grant_copy(int gntdev, struct gntdev_grant_copy_segment *segments,
		      unsigned int count)
{
	struct ioctl_gntdev_grant_copy op = {
		.count = count,
		.segments = segments,
	};

	return xen_ioctl(gntdev, IOCTL_GNTDEV_GRANT_COPY, &op);
}

static struct gntdev_grant_copy_segment
copy_from(domid_t domid, uint32_t ref, unsigned int off, void *to,
	  unsigned int len)
{
	return (struct gntdev_grant_copy_segment) {
		.source.foreign = {
			.domid = domid, .ref = ref, .offset = off,
		},
		.dest.virt = to,
		.len = len,
		.flags = GNTCOPY_source_gref,
		.status = 0x7777,
	};
}

static struct gntdev_grant_copy_segment
copy_to(domid_t domid, uint32_t ref, unsigned int off, void *from,
	unsigned int len)
{
	return (struct gntdev_grant_copy_segment) {
		.source.virt = from,
		.dest.foreign = {
			.domid = domid, .ref = ref, .offset = off,
		},
		.len = len,
		.flags = GNTCOPY_dest_gref,
		.status = 0x7777,
	};
}

/* Whether the kernel knows that a page is not what it was, or an error */
static int page_is_dirty(const void *va)
{
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t pfn, bits;
	int ret = -ENOENT;

	/* The page table's entry knows of our own writing, and is not asked. */
	if (map >= 0 && flags >= 0 &&
	    pread(map, &pfn, sizeof(pfn), (uintptr_t)va / page_size() *
					  sizeof(pfn)) == sizeof(pfn)) {
		pfn &= (1ULL << 55) - 1;
		if (pfn && pread(flags, &bits, sizeof(bits),
				 pfn * sizeof(bits)) == sizeof(bits))
			ret = bits >> KPF_DIRTY & 1;
	}
	close(map);
	close(flags);
	return ret;
}

TEST_F(grants, copy_marks_what_it_writes)
{
	struct gntdev_grant_copy_segment segs[2];
	unsigned int i, size = page_size();
	uint8_t *buf, *to, *from;
	struct granted g;
	int err;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 1, true));
	for (i = 0; i < 2; i++) {
		buf = xen_mmap(-1, 0, 2 * size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, &err);
		ASSERT_NE(NULL, buf);
		/* Pages of one folio would have one mark. */
		madvise(buf, 2 * size, MADV_NOHUGEPAGE);
		memset(buf, 0x11, 2 * size);
		to = buf;
		from = buf + size;
		if (page_is_dirty(to) || page_is_dirty(from))
			SKIP(return, "pages are dirty, or not to be looked at");
		segs[i] = copy_from(self->domid, g.refs[0], 0, to, 16);
		segs[!i] = copy_to(self->domid, g.refs[0], 32, from, 16);
		EXPECT_EQ(0, grant_copy(self->gntdev, segs, 2));
		EXPECT_EQ(GNTST_okay, segs[0].status);
		EXPECT_EQ(GNTST_okay, segs[1].status);
		EXPECT_EQ(1, page_is_dirty(to))
			TH_LOG("%s: may be dropped", i ? "last" : "first");
		EXPECT_EQ(0, page_is_dirty(from))
			TH_LOG("%s: was only read", i ? "first" : "last");
		munmap(buf, 2 * size);
	}
	EXPECT_EQ(0, granted_free(&g));
}

/*
 * One copy each way of @len bytes, at @off in the granted page and @at in a
 * local buffer of two pages; nothing beside them may change.
 */
static const struct copy_case {
	const char *name;
	unsigned int off, at, len;
} copy_cases[] = {
	{ "one byte",			0,	0,		1 },
	{ "last byte of both",		4095,	4095,		1 },
	{ "odd offsets",		3,	1021,		77 },
	{ "whole page",			0,	0,		4096 },
	{ "whole page, crossing by 1",	0,	1,		4096 },
	{ "whole page, crossing at 4095", 0,	4095,		4096 },
	{ "half a page, crossing",	2048,	3072,		2048 },
	{ "two bytes, crossing",	7,	4095,		2 },
	{ "up to the page boundary",	0,	2048,		2048 },
	{ "nothing",			5,	5,		0 },
};

TEST_F(grants, copy_crossing_pages)
{
	struct gntdev_grant_copy_segment seg;
	const struct copy_case *c;
	struct granted g;
	unsigned int i, bad, off;
	uint8_t *buf;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 1, true));
	buf = aligned_alloc(XEN_PAGE, 2 * XEN_PAGE);
	ASSERT_NE(NULL, buf);

	for (i = 0; i < ARRAY_SIZE(copy_cases); i++) {
		c = &copy_cases[i];

		fill(g.va, 1, 40 + i);
		memset(buf, 0xa5, 2 * XEN_PAGE);
		seg = copy_from(self->domid, g.refs[0], c->off, buf + c->at,
				c->len);
		EXPECT_EQ(0, grant_copy(self->gntdev, &seg, 1));
		EXPECT_EQ(GNTST_okay, seg.status);
		for (bad = 0, off = 0; off < 2 * XEN_PAGE; off++)
			bad += buf[off] !=
			       (off >= c->at && off < c->at + c->len ?
				pattern(40 + i, 0, off - c->at + c->off) :
				0xa5);
		EXPECT_EQ(0, bad)
			TH_LOG("from a grant, %s: %u bytes differ", c->name,
			       bad);

		memset(g.va, 0x5a, XEN_PAGE);
		for (off = 0; off < 2 * XEN_PAGE; off++)
			buf[off] = pattern(60 + i, 0, off);
		seg = copy_to(self->domid, g.refs[0], c->off, buf + c->at,
			      c->len);
		EXPECT_EQ(0, grant_copy(self->gntdev, &seg, 1));
		EXPECT_EQ(GNTST_okay, seg.status);
		for (bad = 0, off = 0; off < XEN_PAGE; off++)
			bad += g.va[off] !=
			       (off >= c->off && off < c->off + c->len ?
				pattern(60 + i, 0, off - c->off + c->at) :
				0x5a);
		EXPECT_EQ(0, bad)
			TH_LOG("to a grant, %s: %u bytes differ", c->name, bad);
	}

	free(buf);
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, copy_between_grants)
{
	struct gntdev_grant_copy_segment seg = {
		.flags = GNTCOPY_source_gref | GNTCOPY_dest_gref,
		.len = 1000,
	};
	struct granted g;
	unsigned int off;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, 2, true));
	fill(g.va, 2, 80);
	seg.source.foreign.domid = self->domid;
	seg.source.foreign.ref = g.refs[0];
	seg.source.foreign.offset = 96;
	seg.dest.foreign.domid = self->domid;
	seg.dest.foreign.ref = g.refs[1];
	seg.dest.foreign.offset = 3001;
	EXPECT_EQ(0, grant_copy(self->gntdev, &seg, 1));
	EXPECT_EQ(GNTST_okay, seg.status);
	EXPECT_EQ(0, differing(g.va, 1, 80));
	for (off = 0; off < XEN_PAGE; off++)
		ASSERT_EQ(off >= 3001 && off < 4001 ?
			  pattern(80, 0, off - 3001 + 96) :
			  pattern(80, 1, off),
			  g.va[page_size() + off])
			TH_LOG("byte %u", off);
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, copy_many_segments)
{
	/* More than the driver's batch of 16, and each in two pieces */
	enum { COUNT = 40 };
	struct gntdev_grant_copy_segment seg[COUNT];
	struct granted g;
	unsigned int i, off, bad;
	uint8_t *buf;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, COUNT,
				   true));
	fill(g.va, COUNT, 81);
	buf = aligned_alloc(XEN_PAGE, (COUNT + 1) * XEN_PAGE);
	ASSERT_NE(NULL, buf);
	memset(buf, 0, (COUNT + 1) * XEN_PAGE);

	for (i = 0; i < COUNT; i++)
		seg[i] = copy_from(self->domid, g.refs[i], 0,
				   buf + i * XEN_PAGE + 1000, XEN_PAGE);
	EXPECT_EQ(0, grant_copy(self->gntdev, seg, COUNT));
	for (i = 0; i < COUNT; i++) {
		EXPECT_EQ(GNTST_okay, seg[i].status);
		for (bad = 0, off = 0; off < XEN_PAGE; off++)
			bad += buf[i * XEN_PAGE + 1000 + off] !=
			       pattern(81, i, off);
		EXPECT_EQ(0, bad)
			TH_LOG("segment %u: %u bytes differ", i, bad);
	}

	free(buf);
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(grants, copy_refused)
{
	struct gntdev_grant_copy_segment seg[3];
	struct granted rw, ro;
	uint8_t buf[64];

	ASSERT_EQ(0, granted_alloc(&rw, self->gntalloc, self->domid, 1, true));
	ASSERT_EQ(0, granted_alloc(&ro, self->gntalloc, self->domid, 1, false));
	fill(rw.va, 1, 82);
	fill(ro.va, 1, 83);

	/* The driver's own checks fail the call */
	seg[0] = copy_from(self->domid, rw.refs[0], 4090, buf, 7);
	EXPECT_EQ(-EINVAL, grant_copy(self->gntdev, seg, 1));
	seg[0] = copy_to(self->domid, rw.refs[0], 4090, buf, 7);
	EXPECT_EQ(-EINVAL, grant_copy(self->gntdev, seg, 1));
	seg[0].flags = 0;
	EXPECT_EQ(-EINVAL, grant_copy(self->gntdev, seg, 1));
	seg[0] = copy_from(self->domid, rw.refs[0], 0, BAD_PTR, 7);
	EXPECT_EQ(-EFAULT, grant_copy(self->gntdev, seg, 1));
	EXPECT_EQ(-EFAULT, grant_copy(self->gntdev, BAD_PTR, 1));

	/* Xen's fail the segment, and not the ones around it */
	memset(buf, 0, sizeof(buf));
	seg[0] = copy_from(self->domid, rw.refs[0], 0, buf, 16);
	seg[1] = copy_from(self->domid, BAD_REF, 0, buf + 16, 16);
	seg[2] = copy_from(self->domid, rw.refs[0], 32, buf + 32, 16);
	EXPECT_EQ(0, grant_copy(self->gntdev, seg, 3));
	EXPECT_EQ(GNTST_okay, seg[0].status);
	EXPECT_EQ(GNTST_bad_gntref, seg[1].status);
	EXPECT_EQ(GNTST_okay, seg[2].status);
	EXPECT_EQ(pattern(82, 0, 15), buf[15]);
	EXPECT_EQ(0, buf[16]);
	EXPECT_EQ(0, buf[31]);
	EXPECT_EQ(pattern(82, 0, 47), buf[47]);

	seg[0] = copy_from(BAD_DOMID, rw.refs[0], 0, buf, 16);
	EXPECT_EQ(0, grant_copy(self->gntdev, seg, 1));
	EXPECT_EQ(GNTST_bad_domain, seg[0].status);

	/* A page granted for reading can be read and not written */
	seg[0] = copy_to(self->domid, ro.refs[0], 0, buf, 16);
	seg[1] = copy_from(self->domid, ro.refs[0], 0, buf, 16);
	EXPECT_EQ(0, grant_copy(self->gntdev, seg, 2));
	EXPECT_NE(GNTST_okay, seg[0].status);
	EXPECT_EQ(GNTST_okay, seg[1].status);
	EXPECT_EQ(0, differing(ro.va, 1, 83));

	EXPECT_EQ(0, granted_free(&ro));
	EXPECT_EQ(0, granted_free(&rw));
}

/* dma-bufs made from grants, and grants made from dma-bufs */

FIXTURE(dmabuf)
{
	int gntalloc;
	int gntdev;
	domid_t domid;
};

FIXTURE_VARIANT(dmabuf)
{
	uint32_t flags;
	unsigned int count;
};

FIXTURE_VARIANT_ADD(dmabuf, pages_1) {
	.flags = 0, .count = 1,
};

FIXTURE_VARIANT_ADD(dmabuf, pages_17) {
	.flags = 0, .count = 17,
};

FIXTURE_VARIANT_ADD(dmabuf, write_combined_1) {
	.flags = GNTDEV_DMA_FLAG_WC, .count = 1,
};

FIXTURE_VARIANT_ADD(dmabuf, write_combined_8) {
	.flags = GNTDEV_DMA_FLAG_WC, .count = 8,
};

FIXTURE_VARIANT_ADD(dmabuf, coherent_1) {
	.flags = GNTDEV_DMA_FLAG_COHERENT, .count = 1,
};

FIXTURE_VARIANT_ADD(dmabuf, coherent_8) {
	.flags = GNTDEV_DMA_FLAG_COHERENT, .count = 8,
};

static int dmabuf_import(int gntdev, int fd, domid_t domid, uint32_t *refs,
			 unsigned int count)
{
	struct ioctl_gntdev_dmabuf_imp_to_refs *op;
	int ret;

	op = calloc(1, sizeof(*op) + count * sizeof(op->refs[0]));
	if (!op)
		return -ENOMEM;

	op->fd = fd;
	op->count = count;
	op->domid = domid;
	ret = xen_ioctl(gntdev, IOCTL_GNTDEV_DMABUF_IMP_TO_REFS, op);
	if (!ret)
		memcpy(refs, op->refs, count * sizeof(op->refs[0]));
	free(op);
	return ret;
}

static int dmabuf_wait_released(int gntdev, int fd, unsigned int ms)
{
	struct ioctl_gntdev_dmabuf_exp_wait_released op = {
		.fd = fd,
		.wait_to_ms = ms,
	};

	return xen_ioctl(gntdev, IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED, &op);
}

FIXTURE_SETUP(dmabuf)
{
	int domid;

	self->gntalloc = xen_open(DEV_GNTALLOC);
	self->gntdev = xen_open(DEV_GNTDEV);
	if (self->gntalloc < 0)
		SKIP(return, DEV_GNTALLOC ": %s", strerror(-self->gntalloc));
	if (self->gntdev < 0)
		SKIP(return, DEV_GNTDEV ": %s", strerror(-self->gntdev));

	domid = xen_own_domid();
	if (domid < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-domid));
	self->domid = domid;
	if (dmabuf_import_release(self->gntdev, -1) == -ENOTTY)
		SKIP(return, "kernel without CONFIG_XEN_GNTDEV_DMABUF");
	if (xen_is_pv())
		SKIP(return, "gntdev of a PV domain exports no dma-bufs");
}

FIXTURE_TEARDOWN(dmabuf)
{
	close(self->gntdev);
	close(self->gntalloc);
}

/*
 * granted page -> reference -> dma-buf -> second reference -> mapping: every
 * arrow translates an address, and the data at both ends have to be the same.
 */
TEST_F(dmabuf, export_and_import)
{
	unsigned int count = variant->count;
	struct granted g;
	struct mapped m;
	uint32_t *refs;
	int fd;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, count,
				   true));
	fill(g.va, count, 90);
	refs = calloc(count, sizeof(*refs));
	ASSERT_NE(NULL, refs);

	fd = dmabuf_export(self->gntdev, variant->flags, self->domid, g.refs,
			   count);
	ASSERT_LE(0, fd);
	EXPECT_EQ(count * page_size(), lseek(fd, 0, SEEK_END));

	ASSERT_EQ(0, dmabuf_import(self->gntdev, fd, self->domid, refs, count));
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, refs, count,
				PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, differing(m.va, count, 90));
	fill(m.va, count, 91);
	EXPECT_EQ(0, differing(g.va, count, 91));
	EXPECT_EQ(0, mapped_free(&m));

	EXPECT_EQ(0, dmabuf_import_release(self->gntdev, fd));
	EXPECT_EQ(-ENOENT, dmabuf_import_release(self->gntdev, fd));

	EXPECT_EQ(-ETIMEDOUT, dmabuf_wait_released(self->gntdev, fd, 50));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-ENOENT, dmabuf_wait_released(self->gntdev, fd, 50));

	/* The grants are free again: they can be mapped as before */
	ASSERT_EQ(0, mapped_map(&m, self->gntdev, self->domid, g.refs, count,
				PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, differing(m.va, count, 91));
	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(&g));
	free(refs);
}

TEST_F(dmabuf, again_and_again)
{
	unsigned int round, count = variant->count;
	struct granted g;
	int fd;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, count,
				   true));
	for (round = 0; round < 20; round++) {
		fd = dmabuf_export(self->gntdev, variant->flags, self->domid,
				   g.refs, count);
		ASSERT_LE(0, fd)
			TH_LOG("round %u", round);
		ASSERT_EQ(0, close(fd));
	}
	EXPECT_EQ(0, granted_free(&g));
}

TEST_F(dmabuf, refused)
{
	unsigned int count = variant->count;
	struct granted g;
	uint32_t *refs;
	int fd;

	ASSERT_EQ(0, granted_alloc(&g, self->gntalloc, self->domid, count,
				   true));
	refs = calloc(count + 1, sizeof(*refs));
	ASSERT_NE(NULL, refs);
	memcpy(refs, g.refs, count * sizeof(*refs));

	EXPECT_EQ(-EINVAL, dmabuf_export(self->gntdev, GNTDEV_DMA_FLAG_WC |
					 GNTDEV_DMA_FLAG_COHERENT, self->domid,
					 refs, count));
	EXPECT_EQ(-EINVAL, dmabuf_export(self->gntdev, variant->flags,
					 self->domid, refs, 0));
	refs[count - 1] = BAD_REF;
	EXPECT_EQ(-EINVAL, dmabuf_export(self->gntdev, variant->flags,
					 self->domid, refs, count));
	EXPECT_EQ(-EINVAL, dmabuf_export(self->gntdev, variant->flags,
					 BAD_DOMID, g.refs, count));
	EXPECT_EQ(-ENOENT, dmabuf_wait_released(self->gntdev, INT_MAX, 10));

	/* No dma-buf; one of another size */
	EXPECT_EQ(-EINVAL, dmabuf_import(self->gntdev, self->gntdev,
					 self->domid, refs, count));
	EXPECT_EQ(-EBADF, dmabuf_import(self->gntdev, INT_MAX, self->domid,
					refs, count));
	fd = dmabuf_export(self->gntdev, variant->flags, self->domid, g.refs,
			   count);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, dmabuf_import(self->gntdev, fd, self->domid, refs,
					 count + 1));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, granted_free(&g));
	free(refs);
}

TEST_HARNESS_MAIN
