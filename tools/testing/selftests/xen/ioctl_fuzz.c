// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz the ioctls of /dev/xen/gntdev and /dev/xen/privcmd: arguments that are
 * nearly right, pointers into memory that is read-only, missing or taken away
 * meanwhile, by threads that map, move, unmap, fork and close at the same time
 * and are interrupted by signals. Whatever the answer is: the kernel must not
 * complain in its log, and everything has to be given back.
 *
 * What could harm the machine is kept out by construction:
 *
 *  - Domain numbers come from safe_domid() and nowhere else, and are set after
 *    anything random: this domain, or one that is not there. So grants are
 *    those that the domain makes for itself. Frames of a guest, should there
 *    be one, are mapped by MMAPBATCH alone, into mappings that are read-only.
 *  - IOCTL_PRIVCMD_HYPERCALL asks for Xen's version; what Xen is to write to
 *    is at no valid address.
 *  - Ports of event channels are this program's own, or out of range.
 *
 * Rounds of a few hundred ioctls, each a process of its own with its own seed.
 * The seed is printed; threads make a repetition similar, never the same:
 *
 *	./ioctl_fuzz -n 100000 -s 1 -t 3600
 */
#include "xen_util.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include <xen/interface/memory.h>
#include <xen/interface/version.h>

#include "kselftest.h"

#ifndef IOCTL_GNTDEV_SET_DMA_LIMIT
#define IOCTL_GNTDEV_SET_DMA_LIMIT \
	_IOC(_IOC_NONE, 'G', 13, sizeof(uint64_t))
#endif

#define BAD_DOMID	0x7abc
#define BAD_REF		0x7ffffff0U
#define BAD_PORT	0x10000

#define THREADS		3
#define IOCTLS_A_ROUND	400
/*
 * Seconds without the end of an ioctl after which a round is killed, and in
 * which it has to be gone then. A round as a whole takes what it takes: with KASAN
 * on an emulated machine, a second on one kernel is a minute on another.
 */
#define PATIENCE	60

#define GRANTED		24
#define FDS		4
#define DMABUFS		6
#define KNOWN		16
#define SLOTS		16
#define SLOT_PAGES	64
/* Of each thread: its arguments, and the other look at them */
#define ARG_PAGES	16

/* What is counted, by command */
static const struct cmd {
	const char *name;
	unsigned long nr;
} cmds[] = {
	{ "gntdev map_grant_ref", IOCTL_GNTDEV_MAP_GRANT_REF },
	{ "gntdev unmap_grant_ref", IOCTL_GNTDEV_UNMAP_GRANT_REF },
	{ "gntdev get_offset_for_vaddr", IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR },
	{ "gntdev set_max_grants", IOCTL_GNTDEV_SET_MAX_GRANTS },
	{ "gntdev set_unmap_notify", IOCTL_GNTDEV_SET_UNMAP_NOTIFY },
	{ "gntdev grant_copy", IOCTL_GNTDEV_GRANT_COPY },
	{ "gntdev dmabuf_exp_from_refs", IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS },
	{ "gntdev dmabuf_exp_wait", IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED },
	{ "gntdev dmabuf_imp_to_refs", IOCTL_GNTDEV_DMABUF_IMP_TO_REFS },
	{ "gntdev dmabuf_imp_release", IOCTL_GNTDEV_DMABUF_IMP_RELEASE },
	{ "gntdev set_dma_limit", IOCTL_GNTDEV_SET_DMA_LIMIT },
	{ "privcmd hypercall", IOCTL_PRIVCMD_HYPERCALL },
	{ "privcmd mmap", IOCTL_PRIVCMD_MMAP },
	{ "privcmd mmapbatch", IOCTL_PRIVCMD_MMAPBATCH },
	{ "privcmd mmapbatch_v2", IOCTL_PRIVCMD_MMAPBATCH_V2 },
	{ "privcmd dm_op", IOCTL_PRIVCMD_DM_OP },
	{ "privcmd restrict", IOCTL_PRIVCMD_RESTRICT },
	{ "privcmd mmap_resource", IOCTL_PRIVCMD_MMAP_RESOURCE },
	{ "privcmd irqfd", IOCTL_PRIVCMD_IRQFD },
	{ "privcmd ioeventfd", IOCTL_PRIVCMD_IOEVENTFD },
	{ "privcmd pcidev_get_gsi", IOCTL_PRIVCMD_PCIDEV_GET_GSI },
	{ "no such command", 0 },
};

/* Shared by all processes */
static struct shared {
	unsigned long ioctls;
	unsigned long calls[ARRAY_SIZE(cmds)];
	unsigned long ok[ARRAY_SIZE(cmds)];
	unsigned long eintr;
} *shared;

static domid_t own_domid;
static domid_t guest;		/* 0: none */

/*
 * The state of a round, used by its threads without any lock: to be wrong
 * about what is there is part of the game. What the program's own safety rests
 * on does not change.
 */
struct known {
	int fd;
	unsigned int count;
	uint64_t index;
};

static struct {
	unsigned long quota;
	int gntalloc;
	struct granted granted[4];
	unsigned int refs[GRANTED];
	unsigned int ports[2];
	int gntdev[FDS], privcmd[FDS];
	int dmabuf[DMABUFS];
	int eventfd, zero, pipe[2];
	struct known known[KNOWN];
	uint8_t *slots;		/* of gntdev, then of privcmd */
	int memfd;
	uint8_t *args;		/* always there, to be written by us */
	uint8_t *view;		/* the same memory, for the kernel */
} r;

struct thread {
	uint64_t rnd;
	unsigned int id;
	pthread_t pthread;
	size_t used;		/* of the arguments' memory */
};

static uint64_t rnd(struct thread *t)
{
	t->rnd ^= t->rnd << 13;
	t->rnd ^= t->rnd >> 7;
	t->rnd ^= t->rnd << 17;
	return t->rnd * 0x2545f4914f6cdd1dULL >> 16;
}

static unsigned int below(struct thread *t, unsigned int n)
{
	return rnd(t) % n;
}

/* Once in @n times */
static bool once_in(struct thread *t, unsigned int n)
{
	return !below(t, n);
}

static uint64_t odd_number(struct thread *t)
{
	static const uint64_t odd[] = {
		0, 1, 2, 7, 16, 17, 63, 64, 255, 4095, 4096, 4097, 65535, 65536,
		65537, INT_MAX, 1ULL << 31, UINT_MAX, 1ULL << 32, UINT_MAX + 2ULL,
		1ULL << 40, 1ULL << 47, INT64_MAX, 1ULL << 63, UINT64_MAX - 4095,
		UINT64_MAX,
	};

	return once_in(t, 4) ? rnd(t) : odd[below(t, ARRAY_SIZE(odd))];
}

static domid_t safe_domid(struct thread *t)
{
	static const domid_t none[] = { BAD_DOMID, DOMID_SELF, 0x7ff4 };

	return once_in(t, 6) ? none[below(t, ARRAY_SIZE(none))] : own_domid;
}

static unsigned int safe_port(struct thread *t)
{
	return once_in(t, 3) ? BAD_PORT + below(t, INT_MAX) :
			       r.ports[below(t, ARRAY_SIZE(r.ports))];
}

static uint32_t some_ref(struct thread *t)
{
	return once_in(t, 12) ? BAD_REF : r.refs[below(t, GRANTED)];
}

static unsigned int some_count(struct thread *t)
{
	static const unsigned int many[] = {
		0, 17, 96, 600, 4096, 65536, 65537, INT_MAX, UINT_MAX,
	};

	return once_in(t, 16) ? many[below(t, ARRAY_SIZE(many))] :
				1 + below(t, 8);
}

/*
 * Arguments are written in one view and given to the kernel in another, where
 * some pages are read-only or not there (see spoil()). Mostly they are put
 * where they are all right, else anywhere, so that some are so in part.
 */
struct arg {
	void *ours;
	void *kernels;
};

static struct arg arg_alloc(struct thread *t, size_t len)
{
	size_t base = t->id * ARG_PAGES * page_size(), off;
	struct arg a;

	/* The first half is not spoilt */
	if (!once_in(t, 6)) {
		off = (t->used + 15) & ~15UL;
		if (off + len > ARG_PAGES / 2 * page_size())
			off = 0;
		t->used = off + len;
	} else {
		off = below(t, ARG_PAGES * page_size() - len);
		if (!once_in(t, 3))
			off &= ~7UL;
	}
	a.ours = r.args + base + off;
	a.kernels = r.view + base + off;
	return a;
}

static void *bad_pointer(struct thread *t)
{
	static const uintptr_t bad[] = {
		0, 1, 0x10, 0xfff, 1UL << 47, (1UL << 48) - 8, 1UL << 63,
		-4096UL, -8UL, -1UL,
	};

	return (void *)bad[below(t, ARRAY_SIZE(bad))];
}

/* The pointer to give to the kernel */
static void *given(struct thread *t, struct arg a)
{
	return once_in(t, 25) ? bad_pointer(t) : a.kernels;
}

/* Overwrite a few words of a structure */
static void mutate(struct thread *t, void *p, size_t len)
{
	unsigned int n = once_in(t, 4) ? 1 + below(t, 2) : 0;
	uint64_t v;

	while (n--) {
		size_t size = once_in(t, 2) ? 4 : 8;

		if (size > len)
			size = len;
		v = odd_number(t);
		memcpy(p + below(t, len - size + 1), &v, size);
	}
}

static int fuzz_ioctl(struct thread *t, int fd, unsigned long nr, void *arg)
{
	unsigned int i;
	int ret;

	ret = xen_ioctl(fd, nr, arg);
	for (i = 0; i < ARRAY_SIZE(cmds) - 1 && cmds[i].nr != nr; i++)
		;
	__sync_fetch_and_add(&shared->calls[i], 1);
	if (ret >= 0)
		__sync_fetch_and_add(&shared->ok[i], 1);
	if (ret == -EINTR)
		__sync_fetch_and_add(&shared->eintr, 1);
	__sync_fetch_and_add(&shared->ioctls, 1);
	return ret;
}

static int some_fd(struct thread *t, const int *fds)
{
	if (once_in(t, 60))
		return once_in(t, 2) ? -1 : r.eventfd;
	return READ_ONCE(fds[below(t, FDS)]);
}

static struct known *some_known(struct thread *t)
{
	return &r.known[below(t, KNOWN)];
}

static uint8_t *slot_va(unsigned int slot)
{
	return r.slots + slot * SLOT_PAGES * page_size();
}

static uint8_t *gntdev_slot(struct thread *t)
{
	return slot_va(below(t, SLOTS));
}

static uint8_t *privcmd_slot(struct thread *t)
{
	return slot_va(SLOTS + below(t, SLOTS));
}

/*
 * gntdev
 */

static void gntdev_map(struct thread *t)
{
	unsigned int i, room, count = some_count(t);
	struct ioctl_gntdev_map_grant_ref *op;
	struct arg a;
	int fd, ret;

	room = count > 100 ? 100 : count;
	a = arg_alloc(t, sizeof(*op) + room * sizeof(op->refs[0]));
	op = a.ours;
	op->count = count;
	op->pad = 0;
	op->index = rnd(t);
	mutate(t, op, offsetof(typeof(*op), refs));
	for (i = 0; i < room; i++) {
		op->refs[i].domid = safe_domid(t);
		op->refs[i].ref = some_ref(t);
	}
	/* What is behind the array would have any domain number */
	if (op->count > room && op->count <= 65536)
		op->count = room;
	fd = some_fd(t, r.gntdev);
	ret = fuzz_ioctl(t, fd, IOCTL_GNTDEV_MAP_GRANT_REF, given(t, a));
	if (!ret) {
		struct known *k = some_known(t);

		k->fd = fd;
		k->count = op->count;
		k->index = op->index;
	}
}

static void gntdev_unmap(struct thread *t)
{
	struct known *k = some_known(t);
	struct ioctl_gntdev_unmap_grant_ref *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	op->index = once_in(t, 8) ? below(t, 8) * page_size() : k->index;
	op->count = once_in(t, 8) ? some_count(t) : k->count;
	op->pad = 0;
	mutate(t, op, sizeof(*op));
	fuzz_ioctl(t, once_in(t, 8) ? some_fd(t, r.gntdev) : k->fd,
		   IOCTL_GNTDEV_UNMAP_GRANT_REF, given(t, a));
}

static void gntdev_get_offset(struct thread *t)
{
	struct ioctl_gntdev_get_offset_for_vaddr *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	op->vaddr = (uintptr_t)(once_in(t, 4) ? privcmd_slot(t) :
						gntdev_slot(t));
	if (once_in(t, 4))
		op->vaddr += below(t, 2 * page_size());
	mutate(t, op, sizeof(*op));
	fuzz_ioctl(t, some_fd(t, r.gntdev), IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
		   given(t, a));
}

static void gntdev_notify(struct thread *t)
{
	struct ioctl_gntdev_unmap_notify *op;
	struct arg a = arg_alloc(t, sizeof(*op));
	struct known *k = some_known(t);

	op = a.ours;
	op->index = k->index + below(t, (k->count % 64 + 1) * page_size());
	op->action = below(t, once_in(t, 8) ? 8 : 4);
	mutate(t, op, sizeof(*op));
	op->event_channel_port = safe_port(t);
	fuzz_ioctl(t, k->fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, given(t, a));
}

static void *copy_buffer(struct thread *t)
{
	if (once_in(t, 10))
		return bad_pointer(t);
	if (once_in(t, 3))
		return gntdev_slot(t) + below(t, 4 * page_size());
	return arg_alloc(t, 2 * page_size()).kernels;
}

static void gntdev_copy(struct thread *t)
{
	unsigned int i, n = once_in(t, 4) ? 40 : 1 + below(t, 4);
	struct gntdev_grant_copy_segment *s;
	struct ioctl_gntdev_grant_copy *op;
	struct arg a, segs;

	segs = arg_alloc(t, n * sizeof(*s));
	s = segs.ours;
	memset(s, 0, n * sizeof(*s));
	for (i = 0; i < n; i++, s++) {
		s->len = once_in(t, 3) ? odd_number(t) : below(t, 600);
		s->flags = 1 + below(t, 3);
		if (once_in(t, 20))
			s->flags = rnd(t);
		if (s->flags & GNTCOPY_source_gref) {
			s->source.foreign.ref = some_ref(t);
			s->source.foreign.offset = below(t, 4200);
			s->source.foreign.domid = safe_domid(t);
		} else {
			s->source.virt = copy_buffer(t);
		}
		if (s->flags & GNTCOPY_dest_gref) {
			s->dest.foreign.ref = some_ref(t);
			s->dest.foreign.offset = below(t, 4200);
			s->dest.foreign.domid = safe_domid(t);
		} else {
			s->dest.virt = copy_buffer(t);
		}
	}

	a = arg_alloc(t, sizeof(*op));
	op = a.ours;
	/* More than there are: only into what is not there */
	op->count = n;
	op->segments = segs.kernels;
	if (once_in(t, 12)) {
		op->count = odd_number(t);
		op->segments = bad_pointer(t);
	}
	fuzz_ioctl(t, some_fd(t, r.gntdev), IOCTL_GNTDEV_GRANT_COPY,
		   given(t, a));
}

static void gntdev_export(struct thread *t)
{
	unsigned int i, room, count = some_count(t);
	struct ioctl_gntdev_dmabuf_exp_from_refs *op;
	struct arg a;
	int ret, old;

	room = count > 100 ? 100 : count;
	a = arg_alloc(t, sizeof(*op) + room * sizeof(op->refs[0]));
	op = a.ours;
	op->flags = once_in(t, 3) ? below(t, 5) : 0;
	op->count = count;
	op->fd = -1;
	mutate(t, op, offsetof(typeof(*op), refs));
	op->domid = safe_domid(t);
	/* Address space for foreign pages, once made, stays: not too much */
	if (op->count > 4096 && op->count <= 65536)
		op->count = 4096;
	for (i = 0; i < room; i++)
		op->refs[i] = once_in(t, 20) ? BAD_REF :
					       r.refs[below(t, GRANTED)];
	ret = fuzz_ioctl(t, some_fd(t, r.gntdev),
			 IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, given(t, a));
	if (!ret) {
		old = __sync_lock_test_and_set(&r.dmabuf[below(t, DMABUFS)],
					       op->fd);
		if (old >= 0)
			close(old);
	}
}

static void gntdev_wait(struct thread *t)
{
	struct ioctl_gntdev_dmabuf_exp_wait_released *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	op->fd = r.dmabuf[below(t, DMABUFS)];
	op->wait_to_ms = below(t, 4);
	if (once_in(t, 8)) {
		op->fd = odd_number(t) | 0x10000;
		op->wait_to_ms = odd_number(t);
	}
	fuzz_ioctl(t, some_fd(t, r.gntdev),
		   IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED, a.kernels);
}

static void gntdev_import(struct thread *t)
{
	unsigned int count = some_count(t);
	struct ioctl_gntdev_dmabuf_imp_to_refs *op;
	int fd = r.dmabuf[below(t, DMABUFS)];
	struct arg a;
	off_t size;

	/* Mostly as large as it is */
	size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	if (size > 0 && !once_in(t, 5))
		count = size / page_size();
	a = arg_alloc(t, sizeof(*op) +
		      (count > 100 ? 100 : count) * sizeof(op->refs[0]));
	op = a.ours;
	op->fd = once_in(t, 20) ? some_fd(t, r.privcmd) : fd;
	op->count = count;
	op->reserved = 0;
	mutate(t, op, offsetof(typeof(*op), refs));
	op->domid = safe_domid(t);
	fuzz_ioctl(t, some_fd(t, r.gntdev), IOCTL_GNTDEV_DMABUF_IMP_TO_REFS,
		   given(t, a));
}

static void gntdev_import_release(struct thread *t)
{
	struct ioctl_gntdev_dmabuf_imp_release *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	op->fd = r.dmabuf[below(t, DMABUFS)];
	op->reserved = 0;
	mutate(t, op, sizeof(*op));
	fuzz_ioctl(t, some_fd(t, r.gntdev), IOCTL_GNTDEV_DMABUF_IMP_RELEASE,
		   given(t, a));
}

static void gntdev_max_grants(struct thread *t)
{
	struct ioctl_gntdev_set_max_grants *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	op->count = odd_number(t);
	fuzz_ioctl(t, some_fd(t, r.gntdev), IOCTL_GNTDEV_SET_MAX_GRANTS,
		   given(t, a));
}

static void gntdev_dma_limit(struct thread *t)
{
	uint64_t *last;
	struct arg a = arg_alloc(t, sizeof(*last));

	last = a.ours;
	*last = once_in(t, 2) ? 0x3fffffff : rnd(t);
	fuzz_ioctl(t, some_fd(t, r.gntdev), IOCTL_GNTDEV_SET_DMA_LIMIT,
		   given(t, a));
}

/*
 * privcmd
 */

static void privcmd_hypercall(struct thread *t)
{
	struct privcmd_hypercall *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	memset(op, 0, sizeof(*op));
	op->op = __HYPERVISOR_xen_version;
	if (once_in(t, 2)) {
		op->arg[0] = XENVER_version;
	} else {
		op->arg[0] = XENVER_extraversion;
		op->arg[1] = (uintptr_t)bad_pointer(t);
	}
	fuzz_ioctl(t, some_fd(t, r.privcmd), IOCTL_PRIVCMD_HYPERCALL,
		   a.kernels);
}

static void privcmd_mmap(struct thread *t)
{
	struct privcmd_mmap_entry *e;
	struct privcmd_mmap *op;
	struct arg a, entries;

	entries = arg_alloc(t, 4 * sizeof(*e));
	e = entries.ours;
	memset(e, 0, 4 * sizeof(*e));
	e->va = (uintptr_t)privcmd_slot(t);
	e->npages = 1 + below(t, 8);
	mutate(t, e, 4 * sizeof(*e));
	a = arg_alloc(t, sizeof(*op));
	op = a.ours;
	op->num = once_in(t, 4) ? some_count(t) : 1;
	op->dom = safe_domid(t);
	op->entry = given(t, entries);
	fuzz_ioctl(t, some_fd(t, r.privcmd), IOCTL_PRIVCMD_MMAP, given(t, a));
}

/* The length of a privcmd mapping is decided by its address: see slot_map() */
static unsigned int slot_len(const uint8_t *va)
{
	return 1 + ((va - r.slots) / (SLOT_PAGES * page_size()) * 5) % 24;
}

static domid_t batch_domid(struct thread *t)
{
	return guest && !once_in(t, 3) ? guest : safe_domid(t);
}

static void fill_frames(struct thread *t, xen_pfn_t *arr, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		arr[i] = once_in(t, 20) ? odd_number(t) :
					  GUEST_RAM0_GFN + below(t, 1024);
}

static void privcmd_batch(struct thread *t, int version)
{
	uint8_t *va = privcmd_slot(t);
	unsigned int n = slot_len(va), room;
	struct privcmd_mmapbatch_v2 *v2;
	struct privcmd_mmapbatch *v1;
	struct arg a, arr, err;

	if (once_in(t, 3)) {
		/* A part, of a mapping that has had its pages perhaps */
		unsigned int skip = below(t, n);

		va += skip * page_size();
		n = 1 + below(t, n - skip);
	}
	if (once_in(t, 8))
		n = some_count(t);
	if (once_in(t, 12))
		va += below(t, 2 * page_size());
	room = n > 600 ? 600 : n;
	arr = arg_alloc(t, room * sizeof(xen_pfn_t) + 8);
	fill_frames(t, arr.ours, room);
	err = arg_alloc(t, room * sizeof(int) + 8);
	/* Now and then errors are written over the frames */
	if (once_in(t, 12))
		err = arr;

	if (version == 1) {
		a = arg_alloc(t, sizeof(*v1));
		v1 = a.ours;
		v1->num = n;
		v1->addr = (uintptr_t)va;
		v1->arr = given(t, arr);
		mutate(t, v1, sizeof(*v1));
		v1->dom = batch_domid(t);
	} else {
		a = arg_alloc(t, sizeof(*v2));
		v2 = a.ours;
		v2->num = n;
		v2->addr = (uintptr_t)va;
		v2->arr = given(t, arr);
		v2->err = given(t, err);
		mutate(t, v2, sizeof(*v2));
		v2->dom = batch_domid(t);
	}
	fuzz_ioctl(t, some_fd(t, r.privcmd),
		   version == 1 ? IOCTL_PRIVCMD_MMAPBATCH :
				  IOCTL_PRIVCMD_MMAPBATCH_V2, given(t, a));
}

static void privcmd_dm_op(struct thread *t)
{
	unsigned int i, n = below(t, 6);
	struct privcmd_dm_op_buf *b;
	struct privcmd_dm_op *op;
	struct arg a, bufs;

	bufs = arg_alloc(t, 6 * sizeof(*b));
	b = bufs.ours;
	for (i = 0; i < 6; i++) {
		b[i].uptr = given(t, arg_alloc(t, 4096));
		b[i].size = once_in(t, 4) ? odd_number(t) : below(t, 4097);
	}
	a = arg_alloc(t, sizeof(*op));
	op = a.ours;
	op->num = once_in(t, 8) ? some_count(t) : n;
	op->ubufs = given(t, bufs);
	mutate(t, op, sizeof(*op));
	op->dom = safe_domid(t);
	fuzz_ioctl(t, some_fd(t, r.privcmd), IOCTL_PRIVCMD_DM_OP, given(t, a));
}

static void privcmd_restrict(struct thread *t)
{
	struct arg a = arg_alloc(t, sizeof(domid_t));

	*(domid_t *)a.ours = safe_domid(t);
	fuzz_ioctl(t, r.privcmd[0], IOCTL_PRIVCMD_RESTRICT, given(t, a));
}

static void privcmd_resource(struct thread *t)
{
	uint8_t *va = privcmd_slot(t);
	struct privcmd_mmap_resource *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	memset(op, 0, sizeof(*op));
	op->type = below(t, 4);
	op->id = below(t, 3);
	op->idx = once_in(t, 3) ? odd_number(t) : 0;
	if (!once_in(t, 6)) {
		op->addr = (uintptr_t)va;
		op->num = slot_len(va);
	}
	mutate(t, op, sizeof(*op));
	op->dom = safe_domid(t);
	fuzz_ioctl(t, some_fd(t, r.privcmd), IOCTL_PRIVCMD_MMAP_RESOURCE,
		   given(t, a));
}

static void privcmd_irqfd(struct thread *t)
{
	struct privcmd_irqfd *op;
	struct arg a, dm_op;

	dm_op = arg_alloc(t, 64);
	memset(dm_op.ours, 0, 64);
	a = arg_alloc(t, sizeof(*op));
	op = a.ours;
	memset(op, 0, sizeof(*op));
	op->dm_op = (uintptr_t)given(t, dm_op);
	op->size = below(t, 65);
	op->fd = once_in(t, 8) ? some_fd(t, r.gntdev) : r.eventfd;
	op->flags = once_in(t, 2) ? PRIVCMD_IRQFD_FLAG_DEASSIGN : 0;
	mutate(t, op, sizeof(*op));
	op->dom = safe_domid(t);
	fuzz_ioctl(t, some_fd(t, r.privcmd), IOCTL_PRIVCMD_IRQFD, given(t, a));
}

static void privcmd_ioeventfd(struct thread *t)
{
	struct privcmd_ioeventfd *op;
	struct arg a, ports;
	unsigned int i;

	/* No port is valid: what is bound would stay so for ever */
	ports = arg_alloc(t, 16 * sizeof(uint32_t));
	for (i = 0; i < 16; i++)
		((uint32_t *)ports.ours)[i] = BAD_PORT + below(t, INT_MAX);
	a = arg_alloc(t, sizeof(*op));
	op = a.ours;
	memset(op, 0, sizeof(*op));
	op->ioreq = (uintptr_t)(once_in(t, 3) ? gntdev_slot(t) :
						privcmd_slot(t));
	if (once_in(t, 4))
		op->ioreq = (uintptr_t)a.kernels;
	op->addr = odd_number(t);
	op->addr_len = 1 << below(t, 4);
	op->event_fd = r.eventfd;
	op->vcpus = 1 + below(t, 4);
	op->vq = rnd(t);
	op->flags = once_in(t, 3) ? PRIVCMD_IOEVENTFD_FLAG_DEASSIGN : 0;
	mutate(t, op, sizeof(*op));
	op->vcpus %= 17;
	op->ports = (uintptr_t)(once_in(t, 8) ? bad_pointer(t) : ports.kernels);
	op->dom = safe_domid(t);
	fuzz_ioctl(t, some_fd(t, r.privcmd), IOCTL_PRIVCMD_IOEVENTFD,
		   given(t, a));
}

static void privcmd_gsi(struct thread *t)
{
	struct privcmd_pcidev_get_gsi *op;
	struct arg a = arg_alloc(t, sizeof(*op));

	op = a.ours;
	op->sbdf = odd_number(t);
	op->gsi = odd_number(t);
	fuzz_ioctl(t, some_fd(t, r.privcmd), IOCTL_PRIVCMD_PCIDEV_GET_GSI,
		   given(t, a));
}

/* A number or a size that is not in the list above */
static void no_command(struct thread *t)
{
	bool gntdev = once_in(t, 2);
	unsigned long nr;

	nr = gntdev ? _IOC(below(t, 4), 'G', 20 + below(t, 200), below(t, 64)) :
		      _IOC(below(t, 4), 'P', 20 + below(t, 200), below(t, 64));
	fuzz_ioctl(t, some_fd(t, gntdev ? r.gntdev : r.privcmd), nr,
		   arg_alloc(t, 64).kernels);
}

/*
 * What happens meanwhile
 */

static void slot_map(struct thread *t)
{
	struct known *k = some_known(t);
	unsigned int count = k->count;
	uint8_t *va;
	int prot;

	if (once_in(t, 2)) {
		/* Of guests' memory only to be read, whatever happens */
		va = privcmd_slot(t);
		mmap(va, slot_len(va) * page_size(), PROT_READ,
		     MAP_SHARED | MAP_FIXED, some_fd(t, r.privcmd), 0);
		return;
	}
	if (count > SLOT_PAGES)
		count = SLOT_PAGES;
	prot = once_in(t, 3) ? PROT_READ : PROT_READ | PROT_WRITE;
	mmap(gntdev_slot(t), (count ?: 1) * page_size(), prot,
	     (once_in(t, 12) ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, k->fd,
	     k->index);
}

static void slot_unmap(struct thread *t)
{
	uint8_t *va = once_in(t, 2) ? gntdev_slot(t) : privcmd_slot(t);

	if (once_in(t, 3))
		munmap(va + below(t, 4) * page_size(),
		       (1 + below(t, 4)) * page_size());
	else
		munmap(va, SLOT_PAGES * page_size());
}

static void slot_move(struct thread *t)
{
	unsigned int old = 1 + below(t, 24), new = once_in(t, 3) ?
		1 + below(t, SLOT_PAGES) : old;
	bool gntdev = once_in(t, 2);
	uint8_t *from = gntdev ? gntdev_slot(t) : privcmd_slot(t);
	uint8_t *to = gntdev ? gntdev_slot(t) : privcmd_slot(t);

	if (!gntdev && !once_in(t, 3)) {
		old = slot_len(from);
		new = old;
	}
	mremap(from, old * page_size(), new * page_size(),
	       MREMAP_MAYMOVE | MREMAP_FIXED |
	       (once_in(t, 6) ? MREMAP_DONTUNMAP : 0), to);
}

static void slot_advise(struct thread *t)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT,
		MADV_DONTFORK, MADV_DOFORK, MADV_REMOVE,
	};
	uint8_t *va = once_in(t, 2) ? gntdev_slot(t) : privcmd_slot(t);

	madvise(va, (1 + below(t, 8)) * page_size(),
		advice[below(t, ARRAY_SIZE(advice))]);
}

static void slot_touch(struct thread *t)
{
	unsigned int len = 1 + below(t, page_size());

	/* By the kernel: a page that is not there is an error, no signal */
	if (once_in(t, 2)) {
		if (read(r.zero, gntdev_slot(t) + below(t, 2 * page_size()),
			 len) < 0)
			return;
	} else {
		uint8_t *va = once_in(t, 2) ? gntdev_slot(t) : privcmd_slot(t);
		char sink[256];

		if (write(r.pipe[1], va + below(t, 2 * page_size()),
			  sizeof(sink)) > 0 &&
		    read(r.pipe[0], sink, sizeof(sink)) < 0)
			return;
	}
}

/* Make pages of the kernel's view read-only, or take them away */
static void spoil(struct thread *t)
{
	unsigned int page = t->id * ARG_PAGES + ARG_PAGES / 2 +
			    below(t, ARG_PAGES / 2);
	uint8_t *va = r.view + page * page_size();

	switch (below(t, 3)) {
	case 0:
		munmap(va, page_size());
		break;
	case 1:
		mmap(va, page_size(), PROT_READ, MAP_SHARED | MAP_FIXED,
		     r.memfd, page * page_size());
		break;
	case 2:
		mmap(va, page_size(), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, r.memfd, page * page_size());
		break;
	}
}

static void reopen(struct thread *t)
{
	bool gntdev = once_in(t, 2);
	int *fd = gntdev ? &r.gntdev[below(t, FDS)] :
			   &r.privcmd[below(t, FDS)];
	int new = xen_open(gntdev ? DEV_GNTDEV : DEV_PRIVCMD), old;

	if (new < 0)
		return;
	old = __sync_lock_test_and_set(fd, new);
	if (old >= 0)
		close(old);
}

static void dmabuf_change(struct thread *t)
{
	size_t size = (1 + below(t, 8)) * page_size();
	int new = once_in(t, 2) ? heap_buffer(size) : -1, old;

	old = __sync_lock_test_and_set(&r.dmabuf[below(t, DMABUFS)], new);
	if (old >= 0)
		close(old);
}

static void step(struct thread *t);

static void fork_child(struct thread *t)
{
	struct thread child = *t;
	unsigned int i;
	pid_t pid;

	child.rnd ^= 0x9e3779b97f4a7c15ULL;
	pid = fork();
	if (pid < 0)
		return;
	if (!pid) {
		for (i = 0; i < 6; i++)
			step(&child);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void batch_v1(struct thread *t)
{
	privcmd_batch(t, 1);
}

static void batch_v2(struct thread *t)
{
	privcmd_batch(t, 2);
}

static const struct action {
	void (*fn)(struct thread *t);
	unsigned int weight;
} actions[] = {
	{ gntdev_map, 16 }, { gntdev_unmap, 8 }, { gntdev_get_offset, 4 },
	{ gntdev_notify, 8 }, { gntdev_copy, 8 }, { gntdev_export, 8 },
	{ gntdev_wait, 3 }, { gntdev_import, 8 }, { gntdev_import_release, 5 },
	{ gntdev_max_grants, 1 },
	{ gntdev_dma_limit, 1 },
	{ privcmd_hypercall, 1 }, { privcmd_mmap, 2 }, { batch_v1, 6 },
	{ batch_v2, 10 }, { privcmd_dm_op, 6 }, { privcmd_restrict, 1 },
	{ privcmd_resource, 6 }, { privcmd_irqfd, 4 }, { privcmd_ioeventfd, 3 },
	{ privcmd_gsi, 1 }, { no_command, 2 },
	{ slot_map, 24 }, { slot_unmap, 10 }, { slot_move, 8 },
	{ slot_advise, 4 }, { slot_touch, 10 }, { spoil, 6 }, { reopen, 4 },
	{ dmabuf_change, 5 }, { fork_child, 1 },
};

static void step(struct thread *t)
{
	unsigned int i, sum = 0, pick;

	for (i = 0; i < ARRAY_SIZE(actions); i++)
		sum += actions[i].weight;
	pick = below(t, sum);
	for (i = 0; pick >= actions[i].weight; i++)
		pick -= actions[i].weight;
	actions[i].fn(t);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	while (READ_ONCE(shared->ioctls) < r.quota)
		step(t);
	return NULL;
}

static void on_alarm(int sig)
{
}

static int round_setup(void)
{
	size_t args = THREADS * ARG_PAGES * page_size();
	const unsigned int nr = GRANTED / ARRAY_SIZE(r.granted);
	unsigned int i;
	int ret, evtchn;

	r.gntalloc = xen_open(DEV_GNTALLOC);
	evtchn = xen_open(DEV_EVTCHN);
	if (r.gntalloc < 0 || evtchn < 0)
		return -ENODEV;
	for (i = 0; i < ARRAY_SIZE(r.ports); i++) {
		ret = evtchn_unbound(evtchn, own_domid);
		if (ret < 0)
			return ret;
		r.ports[i] = ret;
	}
	for (i = 0; i < ARRAY_SIZE(r.granted); i++) {
		/* One of them only to be read */
		ret = granted_alloc(&r.granted[i], r.gntalloc, own_domid, nr,
				    i);
		if (ret)
			return ret;
		memcpy(r.refs + i * nr, r.granted[i].refs,
		       nr * sizeof(r.refs[0]));
	}
	for (i = 0; i < FDS; i++) {
		r.gntdev[i] = xen_open(DEV_GNTDEV);
		r.privcmd[i] = xen_open(DEV_PRIVCMD);
	}
	for (i = 0; i < DMABUFS; i++)
		r.dmabuf[i] = -1;
	for (i = 0; i < KNOWN; i++)
		r.known[i].fd = r.gntdev[0];
	r.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r.zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (pipe2(r.pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	r.memfd = memfd_create("args", MFD_CLOEXEC);
	if (r.memfd < 0 || ftruncate(r.memfd, args))
		return -errno;
	/* From here on only MAP_FIXED: a hole stays one */
	r.args = xen_mmap(r.memfd, 0, args, PROT_READ | PROT_WRITE, MAP_SHARED,
			  &ret);
	r.view = xen_mmap(r.memfd, 0, args, PROT_READ | PROT_WRITE, MAP_SHARED,
			  &ret);
	r.slots = xen_mmap(-1, 0, (2 * SLOTS + 1) * SLOT_PAGES * page_size(),
			   PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, &ret);
	return r.args && r.view && r.slots ? 0 : ret;
}

/* In a process of its own, which ends with everything that it has open */
static int round_main(uint64_t seed, unsigned long quota)
{
	static struct thread threads[THREADS];
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval timer = {
		.it_interval.tv_usec = 7000,
		.it_value.tv_usec = 7000,
	};
	unsigned int i;
	int ret;

	r.quota = quota;
	ret = round_setup();
	if (ret)
		return 1;
	for (i = 0; i < THREADS; i++) {
		threads[i].id = i;
		threads[i].rnd = (seed + i + 1) * 0x9e3779b97f4a7c15ULL | 1;
		if (i && pthread_create(&threads[i].pthread, NULL, thread_main,
					&threads[i]))
			return 1;
	}
	/* Without SA_RESTART: calls end with EINTR */
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	thread_main(&threads[0]);
	/* Some end while the others are at work */
	if (seed & 1)
		for (i = 1; i < THREADS; i++)
			pthread_join(threads[i].pthread, NULL);
	return 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void nap(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* Where the kernel has the threads of a round that does not end. */
static void print_stacks(pid_t pid)
{
	char path[PATH_MAX], line[128];
	struct dirent *e;
	FILE *f;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stack", pid,
			 e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		while (fgets(line, sizeof(line), f))
			ksft_print_msg("thread %s: %s", e->d_name, line);
		fclose(f);
	}
	closedir(d);
}

/* -1: cannot be ended; else how it ended */
static int one_round(uint64_t seed, unsigned long quota)
{
	unsigned long n, ended = READ_ONCE(shared->ioctls);
	int status, killed = 0, slow = 0;
	double since = now();
	pid_t pid = fork();

	if (pid < 0)
		return 1;
	if (!pid) {
		setpgid(0, 0);
		_exit(round_main(seed, quota));
	}
	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		n = READ_ONCE(shared->ioctls);
		if (!killed && n != ended) {
			ended = n;
			since = now();
		}
		if (now() - since > PATIENCE) {
			if (killed)
				return -1;
			slow = 1;
			ksft_print_msg("seed %llu: no ioctl ends in %d s, killed\n",
				       (unsigned long long)seed, PATIENCE);
			print_stacks(pid);
		}
		/* Every eighth is killed in the middle of its work */
		if (!killed && (slow || (seed % 8 == 3 && n + 100 > quota))) {
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			killed = 1;
			since = now();
		}
		nap(5);
	}
	if (killed)
		return slow;
	if (WIFSIGNALED(status)) {
		ksft_print_msg("seed %llu: signal %d\n",
			       (unsigned long long)seed, WTERMSIG(status));
		return 1;
	}
	return WEXITSTATUS(status);
}

/*
 * What must be the same before and after
 */

/*
 * In KB, KASAN's shadow of addresses that vfree() has given back (1/8 of them):
 * it goes when the kernel takes these addresses out of the TLBs, which can wait
 * until they are 96 MB on 4 CPUs.
 */
static long shadow_of_freed(void)
{
	static int has_shadow = -1;
	unsigned long size, n = 0;
	char line[512];
	FILE *f;

	if (has_shadow < 0)
		has_shadow = kernel_symbol("__kasan_release_vmalloc") != 0;
	f = has_shadow ? fopen("/proc/vmallocinfo", "r") : NULL;
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, " unpurged vm_area") &&
		    sscanf(line, "%*s %lu", &size) == 1)
			n += size;
	fclose(f);
	return n / 8 / 1024;
}

/*
 * In KB, without what slabs keep for later. Shrinking a cache also gives back
 * what KASAN holds of it in quarantine: up to 1/32 of the memory.
 */
static long free_memory(void)
{
	sync();
	if (write_file("/proc/sys/vm/drop_caches", "3"))
		ksft_print_msg("caches cannot be dropped\n");
	shrink_slabs();
	return free_pages() * (page_size() / 1024) + shadow_of_freed();
}

/* What each cache of the slab allocator holds, for who looks into a leak */
struct slabs {
	unsigned int num;
	struct {
		char name[64];
		unsigned long objects;
		unsigned long pages;
	} cache[400];
};

static void read_slabs(struct slabs *s)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	unsigned long per_slab, slabs;
	char line[512];

	s->num = 0;
	if (!f)
		return;
	while (s->num < ARRAY_SIZE(s->cache) && fgets(line, sizeof(line), f))
		if (sscanf(line,
			   "%63s %lu %*u %*u %*u %lu : tunables %*u %*u %*u : slabdata %*u %lu",
			   s->cache[s->num].name,
			   &s->cache[s->num].objects, &per_slab, &slabs) == 4)
			s->cache[s->num++].pages = per_slab * slabs;
	fclose(f);
}

static void print_grown_slabs(const struct slabs *before)
{
	static struct slabs now;
	unsigned int i, j;

	read_slabs(&now);
	for (i = 0; i < now.num; i++)
		for (j = 0; j < before->num; j++)
			if (!strcmp(now.cache[i].name, before->cache[j].name) &&
			    now.cache[i].pages >= before->cache[j].pages + 32)
				ksft_print_msg("%s: %lu objects in %lu pages, before %lu in %lu\n",
					       now.cache[i].name,
					       now.cache[i].objects,
					       now.cache[i].pages,
					       before->cache[j].objects,
					       before->cache[j].pages);
}

/* What of the kernel's memory grew */
static void print_memory(const char *when)
{
	static const char * const keys[] = {
		"MemFree:", "Cached:", "AnonPages:", "Shmem:", "SReclaimable:",
		"SUnreclaim:", "KernelStack:", "PageTables:", "VmallocUsed:",
		"Percpu:",
	};
	char text[256];
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		n += snprintf(text + n, sizeof(text) - n, " %s %ld", keys[i],
			      file_number("/proc/meminfo", keys[i]));
	ksft_print_msg("KB %s:%s; with CPUs' lists: %ld; KASAN's shadow of what is free: %ld\n",
		       when, text, free_pages() * (page_size() / 1024),
		       shadow_of_freed());
	ksft_print_msg("traces, which KASAN keeps: %ld pools of 16 KB\n",
		       file_number("/sys/kernel/debug/stackdepot/stats", "pools: "));
}

/* A mapping that is dropped goes when its pages are no longer looked at */
static long settled_grants(long before)
{
	unsigned int i;
	long n = 0;

	for (i = 0; i < 60; i++) {
		n = free_grants(own_domid);
		if (n >= before)
			break;
		nap(500);
	}
	return n;
}

/* The kernel's complaints since the log was opened */
static unsigned int complaints(int kmsg)
{
	static const char * const words[] = {
		"WARNING: ", "BUG: ", "kernel BUG at", "Oops", "KASAN:",
		"UBSAN:", "Internal error", "Unable to handle", "INFO: task ",
		"possible recursive locking", "possible circular locking",
		"inconsistent lock state", "suspicious RCU usage",
		"list_add corruption", "list_del corruption", "kmemleak: ",
	};
	static char rec[9000];
	unsigned int n = 0, i;
	ssize_t len;

	for (;;) {
		len = read(kmsg, rec, sizeof(rec) - 1);
		if (len < 0 && errno == EPIPE) {
			ksft_print_msg("the kernel's log has overflown\n");
			n++;
			continue;
		}
		if (len <= 0)
			return n;
		rec[len] = 0;
		for (i = 0; i < ARRAY_SIZE(words); i++) {
			char *text = strchr(rec, ';');

			if (!text || !strstr(text, words[i]))
				continue;
			strtok(text, "\n");
			if (n++ < 20)
				ksft_print_msg("log: %s\n", text + 1);
			break;
		}
	}
}

int main(int argc, char **argv)
{
	static struct slabs slabs;
	long grants[2], mem[2], xen[2], slack, leaks;
	unsigned long count = 3000, i, target;
	uint64_t seed = 0;
	unsigned int limit = 15, bad = 0;
	bool stuck = false, counted = false;
	double begin, round, longest = 0;
	int kmsg, opt, ret;

	/* Few digits, to be typed again */
	if (getrandom(&seed, 4, GRND_NONBLOCK) < 0)
		seed = time(NULL);
	while ((opt = getopt(argc, argv, "n:s:t:")) != -1) {
		switch (opt) {
		case 'n':
			count = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			limit = strtoul(optarg, NULL, 0);
			break;
		default:
			fprintf(stderr, "usage: %s [-n IOCTLS] [-s SEED] [-t SECONDS]\n",
				argv[0]);
			return KSFT_FAIL;
		}
	}

	ksft_print_header();
	ret = xen_own_domid();
	if (ret < 0)
		ksft_exit_skip("own domain id unknown: %s\n", strerror(-ret));
	own_domid = ret;
	for (i = 0; i < 3; i++) {
		static const char * const devs[] = {
			DEV_GNTDEV, DEV_PRIVCMD, DEV_GNTALLOC,
		};

		ret = xen_open(devs[i]);
		if (ret < 0)
			ksft_exit_skip("%s: %s\n", devs[i], strerror(-ret));
		close(ret);
	}
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		ksft_exit_skip("/dev/kmsg: %s\n", strerror(errno));
	shared = xen_mmap(-1, 0, sizeof(*shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, &ret);
	if (!shared)
		ksft_exit_fail_msg("no memory\n");
	ret = xen_open(DEV_PRIVCMD);
	guest = ret < 0 ? 0 : find_guest(ret);
	close(ret);

	ksft_set_plan(8);
	ksft_print_msg("seed %llu, %lu ioctls, at most %u s; domain %u, guest %u\n",
		       (unsigned long long)seed, count, limit, own_domid,
		       guest);
	kmemleak_forget();

	/*
	 * What the first calls allocate for good (address space for foreign
	 * pages above all, caches) is not a leak: count after some rounds, and
	 * on a slow machine after half of the time.
	 */
	begin = now();
	target = count / 8 < 2000 ? count / 8 : 2000;
	memset(grants, 0, sizeof(grants));
	memset(mem, 0, sizeof(mem));
	memset(xen, 0, sizeof(xen));
	for (i = 0; READ_ONCE(shared->ioctls) < count; i++) {
		if (!counted && (shared->ioctls >= target ||
				 now() - begin > limit / 2.0)) {
			counted = true;
			nap(2000);
			grants[0] = free_grants(own_domid);
			xen[0] = settled_given_memory();
			mem[0] = free_memory();
			print_memory("before");
			read_slabs(&slabs);
		}
		round = now();
		ret = one_round(seed + i, shared->ioctls + IOCTLS_A_ROUND);
		round = now() - round;
		if (round > longest)
			longest = round;
		if (ret < 0) {
			stuck = true;
			break;
		}
		bad += ret;
		/* One round at least is to be after that */
		if (counted && now() - begin > limit)
			break;
	}
	ksft_print_msg("%lu ioctls in %lu processes, %.0f s, the longest %.0f s; %lu interrupted\n",
		       shared->ioctls, i, now() - begin, longest,
		       shared->eintr);
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		ksft_print_msg("%8lu %-30s %8lu succeeded\n", shared->calls[i],
			       cmds[i].name, shared->ok[i]);

	/* Else nothing is tested: at some seed, some call of each kind gets far */
	ksft_test_result(shared->ok[0] && shared->ok[1], "grants are mapped and unmapped\n");
	ksft_test_result(!stuck, "no process is stuck\n");
	if (bad)
		ksft_print_msg("%u processes fail\n", bad);
	ksft_test_result(!bad, "no process fails\n");
	grants[1] = settled_grants(grants[0]);
	ksft_print_msg("grants: %ld can be made, %ld before\n", grants[1],
		       grants[0]);
	ksft_test_result(grants[1] >= grants[0], "grants are given back\n");
	xen[1] = settled_given_memory();
	ksft_print_msg("Xen's memory: %ld KB, %ld before\n", xen[1], xen[0]);
	ksft_test_result(xen[1] == xen[0], "Xen's memory is given back\n");
	/*
	 * Slabs that are partly used, and the arrays of the largest mapping:
	 * some MB, however many ioctls there were. A page lost in every tenth
	 * ioctl is 40 MB in 100,000 of them.
	 */
	slack = 16 * 1024;
	mem[1] = free_memory();
	for (i = 0; i < 20 && mem[1] < mem[0] - slack; i++) {
		nap(500);
		mem[1] = free_memory();
	}
	print_memory("after");
	print_grown_slabs(&slabs);
	ksft_print_msg("memory: %ld KB are free, %ld before\n", mem[1],
		       mem[0]);
	ksft_test_result(mem[1] >= mem[0] - slack, "memory is given back\n");
	leaks = kmemleak_scan();
	if (leaks == -ENOENT)
		ksft_test_result_skip("kmemleak finds nothing: not in this kernel\n");
	else
		ksft_test_result(!leaks, "kmemleak finds nothing\n");
	ksft_test_result(!complaints(kmsg), "the kernel's log is clean\n");
	ksft_finished();
}
