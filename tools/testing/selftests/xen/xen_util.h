/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Xen selftests share: the devices below /dev/xen, pages granted with
 * gntalloc, grants mapped with gntdev, event channels.
 *
 * Every function that can fail returns 0 (or what it was asked for) or a
 * negative errno, never -1: the tests check the error as much as the success.
 */
#ifndef SELFTESTS_XEN_UTIL_H
#define SELFTESTS_XEN_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/compiler.h>
#include <linux/dma-heap.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <xen/interface/xen.h>
#include <xen/interface/event_channel.h>
#include <xen/interface/grant_table.h>
#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>
#include <xen/privcmd.h>

/* Xen's page: what a grant covers, whatever the kernel's page size */
#define XEN_PAGE	4096U

#define DEV_DMA_HEAP	"/dev/dma_heap/system"
#define DEV_EVTCHN	"/dev/xen/evtchn"
#define DEV_GNTALLOC	"/dev/xen/gntalloc"
#define DEV_GNTDEV	"/dev/xen/gntdev"
#define DEV_HYPERCALL	"/dev/xen/hypercall"
#define DEV_PRIVCMD	"/dev/xen/privcmd"
#define DEV_XENBUS	"/dev/xen/xenbus"

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static inline int xen_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int xen_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/* mmap() of a device that returns NULL and sets *err when it fails */
static inline void *xen_mmap(int fd, uint64_t offset, size_t len, int prot,
			     int flags, int *err)
{
	void *va = mmap(NULL, len, prot, flags, fd, offset);

	*err = va == MAP_FAILED ? -errno : 0;
	return va == MAP_FAILED ? NULL : va;
}

static inline int xen_hypercall(int privcmd, uint64_t op, uint64_t a0,
				uint64_t a1, uint64_t a2)
{
	struct privcmd_hypercall call = {
		.op = op,
		.arg = { a0, a1, a2 },
	};

	return xen_ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call);
}

/*
 * Memory whose address may be given to Xen: it has to stay mapped for the
 * time of the hypercall, which ordinary memory need not. The descriptor may be
 * closed at once, munmap() frees the memory.
 */
static inline void *xen_hypercall_buffer(int *err)
{
	int fd = xen_open(DEV_HYPERCALL);
	void *va;

	if (fd < 0) {
		*err = fd;
		return NULL;
	}

	va = xen_mmap(fd, 0, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
		      err);
	close(fd);
	return va;
}

/* A port on which domain @remote may bind: the port or a negative errno */
static inline int evtchn_unbound(int evtchn, domid_t remote)
{
	struct ioctl_evtchn_bind_unbound_port bind = {
		.remote_domain = remote,
	};

	return xen_ioctl(evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind);
}

static inline int evtchn_interdomain(int evtchn, domid_t remote,
				     unsigned int port)
{
	struct ioctl_evtchn_bind_interdomain bind = {
		.remote_domain = remote,
		.remote_port = port,
	};

	return xen_ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
}

static inline int evtchn_notify(int evtchn, unsigned int port)
{
	struct ioctl_evtchn_notify notify = { .port = port };

	return xen_ioctl(evtchn, IOCTL_EVTCHN_NOTIFY, &notify);
}

static inline int evtchn_unbind(int evtchn, unsigned int port)
{
	struct ioctl_evtchn_unbind unbind = { .port = port };

	return xen_ioctl(evtchn, IOCTL_EVTCHN_UNBIND, &unbind);
}

/* The next port with an event, -ETIMEDOUT if there is none in @ms */
static inline int evtchn_wait(int evtchn, int ms)
{
	struct pollfd pfd = { .fd = evtchn, .events = POLLIN };
	unsigned int port;
	int ret;

	ret = poll(&pfd, 1, ms);
	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	if (read(evtchn, &port, sizeof(port)) != sizeof(port))
		return -EIO;
	/* A port stays masked until it is written back */
	if (write(evtchn, &port, sizeof(port)) != sizeof(port))
		return -EIO;
	return port;
}

/* A PV domain maps by page table entry: no page of its own is behind it. */
static inline bool xen_is_pv(void)
{
	char type[8] = "";
	FILE *f = fopen("/sys/hypervisor/guest_type", "r");

	if (f) {
		if (!fgets(type, sizeof(type), f))
			type[0] = 0;
		fclose(f);
	}
	return !strcmp(type, "PV\n");
}

/*
 * The id of the domain this program runs in, or a negative errno. Nobody says
 * it without xenstored; but a port opened for DOMID_SELF has it in its status.
 */
static inline int xen_own_domid(void)
{
	struct evtchn_status *status = NULL;
	int evtchn, privcmd = -1, port, ret;

	evtchn = xen_open(DEV_EVTCHN);
	if (evtchn < 0)
		return evtchn;

	privcmd = xen_open(DEV_PRIVCMD);
	ret = privcmd;
	if (ret < 0)
		goto out;

	status = xen_hypercall_buffer(&ret);
	if (!status)
		goto out;

	port = evtchn_unbound(evtchn, DOMID_SELF);
	ret = port;
	if (ret < 0)
		goto out;

	memset(status, 0, sizeof(*status));
	status->dom = DOMID_SELF;
	status->port = port;
	ret = xen_hypercall(privcmd, __HYPERVISOR_event_channel_op,
			    EVTCHNOP_status, (uintptr_t)status, 0);
	if (ret)
		goto out;

	ret = status->status == EVTCHNSTAT_unbound ? status->u.unbound.dom :
						     -EPROTO;
out:
	if (status)
		munmap(status, page_size());
	if (privcmd >= 0)
		close(privcmd);
	close(evtchn);
	return ret;
}

/* Where Xen puts a guest's RAM on Arm: GUEST_RAM0_BASE, public/arch-arm.h */
#define GUEST_RAM0_GFN	0x40000ULL
/* Guests are looked for up to this one */
#define LAST_DOMID	32

static inline int mmapbatch_v2(int fd, void *va, domid_t dom,
			       const xen_pfn_t *arr, int *err,
			       unsigned int num)
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

/* The first guest whose RAM privcmd maps, with pages like Xen's; 0: none */
static inline domid_t find_guest(int privcmd)
{
	const xen_pfn_t gfn = GUEST_RAM0_GFN;
	domid_t dom;
	int err, fail;
	void *va;

	if (page_size() != XEN_PAGE)
		return 0;
	for (dom = 1; dom <= LAST_DOMID; dom++) {
		va = xen_mmap(privcmd, 0, page_size(), PROT_READ, MAP_SHARED,
			      &err);
		if (!va)
			break;
		fail = -1;
		err = mmapbatch_v2(privcmd, va, dom, &gfn, &fail, 1);
		munmap(va, page_size());
		if (!err && !fail)
			return dom;
	}
	return 0;
}

/* Pages of this process granted to a domain */
struct granted {
	int fd;
	unsigned int count;
	uint64_t index;
	uint32_t *refs;
	uint8_t *va;	/* NULL when not mapped */
};

static inline int granted_unmap(struct granted *g)
{
	int ret = 0;

	if (g->va && munmap(g->va, g->count * page_size()))
		ret = -errno;
	g->va = NULL;
	return ret;
}

static inline int granted_revoke(struct granted *g)
{
	struct ioctl_gntalloc_dealloc_gref op = {
		.index = g->index,
		.count = g->count,
	};

	return xen_ioctl(g->fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op);
}

static inline int granted_alloc(struct granted *g, int gntalloc, domid_t domid,
				unsigned int count, bool writable)
{
	struct ioctl_gntalloc_alloc_gref *op;
	int ret;

	memset(g, 0, sizeof(*g));
	op = calloc(1, sizeof(*op) + count * sizeof(op->gref_ids[0]));
	if (!op)
		return -ENOMEM;

	op->domid = domid;
	op->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
	op->count = count;
	ret = xen_ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, op);
	if (ret)
		goto out;

	g->fd = gntalloc;
	g->count = count;
	g->index = op->index;
	g->refs = calloc(count, sizeof(g->refs[0]));
	if (!g->refs) {
		ret = -ENOMEM;
		goto revoke;
	}
	memcpy(g->refs, op->gref_ids_flex, count * sizeof(g->refs[0]));

	g->va = xen_mmap(gntalloc, g->index, count * page_size(),
			 PROT_READ | PROT_WRITE, MAP_SHARED, &ret);
	if (g->va)
		goto out;

	free(g->refs);
	g->refs = NULL;
revoke:
	granted_revoke(g);
out:
	free(op);
	return ret;
}

static inline int granted_free(struct granted *g)
{
	int ret = granted_unmap(g);
	int err = granted_revoke(g);

	free(g->refs);
	g->refs = NULL;
	return ret ?: err;
}

#define MOST_GRANTS	4096

/* How many pages gntalloc still grants before its limit */
static inline long free_grants(domid_t domid)
{
	static struct granted g[MOST_GRANTS];
	int gntalloc = xen_open(DEV_GNTALLOC);
	unsigned int i, n;

	if (gntalloc < 0)
		return -1;
	for (n = 0; n < MOST_GRANTS; n++)
		if (granted_alloc(&g[n], gntalloc, domid, 1, true))
			break;
	for (i = 0; i < n; i++)
		granted_free(&g[i]);
	close(gntalloc);
	return n;
}

/* Grants of a domain mapped into this process */
struct mapped {
	int fd;
	unsigned int count;
	uint64_t index;
	uint8_t *va;	/* NULL when not mapped */
};

/* Give the references to gntdev; nothing is mapped before mapped_mmap() */
static inline int mapped_insert(struct mapped *m, int gntdev, domid_t domid,
				const uint32_t *refs, unsigned int count)
{
	struct ioctl_gntdev_map_grant_ref *op;
	unsigned int i;
	int ret;

	memset(m, 0, sizeof(*m));
	op = calloc(1, sizeof(*op) + count * sizeof(op->refs[0]));
	if (!op)
		return -ENOMEM;

	op->count = count;
	for (i = 0; i < count; i++) {
		op->refs[i].domid = domid;
		op->refs[i].ref = refs[i];
	}
	ret = xen_ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, op);
	if (!ret) {
		m->fd = gntdev;
		m->count = count;
		m->index = op->index;
	}
	free(op);
	return ret;
}

static inline int mapped_mmap(struct mapped *m, int prot)
{
	int ret;

	m->va = xen_mmap(m->fd, m->index, m->count * page_size(), prot,
			 MAP_SHARED, &ret);
	return ret;
}

static inline int mapped_munmap(struct mapped *m)
{
	int ret = 0;

	if (m->va && munmap(m->va, m->count * page_size()))
		ret = -errno;
	m->va = NULL;
	return ret;
}

static inline int mapped_remove(struct mapped *m)
{
	struct ioctl_gntdev_unmap_grant_ref op = {
		.index = m->index,
		.count = m->count,
	};

	return xen_ioctl(m->fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op);
}

static inline int mapped_free(struct mapped *m)
{
	int ret = mapped_munmap(m);
	int err = mapped_remove(m);

	return ret ?: err;
}

static inline int mapped_map(struct mapped *m, int gntdev, domid_t domid,
			     const uint32_t *refs, unsigned int count, int prot)
{
	int ret = mapped_insert(m, gntdev, domid, refs, count);

	if (ret)
		return ret;

	ret = mapped_mmap(m, prot);
	if (ret)
		mapped_remove(m);
	return ret;
}

/*
 * Free pages, with those that each CPU has put aside: thousands, so that what is
 * lost could come from there.
 */
static inline long free_pages(void)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	char line[256];
	long sum = 0, n;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " pages free %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

/* The address of one of the kernel's symbols; 0 if it has none, or hides it */
static inline uint64_t kernel_symbol(const char *name)
{
	unsigned long long addr;
	char line[512], symbol[256];
	uint64_t found = 0;
	FILE *file;

	file = fopen("/proc/kallsyms", "re");
	if (!file)
		return 0;
	while (!found && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %*c %255s", &addr, symbol) == 2 &&
		    !strcmp(symbol, name))
			found = addr;
	fclose(file);
	return found;
}

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* The number behind @key at the beginning of a line */
static inline long file_number(const char *path, const char *key)
{
	char line[256];
	long val = -ENOENT;
	FILE *f = fopen(path, "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		val = strtol(line + strlen(key), NULL, 10);
		break;
	}
	fclose(f);
	return val;
}

/* Of the version of Xen, 4.x */
static inline long xen_minor(void)
{
	return file_number("/sys/hypervisor/version/minor", "");
}

#define XEN_MEMORY	"/sys/devices/system/xen_memory/xen_memory0/"

/* What Xen has given to this domain, in KB */
static inline long given_memory(void)
{
	return file_number(XEN_MEMORY "info/current_kb", "");
}

/*
 * The domain's memory, when the balloon driver is done: where Xen says of no
 * address space that it is free, pages for grants are ballooned out and come
 * back later. Done is when the domain has what it aims at; or, as some pages
 * may stay in use, when nothing has come back for 5 s.
 */
static inline long settled_given_memory(void)
{
	long target = file_number(XEN_MEMORY "target_kb", "");
	long now = given_memory(), before;
	int same = 0, i;

	for (i = 0; i < 100 && now != target && same < 25; i++) {
		before = now;
		usleep(200 * 1000);
		now = given_memory();
		same = now == before ? same + 1 : 0;
	}
	return now;
}

/* What slabs keep for later; what KASAN holds of it in quarantine goes as well */
static inline void shrink_slabs(void)
{
	glob_t caches;
	size_t i;
	int fd;

	if (glob("/sys/kernel/slab/*/shrink", GLOB_NOSORT, NULL, &caches))
		return;
	for (i = 0; i < caches.gl_pathc; i++) {
		fd = open(caches.gl_pathv[i], O_WRONLY);
		if (fd < 0)
			continue;
		if (write(fd, "1", 1) < 0)
			perror(caches.gl_pathv[i]);
		close(fd);
	}
	globfree(&caches);
}

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

/* Twice: what has changed since the last scan is not reported yet */
static inline int kmemleak_look(void)
{
	int i, ret = 0;

	for (i = 0; !ret && i < 2; i++) {
		if (access(KMEMLEAK, W_OK))
			return -errno;
		/* It does not look at what is younger than 5 s */
		usleep(6 * 1000 * 1000);
		ret = write_file(KMEMLEAK, "scan");
	}
	return ret;
}

/* What has leaked so far is not to be reported again */
static inline void kmemleak_forget(void)
{
	if (!kmemleak_look())
		write_file(KMEMLEAK, "clear");
}

/*
 * What has leaked since, some of it printed; -ENOENT: no kmemleak, or it has
 * disabled itself.
 */
static inline long kmemleak_scan(void)
{
	char line[256];
	long n = 0;
	FILE *f;

	f = kmemleak_look() ? NULL : fopen(KMEMLEAK, "r");
	if (!f)
		return -ENOENT;
	while (fgets(line, sizeof(line), f)) {
		n += !strncmp(line, "unreferenced object", 19);
		if (n < 6)
			printf("# leak: %s", line);
	}
	fclose(f);
	return n;
}

/* Returns the file descriptor of a dma-buf made of grants */
static inline int dmabuf_export(int gntdev, uint32_t flags, domid_t domid,
				const uint32_t *refs, unsigned int count)
{
	struct ioctl_gntdev_dmabuf_exp_from_refs *op;
	int ret;

	op = calloc(1, sizeof(*op) + count * sizeof(op->refs[0]));
	if (!op)
		return -ENOMEM;

	op->flags = flags;
	op->count = count;
	op->domid = domid;
	memcpy(op->refs, refs, count * sizeof(op->refs[0]));
	ret = xen_ioctl(gntdev, IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, op);
	if (!ret)
		ret = op->fd;
	free(op);
	return ret;
}

static inline int dmabuf_import_release(int gntdev, int fd)
{
	struct ioctl_gntdev_dmabuf_imp_release op = { .fd = fd };

	return xen_ioctl(gntdev, IOCTL_GNTDEV_DMABUF_IMP_RELEASE, &op);
}

/* Returns the file descriptor of a dma-buf of the domain's own memory */
static inline int heap_buffer(size_t size)
{
	struct dma_heap_allocation_data alloc = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
	int heap = xen_open(DEV_DMA_HEAP), ret;

	if (heap < 0)
		return heap;
	ret = xen_ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &alloc);
	close(heap);
	return ret ?: (int)alloc.fd;
}

/* Words that differ between pages, between offsets and between seeds */
static inline uint64_t pattern_word(unsigned int seed, unsigned int page,
				    unsigned int word)
{
	return (seed + 1) * 0x9e3779b97f4a7c15ULL +
	       (page + 1) * 0xc2b2ae3d27d4eb4fULL +
	       (word + 1) * 0x165667b19e3779f9ULL;
}

/* The byte at @off of such a page */
static inline uint8_t pattern(unsigned int seed, unsigned int page,
			      unsigned int off)
{
	uint64_t word = pattern_word(seed, page, off / sizeof(word));

	return ((uint8_t *)&word)[off % sizeof(word)];
}

/* Fill the part of each page that a grant covers */
static inline void fill(uint8_t *va, unsigned int count, unsigned int seed)
{
	unsigned int page, i;
	uint64_t *words;

	for (page = 0; page < count; page++) {
		words = (uint64_t *)(va + page * page_size());
		for (i = 0; i < XEN_PAGE / sizeof(*words); i++)
			words[i] = pattern_word(seed, page, i);
	}
}

/* The number of words that are not as fill() left them */
static inline unsigned int differing(const uint8_t *va, unsigned int count,
				     unsigned int seed)
{
	unsigned int page, i, bad = 0;
	const uint64_t *words;

	for (page = 0; page < count; page++) {
		words = (const uint64_t *)(va + page * page_size());
		for (i = 0; i < XEN_PAGE / sizeof(*words); i++)
			bad += words[i] != pattern_word(seed, page, i);
	}
	return bad;
}

#endif /* SELFTESTS_XEN_UTIL_H */
