// SPDX-License-Identifier: GPL-2.0
/*
 * An eventfd is closed while its irqfd is deassigned. A kernel that ends the irqfd
 * for both frees it twice, and loses the worker that does so, with the wait queue's
 * lock and the CPU that spins for it. So only where an oops ends the machine
 * (irqfd_race.sh sees to that). No guest is needed:
 *
 *	./irqfd_race.sh
 */
#include "xen_util.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include "kselftest_harness.h"

#define IRQFDS	1000

FIXTURE(irqfd)
{
	domid_t domid;
	int privcmd;
};

FIXTURE_SETUP(irqfd)
{
	int ret = xen_own_domid();

	if (ret < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-ret));
	self->domid = ret;
	self->privcmd = xen_open(DEV_PRIVCMD);
	if (self->privcmd < 0)
		SKIP(return, "%s: %s", DEV_PRIVCMD, strerror(-self->privcmd));
}

FIXTURE_TEARDOWN(irqfd)
{
	if (self->privcmd >= 0)
		close(self->privcmd);
}

struct closer {
	int fd;
	unsigned int us;
	int go;
};

static void *close_then(void *arg)
{
	struct closer *c = arg;

	while (!READ_ONCE(c->go))
		sched_yield();
	usleep(c->us);
	close(c->fd);
	return NULL;
}

TEST_F_TIMEOUT(irqfd, ends_once, 120)
{
	uint64_t dm_op = 0;
	struct privcmd_irqfd op = {
		.dm_op = (uintptr_t)&dm_op,
		.size = sizeof(dm_op),
		.dom = self->domid,
	};
	unsigned int i, deassigned = 0;
	pthread_t thread;
	int ret;

	for (i = 0; i < IRQFDS; i++) {
		struct closer c = {
			.fd = eventfd(0, 0),
			.us = i % 50 * 20,
		};

		ASSERT_LE(0, c.fd);
		op.fd = c.fd;
		op.flags = 0;
		ret = xen_ioctl(self->privcmd, IOCTL_PRIVCMD_IRQFD, &op);
		if (ret == -EOPNOTSUPP) {
			close(c.fd);
			SKIP(return, "kernel without CONFIG_XEN_PRIVCMD_EVENTFD");
		}
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, pthread_create(&thread, NULL, close_then, &c));
		op.flags = PRIVCMD_IRQFD_FLAG_DEASSIGN;
		WRITE_ONCE(c.go, 1);
		/* It may be closed before */
		if (!xen_ioctl(self->privcmd, IOCTL_PRIVCMD_IRQFD, &op))
			deassigned++;
		pthread_join(thread, NULL);
	}
	/* Or there was nothing to race with */
	EXPECT_LT(IRQFDS / 2, deassigned);
}

TEST_HARNESS_MAIN
