/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For programs on the build machine: frames of another domain, mapped one after
 * the other at a place of this domain's memory. What include/xen/bus-addr.h asks
 * of the architecture. FRAMES says how many.
 */
#ifndef FRAMES_H
#define FRAMES_H

static unsigned long frame[FRAMES];
static unsigned long first_frame;

unsigned long pfn_to_bfn(unsigned long pfn)
{
	return pfn - first_frame < FRAMES ? frame[pfn - first_frame] : pfn;
}

/* True only where it is, but not everywhere where it is: chunks, as on Arm. */
bool xen_pfns_are_plain(unsigned long pfn, unsigned long last)
{
	do {
		if (pfn - first_frame < FRAMES)
			return false;
	} while (pfn++ != last);

	return true;
}

#endif
