/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the lab's bare-metal guests have in common: entry, memory, the virtual
 * timer, hypercalls. One vCPU, interrupts masked throughout.
 *
 * Hypercall structures and guest layout come from Xen's own public headers.
 */
#ifndef LAB_BARE_H
#define LAB_BARE_H

#include <stdint.h>

#include <public/xen.h>
#include <public/sched.h>

#define PAGE_SIZE	4096UL

extern char _end[];

/* The guest's own: where it starts, with memory and timer set up */
void guest_main(void);
/* The guest's own: where its last words go */
void put_string(const char *s);

long hypercall(unsigned long op, unsigned long a1, unsigned long a2,
	       unsigned long a3);
_Noreturn void power_off(unsigned int reason);
_Noreturn void fatal(const char *what);

/* Of the virtual timer */
uint64_t counter(void);
uint64_t counter_frequency(void);
/* Until the counter has that value; returns the one found on waking up */
uint64_t sleep_until(uint64_t when);

#endif
