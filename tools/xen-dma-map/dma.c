// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's rules, function by function: drivers/of/address.c and
 * drivers/of/device.c of Linux 7.3. kernel/ next to this builds the kernel's
 * own file for comparison, so a difference here is an error here.
 */
#include <stdlib.h>
#include <string.h>

#include "dma-map.h"

#define MAX_ADDR_CELLS	4
#define RES_MEM		0x200u
#define RES_IO		0x100u
#define RES_PREFETCH	0x2000u
#define RES_MEM_64	0x100000u

enum bus { BUS_PCI, BUS_ISA, BUS_FLAGS, BUS_PLAIN, BUS_NONE };

bool dma_is_pci(const struct tree *t, int node)
{
	return tree_string(t, node, "device_type", "pci") ||
	       tree_string(t, node, "device_type", "pciex") ||
	       tree_string(t, node, "device_type", "vci") ||
	       tree_string(t, node, "device_type", "ht") || tree_name_is(t, node, "pcie");
}

/* of_match_bus() */
static enum bus match_bus(const struct tree *t, int node)
{
	if (dma_is_pci(t, node))
		return BUS_PCI;
	if (tree_name_is(t, node, "isa"))
		return BUS_ISA;
	if (!tree_prop(t, node, "#address-cells"))
		return BUS_NONE;
	return addr_cells(t, node) == 3 ? BUS_FLAGS : BUS_PLAIN;
}

static int flag_cells(enum bus bus)
{
	return bus != BUS_PLAIN;
}

/* ->count_cells(): of what lies below the bus, given a node there */
static bool count_cells(const struct tree *t, enum bus bus, int node, int *na, int *ns)
{
	int parent = t->nodes[node].parent >= 0 ? t->nodes[node].parent : node;

	switch (bus) {
	case BUS_PCI:
		*na = 3;
		*ns = 2;
		break;
	case BUS_ISA:
		*na = 2;
		*ns = 1;
		break;
	default:
		*na = addr_cells(t, parent);
		*ns = size_cells(t, parent);
		break;
	}
	return *na > 0 && *na <= MAX_ADDR_CELLS && *ns > 0;
}

/* ->get_flags() */
static uint32_t get_flags(enum bus bus, const uint8_t *p)
{
	uint32_t w = be32(p), flags = 0;

	switch (bus) {
	case BUS_PCI:
		switch (w >> 24 & 3) {
		case 1:
			flags = RES_IO;
			break;
		case 2:
			flags = RES_MEM;
			break;
		case 3:
			flags = RES_MEM | RES_MEM_64;
			break;
		}
		return flags | (w & 0x40000000 ? RES_PREFETCH : 0);
	case BUS_ISA:
		return w & 1 ? RES_IO : RES_MEM;
	case BUS_FLAGS:
		return w;
	default:
		return RES_MEM;
	}
}

/* ->map(): how far behind the start of the range the address is */
static uint64_t bus_map(enum bus bus, const uint8_t *addr, const uint8_t *range, int na, int ns,
			int pna)
{
	int fna = flag_cells(bus);
	uint64_t cp, s, da;

	switch (bus) {
	case BUS_PCI:
		if ((get_flags(bus, addr) ^ get_flags(bus, range)) & (RES_MEM | RES_IO))
			return BAD_ADDR;
		break;
	case BUS_ISA:
		if ((addr[3] ^ range[3]) & 1)
			return BAD_ADDR;
		break;
	case BUS_FLAGS:
		if (memcmp(addr, range, 4))
			return BAD_ADDR;
		break;
	default:
		break;
	}
	cp = cells(range + 4 * fna, na - fna);
	s = cells(range + 4 * (na + pna), ns);
	da = cells(addr + 4 * fna, na - fna);
	if (da < cp || da >= cp + s)
		return BAD_ADDR;
	return da - cp;
}

/* ->translate(): add the offset; what is no flag and no number becomes 0 */
static void bus_translate(enum bus bus, uint8_t *addr, uint64_t offset, int na)
{
	int fna = flag_cells(bus), i;
	uint64_t a;

	addr += 4 * fna;
	na -= fna;
	a = cells(addr, na) + offset;
	for (i = na - 1; i >= 0; i--, a >>= 32) {
		addr[4 * i] = a >> 24;
		addr[4 * i + 1] = a >> 16;
		addr[4 * i + 2] = a >> 8;
		addr[4 * i + 3] = a;
	}
}

/* of_parse_phandle_with_args() for "interconnects": the node, or -1 */
static int interconnect(const struct tree *t, int node, int index)
{
	const struct prop *p = tree_prop(t, node, "interconnects");
	unsigned int at = 0;
	uint32_t phandle, count;
	int to;

	if (!p)
		return -1;
	for (; at + 4 <= p->len; index--) {
		phandle = be32(p->data + at);
		at += 4;
		to = -1;
		count = 0;
		if (phandle) {
			to = tree_by_phandle(t, phandle);
			if (to < 0 || !tree_u32(t, to, "#interconnect-cells", &count) ||
			    count > (p->len - at) / 4)
				return -1;
		}
		if (!index)
			return to;
		at += count * 4;
	}
	return -1;
}

/* __of_get_dma_parent() */
int dma_parent(const struct tree *t, int node)
{
	int index = tree_string_index(t, node, "interconnect-names", "dma-mem"), to;

	if (index < 0)
		return t->nodes[node].parent;
	to = interconnect(t, node, index);
	return to < 0 ? t->nodes[node].parent : to;
}

/* of_translate_one(); addr has room for MAX_ADDR_CELLS */
static bool translate_one(const struct tree *t, int node, enum bus bus, enum bus pbus,
			  uint8_t *addr, int na, int ns, int pna)
{
	const struct prop *p = tree_prop(t, node, "dma-ranges");
	uint64_t offset = BAD_ADDR;
	const uint8_t *range;
	int64_t left, one;
	int fna;

	/* No property is as good as an empty one, if it is dma-ranges. */
	if (!p || !p->len) {
		offset = cells(addr, na);
		fna = flag_cells(pbus);
		if (pna > fna)
			memset(addr + 4 * fna, 0, 4 * (pna - fna));
	} else {
		one = (int64_t)na + pna + ns;
		range = p->data;
		for (left = p->len / 4; left >= one; left -= one, range += 4 * one) {
			offset = bus_map(bus, addr, range, na, ns, pna);
			if (offset != BAD_ADDR)
				break;
		}
		if (offset == BAD_ADDR)
			return false;
		memcpy(addr, range + 4 * na, 4 * pna);
	}
	bus_translate(pbus, addr, offset, pna);
	return true;
}

/*
 * __of_translate_address() for dma-ranges. The kernel takes what lies behind
 * the property when an interconnect's bus has more cells: here it is 0.
 */
static uint64_t translate(const struct tree *t, int node, const uint8_t *in, size_t room)
{
	uint8_t addr[4 * MAX_ADDR_CELLS] = { 0 };
	int parent = dma_parent(t, node), na, ns, pna, pns, steps;
	enum bus bus, pbus;

	if (parent < 0)
		return BAD_ADDR;
	bus = match_bus(t, parent);
	if (bus == BUS_NONE || !count_cells(t, bus, node, &na, &ns))
		return BAD_ADDR;
	memcpy(addr, in, room < 4u * na ? room : 4u * na);
	for (steps = 0; steps < MAX_DEPTH * 4; steps++) {
		node = parent;
		parent = dma_parent(t, node);
		if (parent < 0)
			return cells(addr, na);
		pbus = match_bus(t, parent);
		if (pbus == BUS_NONE || !count_cells(t, pbus, node, &pna, &pns))
			return BAD_ADDR;
		if (!translate_one(t, node, bus, pbus, addr, na, ns, pna))
			return BAD_ADDR;
		na = pna;
		ns = pns;
		bus = pbus;
	}
	return BAD_ADDR;
}

struct parser {
	const struct tree *t;
	int node, na, ns, pna;
	enum bus bus;
	const uint8_t *at, *end;
};

struct range {
	uint64_t bus, cpu, size;
	uint32_t flags;
};

/* parser_init() */
static bool parser_init(struct parser *p, const struct tree *t, int node)
{
	const struct prop *ranges = tree_prop(t, node, "dma-ranges");
	int parent = t->nodes[node].parent;

	memset(p, 0, sizeof(*p));
	p->t = t;
	p->node = node;
	p->pna = addr_cells(t, parent >= 0 ? parent : node);
	p->na = addr_cells(t, node);
	p->ns = size_cells(t, node);
	p->bus = match_bus(t, node);
	if (!ranges || p->bus == BUS_NONE || p->na <= 0 || p->na > MAX_ADDR_CELLS || p->ns <= 0 ||
	    p->pna <= 0 || p->pna > MAX_ADDR_CELLS)
		return false;
	p->at = ranges->data;
	p->end = ranges->data + ranges->len / 4 * 4;
	return true;
}

static bool parse_entry(struct parser *p, struct range *r)
{
	int64_t len = 4 * ((int64_t)p->pna + p->na + p->ns);
	int fna = flag_cells(p->bus);
	const uint8_t *up = p->at + 4 * p->na;

	if (!p->at || p->end - p->at < len)
		return false;
	r->flags = get_flags(p->bus, p->at);
	r->bus = cells(p->at + 4 * fna, p->na - fna);
	r->cpu = translate(p->t, p->node, up, p->end - up);
	r->size = cells(up + 4 * p->pna, p->ns);
	p->at += len;
	return true;
}

/* of_pci_range_parser_one(): entries that go on where one ends become one */
static bool parser_one(struct parser *p, struct range *r)
{
	const uint8_t *at;
	struct range next;

	if (!parse_entry(p, r))
		return false;
	for (at = p->at; parse_entry(p, &next); at = p->at) {
		if (next.flags != r->flags || next.bus != r->bus + r->size ||
		    next.cpu != r->cpu + r->size)
			break;
		r->size += next.size;
	}
	p->at = at;
	return true;
}

/* of_dma_get_range(), given where to begin; dma_map_free() afterwards */
int dma_get_map(const struct tree *t, int node, struct map *m)
{
	const struct prop *ranges = NULL;
	struct region *regions = NULL;
	bool found = false;
	struct parser p;
	struct range r;
	int steps, room = 0;

	memset(m, 0, sizeof(*m));
	m->from = -1;
	m->result = MAP_NONE;
	for (steps = 0; node >= 0; steps++, node = dma_parent(t, node)) {
		if (steps > MAX_DEPTH * 4) {
			m->result = MAP_LOOP;
			return 0;
		}
		ranges = tree_prop(t, node, "dma-ranges");
		/* The root is no bus: addresses below it are the CPU's. */
		if (!ranges && t->nodes[node].parent >= 0)
			m->spec_no_mapping = true;
		if (ranges && ranges->len)
			break;
		if (found && !ranges)
			return 0;
		found = true;
	}
	if (node < 0)
		return 0;

	m->from = node;
	m->result = MAP_BAD;
	if (!parser_init(&p, t, node))
		return 0;
	while (parser_one(&p, &r)) {
		if (r.cpu == BAD_ADDR)
			continue;
		if (m->num == room) {
			room = room ? room * 2 : 8;
			regions = realloc(m->regions, room * sizeof(*regions));
			if (!regions) {
				dma_map_free(m);
				return -1;
			}
			m->regions = regions;
		}
		m->regions[m->num++] = (struct region){ r.cpu, r.bus, r.size };
	}
	if (m->num)
		m->result = MAP_OK;
	/* dma_range_map_max(): an entry without a size ends the map */
	for (steps = 0; steps < m->num && m->regions[steps].size; steps++) {
		uint64_t last = m->regions[steps].dma + m->regions[steps].size - 1;

		m->limit = last > m->limit ? last : m->limit;
	}
	return 0;
}

/* of_dma_is_coherent(); -1 where it would go in a circle */
static int coherent(const struct tree *t, int node)
{
	int steps;

	for (steps = 0; node >= 0; steps++, node = dma_parent(t, node)) {
		if (steps > MAX_DEPTH * 4)
			return -1;
		if (tree_prop(t, node, "dma-coherent"))
			return 1;
		if (tree_prop(t, node, "dma-noncoherent"))
			return 0;
	}
	/* dma_default_coherent of Arm */
	return 0;
}

/* of_dma_configure(): behind a PCI host bridge the bridge itself counts */
void dma_map_device(const struct tree *t, int node, struct map *m)
{
	int from = dma_is_pci(t, node) ? node : dma_parent(t, node);

	if (dma_get_map(t, from, m)) {
		m->result = MAP_BAD;
		m->num = 0;
	} else if (coherent(t, node) < 0) {
		dma_map_free(m);
		m->result = MAP_LOOP;
	}
}

void dma_map_free(struct map *m)
{
	free(m->regions);
	m->regions = NULL;
	m->num = 0;
}

bool dma_is_coherent(const struct tree *t, int node)
{
	return coherent(t, node) > 0;
}

/* of_dma_get_max_cpu_address(): where arm64 ends ZONE_DMA, or UINT64_MAX */
uint64_t dma_max_cpu_address(const struct tree *t)
{
	uint64_t max = UINT64_MAX, end;
	const struct prop *ranges;
	struct parser p;
	struct range r;
	int i;

	for (i = 0; i < t->num_nodes; i++) {
		if (i && !tree_available(t, i)) {
			i = t->nodes[i].end - 1;
			continue;
		}
		ranges = tree_prop(t, i, "dma-ranges");
		if (!ranges || !ranges->len || !parser_init(&p, t, i))
			continue;
		end = 0;
		while (parser_one(&p, &r))
			if (r.cpu + r.size > end)
				end = r.cpu + r.size - 1;
		max = end < max ? end : max;
	}
	return max;
}

/* A bus whose children the kernel makes devices of (drivers/of/platform.c) */
static bool is_bus(const struct tree *t, int node)
{
	static const char * const buses[] = {
		"simple-bus", "simple-mfd", "isa", "arm,amba-bus", "simple-pm-bus",
	};
	unsigned int i;

	for (i = 0; i < sizeof(buses) / sizeof(*buses); i++)
		if (tree_string_index(t, node, "compatible", buses[i]) >= 0)
			return true;
	return false;
}

/*
 * A device tree does not say which devices do DMA. Taken for one that may: what
 * the kernel makes a device of, has registers or says something about its DMA,
 * and is no memory, bus, clock or the like.
 */
bool dma_is_master(const struct tree *t, int node)
{
	static const char * const other[] = {
		"interrupt-controller", "#clock-cells", "gpio-controller", "#phy-cells",
		"#mbox-cells", "#hwspinlock-cells", "#nvmem-cell-cells",
		"#thermal-sensor-cells", "#iommu-cells", "#pwm-cells", "#reset-cells",
		"#power-domain-cells", "#interconnect-cells",
	};
	static const char * const says[] = {
		"dma-coherent", "dma-noncoherent", "iommus", "#dma-cells", "dmas",
		"interconnects", "dma-channels", "memory-region",
	};
	const struct node *n = &t->nodes[node];
	unsigned int i;
	int up;

	if (n->parent < 0 || !tree_prop(t, node, "compatible"))
		return false;
	if (n->parent == 0 && (tree_prop(t, node, "device_type") ||
			       tree_name_is(t, node, "reserved-memory")) && !dma_is_pci(t, node))
		return false;
	for (up = node; up > 0; up = t->nodes[up].parent) {
		if (!tree_available(t, up))
			return false;
		if (up != node && !is_bus(t, up))
			return false;
	}
	if (dma_is_pci(t, node))
		return true;
	if (is_bus(t, node))
		return false;
	for (i = 0; i < sizeof(says) / sizeof(*says); i++)
		if (tree_prop(t, node, says[i]))
			return true;
	for (i = 0; i < sizeof(other) / sizeof(*other); i++)
		if (tree_prop(t, node, other[i]))
			return false;
	return tree_prop(t, node, "reg");
}

bool dma_has_iommu(const struct tree *t, int node)
{
	return tree_prop(t, node, "iommus") || tree_prop(t, node, "iommu-map");
}
