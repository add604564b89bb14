// SPDX-License-Identifier: GPL-2.0-only
/* What the rules give, as text, JSON, raw lines and a drawing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dma-map.h"

#define MB		((uint64_t)1 << 20)
#define CHUNK		(128 * MB)
#define PATH_LEN	4096
#define MAX_GROUPS	64

struct master {
	int node, group;
	bool pci, iommu, coherent;
	struct map map;
	struct spans direct, bounce;	/* of RAM */
};

/* Masters that see the same */
struct group {
	const struct master *first;
	int num;
};

struct board {
	const struct tree *t;
	const struct options *o;
	struct spans ram, reserved;
	uint64_t zone;			/* last byte of ZONE_DMA */
	unsigned int xen_bits;		/* where Xen looks for dom0's first bank */
	struct master *masters;
	int num;
	struct group groups[MAX_GROUPS];
	int num_groups;
	const struct master *tightest;
	uint64_t low_ram, low_dom0, all_low;
};

static const char * const result_text[] = {
	[MAP_OK] = "ok", [MAP_NONE] = "none", [MAP_BAD] = "bad", [MAP_LOOP] = "loop",
};

static uint64_t mask_of(unsigned int bits)
{
	return bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
}

static void add_reg(const struct board *b, int node, struct spans *s)
{
	const struct prop *p = tree_prop(b->t, node, "reg");
	int na, ns, parent = b->t->nodes[node].parent;
	const uint8_t *at;
	int64_t left, one;

	if (!p || parent < 0)
		return;
	na = addr_cells(b->t, parent);
	ns = size_cells(b->t, parent);
	if (na <= 0 || ns <= 0 || na > 4 || ns > 4)
		return;
	one = 4 * (na + ns);
	for (at = p->data, left = p->len; left >= one; left -= one, at += one) {
		uint64_t start = cells(at, na), size = cells(at + 4 * na, ns);

		if (size)
			spans_add(s, start, start + size - 1 < start ? UINT64_MAX :
							      start + size - 1);
	}
}

static void find_ram(struct board *b)
{
	int i, r = -1;

	for (i = 1; i < b->t->num_nodes; i++) {
		if (b->t->nodes[i].parent == 0 && tree_string(b->t, i, "device_type", "memory") &&
		    tree_available(b->t, i))
			add_reg(b, i, &b->ram);
		if (b->t->nodes[i].parent == 0 && tree_name_is(b->t, i, "reserved-memory"))
			r = i;
		if (r > 0 && b->t->nodes[i].parent == r && tree_available(b->t, i))
			add_reg(b, i, &b->reserved);
	}
	if (b->o->ram.num)
		b->ram = b->o->ram;
}

/* What of RAM the device reaches: by its map, or else by its mask alone. */
static void reach(const struct board *b, struct master *m)
{
	struct spans can = { 0 };
	uint64_t mask = mask_of(b->o->mask), last, size;
	int i;

	if (m->map.result != MAP_OK)
		spans_add(&can, 0, mask);
	for (i = 0; m->map.result == MAP_OK && i < m->map.num; i++) {
		const struct region *r = &m->map.regions[i];

		if (!r->size)
			break;
		if (r->dma > mask)
			continue;
		size = r->size - 1;
		if (size > mask - r->dma)
			size = mask - r->dma;
		last = r->cpu + size < r->cpu ? UINT64_MAX : r->cpu + size;
		spans_add(&can, r->cpu, last);
	}
	spans_and(&m->direct, &b->ram, &can);
	spans_minus(&m->bounce, &b->ram, &can);
}

static bool same(const struct master *a, const struct master *b)
{
	return a->map.result == b->map.result && a->coherent == b->coherent &&
	       a->iommu == b->iommu && a->map.num == b->map.num &&
	       (!a->map.num || !memcmp(a->map.regions, b->map.regions,
				       a->map.num * sizeof(*a->map.regions)));
}

static void put_in_group(struct board *b, struct master *m)
{
	int i;

	for (i = 0; i < b->num_groups; i++)
		if (same(b->groups[i].first, m))
			break;
	if (i == MAX_GROUPS)
		i--;
	m->group = i;
	if (i == b->num_groups) {
		b->groups[i].first = m;
		b->num_groups++;
	}
	b->groups[i].num++;
}

/*
 * How much Xen can give dom0 below its limit: it takes blocks of 128 MB and
 * more there, each aligned to its size. Two of them are lost to Xen, the kernel
 * and the initramfs unless --used says where these lie.
 */
static uint64_t low_blocks(const struct board *b, const struct spans *reachable)
{
	uint64_t start, end = 1ull << b->xen_bits, sum = 0;
	struct spans one, have, free_ram, taken = b->reserved;
	int i;

	for (i = 0; i < b->o->used.num; i++)
		spans_add(&taken, b->o->used.s[i].start, b->o->used.s[i].last);
	spans_minus(&free_ram, reachable, &taken);
	for (start = 0; start < end; start += CHUNK) {
		memset(&one, 0, sizeof(one));
		spans_add(&one, start, start + CHUNK - 1);
		spans_and(&have, &free_ram, &one);
		if (spans_size(&have) == CHUNK)
			sum += CHUNK;
	}
	if (!b->o->used.num)
		sum = sum > 2 * CHUNK ? sum - 2 * CHUNK : 0;
	return sum;
}

static void judge(struct board *b)
{
	struct spans have;
	uint64_t size;
	int i;

	b->low_ram = spans_size(&b->ram);
	b->low_dom0 = spans_size(&b->o->banks);
	for (i = 0; i < b->num; i++) {
		const struct master *m = &b->masters[i];

		if (m->map.result != MAP_OK)
			continue;
		size = spans_size(&m->direct);
		if (!b->tightest || size < b->low_ram)
			b->tightest = m;
		b->low_ram = size < b->low_ram ? size : b->low_ram;
		spans_and(&have, &b->o->banks, &m->direct);
		size = spans_size(&have);
		b->low_dom0 = size < b->low_dom0 ? size : b->low_dom0;
	}
	/* 0: no such limit */
	if (b->tightest && b->tightest->bounce.num)
		b->all_low = low_blocks(b, &b->tightest->direct);
}

static int collect(struct board *b, const struct tree *t, const struct options *o)
{
	int i;

	memset(b, 0, sizeof(*b));
	b->t = t;
	b->o = o;
	find_ram(b);
	b->zone = dma_max_cpu_address(t);
	b->xen_bits = tree_string_index(t, 0, "compatible", "brcm,bcm2711") >= 0 ? 30 : 32;
	b->masters = calloc(t->num_nodes ? t->num_nodes : 1, sizeof(*b->masters));
	if (!b->masters)
		return -1;
	for (i = 1; i < t->num_nodes; i++) {
		struct master *m = &b->masters[b->num];

		if (!dma_is_master(t, i))
			continue;
		m->node = i;
		m->pci = dma_is_pci(t, i);
		m->iommu = dma_has_iommu(t, i);
		m->coherent = dma_is_coherent(t, i);
		dma_map_device(t, i, &m->map);
		reach(b, m);
		b->num++;
		put_in_group(b, m);
	}
	judge(b);
	return 0;
}

static void drop(struct board *b)
{
	int i;

	for (i = 0; i < b->num; i++)
		dma_map_free(&b->masters[i].map);
	free(b->masters);
}

/* "896 MB", or KB where MB is too coarse */
static const char *human(uint64_t size, char *buf)
{
	if (size == UINT64_MAX)
		strcpy(buf, "everything");
	else if (size >= 10 * 1024 * MB && !(size % (1024 * MB)))
		sprintf(buf, "%" PRIu64 " GB", size / (1024 * MB));
	else if (size >= MB)
		sprintf(buf, "%" PRIu64 " MB", size / MB);
	else
		sprintf(buf, "%" PRIu64 " KB", size / 1024);
	return buf;
}

static void print_spans(FILE *f, const struct spans *s)
{
	char buf[32];
	int i;

	if (!s->num)
		fprintf(f, "nothing");
	for (i = 0; i < s->num; i++)
		fprintf(f, "%s0x%" PRIx64 "-0x%" PRIx64, i ? ", " : "", s->s[i].start, s->s[i].last);
	if (s->num)
		fprintf(f, " (%s)", human(spans_size(s), buf));
}

static void print_offset(FILE *f, const struct region *r)
{
	if (r->dma >= r->cpu)
		fprintf(f, "+0x%" PRIx64, r->dma - r->cpu);
	else
		fprintf(f, "-0x%" PRIx64, r->cpu - r->dma);
}

/* Names in a device tree are anybody's: nothing that moves a terminal's cursor. */
static void print_plain(FILE *f, const char *s)
{
	for (; *s; s++)
		fputc(*s >= ' ' && *s <= '~' ? *s : '?', f);
}

static void print_string(FILE *f, const char *s, const char *end)
{
	fputc('"', f);
	for (; s < end && *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s < ' ' || *s > '~')
			fprintf(f, "\\u%04x", (uint8_t)*s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static void print_xml(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '<' || *s == '>' || *s == '&')
			fprintf(f, "&#%d;", *s);
		else
			fputc(*s >= ' ' && *s <= '~' ? *s : '?', f);
	}
}

static void text_map(const struct board *b, const struct master *m, FILE *f)
{
	char path[PATH_LEN];
	int i;

	fprintf(f, "  coherent:  %s%s\n", m->coherent ? "yes" : "no",
		m->iommu ? ", and behind an IOMMU (which is Xen's, if Xen uses it)" : "");
	switch (m->map.result) {
	case MAP_OK:
		for (i = 0; i < m->map.num; i++) {
			const struct region *r = &m->map.regions[i];

			fprintf(f, "  window:    DMA 0x%" PRIx64 "-0x%" PRIx64 " is RAM 0x%" PRIx64
				"-0x%" PRIx64 ", offset ", r->dma, r->dma + r->size - 1, r->cpu,
				r->cpu + r->size - 1);
			print_offset(f, r);
			fprintf(f, "\n");
		}
		fprintf(f, "             from dma-ranges of ");
		print_plain(f, tree_path(b->t, m->map.from, path, sizeof(path)));
		fprintf(f, "; last DMA address 0x%" PRIx64 "\n", m->map.limit);
		break;
	case MAP_NONE:
		fprintf(f, "  window:    none: DMA address = physical address, up to the driver's mask%s\n",
			m->map.spec_no_mapping ? " (Linux; see below)" : "");
		break;
	case MAP_BAD:
		fprintf(f, "  window:    ERROR: no entry of dma-ranges of ");
		print_plain(f, tree_path(b->t, m->map.from, path, sizeof(path)));
		fprintf(f, " can be translated; Linux goes on without an offset\n");
		break;
	case MAP_LOOP:
		fprintf(f, "  window:    ERROR: its DMA parents (interconnects) go in a circle; Linux would hang\n");
		break;
	}
	if (b->ram.num) {
		fprintf(f, "  directly:  ");
		print_spans(f, &m->direct);
		fprintf(f, "\n  bounced:   ");
		print_spans(f, &m->bounce);
		fprintf(f, "\n");
	}
}

static void text_dom0(const struct board *b, FILE *f)
{
	char a[32], c[32];

	fprintf(f, "dom0:\n");
	if (!b->ram.num) {
		fprintf(f, "  the device tree says nothing about RAM (the firmware fills it in): use --ram\n");
		return;
	}
	if (b->zone != UINT64_MAX)
		fprintf(f, "  all devices reach RAM up to 0x%" PRIx64 ": Linux puts ZONE_DMA and its bounce pool below\n",
			b->zone);
	fprintf(f, "  every device reaches at least %s of the RAM; dom0 needs %s of that\n",
		human(b->low_ram, a), human(b->o->need, c));
	if (b->o->banks.num) {
		fprintf(f, "  dom0's banks: ");
		print_spans(f, &b->o->banks);
		fprintf(f, "\n  of these within every device's reach: %s: %s\n", human(b->low_dom0, a),
			b->low_dom0 >= b->o->need ? "enough" : "NOT ENOUGH");
	}
	if (b->low_ram < b->o->need) {
		fprintf(f, "  no dom0_mem is enough: too little RAM is within reach\n");
		return;
	}
	if (b->zone < mask_of(b->xen_bits) && b->tightest)
		fprintf(f, "  WARNING: Xen looks for dom0's first bank below 2^%u, devices end at 0x%" PRIx64
			": the bank may lie above\n", b->xen_bits, b->zone);
	fprintf(f, "  dom0_mem=%" PRIu64 "M or more is enough: Xen gives the lowest memory first\n",
		b->o->need / MB);
	if (!b->tightest || !b->tightest->bounce.num)
		fprintf(f, "  all of the RAM is within reach of every device\n");
	else if (b->all_low)
		fprintf(f, "  dom0_mem=%" PRIu64 "M is the most that is all within reach%s; what lies above bounces\n",
			b->all_low / MB, b->o->used.num ? "" :
			" (two blocks of 128 MB taken off for Xen, kernel and initramfs; see --used)");
}

static void text(const struct board *b, FILE *f)
{
	const struct prop *model = tree_prop(b->t, 0, "model");
	bool spec = false;
	char path[PATH_LEN], line[128];
	int i, j;

	if (model && model->len) {
		snprintf(line, sizeof(line), "%.*s", (int)(model->len < 100 ? model->len : 100),
			 (const char *)model->data);
		fprintf(f, "board: ");
		print_plain(f, line);
		fprintf(f, "\n");
	}
	fprintf(f, "RAM: ");
	if (b->ram.num)
		print_spans(f, &b->ram);
	else
		fprintf(f, "not in this device tree");
	fprintf(f, "\n%d device%s that may do DMA, of %d kind%s\n\n", b->num, b->num == 1 ? "" : "s",
		b->num_groups, b->num_groups == 1 ? "" : "s");
	for (i = 0; i < b->num_groups; i++) {
		int shown = 0;

		for (j = 0; j < b->num; j++) {
			const struct master *m = &b->masters[j];

			if (m->group != i)
				continue;
			if (m->map.spec_no_mapping)
				spec = true;
			if (!b->o->all && shown == 4) {
				fprintf(f, "... and %d more (--all)\n", b->groups[i].num - shown);
				shown++;
			}
			if (!b->o->all && shown > 4)
				continue;
			shown++;
			print_plain(f, tree_path(b->t, m->node, path, sizeof(path)));
			fprintf(f, "%s\n", m->pci ? " and all behind it" : "");
		}
		text_map(b, b->groups[i].first, f);
		fprintf(f, "\n");
	}
	text_dom0(b, f);
	if (spec)
		fprintf(f, "\nSome devices are on a bus without dma-ranges. The Devicetree Specification says that\n"
			"nothing is mapped for DMA then; Linux (drivers/of/address.c) takes it for 1:1, as above.\n");
}

static void json_spans(FILE *f, const char *name, const struct spans *s)
{
	int i;

	fprintf(f, "\"%s\": [", name);
	for (i = 0; i < s->num; i++)
		fprintf(f, "%s[\"0x%" PRIx64 "\", \"0x%" PRIx64 "\"]", i ? ", " : "", s->s[i].start,
			s->s[i].last);
	fprintf(f, "]");
}

static void json(const struct board *b, FILE *f)
{
	const struct prop *model = tree_prop(b->t, 0, "model");
	char path[PATH_LEN];
	const char *p;
	int i, j;

	fprintf(f, "{\n  \"model\": ");
	if (model)
		print_string(f, (const char *)model->data, (const char *)model->data + model->len);
	else
		fprintf(f, "null");
	fprintf(f, ",\n  ");
	json_spans(f, "ram", &b->ram);
	fprintf(f, ",\n  \"max_cpu_address\": \"0x%" PRIx64 "\",\n  \"masters\": [", b->zone);
	for (i = 0; i < b->num; i++) {
		const struct master *m = &b->masters[i];

		p = tree_path(b->t, m->node, path, sizeof(path));
		fprintf(f, "%s\n    { \"path\": ", i ? "," : "");
		print_string(f, p, p + strlen(p));
		fprintf(f, ", \"kind\": %d, \"pci\": %s, \"iommu\": %s, \"coherent\": %s,\n      \"map\": \"%s\", ",
			m->group, m->pci ? "true" : "false", m->iommu ? "true" : "false",
			m->coherent ? "true" : "false", result_text[m->map.result]);
		fprintf(f, "\"bus_without_dma_ranges\": %s, \"limit\": ",
			m->map.spec_no_mapping ? "true" : "false");
		if (m->map.result == MAP_OK)
			fprintf(f, "\"0x%" PRIx64 "\"", m->map.limit);
		else
			fprintf(f, "null");
		fprintf(f, ", \"windows\": [");
		for (j = 0; j < m->map.num; j++) {
			const struct region *r = &m->map.regions[j];

			fprintf(f, "%s{ \"dma\": \"0x%" PRIx64 "\", \"cpu\": \"0x%" PRIx64
				"\", \"size\": \"0x%" PRIx64 "\", \"offset\": \"", j ? ", " : "", r->dma,
				r->cpu, r->size);
			print_offset(f, r);
			fprintf(f, "\" }");
		}
		fprintf(f, "],\n      ");
		json_spans(f, "direct", &m->direct);
		fprintf(f, ", ");
		json_spans(f, "bounced", &m->bounce);
		fprintf(f, " }");
	}
	fprintf(f, "\n  ],\n  \"dom0\": { ");
	json_spans(f, "banks", &b->o->banks);
	fprintf(f, ", \"needs\": %" PRIu64 ", \"ram_in_reach\": %" PRIu64, b->o->need, b->low_ram);
	if (b->o->banks.num)
		fprintf(f, ", \"in_reach\": %" PRIu64 ", \"enough\": %s", b->low_dom0,
			b->low_dom0 >= b->o->need ? "true" : "false");
	fprintf(f, ", \"dom0_mem_least\": ");
	if (b->ram.num && b->low_ram >= b->o->need)
		fprintf(f, "%" PRIu64, b->o->need);
	else
		fprintf(f, "null");
	fprintf(f, ", \"dom0_mem_all_in_reach\": ");
	if (b->all_low)
		fprintf(f, "%" PRIu64, b->all_low);
	else
		fprintf(f, "null");
	fprintf(f, " }\n}\n");
}

/* Every node, masters or not: for comparing with the kernel. */
static void raw(const struct tree *t, FILE *f)
{
	char path[PATH_LEN];
	struct map m;
	int i, j;

	fprintf(f, "max_cpu_address %#" PRIx64 "\n", dma_max_cpu_address(t));
	for (i = 0; i < t->num_nodes; i++) {
		dma_map_device(t, i, &m);
		fprintf(f, "%s %s limit %#" PRIx64 " %s", tree_path(t, i, path, sizeof(path)),
			result_text[m.result], m.limit, dma_is_coherent(t, i) ? "coherent" : "noncoherent");
		for (j = 0; j < m.num && m.regions[j].size; j++)
			fprintf(f, " %#" PRIx64 "=%#" PRIx64 "+%#" PRIx64, m.regions[j].dma,
				m.regions[j].cpu, m.regions[j].size);
		fprintf(f, "\n");
		dma_map_free(&m);
	}
}

/*
 * The drawing: an axis whose steps are the borders of all that is shown, so that
 * 4 KB and 4 GB are both to be seen; heights are not to scale.
 */
#define MAX_MARKS 128
#define STEP 34

struct axis {
	uint64_t mark[MAX_MARKS];
	int num;
};

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void axis_add(struct axis *x, uint64_t start, uint64_t last)
{
	int i;

	if (x->num + 2 > MAX_MARKS)
		return;
	x->mark[x->num++] = start;
	x->mark[x->num++] = last == UINT64_MAX ? last : last + 1;
	qsort(x->mark, x->num, sizeof(*x->mark), by_value);
	for (i = 1; i < x->num; i++) {
		if (x->mark[i] == x->mark[i - 1]) {
			memmove(&x->mark[i], &x->mark[i + 1], (x->num - i - 1) * sizeof(*x->mark));
			x->num--;
			i--;
		}
	}
}

/* Low addresses at the bottom. */
static int axis_y(const struct axis *x, uint64_t value, int bottom)
{
	int i;

	for (i = 0; i < x->num - 1 && x->mark[i] < value; i++)
		;
	return bottom - i * STEP;
}

static void svg_box(FILE *f, int x, int y1, int y2, int w, const char *fill, const char *what)
{
	if (y1 <= y2)
		return;
	fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" stroke=\"#333\"/>\n",
		x, y2, w, y1 - y2, fill);
	fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x + w / 2,
		(y1 + y2) / 2 + 4, what);
}

static void svg_axis(FILE *f, const struct axis *a, int x, int bottom, const char *anchor)
{
	int i;

	for (i = 0; i < a->num; i++)
		fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" class=\"a\">0x%" PRIx64 "</text>\n",
			x, bottom - i * STEP + 4, anchor, a->mark[i]);
}

static uint64_t last_of(uint64_t start, uint64_t size)
{
	return start + size - 1 < start ? UINT64_MAX : start + size - 1;
}

static uint64_t behind(uint64_t last)
{
	return last == UINT64_MAX ? last : last + 1;
}

/* Borders of all that a panel shows. */
static void svg_axes(const struct board *b, const struct group *g, struct axis *cpu,
		     struct axis *dma)
{
	const struct map *map = &g->first->map;
	int i;

	memset(cpu, 0, sizeof(*cpu));
	memset(dma, 0, sizeof(*dma));
	for (i = 0; i < b->ram.num; i++)
		axis_add(cpu, b->ram.s[i].start, b->ram.s[i].last);
	for (i = 0; i < b->o->banks.num; i++)
		axis_add(cpu, b->o->banks.s[i].start, b->o->banks.s[i].last);
	for (i = 0; i < map->num && map->regions[i].size; i++) {
		const struct region *r = &map->regions[i];

		axis_add(cpu, r->cpu, last_of(r->cpu, r->size));
		axis_add(dma, r->dma, last_of(r->dma, r->size));
	}
}

static void svg_panel(const struct board *b, const struct group *g, FILE *f, int left, int height)
{
	int bottom = height - 60, cpu_x = left + 110, dma_x = left + 330, w = 90, i;
	const struct map *map = &g->first->map;
	struct axis cpu, dma;
	const struct spans *banks = &b->o->banks;
	char path[PATH_LEN], size[32];
	int y[4];

	svg_axes(b, g, &cpu, &dma);
	fprintf(f, "<text x=\"%d\" y=\"42\" class=\"t\">", left + 10);
	print_xml(f, tree_path(b->t, g->first->node, path, sizeof(path)));
	fprintf(f, "%s</text>\n<text x=\"%d\" y=\"60\">", g->num > 1 ? " ..." : "", left + 10);
	fprintf(f, "%d device%s, %scoherent%s</text>\n", g->num, g->num > 1 ? "s" : "",
		g->first->coherent ? "" : "not ", g->first->iommu ? ", IOMMU" : "");
	fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" class=\"t\">CPU</text>\n",
		cpu_x + w / 2, bottom + 24);
	fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" class=\"t\">device</text>\n",
		dma_x + w / 2, bottom + 24);
	for (i = 0; i < b->ram.num; i++) {
		struct spans one = { 1, { b->ram.s[i] } };
		char what[64];

		snprintf(what, sizeof(what), "RAM %s", human(spans_size(&one), size));
		svg_box(f, cpu_x, axis_y(&cpu, b->ram.s[i].start, bottom),
			axis_y(&cpu, behind(b->ram.s[i].last), bottom), w, "#f6c89f", what);
	}
	/* Within reach: green, over RAM's colour; dom0's banks: a bar beside. */
	for (i = 0; i < g->first->direct.num; i++) {
		const struct span *s = &g->first->direct.s[i];

		if (map->result != MAP_OK && b->o->mask < 64)
			break;
		svg_box(f, cpu_x, axis_y(&cpu, s->start, bottom),
			axis_y(&cpu, behind(s->last), bottom), w, "#bfe3b4", "direct");
	}
	for (i = 0; i < banks->num; i++)
		svg_box(f, cpu_x + w + 4, axis_y(&cpu, banks->s[i].start, bottom),
			axis_y(&cpu, behind(banks->s[i].last), bottom), 12, "#7fa8d9", "");
	svg_axis(f, &cpu, cpu_x - 6, bottom, "end");
	if (map->result != MAP_OK) {
		fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">no offset</text>\n",
			dma_x + w / 2, bottom - 20);
		return;
	}
	for (i = 0; i < map->num && map->regions[i].size; i++) {
		const struct region *r = &map->regions[i];

		y[0] = axis_y(&cpu, r->cpu, bottom);
		y[1] = axis_y(&cpu, behind(last_of(r->cpu, r->size)), bottom);
		y[2] = axis_y(&dma, r->dma, bottom);
		y[3] = axis_y(&dma, behind(last_of(r->dma, r->size)), bottom);
		fprintf(f, "<polygon points=\"%d,%d %d,%d %d,%d %d,%d\" fill=\"#9cc\" fill-opacity=\".3\"/>\n",
			cpu_x + w + 18, y[0], cpu_x + w + 18, y[1], dma_x, y[3], dma_x, y[2]);
		svg_box(f, dma_x, y[2], y[3], w, "#cfe2f3", "");
		fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" class=\"o\">", dma_x + w / 2,
			(y[2] + y[3]) / 2 + 4);
		print_offset(f, r);
		fprintf(f, "</text>\n");
	}
	svg_axis(f, &dma, dma_x + w + 6, bottom, "start");
}

static int svg(const struct board *b, const char *name)
{
	int i, marks = 2, panels = b->num_groups < 8 ? b->num_groups : 8, height;
	struct axis cpu, dma;
	FILE *f = fopen(name, "w");

	if (!f)
		return -1;
	for (i = 0; i < panels; i++) {
		svg_axes(b, &b->groups[i], &cpu, &dma);
		marks = cpu.num > marks ? cpu.num : marks;
		marks = dma.num > marks ? dma.num : marks;
	}
	height = 150 + marks * STEP;
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n",
		panels * 560 + 20, height);
	fprintf(f, "<style>.t{font-weight:bold}.a{font-family:monospace;font-size:11px}.o{font-family:monospace;font-size:11px}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"10\" y=\"20\">Green: reached directly. Orange: bounced. Blue bar: dom0's banks. Heights are not to scale.</text>\n");
	for (i = 0; i < panels; i++)
		svg_panel(b, &b->groups[i], f, i * 560, height);
	fprintf(f, "</svg>\n");
	if (ferror(f)) {
		fclose(f);
		return -1;
	}
	return fclose(f);
}

int report(const struct tree *t, const struct options *o, FILE *out)
{
	struct board b;
	int rc = 0, i;

	if (o->raw) {
		raw(t, out);
		return 0;
	}
	if (collect(&b, t, o))
		return -1;
	if (o->json)
		json(&b, out);
	else
		text(&b, out);
	if (o->svg && svg(&b, o->svg)) {
		fprintf(stderr, "xen-dma-map: cannot write %s\n", o->svg);
		rc = -1;
	}
	/* A board on which something is wrong is no success. */
	for (i = 0; i < b.num; i++)
		if (b.masters[i].map.result == MAP_BAD || b.masters[i].map.result == MAP_LOOP)
			rc = rc ? rc : 3;
	if (o->banks.num && b.low_dom0 < o->need)
		rc = rc ? rc : 3;
	drop(&b);
	return rc;
}
