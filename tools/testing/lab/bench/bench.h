/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BENCH_H
#define BENCH_H

#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>

#define BENCH_SG_MAX	64

/**
 * struct work - something to be measured
 * @dev: the device that maps
 * @buf: memory to map
 * @len: its length
 * @dir: direction of the DMA
 * @nents: entries of @sg
 * @sg: list to map
 * @dma: mapping to be synced
 * @arg: for other kinds of work
 * @period: the work's costs repeat after so many times, 0: each costs the same
 * @sleeps: the work may sleep, so interrupts stay on
 */
struct work {
	struct device *dev;
	void *buf;
	size_t len;
	enum dma_data_direction dir;
	unsigned int nents;
	struct scatterlist sg[BENCH_SG_MAX];
	dma_addr_t dma;
	void *arg;
	unsigned int period;
	bool sleeps;
};

/*
 * What a bounce slot costs depends on its place among 128 slots of 2 KB, and
 * every 4 KB bounced take the next two.
 */
#define BOUNCE_PERIOD	64

typedef bool (*work_fn)(struct work *w);

__printf(3, 4)
void bench_result(const char *unit, u64 value, const char *fmt, ...);
void bench_measure(struct work *w, work_fn one, unsigned int per,
		   const char *name, const char *suffix);
bool bench_map_unmap(struct work *w);
bool bench_map_unmap_sg(struct work *w);
void bench_single(struct work *w, const char *name, const char *suffix);
void bench_measure_sync(struct work *w, const char *name, const char *suffix);
void bench_sync(struct work *w, const char *name, const char *suffix);
void bench_sg(struct work *w, void *mem, unsigned int nents, const char *name,
	      const char *suffix);

bool bench_copy_by_device(struct device *dev, void *from, void *to);
void bench_local(struct work *w, const char *suffix);

void bench_foreign(struct work *w, unsigned int most);
void bench_locks(struct work *w, unsigned int cpus);
void bench_smp(struct work *w, void *pages, unsigned int cpus, work_fn churn,
	       struct work *churn_work);

int hypercalls_watch(void);
void hypercalls_unwatch(void);
void hypercalls_begin(void);
unsigned int hypercalls_end(void);

#endif
