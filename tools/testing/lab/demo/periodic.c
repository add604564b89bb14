// SPDX-License-Identifier: GPL-2.0-only
/*
 * The periodic guest of the demo: stands for a guest with a real-time job. Bare
 * metal, one vCPU, started by xl.
 *
 * It sets its virtual timer to times a fixed period apart, sleeps (WFI) until
 * the timer's interrupt, and keeps a histogram of how late it was: the counter
 * on waking up less the time that was set. A time that had passed before it
 * could be set is missed, and not made up for.
 *
 * Orders come and reports go through Xen's PV console, a line each:
 *   start MICROSECONDS   measure from now on, with this period
 *   report               stop measuring, say what was found
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <public/event_channel.h>
#include <public/hvm/hvm_op.h>
#include <public/hvm/params.h>
#include <public/io/console.h>

#include "bare.h"

#define IDLE_MS		10
#define NS_PER_S	1000000000UL
#define US_PER_S	1000000UL
#define PERIOD_MIN_US	100UL
#define PERIOD_MAX_US	US_PER_S

/*
 * Histogram of ticks: exact up to LINEAR, then each power of two in STEPS
 * parts, so that what is read off it is at most 1/STEPS too large.
 */
#define STEPS_SHIFT	6
#define STEPS		(1U << STEPS_SHIFT)
#define LINEAR		(2 * STEPS)
#define NR_BUCKETS	(LINEAR + (63 - STEPS_SHIFT) * STEPS)

static uint32_t histogram[NR_BUCKETS];
static uint64_t periods, missed, sum, least, most;
/* In ticks; 0 is not measuring */
static uint64_t period;

static volatile struct xencons_interface *console;
static evtchn_send_t console_event;

static char order[32];
static size_t order_len;

static unsigned int bucket(uint64_t ticks)
{
	unsigned int power;

	if (ticks < LINEAR)
		return ticks;
	power = 63 - __builtin_clzl(ticks);
	return LINEAR + (power - STEPS_SHIFT - 1) * STEPS +
	       (ticks >> (power - STEPS_SHIFT)) % STEPS;
}

/* The largest value that goes into a bucket */
static uint64_t bucket_end(unsigned int b)
{
	unsigned int power, step;

	if (b < LINEAR)
		return b;
	power = STEPS_SHIFT + 1 + (b - LINEAR) / STEPS;
	step = (b - LINEAR) % STEPS;
	return ((uint64_t)(STEPS + step + 1) << (power - STEPS_SHIFT)) - 1;
}

static uint64_t percentile(unsigned int percent)
{
	uint64_t below = 0, want = (periods * percent + 99) / 100;

	for (unsigned int b = 0; b < NR_BUCKETS; b++) {
		below += histogram[b];
		if (below && below >= want)
			return bucket_end(b) < most ? bucket_end(b) : most;
	}
	return most;
}

static uint64_t ns(uint64_t ticks)
{
	uint64_t freq = counter_frequency();

	return ticks / freq * NS_PER_S + ticks % freq * NS_PER_S / freq;
}

static uint64_t hvm_param(uint32_t index)
{
	struct xen_hvm_param arg = { .domid = DOMID_SELF, .index = index };

	if (hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, (uintptr_t)&arg, 0))
		power_off(SHUTDOWN_crash);
	return arg.value;
}

static void init_console(void)
{
	console_event.port = hvm_param(HVM_PARAM_CONSOLE_EVTCHN);
	console = (void *)(hvm_param(HVM_PARAM_CONSOLE_PFN) * PAGE_SIZE);
}

static void notify(void)
{
	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send,
		  (uintptr_t)&console_event, 0);
}

/* Waits while dom0 does not read */
static void put_char(char c)
{
	XENCONS_RING_IDX prod = console->out_prod;

	while (prod - __atomic_load_n(&console->out_cons, __ATOMIC_ACQUIRE) >=
	       sizeof(console->out)) {
		notify();
		sleep_until(counter() + counter_frequency() / 1000);
	}
	console->out[MASK_XENCONS_IDX(prod, console->out)] = c;
	__atomic_store_n(&console->out_prod, prod + 1, __ATOMIC_RELEASE);
}

void put_string(const char *s)
{
	if (!console)
		return;
	while (*s)
		put_char(*s++);
	notify();
}

static void put_number(uint64_t n)
{
	char text[21], *p = text + sizeof(text) - 1;

	*p = 0;
	do {
		*--p = '0' + n % 10;
		n /= 10;
	} while (n);
	put_string(p);
}

static void put_value(const char *name, uint64_t n)
{
	put_string(name);
	put_number(n);
}

static void report(void)
{
	put_value("PERIODIC report periods=", periods);
	put_value(" missed=", missed);
	put_value(" min_ns=", ns(least));
	put_value(" avg_ns=", periods ? ns(sum / periods) : 0);
	put_value(" p99_ns=", ns(percentile(99)));
	put_value(" max_ns=", ns(most));
	put_string(" end\n");
}

static void start(uint64_t us)
{
	if (us < PERIOD_MIN_US || us > PERIOD_MAX_US) {
		put_string("PERIODIC error: no such period\n");
		return;
	}
	put_value("PERIODIC started period_us=", us);
	put_value(" timer_hz=", counter_frequency());
	put_string(" end\n");
	for (unsigned int b = 0; b < NR_BUCKETS; b++)
		histogram[b] = 0;
	periods = missed = sum = most = 0;
	least = UINT64_MAX;
	period = us * counter_frequency() / US_PER_S;
}

static bool begins_with(const char *s, const char *with)
{
	while (*with)
		if (*s++ != *with++)
			return false;
	return true;
}

static void obey(void)
{
	uint64_t n = 0;

	if (begins_with(order, "start ")) {
		for (const char *p = order + 6; *p >= '0' && *p <= '9'; p++)
			n = n * 10 + *p - '0';
		start(n);
	} else if (begins_with(order, "report")) {
		if (!periods)
			least = 0;
		period = 0;
		report();
	} else {
		put_string("PERIODIC error: no such order\n");
	}
}

static void listen(void)
{
	XENCONS_RING_IDX cons = console->in_cons;

	while (cons != __atomic_load_n(&console->in_prod, __ATOMIC_ACQUIRE)) {
		char c = console->in[MASK_XENCONS_IDX(cons, console->in)];

		__atomic_store_n(&console->in_cons, ++cons, __ATOMIC_RELEASE);
		if (c != '\n' && c != '\r') {
			if (order_len < sizeof(order) - 1)
				order[order_len++] = c;
			continue;
		}
		order[order_len] = 0;
		if (order_len)
			obey();
		order_len = 0;
		notify();
	}
}

static void measure(uint64_t late)
{
	histogram[bucket(late)]++;
	periods++;
	sum += late;
	if (late < least)
		least = late;
	if (late > most)
		most = late;
}

void guest_main(void)
{
	uint64_t due;

	init_console();
	put_string("PERIODIC ready\n");
	for (;;) {
		while (!period) {
			listen();
			sleep_until(counter() +
				    counter_frequency() / 1000 * IDLE_MS);
		}
		due = counter() + period;
		while (period) {
			measure(sleep_until(due) - due);
			listen();
			due += period;
			while (period && (int64_t)(counter() - due) >= 0) {
				missed++;
				due += period;
			}
		}
	}
}
