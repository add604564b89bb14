/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Protocol between xen_dma_edu_test in dom0 and the peer guest of its lab
 * (tools/testing/lab/peer), whose memory the test's device reads and writes.
 *
 * The peer grants dom0 one control page, reference XEN_DMA_PEER_CTRL_REF, and
 * the pages of a number of runs that lie spread over its RAM. The pages of a
 * run are contiguous in the peer's memory, and have a guard page before and
 * after them that is never granted. Each page has two references, one
 * read-write and one read-only.
 *
 * The peer does not know machine addresses. dom0 learns those from Xen when it
 * maps a page, and chooses the runs that it has a use for.
 *
 * Orders: dom0 fills in @op to @seed, then stores @req_seq + 1 to @req_seq with
 * release semantics. The peer acts, fills in its answer and stores that number
 * to @rsp_seq, again with release semantics. One order at a time. @beat
 * advances as long as the peer lives, about once a millisecond.
 *
 * Include after something that defines __u32 and __u64.
 */
#ifndef _XEN_DMA_PEER_H
#define _XEN_DMA_PEER_H

#define XEN_DMA_PEER_MAGIC	0x72656550	/* "Peer" */
#define XEN_DMA_PEER_VERSION	1
#define XEN_DMA_PEER_CTRL_REF	8		/* first one not reserved */
#define XEN_DMA_PEER_DATA_REF	16

#define XEN_DMA_PEER_PAGE_SIZE	4096
#define XEN_DMA_PEER_RUN_PAGES	32
#define XEN_DMA_PEER_MAX_RUNS	64

enum xen_dma_peer_op {
	XEN_DMA_PEER_PING = 1,
	/* Write pattern @seed to [@offset, @offset + @len) of run @run */
	XEN_DMA_PEER_FILL,
	/* Compare with it: @rsp_bad bytes differ, the first at @rsp_first */
	XEN_DMA_PEER_CHECK,
	/* Checksum of [@offset, @offset + @len) of run @run, to @rsp_sum */
	XEN_DMA_PEER_SUM,
	/* End resp. renew both grants of the page at @offset of run @run */
	XEN_DMA_PEER_REVOKE,
	XEN_DMA_PEER_GRANT,
	/* Grant entry's flags of the page at @offset: @rsp_rw, @rsp_ro */
	XEN_DMA_PEER_STATUS,
	/*
	 * Compare all guard pages with their pattern: @rsp_bad bytes differ,
	 * the first at @rsp_first (offset from the first page of run @rsp_run,
	 * may be negative), and restore them.
	 */
	XEN_DMA_PEER_GUARDS,
	/* Tests of the lab itself: stay alive but answer no more; power off */
	XEN_DMA_PEER_MUTE,
	XEN_DMA_PEER_DIE,
};

enum xen_dma_peer_error {
	XEN_DMA_PEER_OK,
	XEN_DMA_PEER_INVAL,		/* no such order, run or range */
	XEN_DMA_PEER_BUSY,		/* page is mapped by dom0: not revoked */
};

/* The control page */
struct xen_dma_peer_ctrl {
	/* Written by the peer once, @magic last */
	__u32 magic;
	__u32 version;
	__u32 nr_runs;
	__u32 run_pages;
	/* Written by the peer all the time */
	__u64 beat;
	/* Written by dom0 */
	__u32 req_seq;
	__u32 op;
	__u32 run;
	__u32 offset;
	__u32 len;
	__u32 pad;
	__u64 seed;
	/* Written by the peer */
	__u32 rsp_seq;
	__u32 rsp_error;
	__u32 rsp_bad;
	__u32 rsp_run;
	__s32 rsp_first;
	__u32 rsp_got;
	__u32 rsp_want;
	__u32 rsp_rw;
	__u32 rsp_ro;
	__u32 pad2;
	__u64 rsp_sum;
};

/* Grant references of page @page of run @run */
static inline __u32 xen_dma_peer_ref(__u32 run, __u32 page, int readonly)
{
	return XEN_DMA_PEER_DATA_REF +
	       2 * (run * XEN_DMA_PEER_RUN_PAGES + page) + !!readonly;
}

#define XEN_DMA_PEER_STEP	0x9e3779b97f4a7c15ULL

/*
 * Byte @i of pattern @seed. Neighbouring bytes, and the same byte of other
 * pages and patterns, differ in a way that no shift or repetition hides.
 */
static inline unsigned char xen_dma_peer_pattern(__u64 seed, __u32 i)
{
	__u64 x = seed + XEN_DMA_PEER_STEP * (i + 1ULL);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x >> 56;
}

/* The seed whose byte 0 is byte @i of pattern @seed */
static inline __u64 xen_dma_peer_seed_at(__u64 seed, __u32 i)
{
	return seed + XEN_DMA_PEER_STEP * i;
}

/* 64-bit FNV-1a, start with XEN_DMA_PEER_SUM_INIT */
#define XEN_DMA_PEER_SUM_INIT	0xcbf29ce484222325ULL

static inline __u64 xen_dma_peer_sum(__u64 sum, unsigned char byte)
{
	return (sum ^ byte) * 0x100000001b3ULL;
}

#endif /* _XEN_DMA_PEER_H */
