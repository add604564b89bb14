// SPDX-License-Identifier: GPL-2.0
/*
 * Ioctls of Xen's devices after which an unprepared kernel frees memory that is
 * in use, or dies of a fault: a test for each. Found by reading or by
 * ioctl_fuzz.
 *
 * On a kernel with such a defect a case fails and leaves a process behind: dead
 * in the kernel, or asleep for ever because its end would do the damage. The
 * machine goes on; but reboot it soon. ioctl_regress.sh runs this unless an
 * oops is a panic. No guest is needed, but for one case:
 *
 *	./ioctl_regress.sh
 */
#include "isolated.h"

#include <limits.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"

#define BAD_REF		0x7ffffff0U
/* GUEST_RAM0_BASE, public/arch-arm.h */
#define GUEST_RAM0_GFN	0x40000ULL
#define LAST_DOMID	32
/* No port of any table */
#define BAD_PORT	0x1000000

FIXTURE(ioctl)
{
	domid_t domid;
	struct outcome *o;
};

FIXTURE_SETUP(ioctl)
{
	static const char * const devs[] = {
		DEV_GNTALLOC, DEV_GNTDEV, DEV_PRIVCMD,
	};
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		ret = xen_open(devs[i]);
		if (ret < 0)
			SKIP(return, "%s: %s", devs[i], strerror(-ret));
		close(ret);
	}
	ret = xen_own_domid();
	if (ret < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-ret));
	self->domid = ret;
	self->o = outcome_alloc();
	ASSERT_NE(NULL, self->o);
}

FIXTURE_TEARDOWN(ioctl)
{
}

/* The end of this process would do harm, so there is none */
static void stay(struct outcome *o)
{
	done(o);
	for (;;)
		pause();
}

static int batch_v2(int fd, void *va, domid_t dom, const xen_pfn_t *arr,
		    int *err, unsigned int num)
{
	struct privcmd_mmapbatch_v2 op = {
		.num = num,
		.dom = dom,
		.addr = (uintptr_t)va,
		.arr = arr,
		.err = err,
	};

	return xen_ioctl(fd, IOCTL_PRIVCMD_MMAPBATCH_V2, &op);
}

/* privcmd */

static void move_mapping(struct outcome *o, int unused, domid_t domid)
{
	const size_t size = 4 * page_size();
	const unsigned int num = size / XEN_PAGE;
	int fd = xen_open(DEV_PRIVCMD), err;
	xen_pfn_t *arr = calloc(num, sizeof(*arr));
	int *errs = calloc(num, sizeof(*errs));
	void *va, *to;

	va = xen_mmap(fd, 0, size, PROT_READ, MAP_SHARED, &err);
	to = xen_mmap(-1, 0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		      &err);
	/* Every frame is refused; the mapping has its pages all the same */
	o->first = batch_v2(fd, va, domid, arr, errs, num);
	if (mremap(va, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
	    MAP_FAILED) {
		o->second = -errno;
		munmap(va, size);
		done(o);
		return;
	}
	/* The old mapping has freed its pages, the new one is to do so again */
	o->second = 0;
	stay(o);
}

TEST_F(ioctl, privcmd_mapping_is_not_moved)
{
	EXPECT_TRUE(isolated(move_mapping, self->o, -1, self->domid));
	EXPECT_EQ(0, self->o->first);
	EXPECT_GT(0, self->o->second)
		TH_LOG("moved; its pages are freed twice when it is unmapped");
}

static void use_failed_frame(struct outcome *o, int unused, domid_t domid)
{
	const unsigned int num = page_size() / XEN_PAGE;
	int fd = xen_open(DEV_PRIVCMD), pipes[2], err;
	xen_pfn_t *arr = calloc(num, sizeof(*arr));
	int *errs = calloc(num, sizeof(*errs));
	void *va;

	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	o->first = batch_v2(fd, va, domid, arr, errs, num);
	if (!o->first && !errs[0])
		o->first = -EPROTO;
	/* The kernel is to read what is not there, as a pipe's writer */
	if (!o->first)
		o->first = pipe(pipes) ? -errno : 0;
	o->second = write(pipes[1], va, 16) < 0 ? -errno : 0;
	done(o);
}

TEST_F(ioctl, privcmd_failed_frame_is_not_there)
{
	EXPECT_TRUE(isolated(use_failed_frame, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(-EFAULT, self->o->second);
}

/* Frames of a guest that can be told from each other: their first words */
static domid_t two_frames(int fd, xen_pfn_t *a, xen_pfn_t *b)
{
	xen_pfn_t gfn[1024];
	uint64_t first = 0, word;
	int errs[1024], err;
	unsigned int i;
	uint8_t *va;
	domid_t dom;

	if (page_size() != XEN_PAGE)
		return 0;
	for (i = 0; i < 1024; i++)
		gfn[i] = GUEST_RAM0_GFN + i;
	for (dom = 1; dom <= LAST_DOMID; dom++) {
		bool have = false;

		va = xen_mmap(fd, 0, 1024 * page_size(), PROT_READ, MAP_SHARED,
			      &err);
		if (!va)
			return 0;
		if (batch_v2(fd, va, dom, gfn, errs, 1024))
			errs[0] = -1;
		for (i = 0; !errs[0] && i < 1024; i++) {
			if (errs[i])
				continue;
			memcpy(&word, va + i * page_size(), sizeof(word));
			if (!have) {
				first = word;
				*a = gfn[i];
				have = true;
			} else if (word != first) {
				*b = gfn[i];
				break;
			}
		}
		munmap(va, 1024 * page_size());
		if (!errs[0] && i < 1024)
			return dom;
	}
	return 0;
}

/* What is filled in later does not replace what is there */
TEST_F(ioctl, privcmd_hole_is_filled)
{
	int fd = xen_open(DEV_PRIVCMD), errs[3], err;
	xen_pfn_t a = 0, b = 0, gfn[3];
	uint64_t *page[3], is_a, is_b;
	domid_t dom;
	uint8_t *va;

	ASSERT_LE(0, fd);
	dom = two_frames(fd, &a, &b);
	if (!dom) {
		close(fd);
		SKIP(return, "no guest with two frames that differ");
	}

	/* What is expected, each mapped alone */
	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, batch_v2(fd, va, dom, &a, errs, 1));
	is_a = *(uint64_t *)va;
	munmap(va, page_size());
	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, batch_v2(fd, va, dom, &b, errs, 1));
	is_b = *(uint64_t *)va;
	munmap(va, page_size());
	ASSERT_NE(is_a, is_b);

	va = xen_mmap(fd, 0, 3 * page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	gfn[0] = a;
	gfn[1] = ~0ULL >> 12;
	gfn[2] = a;
	ASSERT_EQ(0, batch_v2(fd, va, dom, gfn, errs, 3));
	ASSERT_EQ(0, errs[0]);
	ASSERT_NE(0, errs[1]);
	ASSERT_EQ(0, errs[2]);
	ASSERT_EQ(0, batch_v2(fd, va + page_size(), dom, &b, errs, 1));
	ASSERT_EQ(0, errs[0]);
	page[0] = (void *)va;
	page[1] = (void *)(va + page_size());
	page[2] = (void *)(va + 2 * page_size());
	EXPECT_EQ(is_b, READ_ONCE(*page[1]));
	EXPECT_EQ(is_a, READ_ONCE(*page[0]))
		TH_LOG("the first page shows another frame now");
	EXPECT_EQ(is_a, READ_ONCE(*page[2]));
	munmap(va, 3 * page_size());
	close(fd);
}

static void ioeventfd_elsewhere(struct outcome *o, int unused, domid_t domid)
{
	uint32_t port = BAD_PORT;
	struct privcmd_ioeventfd op = {
		.ports = (uintptr_t)&port,
		.addr_len = 4,
		.event_fd = eventfd(0, 0),
		.vcpus = 1,
		.dom = domid,
	};
	int fd = xen_open(DEV_PRIVCMD), err;
	void *va;

	/* A mapping of privcmd that has no pages yet; one that is not its */
	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	op.ioreq = (uintptr_t)va;
	o->first = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	op.ioreq = (uintptr_t)&port;
	o->second = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	done(o);
}

TEST_F(ioctl, privcmd_ioeventfd_of_other_memory)
{
	EXPECT_TRUE(isolated(ioeventfd_elsewhere, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	if (self->o->first == -EOPNOTSUPP)
		SKIP(return, "kernel without CONFIG_XEN_PRIVCMD_EVENTFD");
	EXPECT_EQ(-EFAULT, self->o->first);
	EXPECT_EQ(-EFAULT, self->o->second);
}

static void irqfd_huge(struct outcome *o, int unused, domid_t domid)
{
	struct privcmd_irqfd op = {
		.dm_op = 0x10,
		.size = 1U << 30,
		.fd = eventfd(0, 0),
		.dom = domid,
	};
	int fd = xen_open(DEV_PRIVCMD);

	o->first = xen_ioctl(fd, IOCTL_PRIVCMD_IRQFD, &op);
	/* So large that, with what goes before it, 32 bits do not suffice */
	op.size = UINT_MAX - 8;
	o->second = xen_ioctl(fd, IOCTL_PRIVCMD_IRQFD, &op);
	done(o);
}

TEST_F(ioctl, privcmd_irqfd_size)
{
	EXPECT_TRUE(isolated(irqfd_huge, self->o, -1, self->domid));
	if (self->o->first == -EOPNOTSUPP)
		SKIP(return, "kernel without CONFIG_XEN_PRIVCMD_EVENTFD");
	EXPECT_EQ(-E2BIG, self->o->first);
	EXPECT_EQ(-E2BIG, self->o->second);
}

static void dm_op_empty(struct outcome *o, int unused, domid_t domid)
{
	struct privcmd_dm_op_buf buf = {};
	struct privcmd_dm_op op = {
		.dom = domid,
		.num = 1,
		.ubufs = &buf,
	};
	int fd = xen_open(DEV_PRIVCMD), err;

	buf.uptr = xen_mmap(-1, 0, 4 * page_size(), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, &err);
	memset(buf.uptr, 1, 4 * page_size());
	o->first = xen_ioctl(fd, IOCTL_PRIVCMD_DM_OP, &op);
	done(o);
}

/* An operation with nothing in it: Xen refuses it, as the domain is our own */
TEST_F(ioctl, privcmd_dm_op_of_no_pages)
{
	EXPECT_TRUE(isolated(dm_op_empty, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	EXPECT_GT(0, self->o->first);
	TH_LOG("Xen says %d", self->o->first);
}

/* gntdev */

static int export(int gntdev, const struct granted *g, domid_t domid)
{
	struct ioctl_gntdev_dmabuf_exp_from_refs *op;
	int ret;

	op = calloc(1, sizeof(*op) + g->count * sizeof(op->refs[0]));
	op->count = g->count;
	op->domid = domid;
	memcpy(op->refs, g->refs, g->count * sizeof(op->refs[0]));
	ret = xen_ioctl(gntdev, IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, op);
	if (!ret)
		ret = op->fd;
	free(op);
	return ret;
}

static void unmap_exported(struct outcome *o, int unused, domid_t domid)
{
	struct ioctl_gntdev_unmap_grant_ref op = { .count = 2 };
	int gntalloc = xen_open(DEV_GNTALLOC);
	int gntdev = xen_open(DEV_GNTDEV);
	struct granted g;
	int fd;

	if (granted_alloc(&g, gntalloc, domid, 2, true)) {
		o->first = -ENOMEM;
		done(o);
		return;
	}
	fd = export(gntdev, &g, domid);
	o->first = fd;
	/* The dma-buf's grants are the first that there are, so at 0 */
	o->second = xen_ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op);
	if (!o->second)
		stay(o);
	close(fd);
	done(o);
}

TEST_F(ioctl, gntdev_exported_grants_stay)
{
	EXPECT_TRUE(isolated(unmap_exported, self->o, -1, self->domid));
	if (self->o->first == -ENOTTY)
		SKIP(return, "kernel without CONFIG_XEN_GNTDEV_DMABUF");
	EXPECT_LE(0, self->o->first);
	EXPECT_EQ(-ENOENT, self->o->second)
		TH_LOG("freed, while the dma-buf has them");
}

static int clear_byte(int gntdev, uint64_t index)
{
	struct ioctl_gntdev_unmap_notify op = {
		.index = index,
		.action = UNMAP_NOTIFY_CLEAR_BYTE,
	};

	return xen_ioctl(gntdev, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &op);
}

static void notify_read_only(struct outcome *o, int unused, domid_t domid)
{
	int gntalloc = xen_open(DEV_GNTALLOC);
	int gntdev = xen_open(DEV_GNTDEV);
	struct granted g;
	struct mapped m;

	o->first = granted_alloc(&g, gntalloc, domid, 1, false);
	if (!o->first) {
		memset(g.va, 0xff, XEN_PAGE);
		o->first = mapped_insert(&m, gntdev, domid, g.refs, 1);
	}
	/* It is not known yet how it will be mapped */
	if (!o->first)
		o->first = clear_byte(gntdev, m.index);
	if (!o->first)
		o->first = mapped_mmap(&m, PROT_READ);
	if (!o->first)
		o->first = mapped_free(&m);
	o->second = g.va[0];
	done(o);
}

TEST_F(ioctl, gntdev_notify_in_read_only_page)
{
	EXPECT_TRUE(isolated(notify_read_only, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(0xff, self->o->second);
}

static void notify_not_mapped(struct outcome *o, int unused, domid_t domid)
{
	int gntalloc = xen_open(DEV_GNTALLOC);
	int gntdev = xen_open(DEV_GNTDEV);
	struct granted g;
	struct mapped m;

	o->first = granted_alloc(&g, gntalloc, domid, 2, true);
	if (!o->first) {
		g.refs[1] = BAD_REF;
		o->first = mapped_insert(&m, gntdev, domid, g.refs, 2);
	}
	if (!o->first)
		o->first = clear_byte(gntdev, m.index + page_size());
	if (!o->first) {
		o->second = mapped_mmap(&m, PROT_READ | PROT_WRITE);
		o->first = mapped_remove(&m);
	}
	done(o);
}

TEST_F(ioctl, gntdev_notify_in_page_not_mapped)
{
	EXPECT_TRUE(isolated(notify_not_mapped, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(-EINVAL, self->o->second);
}

/*
 * The answer of IOCTL_GNTDEV_MAP_GRANT_REF goes to a page that cannot be written
 * before we allow it. Meanwhile another thread maps the device, which takes the
 * lock of the address space, and then the device's. We need the former as well.
 */
struct slow_answer {
	int fd;
	int ret;
	struct ioctl_gntdev_map_grant_ref *op;
};

static void *get_slow_answer(void *arg)
{
	struct slow_answer *s = arg;

	s->ret = xen_ioctl(s->fd, IOCTL_GNTDEV_MAP_GRANT_REF, s->op);
	return NULL;
}

static void *map_nothing(void *arg)
{
	struct slow_answer *s = arg;
	int err = 0;

	/* There are no grants at this offset */
	xen_mmap(s->fd, 1 << 20, page_size(), PROT_READ, MAP_SHARED, &err);
	s->ret = err;
	return NULL;
}

static void map_while_answering(struct outcome *o, int unused, domid_t domid)
{
	struct slow_answer answer = { .fd = xen_open(DEV_GNTDEV) };
	struct slow_answer mapper = { .fd = answer.fd };
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = {};
	struct pollfd fault = { .events = POLLIN };
	pthread_t threads[2];
	int err;

	answer.op = xen_mmap(-1, 0, page_size(), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, &err);
	answer.op->count = 1;
	answer.op->refs[0].domid = domid;
	answer.op->refs[0].ref = BAD_REF;
	reg.range.start = (uintptr_t)answer.op;
	reg.range.len = page_size();
	wp.range = reg.range;
	wp.mode = UFFDIO_WRITEPROTECT_MODE_WP;
	fault.fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fault.fd < 0 || ioctl(fault.fd, UFFDIO_API, &api) ||
	    ioctl(fault.fd, UFFDIO_REGISTER, &reg) ||
	    ioctl(fault.fd, UFFDIO_WRITEPROTECT, &wp)) {
		o->first = -ENOSYS;
		done(o);
		return;
	}
	pthread_create(&threads[0], NULL, get_slow_answer, &answer);
	if (poll(&fault, 1, 2000) != 1) {
		o->first = -ETIME;
		done(o);
		return;
	}
	pthread_create(&threads[1], NULL, map_nothing, &mapper);
	usleep(200 * 1000);
	wp.mode = 0;
	ioctl(fault.fd, UFFDIO_WRITEPROTECT, &wp);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	o->first = answer.ret;
	o->second = mapper.ret;
	done(o);
}

TEST_F(ioctl, gntdev_map_while_mapped)
{
	EXPECT_TRUE(isolated(map_while_answering, self->o, -1, self->domid))
		TH_LOG("the process is locked up for ever");
	if (self->o->first == -ENOSYS)
		SKIP(return, "no userfaultfd that protects from writing");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(-EINVAL, self->o->second);
}

static int wait_released(int gntdev, int fd, unsigned int ms)
{
	struct ioctl_gntdev_dmabuf_exp_wait_released op = {
		.fd = fd,
		.wait_to_ms = ms,
	};

	return xen_ioctl(gntdev, IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED, &op);
}

/* True if the process has ended in that time */
static bool ended(pid_t pid, unsigned int ms, int *status)
{
	const struct timespec tick = { .tv_nsec = 10 * 1000 * 1000 };
	unsigned int i;

	for (i = 0; i < ms / 10; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		nanosleep(&tick, NULL);
	}
	return false;
}

FIXTURE(wait)
{
	struct granted g;
	int gntalloc;
	int gntdev;
	int fd;
};

FIXTURE_SETUP(wait)
{
	int domid;

	self->fd = -1;
	self->gntalloc = xen_open(DEV_GNTALLOC);
	self->gntdev = xen_open(DEV_GNTDEV);
	domid = xen_own_domid();
	if (self->gntalloc < 0 || self->gntdev < 0 || domid < 0)
		SKIP(return, "no gntalloc, gntdev or domain id");
	ASSERT_EQ(0, granted_alloc(&self->g, self->gntalloc, domid, 1, true));
	self->fd = export(self->gntdev, &self->g, domid);
	if (self->fd == -ENOTTY)
		SKIP(return, "kernel without CONFIG_XEN_GNTDEV_DMABUF");
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(wait)
{
	if (self->fd >= 0)
		close(self->fd);
}

TEST_F(wait, killed)
{
	int status, null;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Should it stay, then not in the way of the runner */
		setsid();
		null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		wait_released(self->gntdev, self->fd, 20000);
		_exit(0);
	}
	EXPECT_FALSE(ended(pid, 500, &status));
	kill(pid, SIGKILL);
	EXPECT_TRUE(ended(pid, 5000, &status))
		TH_LOG("five seconds later it still waits");
}

TEST_F(wait, two_of_them)
{
	int status, i, fd = self->fd;
	pid_t pid[2];

	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			close(fd);
			_exit(wait_released(self->gntdev, fd, 10000) ? 1 : 0);
		}
	}
	EXPECT_FALSE(ended(pid[0], 500, &status));
	EXPECT_FALSE(ended(pid[1], 500, &status));
	close(fd);
	self->fd = -1;
	for (i = 0; i < 2; i++) {
		EXPECT_TRUE(ended(pid[i], 15000, &status));
		EXPECT_EQ(0, status)
			TH_LOG("process %d has not been told", i);
	}
}

/* gntalloc */

static void map_across(struct outcome *o, int unused, domid_t domid)
{
	int fd = xen_open(DEV_GNTALLOC), other = xen_open(DEV_GNTALLOC);
	int gntdev = xen_open(DEV_GNTDEV);
	struct granted a, b, c;
	struct mapped m;
	void *va;

	o->first = granted_alloc(&a, fd, domid, 1, true) ?:
		   granted_alloc(&b, other, domid, 1, true) ?:
		   granted_alloc(&c, fd, domid, 1, true);
	if (o->first) {
		done(o);
		return;
	}
	granted_unmap(&a);
	granted_unmap(&b);
	granted_unmap(&c);
	/* Two of this file, and none of the other's that came between them */
	va = xen_mmap(fd, a.index, 2 * page_size(), PROT_READ | PROT_WRITE,
		      MAP_SHARED, &o->first);
	if (va)
		munmap(va, 2 * page_size());
	o->second = mapped_map(&m, gntdev, domid, b.refs, 1, PROT_READ);
	if (o->second)
		stay(o);
	mapped_free(&m);
	done(o);
}

TEST_F(ioctl, gntalloc_mapping_of_two_grants)
{
	EXPECT_TRUE(isolated(map_across, self->o, -1, self->domid));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(0, self->o->second)
		TH_LOG("the other file's page is freed");
}

TEST_HARNESS_MAIN
