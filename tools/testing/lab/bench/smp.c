// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several CPUs map another domain's pages for a device, each its own page, while
 * grants come and go on one of them: for the kernel's lock statistics.
 */
#define pr_fmt(fmt) "bench " fmt

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "bench.h"

#define MAPS	20000

struct mapper {
	struct work w;
	unsigned int failed;
	struct completion done;
};

static int map_many(void *data)
{
	struct mapper *m = data;
	unsigned int i;

	for (i = 0; i < MAPS; i++) {
		m->failed += !bench_map_unmap(&m->w);
		cond_resched();
	}
	complete(&m->done);
	return 0;
}

/**
 * bench_smp - have several CPUs map foreign pages at once
 * @w: the device
 * @pages: a foreign page for each CPU, one after the other
 * @cpus: number of CPUs
 * @churn: maps and unmaps grants once; called again and again meanwhile
 * @churn_work: what it is given
 */
void bench_smp(struct work *w, void *pages, unsigned int cpus, work_fn churn,
	       struct work *churn_work)
{
	unsigned int i, failed = 0, running = 0;
	struct mapper *mappers;
	struct task_struct *t;
	unsigned long churns = 0;
	bool done;

	mappers = kcalloc(cpus, sizeof(*mappers), GFP_KERNEL);
	if (!mappers)
		return;
	for (i = 0; i < cpus; i++) {
		struct mapper *m = &mappers[i];

		m->w.dev = w->dev;
		m->w.dir = DMA_BIDIRECTIONAL;
		m->w.buf = pages + i * SZ_4K;
		m->w.len = SZ_4K;
		init_completion(&m->done);
		t = kthread_run_on_cpu(map_many, m, i, "bench/%u");
		if (IS_ERR(t))
			break;
		running++;
	}
	do {
		if (!churn(churn_work))
			pr_info("note grants cannot be mapped\n");
		churns++;
		cond_resched();
		done = true;
		for (i = 0; i < running; i++)
			done &= completion_done(&mappers[i].done);
	} while (!done);
	for (i = 0; i < running; i++)
		failed += mappers[i].failed;
	pr_info("note %u CPUs: %u maps each, %u failed; 64 grants mapped and unmapped %lu times\n",
		running, MAPS, failed, churns);
	kfree(mappers);
}
