// SPDX-License-Identifier: GPL-2.0
/*
 * The control ring of xen-netback, with this program as its frontend: hash
 * key and mapping are put into a granted page, netback has Xen copy them into
 * its own memory, and what arrived there is read back from debugfs.
 *
 * A regression test for the frame number that netback gives Xen. Its memory is
 * private data of a net_device, from kvzalloc(): in vmalloc space if it is
 * larger than a page (with 4 KB pages: in kernels that debug locks) and no two
 * pages are free. The variant "vmalloc" has that by fault injection. A wrong
 * frame is another page of this domain, so it only goes on with an interface
 * for which that page is free or no RAM, and is skipped if there is none.
 *
 * Needs root and xenstored; netback_hash.sh starts that if need be, then this:
 *
 *	./netback_hash.sh
 */
#include "xen_util.h"

#include <limits.h>
#include <stdio.h>
#include <glob.h>
#include <sys/stat.h>
#include <time.h>

#include <linux/kernel-page-flags.h>
#include <xen/interface/io/netif.h>
#include <xen/interface/io/ring.h>
#include <xen/interface/io/xenbus.h>
#include <xen/interface/io/xs_wire.h>

#include "kselftest_harness.h"

#define DEBUGFS		"/sys/kernel/debug"
#define FAILSLAB	DEBUGFS "/failslab"
#define KPTR_RESTRICT	"/proc/sys/kernel/kptr_restrict"

/* Kernel addresses lie above this: Documentation/arch/arm64/memory.rst */
#define KERNEL_HALF	0xfff0000000000000ULL

/* netback's limits: drivers/net/xen-netback/common.h */
#define KEY_SIZE	40
#define MAPPING_SIZE	128

/* Seconds for one case: emulated machines are slow */
#define LIMIT		120
/* ... and for one answer of xenstored or of netback */
#define PATIENCE	30

/* Handles from here on are this test's */
#define FIRST_HANDLE	4000
#define MAX_QUEUES	2
/* Interfaces to try for one whose wrong frames are free */
#define MAX_TRIES	16

/* Pages that the frontend grants */
enum {
	PAGE_CTRL,
	PAGE_DATA,
	PAGE_TX,		/* ... and PAGE_RX of each queue */
	PAGE_RX,
	NR_PAGES = PAGE_TX + 2 * MAX_QUEUES,
};

/* xenstore, over the kernel's device: no library needed */

struct xs {
	int fd;
	uint32_t req_id;
};

static int xs_read_all(int fd, void *buf, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t got;

	while (len) {
		if (poll(&pfd, 1, PATIENCE * 1000) != 1)
			return -ETIMEDOUT;
		got = read(fd, buf, len);
		if (got <= 0)
			return got ? -errno : -EIO;
		buf += got;
		len -= got;
	}
	return 0;
}

/* One request: @reply (of XENSTORE_PAYLOAD_MAX + 1) is a string afterwards */
static int xs_talk(struct xs *xs, uint32_t type, const void *body, size_t len,
		   char *reply)
{
	struct {
		struct xsd_sockmsg hdr;
		char body[XENSTORE_PAYLOAD_MAX];
	} msg;
	unsigned int i;
	int ret;

	if (len > sizeof(msg.body))
		return -E2BIG;
	msg.hdr = (struct xsd_sockmsg) {
		.type = type,
		.req_id = ++xs->req_id,
		.len = len,
	};
	memcpy(msg.body, body, len);
	len += sizeof(msg.hdr);
	if (write(xs->fd, &msg, len) != (ssize_t)len)
		return -errno;

	ret = xs_read_all(xs->fd, &msg.hdr, sizeof(msg.hdr));
	if (ret)
		return ret;
	if (msg.hdr.len > XENSTORE_PAYLOAD_MAX)
		return -EPROTO;
	ret = xs_read_all(xs->fd, reply, msg.hdr.len);
	if (ret)
		return ret;
	reply[msg.hdr.len] = '\0';

	if (msg.hdr.type != XS_ERROR)
		return msg.hdr.type == type ? 0 : -EPROTO;
	for (i = 0; i < ARRAY_SIZE(xsd_errors); i++)
		if (!strcmp(reply, xsd_errors[i].errstring))
			return -xsd_errors[i].errnum;
	return -EPROTO;
}

static int xs_read(struct xs *xs, const char *dir, const char *node,
		   char *value)
{
	char path[256];
	int len;

	len = snprintf(path, sizeof(path), "%s/%s", dir, node);
	return xs_talk(xs, XS_READ, path, len + 1, value);
}

static int __printf(4, 5)
xs_write(struct xs *xs, const char *dir, const char *node, const char *fmt, ...)
{
	char body[512], reply[XENSTORE_PAYLOAD_MAX + 1];
	va_list ap;
	int len;

	len = snprintf(body, sizeof(body), "%s/%s", dir, node) + 1;
	va_start(ap, fmt);
	len += vsnprintf(body + len, sizeof(body) - len, fmt, ap);
	va_end(ap);
	return xs_talk(xs, XS_WRITE, body, len, reply);
}

static int xs_rm(struct xs *xs, const char *path)
{
	char reply[XENSTORE_PAYLOAD_MAX + 1];

	return xs_talk(xs, XS_RM, path, strlen(path) + 1, reply);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

static int read_char(const char *path, char *c)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, c, 1) != 1)
		ret = -EIO;
	close(fd);
	return ret;
}

/* Fault injection: no memory for objects of two pages, so vmalloc() instead */

static int fail_large_kmalloc(bool on)
{
	static const char * const settings[][2] = {
		/* Only the caches below, also when the caller could wait */
		{ FAILSLAB "/cache-filter", "Y" },
		{ FAILSLAB "/ignore-gfp-wait", "N" },
		{ FAILSLAB "/task-filter", "N" },
		{ FAILSLAB "/verbose", "0" },
		{ FAILSLAB "/interval", "1" },
		{ FAILSLAB "/space", "0" },
		{ FAILSLAB "/times", "-1" },
		{ FAILSLAB "/probability", "100" },
	};
	unsigned int i, done = 0;
	glob_t caches;
	char path[PATH_MAX];
	int ret = 0;

	if (!on)
		write_file(FAILSLAB "/probability", "0");

	if (glob("/sys/kernel/slab/kmalloc*-8k", 0, NULL, &caches))
		return -ENOENT;
	for (i = 0; i < caches.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/failslab", caches.gl_pathv[i]);
		done += !write_file(path, on ? "1" : "0");
	}
	globfree(&caches);
	if (!done)
		return -ENOENT;

	for (i = 0; on && !ret && i < ARRAY_SIZE(settings); i++)
		ret = write_file(settings[i][0], settings[i][1]);
	return ret;
}

/* Where things are in memory, as far as the kernel tells root */

/* net_devices in vmalloc space: how many, and which */
struct areas {
	unsigned int count;
	struct {
		unsigned long long start, end;
	} at[64];
};

static void find_netdev_areas(struct areas *areas)
{
	char line[512];
	FILE *file;

	areas->count = 0;
	file = fopen("/proc/vmallocinfo", "re");
	if (!file)
		return;
	while (areas->count < ARRAY_SIZE(areas->at) &&
	       fgets(line, sizeof(line), file)) {
		if (strstr(line, "alloc_netdev_mqs") &&
		    sscanf(line, "0x%llx-0x%llx",
			   &areas->at[areas->count].start,
			   &areas->at[areas->count].end) == 2)
			areas->count++;
	}
	fclose(file);
}

/* The index of one in @now that was not there @before, or -1 */
static int new_netdev_area(const struct areas *before, const struct areas *now)
{
	unsigned int i, j;

	for (i = 0; i < now->count; i++) {
		for (j = 0; j < before->count; j++)
			if (now->at[i].start == before->at[j].start)
				break;
		if (j == before->count)
			return i;
	}
	return -1;
}

/* The start of a region in /proc/iomem, or whether @addr is inside one */
static bool iomem_region(const char *name, uint64_t addr, uint64_t *start)
{
	unsigned long long from, to;
	bool found = false;
	char line[512];
	FILE *file;

	file = fopen("/proc/iomem", "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (!strstr(line, name) ||
		    sscanf(line, "%llx-%llx", &from, &to) != 2)
			continue;
		if (start) {
			*start = from;
			found = true;
		} else {
			found = addr >= from && addr <= to;
		}
	}
	fclose(file);
	return found;
}

/* Would a write to the page at @phys hurt anybody? 1, 0 or a negative errno */
static int page_is_unused(uint64_t phys)
{
	uint64_t flags;
	int fd, ret;

	if (!iomem_region("System RAM", phys, NULL))
		return 1;
	fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = pread(fd, &flags, sizeof(flags),
		    phys / page_size() * sizeof(flags)) == sizeof(flags) ?
	      !!(flags & (1ULL << KPF_BUDDY)) : -EIO;
	close(fd);
	return ret;
}

/*
 * The physical address that vmalloc address @vaddr has for somebody who takes
 * it for one of the kernel image, as virt_to_phys() does where it is cheap. 0
 * if that cannot be said.
 */
static uint64_t wrong_phys(uint64_t vaddr)
{
	uint64_t text = kernel_symbol("_stext"), phys;

	if (!text || !iomem_region("Kernel code", 0, &phys))
		return 0;
	return vaddr - text + phys;
}

/* The frontend */

struct vif {
	struct xs xs;
	int gntalloc;
	int evtchn;
	domid_t domid;
	unsigned int handle;
	unsigned int queues;
	char front[64];
	char back[64];
	struct granted pages;
	int ports[1 + MAX_QUEUES];	/* control ring's and each queue's */
	struct xen_netif_ctrl_front_ring ctrl;
	unsigned int created;		/* handles, from FIRST_HANDLE on */
	uint64_t wrong;			/* where a wrong kernel puts its data */
	uint64_t wrong_size;
	char kptr_restrict;		/* as it was */
};

static int wait_backend(struct vif *vif, enum xenbus_state state)
{
	char value[XENSTORE_PAYLOAD_MAX + 1];
	unsigned int i;
	int ret = 0;

	for (i = 0; i < PATIENCE * 20; i++) {
		ret = xs_read(&vif->xs, vif->back, "state", value);
		if (!ret && atoi(value) == (int)state)
			return 0;
		sleep_ms(50);
	}
	return ret ?: -ETIMEDOUT;
}

static void vif_name(struct vif *vif, unsigned int handle)
{
	vif->handle = handle;
	snprintf(vif->front, sizeof(vif->front),
		 "/local/domain/%u/kselftest/vif/%u", vif->domid, handle);
	snprintf(vif->back, sizeof(vif->back),
		 "/local/domain/%u/backend/vif/%u/%u", vif->domid, vif->domid,
		 handle);
}

/* Both ends in xenstore; netback probes, and allocates the net_device */
static int vif_create(struct vif *vif)
{
	struct xs *xs = &vif->xs;
	int ret;

	ret = xs_write(xs, vif->front, "backend", "%s", vif->back);
	ret = ret ?: xs_write(xs, vif->front, "backend-id", "%u", vif->domid);
	ret = ret ?: xs_write(xs, vif->front, "state", "%u",
			      XenbusStateInitialising);
	ret = ret ?: xs_write(xs, vif->back, "frontend", "%s", vif->front);
	ret = ret ?: xs_write(xs, vif->back, "frontend-id", "%u", vif->domid);
	ret = ret ?: xs_write(xs, vif->back, "handle", "%u", vif->handle);
	ret = ret ?: xs_write(xs, vif->back, "mac", "00:16:3e:00:00:01");
	ret = ret ?: xs_write(xs, vif->back, "script", "/bin/true");
	ret = ret ?: xs_write(xs, vif->back, "online", "0");
	/* Last: a backend with a state is complete */
	ret = ret ?: xs_write(xs, vif->back, "state", "%u",
			      XenbusStateInitialising);
	return ret ?: wait_backend(vif, XenbusStateInitWait);
}

static void vif_destroy(struct vif *vif)
{
	char path[128];
	unsigned int i;

	xs_write(&vif->xs, vif->front, "state", "%u", XenbusStateClosed);
	wait_backend(vif, XenbusStateClosed);
	xs_rm(&vif->xs, vif->back);
	xs_rm(&vif->xs, vif->front);

	snprintf(path, sizeof(path), "/sys/class/net/vif%u.%u", vif->domid,
		 vif->handle);
	for (i = 0; i < 100 && !access(path, F_OK); i++)
		sleep_ms(20);
}

static int vif_connect(struct vif *vif)
{
	char value[XENSTORE_PAYLOAD_MAX + 1], dir[96];
	struct granted *g = &vif->pages;
	struct xs *xs = &vif->xs;
	unsigned int i;
	int ret;

	ret = xs_read(xs, vif->back, "feature-ctrl-ring", value);
	if (ret || atoi(value) != 1)
		return ret ?: -EOPNOTSUPP;
	ret = xs_read(xs, vif->back, "multi-queue-max-queues", value);
	if (ret)
		return ret;
	vif->queues = atoi(value) < MAX_QUEUES ? atoi(value) : MAX_QUEUES;

	ret = granted_alloc(g, vif->gntalloc, vif->domid, NR_PAGES, true);
	if (ret)
		return ret;
	XEN_FRONT_RING_INIT(&vif->ctrl,
			    (struct xen_netif_ctrl_sring *)
			    (g->va + PAGE_CTRL * page_size()), XEN_PAGE);
	for (i = 0; i < vif->queues; i++) {
		SHARED_RING_INIT((struct xen_netif_tx_sring *)
				 (g->va + (PAGE_TX + 2 * i) * page_size()));
		SHARED_RING_INIT((struct xen_netif_rx_sring *)
				 (g->va + (PAGE_RX + 2 * i) * page_size()));
	}
	for (i = 0; i < 1 + vif->queues; i++) {
		vif->ports[i] = evtchn_unbound(vif->evtchn, vif->domid);
		if (vif->ports[i] < 0)
			return vif->ports[i];
	}

	ret = xs_write(xs, vif->front, "ctrl-ring-ref", "%u",
		       g->refs[PAGE_CTRL]);
	ret = ret ?: xs_write(xs, vif->front, "event-channel-ctrl", "%d",
			      vif->ports[0]);
	ret = ret ?: xs_write(xs, vif->front, "request-rx-copy", "1");
	ret = ret ?: xs_write(xs, vif->front, "feature-rx-notify", "1");
	ret = ret ?: xs_write(xs, vif->front, "multi-queue-num-queues", "%u",
			      vif->queues);
	for (i = 0; !ret && i < vif->queues; i++) {
		if (vif->queues == 1)
			snprintf(dir, sizeof(dir), "%s", vif->front);
		else
			snprintf(dir, sizeof(dir), "%s/queue-%u", vif->front,
				 i);
		ret = xs_write(xs, dir, "tx-ring-ref", "%u",
			       g->refs[PAGE_TX + 2 * i]);
		ret = ret ?: xs_write(xs, dir, "rx-ring-ref", "%u",
				      g->refs[PAGE_RX + 2 * i]);
		ret = ret ?: xs_write(xs, dir, "event-channel", "%d",
				      vif->ports[1 + i]);
	}
	ret = ret ?: xs_write(xs, vif->front, "state", "%u",
			      XenbusStateConnected);
	if (ret)
		return ret;

	/*
	 * Connected but for the hotplug script: the backend waits for what that
	 * writes before it says so.
	 */
	sleep_ms(200);
	ret = xs_write(xs, vif->back, "hotplug-status", "connected");
	return ret ?: wait_backend(vif, XenbusStateConnected);
}

/* One control request: its status, or a negative errno */
static int vif_request(struct vif *vif, uint16_t type, uint32_t data0,
		       uint32_t data1, uint32_t data2)
{
	struct xen_netif_ctrl_front_ring *ring = &vif->ctrl;
	struct xen_netif_ctrl_sring *sring = ring->sring;
	struct xen_netif_ctrl_request *req;
	struct xen_netif_ctrl_response *rsp;
	unsigned int i;
	int ret;

	req = RING_GET_REQUEST(ring, ring->req_prod_pvt);
	req->id = ring->req_prod_pvt;
	req->type = type;
	req->data[0] = data0;
	req->data[1] = data1;
	req->data[2] = data2;
	ring->req_prod_pvt++;
	__sync_synchronize();
	WRITE_ONCE(sring->req_prod, ring->req_prod_pvt);
	ret = evtchn_notify(vif->evtchn, vif->ports[0]);
	if (ret)
		return ret;

	for (i = 0; READ_ONCE(sring->rsp_prod) == ring->rsp_cons; i++) {
		if (i == PATIENCE * 100)
			return -ETIMEDOUT;
		sleep_ms(10);
	}
	__sync_synchronize();
	rsp = RING_GET_RESPONSE(ring, ring->rsp_cons);
	if (rsp->type != type || rsp->id != (uint16_t)ring->rsp_cons)
		return -EPROTO;
	ring->rsp_cons++;
	return rsp->status;
}

/* What netback has: the numbers behind "[from - to]:" of one heading */
static int vif_read_back(struct vif *vif, const char *heading, int base,
			 unsigned int *values, unsigned int max)
{
	char path[128], line[512], *at, *end;
	bool inside = false;
	unsigned int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), DEBUGFS "/xen-netback/vif%u.%u/ctrl",
		 vif->domid, vif->handle);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		at = strstr(line, "]: ");
		if (!at) {
			if (line[0] != '\n')
				inside = !strncmp(line, heading,
						  strlen(heading));
			continue;
		}
		for (at += 3; inside && count < max; at = end) {
			values[count] = strtoul(at, &end, base);
			if (end == at)
				break;
			count++;
		}
	}
	fclose(file);
	return count;
}

FIXTURE(netback)
{
	struct vif vif;
	uint8_t *data;			/* what the backend is to copy */
};

FIXTURE_VARIANT(netback)
{
	bool vmalloc;
};

FIXTURE_VARIANT_ADD(netback, kmalloc) { .vmalloc = false, };
FIXTURE_VARIANT_ADD(netback, vmalloc) { .vmalloc = true, };

/* Would data in the wrong place hurt anybody now? 1, 0 or a negative errno */
static int wrong_place_is_unused(const struct vif *vif)
{
	uint64_t off;
	int ret = 1;

	for (off = 0; ret == 1 && off < vif->wrong_size; off += page_size())
		ret = page_is_unused(vif->wrong + off);
	return ret;
}

/*
 * An interface whose private data are in vmalloc space, at an address that a
 * wrong kernel takes for an unused page: NULL, or the reason why there is none.
 */
static const char *create_in_vmalloc(struct vif *vif)
{
	struct areas before, now;
	int ret, i;

#ifndef __aarch64__
	return "what a wrong frame number hits is not known here";
#endif
	vif->wrong = wrong_phys(kernel_symbol("_stext"));
	if (!vif->wrong)
		return "kernel addresses are hidden in /proc/kallsyms";
	if (page_is_unused(vif->wrong) < 0)
		return "no /proc/kpageflags (CONFIG_PROC_PAGE_MONITOR)";
	/* Anything but 1 makes vmallocinfo print hashes of addresses, or zeros */
	if (!read_char(KPTR_RESTRICT, &vif->kptr_restrict))
		write_file(KPTR_RESTRICT, "1");

	while (vif->created < MAX_TRIES) {
		find_netdev_areas(&before);
		ret = fail_large_kmalloc(true);
		if (ret) {
			fail_large_kmalloc(false);
			return "no fault injection (CONFIG_FAILSLAB, CONFIG_SLUB_DEBUG)";
		}
		vif_name(vif, FIRST_HANDLE + vif->created++);
		ret = vif_create(vif);
		fail_large_kmalloc(false);
		if (ret)
			return "netback does not accept the interface";
		find_netdev_areas(&now);
		i = new_netdev_area(&before, &now);
		if (i < 0)
			return "net_device and xenvif fit in a page here: never in vmalloc space";
		if (now.at[i].start < KERNEL_HALF)
			return "kernel addresses are hidden in /proc/vmallocinfo";

		vif->wrong = wrong_phys(now.at[i].start);
		/* The last page of an area is its guard page */
		vif->wrong_size = now.at[i].end - now.at[i].start -
				   page_size();
		ret = wrong_place_is_unused(vif);
		ksft_print_msg("vif%u.%u at %#llx, %#llx to a wrong kernel: %s\n",
			       vif->domid, vif->handle, now.at[i].start,
			       (unsigned long long)vif->wrong,
			       ret == 1 ? "unused" : "in use");
		if (ret == 1)
			return NULL;
		/* It keeps its addresses, so that the next one gets others */
	}
	return "all that wrong frame numbers would hit is in use";
}

static void destroy_all(struct vif *vif)
{
	while (vif->created) {
		vif_name(vif, FIRST_HANDLE + --vif->created);
		vif_destroy(vif);
	}
}

FIXTURE_SETUP(netback)
{
	struct vif *vif = &self->vif;
	const char *reason;
	struct stat st;
	int ret;

	memset(self, 0, sizeof(*self));
	vif->gntalloc = xen_open(DEV_GNTALLOC);
	vif->evtchn = xen_open(DEV_EVTCHN);
	vif->xs.fd = xen_open(DEV_XENBUS);
	if (vif->gntalloc < 0)
		SKIP(return, DEV_GNTALLOC ": %s", strerror(-vif->gntalloc));
	if (vif->evtchn < 0)
		SKIP(return, DEV_EVTCHN ": %s", strerror(-vif->evtchn));
	if (vif->xs.fd < 0)
		SKIP(return, DEV_XENBUS ": %s", strerror(-vif->xs.fd));
	ret = xen_own_domid();
	if (ret < 0)
		SKIP(return, "own domain id unknown: %s", strerror(-ret));
	vif->domid = ret;
	if (stat(DEBUGFS "/xen-netback", &st))
		SKIP(return, "no " DEBUGFS "/xen-netback: %s", strerror(errno));

	if (variant->vmalloc) {
		reason = create_in_vmalloc(vif);
		if (reason) {
			/* There is no teardown after this: leave nothing */
			destroy_all(vif);
			SKIP(return, "%s", reason);
		}
	} else {
		vif_name(vif, FIRST_HANDLE + vif->created++);
		ASSERT_EQ(0, vif_create(vif));
	}
	ASSERT_EQ(0, vif_connect(vif));
	self->data = vif->pages.va + PAGE_DATA * page_size();
}

FIXTURE_TEARDOWN(netback)
{
	struct vif *vif = &self->vif;

	if (vif->kptr_restrict)
		write_file(KPTR_RESTRICT, (char[]) { vif->kptr_restrict, 0 });
	destroy_all(vif);
	close(vif->xs.fd);
	close(vif->evtchn);
	close(vif->gntalloc);
}

#define IN_USE	"the page that a wrong frame number would hit is in use now"

static int set_key(struct vif *vif, unsigned int len)
{
	return vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_KEY,
			   vif->pages.refs[PAGE_DATA], len, 0);
}

static int set_mapping(struct vif *vif, unsigned int len, unsigned int off)
{
	return vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING,
			   vif->pages.refs[PAGE_DATA], len, off);
}

static int set_algorithm(struct vif *vif)
{
	return vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
			   XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ, 0, 0);
}

TEST_F_TIMEOUT(netback, key, LIMIT)
{
	static const unsigned int lengths[] = { KEY_SIZE, 1, 16, 0, KEY_SIZE };
	unsigned int got[KEY_SIZE + 1], i, j, bad;
	struct vif *vif = &self->vif;

	ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS, set_algorithm(vif));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		fill(self->data, 1, 100 + i);
		if (wrong_place_is_unused(vif) != 1)
			SKIP(return, IN_USE);
		ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS,
			  set_key(vif, lengths[i]));
		ASSERT_EQ(KEY_SIZE, vif_read_back(vif, "Hash Key", 16, got,
						  ARRAY_SIZE(got)));
		/* What is sent, then zeros */
		for (bad = 0, j = 0; j < KEY_SIZE; j++)
			bad += got[j] != (j < lengths[i] ?
					  pattern(100 + i, 0, j) : 0);
		ASSERT_EQ(0, bad)
			TH_LOG("key of %u bytes: %u differ, first %#x is %#x",
			       lengths[i], bad, pattern(100 + i, 0, 0), got[0]);
	}
}

TEST_F_TIMEOUT(netback, mapping, LIMIT)
{
	/* All of it; the middle; one entry; in two parts, as drivers do */
	static const struct {
		unsigned int off, len;
	} parts[] = {
		{ 0, MAPPING_SIZE }, { 31, 70 }, { 127, 1 },
		{ 0, 64 }, { 64, 64 }, { 0, MAPPING_SIZE },
	};
	unsigned int want[MAPPING_SIZE] = {}, got[MAPPING_SIZE + 1];
	unsigned int i, j, bad;
	struct vif *vif = &self->vif;
	uint32_t *entries = (uint32_t *)self->data;

	if (vif->queues < 2)
		SKIP(return, "netback offers one queue: every entry is 0");
	ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS, set_algorithm(vif));
	ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS,
		  vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
			      MAPPING_SIZE, 0, 0));

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		for (j = 0; j < parts[i].len; j++) {
			entries[j] = (i + j * 7 + j / 5 + 1) % vif->queues;
			want[parts[i].off + j] = entries[j];
		}
		if (wrong_place_is_unused(vif) != 1)
			SKIP(return, IN_USE);
		ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS,
			  set_mapping(vif, parts[i].len, parts[i].off));
		ASSERT_EQ(MAPPING_SIZE, vif_read_back(vif, "Hash Mapping", 10,
						      got, ARRAY_SIZE(got)));
		for (bad = 0, j = 0; j < MAPPING_SIZE; j++)
			bad += got[j] != want[j];
		ASSERT_EQ(0, bad)
			TH_LOG("%u entries at %u: %u of %u differ",
			       parts[i].len, parts[i].off, bad, MAPPING_SIZE);
	}
}

TEST_F_TIMEOUT(netback, mapping_is_looked_at, LIMIT)
{
	struct vif *vif = &self->vif;
	uint32_t *entries = (uint32_t *)self->data;
	static const unsigned int offsets[] = { 0, 1, 64, MAPPING_SIZE - 1 };
	unsigned int i, off;

	ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS, set_algorithm(vif));
	ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS,
		  vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
			      MAPPING_SIZE, 0, 0));
	/* A queue that is not there is refused, so its number has arrived */
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		off = offsets[i];
		memset(entries, 0, MAPPING_SIZE * sizeof(*entries));
		if (wrong_place_is_unused(vif) != 1)
			SKIP(return, IN_USE);
		ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS,
			  set_mapping(vif, MAPPING_SIZE, 0));
		entries[off] = vif->queues;
		ASSERT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
			  set_mapping(vif, MAPPING_SIZE, 0))
			TH_LOG("queue %u as entry %u", vif->queues, off);
	}
}

TEST_F_TIMEOUT(netback, refused, LIMIT)
{
	struct vif *vif = &self->vif;

	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
		  vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 77,
			      0, 0));
	ASSERT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS, set_algorithm(vif));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
		  set_key(vif, KEY_SIZE + 1));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
		  vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_KEY,
			      0x7ffffff0, KEY_SIZE, 0));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
		  vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
			      MAPPING_SIZE + 1, 0, 0));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_SUCCESS,
		  vif_request(vif, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
			      16, 0, 0));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
		  set_mapping(vif, 17, 0));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
		  set_mapping(vif, 8, 9));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER,
		  set_mapping(vif, 1, UINT32_MAX));
	EXPECT_EQ(XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED,
		  vif_request(vif, 99, 0, 0, 0));
}

TEST_HARNESS_MAIN
