// SPDX-License-Identifier: GPL-2.0
/*
 * IOCTL_PRIVCMD_MMAP_RESOURCE: argument checks, and two calls that an
 * unprepared kernel does not survive unharmed (a second call on one mapping; a
 * resource smaller than the mapping).
 *
 * A regression test. Those two are made by a process that nobody waits for. On
 * a kernel with the defect it dies in the kernel with its mmap lock held and
 * can never be reaped; or it is left asleep for ever, since unmapping would
 * make the kernel use pointers that are not there. The case fails, the machine
 * goes on; but reboot it soon, and do not run ps, which hangs on that process.
 * privcmd_resource.sh runs this unless an oops is a panic. No guest is needed:
 *
 *	./privcmd_resource.sh
 */
#include "isolated.h"

#include <limits.h>
#include <stdio.h>

#include <xen/interface/memory.h>

#include "kselftest_harness.h"

#define BAD_DOMID	0x7abc

FIXTURE(resource)
{
	int fd;
	domid_t domid;
};

FIXTURE_SETUP(resource)
{
	int ret;

	self->fd = xen_open(DEV_PRIVCMD);
	if (self->fd < 0)
		SKIP(return, DEV_PRIVCMD ": %s", strerror(-self->fd));
	ret = xen_own_domid();
	if (ret < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-ret));
	self->domid = ret;
}

FIXTURE_TEARDOWN(resource)
{
	close(self->fd);
}

/* The first @num frames of a domain's grant table */
static int mmap_resource(int fd, domid_t dom, void *va, uint64_t num)
{
	struct privcmd_mmap_resource op = {
		.dom = dom,
		.type = XENMEM_resource_grant_table,
		.id = XENMEM_resource_grant_table_id_shared,
		.num = num,
		.addr = (uintptr_t)va,
	};

	return xen_ioctl(fd, IOCTL_PRIVCMD_MMAP_RESOURCE, &op);
}

TEST_F(resource, arguments)
{
	void *va, *anon;
	int err;

	va = xen_mmap(self->fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	anon = xen_mmap(-1, 0, page_size(), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, &err);
	ASSERT_NE(NULL, anon);

	/* Both an address and a count, or neither */
	EXPECT_EQ(-EINVAL, mmap_resource(self->fd, self->domid, va, 0));
	EXPECT_EQ(-EINVAL, mmap_resource(self->fd, self->domid, NULL, 1));
	/* Not a mapping of privcmd; no mapping at all */
	EXPECT_EQ(-EINVAL, mmap_resource(self->fd, self->domid, anon, 1));
	EXPECT_EQ(-EINVAL, mmap_resource(self->fd, self->domid,
					 (void *)(UINTPTR_MAX - page_size()),
					 1));

	EXPECT_EQ(0, munmap(anon, page_size()));
	EXPECT_EQ(0, munmap(va, page_size()));
}

TEST_F(resource, refused_by_xen)
{
	void *va;
	int err;

	/*
	 * Asking for the size: of another domain's only, and of one there is.
	 * Xen before 4.15 does not ask whose, and has one answer for all.
	 */
	if (xen_minor() >= 15) {
		EXPECT_EQ(-EPERM, mmap_resource(self->fd, self->domid, NULL, 0));
		EXPECT_EQ(-ESRCH, mmap_resource(self->fd, BAD_DOMID, NULL, 0));
	}

	va = xen_mmap(self->fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	EXPECT_EQ(-EPERM, mmap_resource(self->fd, self->domid, va,
					page_size() / XEN_PAGE));
	EXPECT_EQ(0, munmap(va, page_size()));

	va = xen_mmap(self->fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	EXPECT_EQ(-ESRCH, mmap_resource(self->fd, BAD_DOMID, va,
					page_size() / XEN_PAGE));
	EXPECT_EQ(0, munmap(va, page_size()));
}

TEST_F(resource, larger_than_the_mapping)
{
	void *va;
	int err;

	va = xen_mmap(self->fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	EXPECT_EQ(-EINVAL, mmap_resource(self->fd, self->domid, va,
					 2 * page_size() / XEN_PAGE));
	EXPECT_EQ(0, munmap(va, page_size()));
}

TEST_F(resource, larger_than_memory)
{
	void *va;
	int err;

	va = xen_mmap(self->fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	err = mmap_resource(self->fd, self->domid, va, UINT64_MAX);
	EXPECT_TRUE(err == -EINVAL || err == -ENOMEM)
		TH_LOG("error %d", err);
	EXPECT_EQ(0, munmap(va, page_size()));
}

static void call_with_less(struct outcome *o, int fd, domid_t domid)
{
	void *va;
	int err;

	va = xen_mmap(fd, 0, 4 * page_size(), PROT_READ, MAP_SHARED, &err);
	if (!va) {
		o->first = err;
		done(o);
		return;
	}
	o->first = mmap_resource(fd, domid, va, page_size() / XEN_PAGE);
	done(o);
	/*
	 * Not refused for its size: the kernel has allocated one page for a
	 * mapping of four. To unmap that now is to free three pointers that
	 * lie behind the array.
	 */
	while (o->first != -EINVAL)
		pause();
}

TEST_F(resource, smaller_than_the_mapping)
{
	struct outcome *o;

	if (xen_is_pv())
		SKIP(return, "a PV domain's mapping has no pages to free");
	o = outcome_alloc();
	ASSERT_NE(NULL, o);
	EXPECT_TRUE(isolated(call_with_less, o, self->fd, self->domid));
	EXPECT_EQ(-EINVAL, o->first)
		TH_LOG("a process is left asleep: it must not unmap");
}

static void call_twice(struct outcome *o, int fd, domid_t domid)
{
	const uint64_t num = page_size() / XEN_PAGE;
	void *va;
	int err;

	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	if (!va) {
		o->first = err;
		done(o);
		return;
	}
	o->first = mmap_resource(fd, domid, va, num);
	o->second = mmap_resource(fd, domid, va, num);
	done(o);
}

TEST_F(resource, second_call_on_one_mapping)
{
	struct outcome *o;

	o = outcome_alloc();
	ASSERT_NE(NULL, o);
	EXPECT_TRUE(isolated(call_twice, o, self->fd, self->domid))
		TH_LOG("the second call has not returned");
	/* Xen refuses the first, so the kernel may try again or refuse itself */
	EXPECT_EQ(-EPERM, o->first);
	if (o->done)
		EXPECT_GT(0, o->second);
}

TEST_HARNESS_MAIN
