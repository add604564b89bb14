// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts what the current task asks of Xen. Kprobes cost instructions: they are
 * there only while something is counted, never while something is measured.
 */
#include <linux/kprobes.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include "bench.h"

static struct task_struct *counted;
static unsigned int count;

static int hypercall(struct kprobe *p, struct pt_regs *regs)
{
	if (READ_ONCE(counted) == current)
		count++;
	return 0;
}

static struct kprobe probes[] = {
	{ .symbol_name = "HYPERVISOR_grant_table_op" },
	{ .symbol_name = "HYPERVISOR_memory_op" },
	{ .symbol_name = "HYPERVISOR_multicall" },
};

int hypercalls_watch(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		/* What an earlier registration left in it is refused. */
		probes[i].addr = NULL;
		probes[i].flags = 0;
		probes[i].pre_handler = hypercall;
		ret = register_kprobe(&probes[i]);
		if (ret) {
			while (i--)
				unregister_kprobe(&probes[i]);
			return ret;
		}
	}
	return 0;
}

void hypercalls_unwatch(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		unregister_kprobe(&probes[i]);
}

void hypercalls_begin(void)
{
	count = 0;
	WRITE_ONCE(counted, current);
}

unsigned int hypercalls_end(void)
{
	WRITE_ONCE(counted, NULL);
	return count;
}
