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
#include <xen/interface/hvm/ioreq.h>

#include "kselftest_harness.h"

#define BAD_REF		0x7ffffff0U
/* No port of any table */
#define BAD_PORT	0x1000000
/* Where a guest's virtio device may be, and its register that is written */
#define DEVICE_ADDR	0x2000000ULL
#define QUEUE_NOTIFY	0x50
#define GNTALLOC_LIMIT	"/sys/module/xen_gntalloc/parameters/limit"

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

/* Not to be woken by a signal, as who waits for a lock of the kernel */
static bool waits_in_kernel(pid_t tid)
{
	char name[64], stat[128] = "", *end;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/stat", tid);
	fd = open(name, O_RDONLY);
	if (fd < 0)
		return false;
	if (read(fd, stat, sizeof(stat) - 1) < 0)
		stat[0] = 0;
	close(fd);
	end = strrchr(stat, ')');
	return end && end[1] == ' ' && end[2] == 'D';
}

/* The end of this process would do harm, so there is none */
static void stay(struct outcome *o)
{
	o->stays = 1;
	done(o);
	for (;;)
		pause();
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
	o->first = mmapbatch_v2(fd, va, domid, arr, errs, num);
	if (mremap(va, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
	    MAP_FAILED) {
		o->second = -errno;
		munmap(va, size);
		done(o);
		return;
	}
	o->second = 0;
	if (xen_is_pv()) {
		munmap(to, size);
		done(o);
		return;
	}
	/* The old mapping has freed its pages, the new one is to do so again */
	stay(o);
}

TEST_F(ioctl, privcmd_mapping_is_not_moved)
{
	ASSERT_TRUE(isolated(move_mapping, self->o, -1, self->domid));
	EXPECT_EQ(0, self->o->first);
	if (xen_is_pv()) {
		EXPECT_EQ(0, self->o->second)
			TH_LOG("no page is behind a PV domain's mapping: it can move");
	} else {
		EXPECT_GT(0, self->o->second)
			TH_LOG("moved; its pages are freed twice when it is unmapped");
	}
}

static void use_failed_frame(struct outcome *o, int unused, domid_t domid)
{
	const unsigned int num = page_size() / XEN_PAGE;
	int fd = xen_open(DEV_PRIVCMD), pipes[2], err;
	xen_pfn_t *arr = calloc(num, sizeof(*arr));
	int *errs = calloc(num, sizeof(*errs));
	void *va;

	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	o->first = mmapbatch_v2(fd, va, domid, arr, errs, num);
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
	ASSERT_TRUE(isolated(use_failed_frame, self->o, -1, self->domid))
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
		if (mmapbatch_v2(fd, va, dom, gfn, errs, 1024))
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
	ASSERT_EQ(0, mmapbatch_v2(fd, va, dom, &a, errs, 1));
	is_a = *(uint64_t *)va;
	munmap(va, page_size());
	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, mmapbatch_v2(fd, va, dom, &b, errs, 1));
	is_b = *(uint64_t *)va;
	munmap(va, page_size());
	ASSERT_NE(is_a, is_b);

	va = xen_mmap(fd, 0, 3 * page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	gfn[0] = a;
	gfn[1] = ~0ULL >> 12;
	gfn[2] = a;
	ASSERT_EQ(0, mmapbatch_v2(fd, va, dom, gfn, errs, 3));
	ASSERT_EQ(0, errs[0]);
	ASSERT_NE(0, errs[1]);
	ASSERT_EQ(0, errs[2]);
	ASSERT_EQ(0, mmapbatch_v2(fd, va + page_size(), dom, &b, errs, 1));
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

/* No such domain: Xen refuses each frame, and holes are left */
#define NOBODY	0x7abc

TEST_F(ioctl, privcmd_hole_begins_with_a_page)
{
	const unsigned int num = page_size() / XEN_PAGE;
	xen_pfn_t *arr = calloc(2 * num, sizeof(*arr));
	int *errs = calloc(2 * num, sizeof(*errs));
	int fd = xen_open(DEV_PRIVCMD), err;
	uint8_t *va;

	va = xen_mmap(fd, 0, 2 * page_size(), PROT_READ, MAP_SHARED, &err);
	ASSERT_NE(NULL, va);
	ASSERT_EQ(0, mmapbatch_v2(fd, va, NOBODY, arr, errs, 2 * num));
	ASSERT_GT(0, errs[0]);
	ASSERT_EQ(0, mmapbatch_v2(fd, va + page_size(), NOBODY, arr, errs, num))
		TH_LOG("no hole is left");
	EXPECT_EQ(-EINVAL, mmapbatch_v2(fd, va + XEN_PAGE / 2, NOBODY, arr, errs,
					num))
		TH_LOG("taken for the page's beginning");
	munmap(va, 2 * page_size());
	close(fd);
}

/* Two ports of this domain with each other; a driver of the kernel's can have them */
static int port_pair(int privcmd, domid_t domid, uint32_t *a, uint32_t *b)
{
	struct evtchn_alloc_unbound *alloc;
	struct evtchn_bind_interdomain *bind;
	int ret;

	alloc = xen_hypercall_buffer(&ret);
	if (!alloc)
		return ret;
	memset(alloc, 0, page_size());
	alloc->dom = DOMID_SELF;
	alloc->remote_dom = domid;
	ret = xen_hypercall(privcmd, __HYPERVISOR_event_channel_op,
			    EVTCHNOP_alloc_unbound, (uintptr_t)alloc, 0);
	*a = alloc->port;
	bind = (void *)alloc;
	if (!ret) {
		memset(bind, 0, sizeof(*bind));
		bind->remote_dom = domid;
		bind->remote_port = *a;
		ret = xen_hypercall(privcmd, __HYPERVISOR_event_channel_op,
				    EVTCHNOP_bind_interdomain, (uintptr_t)bind,
				    0);
		*b = bind->local_port;
	}
	munmap(alloc, page_size());
	return ret;
}

static int port_call(int privcmd, unsigned int cmd, uint32_t port)
{
	/* The argument of EVTCHNOP_send, and of EVTCHNOP_close */
	uint32_t *arg;
	int ret;

	arg = xen_hypercall_buffer(&ret);
	if (!arg)
		return ret;
	*arg = port;
	ret = xen_hypercall(privcmd, __HYPERVISOR_event_channel_op, cmd,
			    (uintptr_t)arg, 0);
	munmap(arg, page_size());
	return ret;
}

/* What a guest's write to a virtio device's register is */
static const struct ioreq notify_request = {
	.addr = DEVICE_ADDR + QUEUE_NOTIFY,
	.size = 4,
	.count = 1,
	.state = STATE_IOREQ_READY,
	.dir = IOREQ_WRITE,
	.type = IOREQ_TYPE_COPY,
};

static struct privcmd_ioeventfd ioeventfd_for(domid_t domid, uint32_t *port)
{
	return (struct privcmd_ioeventfd) {
		.ports = (uintptr_t)port,
		.addr = DEVICE_ADDR,
		.addr_len = 4,
		.event_fd = eventfd(0, EFD_NONBLOCK),
		.vcpus = 1,
		.dom = domid,
	};
}

static void ioeventfd_end(int fd, struct privcmd_ioeventfd *op, uint32_t other)
{
	op->flags = PRIVCMD_IOEVENTFD_FLAG_DEASSIGN;
	xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, op);
	port_call(fd, EVTCHNOP_close, other);
}

static bool was_signalled(int event_fd)
{
	struct pollfd fd = { .fd = event_fd, .events = POLLIN };
	uint64_t events;

	return poll(&fd, 1, 5000) == 1 &&
	       read(event_fd, &events, sizeof(events)) == sizeof(events);
}

#define IOREQS	4

/* Where the guest does not have its program */
static const xen_pfn_t guest_gfns[] = {
	GUEST_RAM0_GFN + 1022, GUEST_RAM0_GFN + 1023,
};

/* Pages of the first guest that there is */
static struct ioreq *map_guest(struct outcome *o, int fd, unsigned int num)
{
	int errs[ARRAY_SIZE(guest_gfns)], err;
	struct ioreq *req = NULL;
	xen_pfn_t a, b;
	domid_t dom;

	dom = two_frames(fd, &a, &b);
	o->first = -ENODEV;
	if (!dom)
		return NULL;
	req = xen_mmap(fd, 0, num * page_size(), PROT_READ | PROT_WRITE,
		       MAP_SHARED, &err);
	o->first = mmapbatch_v2(fd, req, dom, guest_gfns, errs, num) ?: errs[0];
	return req;
}

/* What a test of these pages needs and has not found, NULL if it has all */
static const char *lacking(const struct outcome *o)
{
	if (o->first == -ENODEV)
		return "no guest with two frames that differ";
	if (o->first == -EOPNOTSUPP)
		return "kernel without CONFIG_XEN_PRIVCMD_EVENTFD";
	return NULL;
}

/*
 * A page that privcmd had, for requests of a guest, and that has been given
 * back is the first that gntdev gets to map something else at.
 */
static void ioreq_page_given_back(struct outcome *o, int unused, domid_t domid)
{
	int fd = xen_open(DEV_PRIVCMD), gntalloc = xen_open(DEV_GNTALLOC);
	int gntdev = xen_open(DEV_GNTDEV), i;
	uint32_t port = 0, other = 0;
	struct privcmd_ioeventfd op = ioeventfd_for(domid, &port);
	struct granted g;
	struct mapped m;
	struct ioreq *req;

	req = map_guest(o, fd, 1);
	if (!o->first)
		o->first = port_pair(fd, domid, &port, &other) ?:
			   granted_alloc(&g, gntalloc, domid, IOREQS, true);
	for (i = 0; !o->first && i < IOREQS; i++)
		memcpy(g.va + i * page_size(), &notify_request,
		       sizeof(notify_request));
	op.ioreq = (uintptr_t)req;
	if (!o->first)
		o->first = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	if (!o->first) {
		munmap(req, page_size());
		/* Writable: Xen lets the CPU try for ever to write elsewhere */
		o->first = mapped_map(&m, gntdev, domid, g.refs, IOREQS,
				      PROT_READ | PROT_WRITE);
	}
	if (o->first) {
		done(o);
		return;
	}
	port_call(fd, EVTCHNOP_send, other);
	o->second = was_signalled(op.event_fd);
	for (i = 0; i < IOREQS; i++) {
		req = (void *)(g.va + i * page_size());
		if (req->state != STATE_IOREQ_READY)
			o->second |= 2;
	}
	/* Before the page is nobody's again */
	ioeventfd_end(fd, &op, other);
	mapped_free(&m);
	done(o);
}

TEST_F(ioctl, privcmd_ioreq_page_is_unmapped)
{
	ASSERT_TRUE(isolated_for(20, ioreq_page_given_back, self->o, -1,
				 self->domid))
		TH_LOG("the process is dead in the kernel");
	if (lacking(self->o))
		SKIP(return, "%s", lacking(self->o));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(0, self->o->second & 1)
		TH_LOG("the kernel takes what is mapped there now for a request");
	EXPECT_EQ(0, self->o->second & 2)
		TH_LOG("and writes to it");
}

/* How many requests a page of Xen's has room for */
#define PAGE_REQS	(XEN_PAGE / sizeof(struct ioreq))

/* No event comes: nobody looks at what there is not */
static void ioreq_page_refused(struct outcome *o, int unused, domid_t domid)
{
	const unsigned int num = page_size() / XEN_PAGE;
	xen_pfn_t *arr = calloc(num, sizeof(*arr));
	int *errs = calloc(num, sizeof(*errs));
	int fd = xen_open(DEV_PRIVCMD), err;
	uint32_t port = 0, other = 0;
	struct privcmd_ioeventfd op = ioeventfd_for(domid, &port);
	void *va;

	va = xen_mmap(fd, 0, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
		      &err);
	o->first = mmapbatch_v2(fd, va, domid, arr, errs, num) ?:
		   port_pair(fd, domid, &port, &other);
	if (!o->first && !errs[0])
		o->first = -EPROTO;
	op.ioreq = (uintptr_t)va;
	if (o->first) {
		done(o);
		return;
	}
	o->first = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	/* Where it is refused nobody closes the port */
	if (o->first)
		port_call(fd, EVTCHNOP_close, port);
	ioeventfd_end(fd, &op, other);
	done(o);
}

TEST_F(ioctl, privcmd_ioreq_page_is_refused)
{
	if (xen_is_pv())
		SKIP(return, "no page is behind a PV domain's mapping");
	ASSERT_TRUE(isolated(ioreq_page_refused, self->o, -1, self->domid));
	if (self->o->first == -EOPNOTSUPP)
		SKIP(return, "kernel without CONFIG_XEN_PRIVCMD_EVENTFD");
	EXPECT_EQ(-EFAULT, self->o->first)
		TH_LOG("the kernel is to read where nothing is, in an interrupt");
}

/* What the ioctl says of it; leaves nothing behind */
static int try_ioeventfd(int fd, struct privcmd_ioeventfd op)
{
	int ret = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);

	op.flags = PRIVCMD_IOEVENTFD_FLAG_DEASSIGN;
	if (!ret)
		ret = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	return ret;
}

/*
 * A request more than the page has, and one that begins in another's middle. All
 * have one port, which several may listen to if it is a device model's.
 */
static void ioreq_page_left(struct outcome *o, int unused, domid_t domid)
{
	int fd = xen_open(DEV_PRIVCMD), evtchn = xen_open(DEV_EVTCHN), port;
	uint32_t ports[PAGE_REQS + 1];
	struct privcmd_ioeventfd op = ioeventfd_for(domid, ports);
	struct ioreq *req;
	unsigned int i;

	req = map_guest(o, fd, 1);
	port = evtchn_unbound(evtchn, domid);
	if (!o->first && port < 0)
		o->first = port;
	for (i = 0; i < ARRAY_SIZE(ports); i++)
		ports[i] = port;
	op.ioreq = (uintptr_t)req;
	op.vcpus = PAGE_REQS;
	if (!o->first)
		o->first = try_ioeventfd(fd, op);
	if (o->first) {
		done(o);
		return;
	}

	op.vcpus = PAGE_REQS + 1;
	o->second = try_ioeventfd(fd, op) != -EINVAL;
	op.vcpus = 1;
	op.ioreq = (uintptr_t)(req + 1);
	if (try_ioeventfd(fd, op) != -EINVAL)
		o->second |= 2;
	done(o);
}

TEST_F(ioctl, privcmd_ioreq_page_is_left)
{
	ASSERT_TRUE(isolated_for(60, ioreq_page_left, self->o, -1,
				 self->domid));
	if (lacking(self->o))
		SKIP(return, "%s", lacking(self->o));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(0, self->o->second & 1)
		TH_LOG("requests of more vCPUs than a page has room for");
	EXPECT_EQ(0, self->o->second & 2)
		TH_LOG("requests that do not begin with a page");
}

/* The kernel signals the event first */
static bool was_answered(const struct ioreq *req)
{
	unsigned int ms;

	for (ms = 0; ms < 5000; ms += 10) {
		if (req->state == STATE_IORESP_READY)
			return true;
		usleep(10 * 1000);
	}
	return false;
}

/* As a device model may have it: the requests are in the second page it maps */
static void ioreq_in_second_page(struct outcome *o, int unused, domid_t domid)
{
	int fd = xen_open(DEV_PRIVCMD);
	uint32_t port = 0, other = 0;
	struct privcmd_ioeventfd op = ioeventfd_for(domid, &port);
	struct ioreq *req, before;

	req = map_guest(o, fd, 2);
	if (!o->first)
		o->first = port_pair(fd, domid, &port, &other);
	if (o->first) {
		done(o);
		return;
	}
	req += PAGE_REQS;
	op.ioreq = (uintptr_t)req;
	o->first = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	before = *req;
	if (!o->first) {
		*req = notify_request;
		port_call(fd, EVTCHNOP_send, other);
		o->second = was_signalled(op.event_fd) && was_answered(req);
		ioeventfd_end(fd, &op, other);
	}
	*req = before;
	done(o);
}

TEST_F(ioctl, privcmd_ioreq_page_is_the_second)
{
	ASSERT_TRUE(isolated_for(25, ioreq_in_second_page, self->o, -1,
				 self->domid));
	if (lacking(self->o))
		SKIP(return, "%s", lacking(self->o));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(1, self->o->second)
		TH_LOG("the request is looked for in another page");
}

/* A device model and its end of a guest's ports; where its page of requests is */
struct model {
	int fd, evtchn, others, other;
	uint32_t port;
	struct privcmd_ioeventfd op;
	struct ioreq *req;
};

static int model_start(struct model *m, domid_t domid, domid_t guest,
		       void *at, xen_pfn_t gfn)
{
	int ret, err;

	m->fd = xen_open(DEV_PRIVCMD);
	m->evtchn = xen_open(DEV_EVTCHN);
	m->others = xen_open(DEV_EVTCHN);
	m->req = mmap(at, page_size(), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, m->fd, 0);
	if (m->req == MAP_FAILED)
		return -errno;
	ret = mmapbatch_v2(m->fd, m->req, guest, &gfn, &err, 1) ?: err;
	if (ret)
		return ret;
	ret = evtchn_unbound(m->evtchn, domid);
	if (ret < 0)
		return ret;
	m->port = ret;
	m->other = evtchn_interdomain(m->others, domid, m->port);
	if (m->other < 0)
		return m->other;
	m->op = ioeventfd_for(domid, &m->port);
	m->op.ioreq = (uintptr_t)m->req;
	return xen_ioctl(m->fd, IOCTL_PRIVCMD_IOEVENTFD, &m->op);
}

static bool model_is_served(struct model *m)
{
	const struct ioreq before = *m->req;
	bool served;

	/* Should binding the other end have sent an event */
	evtchn_wait(m->evtchn, 200);
	*m->req = notify_request;
	evtchn_notify(m->others, m->other);
	served = was_signalled(m->op.event_fd) && was_answered(m->req);
	/* It is for the device model to have the next one come */
	if (evtchn_wait(m->evtchn, 5000) != (int)m->port)
		served = false;
	*m->req = before;
	return served;
}

static void model_end(struct model *m)
{
	m->op.flags = PRIVCMD_IOEVENTFD_FLAG_DEASSIGN;
	xen_ioctl(m->fd, IOCTL_PRIVCMD_IOEVENTFD, &m->op);
}

/* One begins first, ends first, and has its page at the address of the other's */
static void ioreq_pages_of_two(struct outcome *o, int unused, domid_t domid)
{
	int fd = xen_open(DEV_PRIVCMD), up[2], down[2], err;
	xen_pfn_t a, b;
	domid_t guest = two_frames(fd, &a, &b);
	struct model m;
	char c = 0;
	pid_t pid;
	void *at;

	at = xen_mmap(-1, 0, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		      &err);
	o->first = guest ? 0 : -ENODEV;
	if (guest && (pipe(up) || pipe(down)))
		o->first = -errno;
	pid = o->first ? -1 : fork();
	if (!pid) {
		o->first = model_start(&m, domid, guest, at, guest_gfns[0]);
		if (write(up[1], &c, 1) == 1 && read(down[0], &c, 1) == 1 && c)
			model_end(&m);
		_exit(0);
	}
	if (pid < 0) {
		done(o);
		return;
	}
	if (read(up[0], &c, 1) != 1 && !o->first)
		o->first = -EPROTO;
	if (!o->first)
		o->first = model_start(&m, domid, guest, at, guest_gfns[1]);
	if (!o->first)
		o->second = model_is_served(&m);
	/* Where both are one, the first would take away what is the second's */
	c = o->second != 1;
	if (c && !o->first)
		model_end(&m);
	if (write(down[1], &c, 1) == 1)
		waitpid(pid, NULL, 0);
	if (!c) {
		o->second |= model_is_served(&m) << 1;
		model_end(&m);
	}
	done(o);
}

TEST_F(ioctl, privcmd_ioreq_pages_of_two)
{
	ASSERT_TRUE(isolated_for(25, ioreq_pages_of_two, self->o, -1,
				 self->domid));
	if (lacking(self->o))
		SKIP(return, "%s", lacking(self->o));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(1, self->o->second & 1)
		TH_LOG("the requests are looked for in the other's page");
	EXPECT_EQ(2, self->o->second & 2)
		TH_LOG("and no longer when the other has ended");
}

/*
 * The port belongs to a device model, which is told of each event and says when
 * it wants the next one. The kernel's own answer must not say it instead.
 */
static void ioreq_beside_evtchn(struct outcome *o, int unused, domid_t domid)
{
	int fd = xen_open(DEV_PRIVCMD), evtchn = xen_open(DEV_EVTCHN), ret;
	int others = xen_open(DEV_EVTCHN), other = 0;
	uint32_t port = 0;
	struct privcmd_ioeventfd op = ioeventfd_for(domid, &port);
	struct ioreq *req, before;
	unsigned int i;

	req = map_guest(o, fd, 1);
	if (!o->first) {
		ret = evtchn_unbound(evtchn, domid);
		o->first = ret < 0 ? ret : 0;
		port = ret;
	}
	if (!o->first) {
		other = evtchn_interdomain(others, domid, port);
		o->first = other < 0 ? other : 0;
	}
	op.ioreq = (uintptr_t)req;
	if (!o->first)
		o->first = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	if (o->first) {
		done(o);
		return;
	}
	/* Should binding the other end have sent an event */
	evtchn_wait(evtchn, 200);
	before = *req;
	for (i = 0; i < 3; i++) {
		*req = notify_request;
		evtchn_notify(others, other);
		o->second += was_signalled(op.event_fd) && was_answered(req);

		/* The next one comes before the device model has seen this */
		*req = notify_request;
		evtchn_notify(others, other);
		usleep(100 * 1000);
		if (req->state != STATE_IOREQ_READY)
			o->second |= 0x100;
		if (evtchn_wait(evtchn, 5000) != (int)port)
			o->second |= 0x200;
		o->second += was_signalled(op.event_fd) && was_answered(req);
		if (evtchn_wait(evtchn, 5000) != (int)port)
			o->second |= 0x400;
	}
	if (evtchn_wait(evtchn, 0) >= 0)
		o->second |= 0x800;
	op.flags = PRIVCMD_IOEVENTFD_FLAG_DEASSIGN;
	xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	*req = before;
	done(o);
}

TEST_F_TIMEOUT(ioctl, privcmd_ioeventfd_beside_evtchn, 120)
{
	ASSERT_TRUE(isolated_for(100, ioreq_beside_evtchn, self->o, -1,
				 self->domid));
	if (lacking(self->o))
		SKIP(return, "%s", lacking(self->o));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(6, self->o->second)
		TH_LOG("of six requests; from 0x100 on: unasked for, or not told of");
}

static void ioeventfd_elsewhere(struct outcome *o, int unused, domid_t domid)
{
	uint32_t port = BAD_PORT;
	struct privcmd_ioeventfd op = ioeventfd_for(domid, &port);
	int fd = xen_open(DEV_PRIVCMD), err;
	void *va;

	/* A mapping of privcmd that has no pages yet; one that is not its */
	va = xen_mmap(fd, 0, page_size(), PROT_READ, MAP_SHARED, &err);
	op.ioreq = (uintptr_t)va;
	o->first = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	op.ioreq = (uintptr_t)&port & ~(uintptr_t)(XEN_PAGE - 1);
	o->second = xen_ioctl(fd, IOCTL_PRIVCMD_IOEVENTFD, &op);
	done(o);
}

/* After the others, as the lock of all ioeventfds may stay behind */
TEST_F(ioctl, privcmd_ioeventfd_of_other_memory)
{
	ASSERT_TRUE(isolated(ioeventfd_elsewhere, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	if (self->o->first == -EOPNOTSUPP)
		SKIP(return, "kernel without CONFIG_XEN_PRIVCMD_EVENTFD");
	EXPECT_EQ(-EFAULT, self->o->first);
	EXPECT_EQ(-EFAULT, self->o->second);
}

static void mmap_elsewhere(struct outcome *o, int unused, domid_t domid)
{
	struct privcmd_mmap_entry entry = { .npages = 1 };
	struct privcmd_mmap op = {
		.num = 1,
		.dom = domid,
		.entry = &entry,
	};
	int fd = xen_open(DEV_PRIVCMD), err;
	void *va;

	va = xen_mmap(-1, 0, page_size(), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, &err);
	entry.va = (uintptr_t)va;
	o->first = xen_ioctl(fd, IOCTL_PRIVCMD_MMAP, &op);
	done(o);
}

TEST_F(ioctl, privcmd_mmap_of_other_memory)
{
	ASSERT_TRUE(isolated(mmap_elsewhere, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	if (self->o->first == -ENOSYS)
		SKIP(return, "IOCTL_PRIVCMD_MMAP is for PV domains");
	EXPECT_EQ(-EINVAL, self->o->first);
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
	ASSERT_TRUE(isolated(irqfd_huge, self->o, -1, self->domid));
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
	ASSERT_TRUE(isolated(dm_op_empty, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	EXPECT_GT(0, self->o->first);
	TH_LOG("Xen says %d", self->o->first);
}

/* gntdev */

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
	fd = dmabuf_export(gntdev, 0, domid, g.refs, g.count);
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
	ASSERT_TRUE(isolated(unmap_exported, self->o, -1, self->domid));
	if (self->o->first == -ENOTTY)
		SKIP(return, "kernel without CONFIG_XEN_GNTDEV_DMABUF");
	if (xen_is_pv())
		SKIP(return, "gntdev of a PV domain exports no dma-bufs");
	EXPECT_LE(0, self->o->first);
	EXPECT_EQ(-ENOENT, self->o->second)
		TH_LOG("freed, while the dma-buf has them");
}

#define OWN_IMPORTS	64

/* A buffer that is imported by the file that has exported it */
static int import_own(int gntdev, const struct granted *g, domid_t domid)
{
	struct ioctl_gntdev_dmabuf_imp_to_refs op = {
		.fd = dmabuf_export(gntdev, 0, domid, g->refs, g->count),
		.count = 1,
		.domid = domid,
	};
	int ret;

	if (op.fd < 0)
		return op.fd;
	ret = xen_ioctl(gntdev, IOCTL_GNTDEV_DMABUF_IMP_TO_REFS, &op);
	close(op.fd);
	return ret;
}

static long open_files(void)
{
	return file_number("/proc/sys/fs/file-nr", "");
}

/* Each of them may leave two files: of gntdev and of the buffer */
TEST_F(ioctl, gntdev_import_of_own_export)
{
	int gntalloc = xen_open(DEV_GNTALLOC), gntdev, ret;
	struct granted g;
	unsigned int i;
	long before, n;

	if (xen_is_pv())
		SKIP(return, "gntdev of a PV domain exports no dma-bufs");
	ASSERT_EQ(0, granted_alloc(&g, gntalloc, self->domid, 1, true));
	before = open_files();
	ASSERT_LT(0, before);
	for (i = 0; i < OWN_IMPORTS; i++) {
		gntdev = xen_open(DEV_GNTDEV);
		ret = import_own(gntdev, &g, self->domid);
		close(gntdev);
		if (ret == -ENOTTY)
			SKIP(return, "kernel without CONFIG_XEN_GNTDEV_DMABUF");
		ASSERT_EQ(0, ret);
	}
	for (i = 0; i < 20; i++) {
		n = open_files();
		if (n < before + OWN_IMPORTS)
			break;
		usleep(100 * 1000);
	}
	EXPECT_GT(before + OWN_IMPORTS, n)
		TH_LOG("files that are closed stay open for ever");
	granted_free(&g);
	close(gntalloc);
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
	ASSERT_TRUE(isolated(notify_read_only, self->o, -1, self->domid))
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
	ASSERT_TRUE(isolated(notify_not_mapped, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(-EINVAL, self->o->second);
}

static void notify_beyond(struct outcome *o, int unused, domid_t domid)
{
	int gntalloc = xen_open(DEV_GNTALLOC);
	int gntdev = xen_open(DEV_GNTDEV);
	struct granted g;
	struct mapped m;

	o->first = granted_alloc(&g, gntalloc, domid, 1, true) ?:
		   mapped_insert(&m, gntdev, domid, g.refs, 1);
	if (!o->first) {
		o->second = clear_byte(gntdev, m.index + XEN_PAGE);
		o->first = mapped_remove(&m);
	}
	done(o);
}

TEST_F(ioctl, gntdev_notify_beyond_the_grant)
{
	if (page_size() == XEN_PAGE)
		SKIP(return, "a grant is all of its page");
	ASSERT_TRUE(isolated(notify_beyond, self->o, -1, self->domid));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(-EINVAL, self->o->second)
		TH_LOG("the kernel is to write where no grant is");
}

TEST_F(ioctl, gntdev_read_only_stays_so)
{
	int gntalloc = xen_open(DEV_GNTALLOC), gntdev = xen_open(DEV_GNTDEV);
	struct granted g;
	struct mapped m;

	ASSERT_EQ(0, granted_alloc(&g, gntalloc, self->domid, 1, true));
	ASSERT_EQ(0, mapped_map(&m, gntdev, self->domid, g.refs, 1, PROT_READ));
	/* Nothing is written: the kernel would die of it */
	EXPECT_EQ(-1, mprotect(m.va, page_size(), PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, mapped_free(&m));

	ASSERT_EQ(0, mapped_map(&m, gntdev, self->domid, g.refs, 1,
				PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mprotect(m.va, page_size(), PROT_READ));
	EXPECT_EQ(0, mprotect(m.va, page_size(), PROT_READ | PROT_WRITE));
	/* A PV domain's grants are unmapped by mprotect(): gntdev_invalidate() */
	if (!xen_is_pv()) {
		memset(m.va, 0x5a, XEN_PAGE);
		EXPECT_EQ(0x5a, g.va[XEN_PAGE - 1]);
	}
	EXPECT_EQ(0, mapped_free(&m));
	EXPECT_EQ(0, granted_free(&g));
	close(gntdev);
	close(gntalloc);
}

/* A page that nobody can write to before we allow it: a userfaultfd for that */
static int protect(void *page)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, page_size() },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)page, page_size() },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		return -ENOSYS;
	return fd;
}

static bool somebody_writes(int fd)
{
	struct pollfd fault = { .fd = fd, .events = POLLIN };

	return poll(&fault, 1, 2000) == 1;
}

static void unprotect(int fd, void *page)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)page, page_size() },
	};

	ioctl(fd, UFFDIO_WRITEPROTECT, &wp);
}

/*
 * The answer of IOCTL_GNTDEV_MAP_GRANT_REF goes to a page that cannot be written
 * before we allow it. Meanwhile another thread maps the device, which takes the
 * lock of the address space, and then the device's. We need the former as well.
 */
struct slow_ioctl {
	int fd;
	unsigned long cmd;
	void *op;
	int ret;
	pid_t tid;
	int ended;
};

static void *call_slowly(void *arg)
{
	struct slow_ioctl *s = arg;

	s->ret = xen_ioctl(s->fd, s->cmd, s->op);
	return NULL;
}

static void *map_nothing(void *arg)
{
	struct slow_ioctl *s = arg;
	int err = 0;

	WRITE_ONCE(s->tid, syscall(__NR_gettid));
	/* There are no grants at this offset */
	xen_mmap(s->fd, 1 << 20, page_size(), PROT_READ, MAP_SHARED, &err);
	s->ret = err;
	WRITE_ONCE(s->ended, 1);
	return NULL;
}

static void map_while_answering(struct outcome *o, int unused, domid_t domid)
{
	struct slow_ioctl answer = {
		.fd = xen_open(DEV_GNTDEV),
		.cmd = IOCTL_GNTDEV_MAP_GRANT_REF,
	};
	struct slow_ioctl mapper = { .fd = answer.fd };
	struct ioctl_gntdev_map_grant_ref *op;
	pthread_t threads[2];
	int err, uffd, i;
	pid_t tid;

	op = xen_mmap(-1, 0, page_size(), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, &err);
	op->count = 1;
	op->refs[0].domid = domid;
	op->refs[0].ref = BAD_REF;
	answer.op = op;
	uffd = protect(op);
	if (uffd < 0) {
		o->first = uffd;
		done(o);
		return;
	}
	pthread_create(&threads[0], NULL, call_slowly, &answer);
	if (!somebody_writes(uffd)) {
		o->first = -ETIME;
		done(o);
		return;
	}
	pthread_create(&threads[1], NULL, map_nothing, &mapper);
	for (i = 0; i < 1000 && !READ_ONCE(mapper.ended); i++) {
		tid = READ_ONCE(mapper.tid);
		if (tid && waits_in_kernel(tid))
			break;
		usleep(10 * 1000);
	}
	if (i == 1000)
		o->first = -ETIME;
	unprotect(uffd, op);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	o->first = o->first ?: answer.ret;
	o->second = mapper.ret;
	done(o);
}

TEST_F(ioctl, gntdev_map_while_mapped)
{
	ASSERT_TRUE(isolated_for(20, map_while_answering, self->o, -1,
				 self->domid))
		TH_LOG("the process is locked up for ever");
	if (self->o->first == -ENOSYS)
		SKIP(return, "no userfaultfd that protects from writing");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(-EINVAL, self->o->second);
}

/*
 * The answer of IOCTL_GNTDEV_DMABUF_IMP_TO_REFS goes to such a page as well, and
 * another thread releases the import before it is told of it.
 */
static void release_while_importing(struct outcome *o, int unused,
				    domid_t domid)
{
	const size_t head = offsetof(struct ioctl_gntdev_dmabuf_imp_to_refs,
				     refs);
	struct slow_ioctl import = {
		.fd = xen_open(DEV_GNTDEV),
		.cmd = IOCTL_GNTDEV_DMABUF_IMP_TO_REFS,
	};
	struct ioctl_gntdev_dmabuf_imp_to_refs *op;
	int err, uffd, buf = heap_buffer(page_size());
	pthread_t thread;
	uint8_t *mem;

	if (buf < 0) {
		o->first = -ENODEV;
		done(o);
		return;
	}
	/* The references are on a page of their own */
	mem = xen_mmap(-1, 0, 2 * page_size(), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, &err);
	memset(mem, 0, 2 * page_size());
	op = (void *)(mem + page_size() - head);
	op->fd = buf;
	op->count = 1;
	op->domid = domid;
	import.op = op;
	uffd = protect(mem + page_size());
	if (uffd < 0) {
		o->first = uffd;
		done(o);
		return;
	}
	pthread_create(&thread, NULL, call_slowly, &import);
	if (!somebody_writes(uffd)) {
		pthread_join(thread, NULL);
		o->first = import.ret ?: -ETIME;
		done(o);
		return;
	}
	o->second = dmabuf_import_release(import.fd, buf);
	unprotect(uffd, mem + page_size());
	pthread_join(thread, NULL);
	o->first = import.ret;
	if (o->second && !o->first)
		o->first = dmabuf_import_release(import.fd, buf);
	done(o);
}

TEST_F(ioctl, gntdev_import_is_released_while_made)
{
	ASSERT_TRUE(isolated(release_while_importing, self->o, -1, self->domid))
		TH_LOG("the process is dead in the kernel");
	if (self->o->first == -ENOSYS)
		SKIP(return, "no userfaultfd that protects from writing");
	if (self->o->first == -ENODEV || self->o->first == -ENOTTY)
		SKIP(return, "no " DEV_DMA_HEAP ", or no CONFIG_XEN_GNTDEV_DMABUF");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(-ENOENT, self->o->second)
		TH_LOG("freed, and then its references are told");
}

/*
 * Offsets above 2 GB. gntdev takes the first room that is larger than what is to
 * go there, so that not all the grants below have to be there at once: of
 * neighbours of one size every second may go, and more when larger ones follow.
 */
#define FIRST_SPAN	128U
#define LAST_SPAN	8192U

struct span {
	uint64_t start;		/* in pages */
	uint64_t count;
};

static int span_add(int gntdev, domid_t domid, struct span *s,
		    unsigned int count)
{
	uint32_t *refs = malloc(count * sizeof(*refs));
	struct mapped m;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++)
		refs[i] = BAD_REF;
	ret = mapped_insert(&m, gntdev, domid, refs, count);
	free(refs);
	s->start = m.index / page_size();
	s->count = count;
	return ret;
}

static int span_remove(int gntdev, const struct span *s)
{
	struct ioctl_gntdev_unmap_grant_ref op = {
		.index = s->start * page_size(),
		.count = s->count,
	};

	return xen_ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op);
}

/* Those of which the room is too small for @count go; the last one stays */
static unsigned int spans_thin(int gntdev, struct span *s, unsigned int nr,
			       unsigned int first, unsigned int count)
{
	uint64_t end = first ? s[first - 1].start + s[first - 1].count : 0;
	unsigned int i, kept = first;

	for (i = first; i < nr; i++) {
		if (i + 1 < nr && s[i + 1].start - end <= count) {
			span_remove(gntdev, &s[i]);
			continue;
		}
		end = s[i].start + s[i].count;
		s[kept++] = s[i];
	}
	return kept;
}

/*
 * Pages to map grants at are the domain's own memory where Xen has no room for
 * others: do not take so much that nobody else has any. In KB, CMA is free too.
 */
#define LEAVE_KB	(160 * 1024)

static bool enough_memory(unsigned int pages)
{
	long kb = file_number("/proc/meminfo", "MemAvailable:");

	return kb - (long)(pages * (page_size() / 1024)) > LEAVE_KB;
}

TEST_F_TIMEOUT(ioctl, gntdev_offset_above_2g, 300)
{
	const uint64_t goal = (1ULL << 31) / page_size();
	int gntdev = xen_open(DEV_GNTDEV), ret = 0;
	unsigned int nr = 0, count, stages = 0;
	uint64_t end = 0, wanted;
	struct span *s, far;

	for (count = FIRST_SPAN; count <= LAST_SPAN; count *= 2)
		stages++;
	s = calloc(goal / FIRST_SPAN + stages, sizeof(*s));
	ASSERT_NE(NULL, s);
	for (count = FIRST_SPAN; !ret && count <= LAST_SPAN; count *= 2) {
		nr = spans_thin(gntdev, s, nr, 0, count);
		wanted = count == LAST_SPAN ? goal : end + goal / stages;
		while (end < wanted && end < goal) {
			ret = enough_memory(count) ?
			      span_add(gntdev, self->domid, &s[nr], count) :
			      -ENOMEM;
			if (ret)
				break;
			ASSERT_EQ(end, s[nr].start);
			end += count;
			nr++;
			nr = spans_thin(gntdev, s, nr, nr < 3 ? 0 : nr - 3,
					count);
		}
	}
	if (!ret)
		ret = span_add(gntdev, self->domid, &far, LAST_SPAN);
	if (ret == -ENOMEM) {
		close(gntdev);
		free(s);
		SKIP(return, "no room for grants at %u offsets",
		     (unsigned int)goal);
	}
	ASSERT_EQ(0, ret);
	EXPECT_EQ(end, far.start)
		TH_LOG("offset %llx", (unsigned long long)far.start * page_size());
	/* What was meant is to be found there, and nothing at what it is not */
	far.start = end;
	EXPECT_EQ(0, clear_byte(gntdev, far.start * page_size()));
	far.start += 1ULL << 32;
	EXPECT_EQ(-ENOENT, span_remove(gntdev, &far));
	far.start = end;
	EXPECT_EQ(0, span_remove(gntdev, &far));
	close(gntdev);
	free(s);
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
	const uint64_t end = now_ms() + ms;

	do {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(10 * 1000);
	} while (now_ms() < end);
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
	if (xen_is_pv())
		SKIP(return, "gntdev of a PV domain exports no dma-bufs");
	ASSERT_EQ(0, granted_alloc(&self->g, self->gntalloc, domid, 1, true));
	self->fd = dmabuf_export(self->gntdev, 0, domid, self->g.refs,
				 self->g.count);
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
	int status, null, i;
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
	for (i = 0; i < 500 && !waits_in_kernel(pid); i++)
		usleep(10 * 1000);
	EXPECT_TRUE(waits_in_kernel(pid));
	kill(pid, SIGKILL);
	EXPECT_TRUE(ended(pid, 5000, &status))
		TH_LOG("five seconds later it still waits");
}

TEST_F(wait, two_of_them)
{
	int status, i, n, fd = self->fd;
	pid_t pid[2];

	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			close(fd);
			_exit(wait_released(self->gntdev, fd, 10000) ? 1 : 0);
		}
	}
	for (i = 0; i < 2; i++) {
		for (n = 0; n < 500 && !waits_in_kernel(pid[i]); n++)
			usleep(10 * 1000);
		EXPECT_TRUE(waits_in_kernel(pid[i]));
	}
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
	ASSERT_TRUE(isolated(map_across, self->o, -1, self->domid));
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(0, self->o->second)
		TH_LOG("the other file's page is freed");
}

TEST_F(ioctl, gntalloc_notify_beyond_the_grant)
{
	struct ioctl_gntalloc_unmap_notify op = {
		.action = UNMAP_NOTIFY_CLEAR_BYTE,
	};
	int fd = xen_open(DEV_GNTALLOC);
	struct granted g;

	if (page_size() == XEN_PAGE)
		SKIP(return, "a grant is all of its page");
	ASSERT_EQ(0, granted_alloc(&g, fd, self->domid, 1, true));
	op.index = g.index + XEN_PAGE - 1;
	EXPECT_EQ(0, xen_ioctl(fd, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &op));
	op.index = g.index + XEN_PAGE;
	EXPECT_EQ(-EINVAL, xen_ioctl(fd, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &op))
		TH_LOG("another byte is to be cleared");
	EXPECT_EQ(0, granted_free(&g));
	close(fd);
}

static unsigned int set_limit(unsigned int limit)
{
	FILE *f = fopen(GNTALLOC_LIMIT, "r+");
	unsigned int old = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%u", &old) == 1) {
		rewind(f);
		fprintf(f, "%u\n", limit);
	}
	fclose(f);
	return old;
}

/* Grants that nobody uses, until the file is closed */
static int grants_alloc(int fd, domid_t domid, unsigned int count)
{
	struct ioctl_gntalloc_alloc_gref *op;
	int ret;

	op = calloc(1, sizeof(*op) + count * sizeof(op->gref_ids[0]));
	if (!op)
		return -ENOMEM;
	op->domid = domid;
	op->count = count;
	ret = xen_ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, op);
	free(op);
	return ret;
}

/* The number of grants that gntalloc takes for allocated: it asks for one more */
static unsigned int grants_counted(domid_t domid)
{
	unsigned int low = 0, high = 1 << 20, mid;
	int fd, ret;

	while (low < high) {
		mid = (low + high) / 2;
		set_limit(mid + 1);
		fd = xen_open(DEV_GNTALLOC);
		ret = grants_alloc(fd, domid, 1);
		close(fd);
		if (ret)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

#define IN_VAIN	1024

/* A grant table has an end; the default is 32,768 grants */
static void run_out_of_grants(struct outcome *o, int unused, domid_t domid)
{
	int held = xen_open(DEV_GNTALLOC), rest = xen_open(DEV_GNTALLOC);
	unsigned int counted, i;
	long before;
	int ret;

	/* Should the count become too low, these keep it from less than none */
	ret = grants_alloc(held, domid, IN_VAIN + 64);
	counted = grants_counted(domid);
	set_limit(1 << 20);
	for (i = 8192; !ret && i; ) {
		/* Pages that are granted are not to be the last that there are */
		if (free_pages() < 2 * i + (64 << 20) / (long)page_size()) {
			ret = -E2BIG;
			break;
		}
		ret = grants_alloc(rest, domid, i);
		if (ret == -ENOSPC) {
			ret = 0;
			i /= 2;
		}
	}

	before = free_pages();
	for (i = 0; !ret && i < IN_VAIN; i++)
		if (grants_alloc(rest, domid, 1) != -ENOSPC)
			ret = -EPROTO;
	o->second = before - free_pages() > IN_VAIN / 2;
	close(rest);
	if (grants_counted(domid) != counted)
		o->second |= 2;
	o->first = ret;
	if (o->second & 2)
		stay(o);
	done(o);
}

TEST_F_TIMEOUT(ioctl, gntalloc_without_free_grants, 300)
{
	unsigned int limit;
	bool is_done;

	if (access(GNTALLOC_LIMIT, W_OK))
		SKIP(return, "%s: %s", GNTALLOC_LIMIT, strerror(errno));
	limit = set_limit(1 << 20);
	is_done = isolated_for(280, run_out_of_grants, self->o, -1,
			       self->domid);
	set_limit(limit);
	ASSERT_TRUE(is_done);
	if (self->o->first == -E2BIG)
		SKIP(return, "memory comes to an end before the grants do");
	EXPECT_EQ(0, self->o->first);
	EXPECT_EQ(0, self->o->second & 1)
		TH_LOG("a page is lost for each grant that there was not");
	EXPECT_EQ(0, self->o->second & 2)
		TH_LOG("and the count of grants is wrong from then on");
}

TEST_HARNESS_MAIN
