// SPDX-License-Identifier: GPL-2.0-only
/* Sets of addresses: sorted, apart from each other, at most MAX_SPANS. */
#include <string.h>

#include "dma-map.h"

void spans_add(struct spans *s, uint64_t start, uint64_t last)
{
	struct spans out = { 0 };
	bool placed = false;
	int i;

	if (start > last)
		return;
	for (i = 0; i < s->num; i++) {
		struct span x = s->s[i];

		/* Neighbours become one as well. */
		if (x.last < start && start - x.last > 1) {
			out.s[out.num++] = x;
		} else if (x.start > last && x.start - last > 1) {
			if (!placed && out.num < MAX_SPANS)
				out.s[out.num++] = (struct span){ start, last };
			placed = true;
			if (out.num < MAX_SPANS)
				out.s[out.num++] = x;
		} else {
			start = x.start < start ? x.start : start;
			last = x.last > last ? x.last : last;
		}
	}
	if (!placed && out.num < MAX_SPANS)
		out.s[out.num++] = (struct span){ start, last };
	*s = out;
}

void spans_and(struct spans *out, const struct spans *a, const struct spans *b)
{
	int i, j;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < a->num; i++) {
		for (j = 0; j < b->num; j++) {
			uint64_t start = a->s[i].start, last = a->s[i].last;

			start = b->s[j].start > start ? b->s[j].start : start;
			last = b->s[j].last < last ? b->s[j].last : last;
			spans_add(out, start, last);
		}
	}
}

void spans_minus(struct spans *out, const struct spans *a, const struct spans *b)
{
	struct spans not_b = { 0 };
	uint64_t from = 0;
	bool more = true;
	int i;

	for (i = 0; i < b->num; i++) {
		if (b->s[i].start > from)
			spans_add(&not_b, from, b->s[i].start - 1);
		more = b->s[i].last != UINT64_MAX;
		from = b->s[i].last + 1;
	}
	if (more)
		spans_add(&not_b, from, UINT64_MAX);
	spans_and(out, a, &not_b);
}

/* In bytes; a set of everything is said to be a byte smaller than it is. */
uint64_t spans_size(const struct spans *s)
{
	uint64_t size = 0;
	int i;

	for (i = 0; i < s->num; i++) {
		uint64_t add = s->s[i].last - s->s[i].start;

		add = add == UINT64_MAX ? add : add + 1;
		size = size + add < size ? UINT64_MAX : size + add;
	}
	return size;
}
