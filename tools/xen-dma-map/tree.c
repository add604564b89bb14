// SPDX-License-Identifier: GPL-2.0-only
/*
 * A flat device tree into arrays, every bound checked: a tree may come from
 * anywhere.
 */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "dma-map.h"

uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* As of_read_number(): of more than two cells the last two count. */
uint64_t cells(const uint8_t *p, int num)
{
	uint64_t value = 0;

	for (; num > 0; num--, p += 4)
		value = value << 32 | be32(p);
	return value;
}

static int fail(struct tree *t, const char *what, const char *why)
{
	snprintf(t->error, sizeof(t->error), "%s%s%s", what, why ? ": " : "", why ? why : "");
	return -1;
}

static void take_phandle(struct node *n, const struct prop *p)
{
	if (p->len != 4)
		return;
	if (!strcmp(p->name, "ibm,phandle") ||
	    (!n->phandle && (!strcmp(p->name, "phandle") || !strcmp(p->name, "linux,phandle"))))
		n->phandle = be32(p->data);
}

/* A place in the structure block, and what is left of the blob. */
struct cursor {
	const uint8_t *at, *end;
	const char *strings, *strings_end;
};

static bool take(struct cursor *c, size_t len)
{
	len = (len + 3) & ~(size_t)3;
	if (len > (size_t)(c->end - c->at))
		return false;
	c->at += len;
	return true;
}

static bool take_cell(struct cursor *c, uint32_t *value)
{
	const uint8_t *p = c->at;

	if (!take(c, 4))
		return false;
	*value = be32(p);
	return true;
}

static int begin_node(struct tree *t, struct cursor *c, int parent, int *space)
{
	const char *name = (const char *)c->at;
	size_t len = strnlen(name, c->end - c->at);
	struct node *n;

	if (!take(c, len + 1))
		return fail(t, "the device tree is damaged", "a node's name");
	if (t->num_nodes == MAX_NODES)
		return fail(t, "too many nodes", NULL);
	if (t->num_nodes == *space) {
		*space = *space ? *space * 2 : 1024;
		n = realloc(t->nodes, *space * sizeof(*n));
		if (!n)
			return fail(t, "out of memory", NULL);
		t->nodes = n;
	}
	n = &t->nodes[t->num_nodes++];
	memset(n, 0, sizeof(*n));
	n->name = name;
	n->parent = parent;
	n->first_prop = t->num_props;
	return 0;
}

static int one_prop(struct tree *t, struct cursor *c, int node, int *space)
{
	uint32_t len, name;
	struct prop *p;

	if (!take_cell(c, &len) || !take_cell(c, &name))
		return fail(t, "the device tree is damaged", "a property's head");
	if (t->num_props == MAX_PROPS)
		return fail(t, "too many properties", NULL);
	if (t->num_props == *space) {
		*space = *space ? *space * 2 : 4096;
		p = realloc(t->props, *space * sizeof(*p));
		if (!p)
			return fail(t, "out of memory", NULL);
		t->props = p;
	}
	p = &t->props[t->num_props++];
	p->data = c->at;
	p->len = len;
	if (len > INT32_MAX || !take(c, len))
		return fail(t, "the device tree is damaged", "a property's value");
	if (name >= (size_t)(c->strings_end - c->strings) ||
	    !memchr(c->strings + name, 0, c->strings_end - c->strings - name))
		return fail(t, "the device tree is damaged", "a property's name");
	p->name = c->strings + name;
	/* Each entry of one is looked up in those of the bus above. */
	if (!strcmp(p->name, "dma-ranges") && len > MAX_RANGES)
		return fail(t, "a dma-ranges is longer than any", NULL);
	t->nodes[node].num_props++;
	take_phandle(&t->nodes[node], p);
	return 0;
}

static int walk(struct tree *t, struct cursor *c)
{
	int open[MAX_DEPTH], depth = 0, props = 0, nodes = 0;
	bool after_child = false;
	uint32_t token;

	do {
		if (!take_cell(c, &token))
			return fail(t, "the device tree is damaged", "it has no end");
		switch (token) {
		case FDT_BEGIN_NODE:
			if (depth == MAX_DEPTH)
				return fail(t, "nodes too deep in each other", NULL);
			if (!depth && t->num_nodes)
				return fail(t, "the device tree is damaged", "two root nodes");
			if (begin_node(t, c, depth ? open[depth - 1] : -1, &nodes))
				return -1;
			open[depth++] = t->num_nodes - 1;
			after_child = false;
			break;
		case FDT_END_NODE:
			if (!depth)
				return fail(t, "the device tree is damaged", "an end too many");
			t->nodes[open[--depth]].end = t->num_nodes;
			after_child = true;
			break;
		case FDT_PROP:
			if (!depth || after_child)
				return fail(t, "the device tree is damaged", "a property outside of a node");
			if (one_prop(t, c, open[depth - 1], &props))
				return -1;
			break;
		case FDT_NOP:
		case FDT_END:
			break;
		default:
			return fail(t, "the device tree is damaged", "an unknown token");
		}
	} while (token != FDT_END);
	if (depth || !t->num_nodes)
		return fail(t, "the device tree is damaged", "it ends within a node");
	return 0;
}

/*
 * Reads the blob, which must stay until tree_free(). Returns 0, or -1 with the
 * reason in t->error. Not with libfdt's functions for nodes and properties:
 * fdt_check_full() of libfdt 1.6.1 does not come back from some damaged trees
 * (found by make fuzz).
 */
int tree_read(struct tree *t, const void *blob, size_t size)
{
	struct cursor c;
	uint64_t len;
	int rc;

	memset(t, 0, sizeof(*t));
	if (size < sizeof(struct fdt_header))
		return fail(t, "not a device tree", "too short");
	rc = fdt_check_header(blob);
	if (rc)
		return fail(t, "not a device tree", fdt_strerror(rc));
	if (fdt_version(blob) < 16)
		return fail(t, "not a device tree", "older than version 16");
	if (fdt_totalsize(blob) > size)
		return fail(t, "the device tree is cut off", NULL);
	size = fdt_totalsize(blob);
	len = fdt_version(blob) >= 17 ? fdt_size_dt_struct(blob) : size - fdt_off_dt_struct(blob);
	if (fdt_off_dt_struct(blob) > size || len > size - fdt_off_dt_struct(blob) ||
	    fdt_off_dt_strings(blob) > size ||
	    fdt_size_dt_strings(blob) > size - fdt_off_dt_strings(blob))
		return fail(t, "the device tree is damaged", "its header");
	c.at = (const uint8_t *)blob + fdt_off_dt_struct(blob);
	c.end = c.at + len;
	c.strings = (const char *)blob + fdt_off_dt_strings(blob);
	c.strings_end = c.strings + fdt_size_dt_strings(blob);
	return walk(t, &c);
}

void tree_free(struct tree *t)
{
	free(t->nodes);
	free(t->props);
	memset(t, 0, sizeof(*t));
}

const struct prop *tree_prop(const struct tree *t, int node, const char *name)
{
	const struct node *n = &t->nodes[node];
	int i;

	for (i = n->first_prop; i < n->first_prop + n->num_props; i++)
		if (!strcmp(t->props[i].name, name))
			return &t->props[i];
	return NULL;
}

bool tree_u32(const struct tree *t, int node, const char *name, uint32_t *value)
{
	const struct prop *p = tree_prop(t, node, name);

	if (!p || p->len < 4)
		return false;
	*value = be32(p->data);
	return true;
}

/* Where a string is in a list of strings; as of_property_match_string(). */
int tree_string_index(const struct tree *t, int node, const char *name, const char *value)
{
	const struct prop *p = tree_prop(t, node, name);
	unsigned int at = 0, len;
	int i;

	for (i = 0; p && at < p->len; i++, at += len + 1) {
		len = strnlen((const char *)p->data + at, p->len - at);
		if (len == p->len - at)
			return -1;
		if (!strcmp((const char *)p->data + at, value))
			return i;
	}
	return -1;
}

/* Whether the property is this one string. */
bool tree_string(const struct tree *t, int node, const char *name, const char *value)
{
	const struct prop *p = tree_prop(t, node, name);

	return p && p->len && strnlen((const char *)p->data, p->len) < p->len &&
	       !strcmp((const char *)p->data, value);
}

int tree_by_phandle(const struct tree *t, uint32_t phandle)
{
	int i;

	for (i = 0; phandle && i < t->num_nodes; i++)
		if (t->nodes[i].phandle == phandle)
			return i;
	return -1;
}

/* Of the node itself, as of_device_is_available(). */
bool tree_available(const struct tree *t, int node)
{
	const struct prop *p = tree_prop(t, node, "status");

	return !p || (p->len && (tree_string(t, node, "status", "okay") ||
				 tree_string(t, node, "status", "ok")));
}

/* The name without the unit address. */
bool tree_name_is(const struct tree *t, int node, const char *name)
{
	size_t len = strcspn(t->nodes[node].name, "@");

	return len == strlen(name) && !strncmp(t->nodes[node].name, name, len);
}

const char *tree_path(const struct tree *t, int node, char *buf, size_t size)
{
	size_t at = size - 1, len;

	buf[at] = 0;
	if (node >= 0 && t->nodes[node].parent < 0)
		return "/";
	for (; node >= 0 && t->nodes[node].parent >= 0; node = t->nodes[node].parent) {
		len = strlen(t->nodes[node].name);
		if (len + 1 > at)
			break;
		at -= len;
		memcpy(buf + at, t->nodes[node].name, len);
		buf[--at] = '/';
	}
	return buf + at;
}

static int bus_cells(const struct tree *t, int bus, const char *name)
{
	uint32_t value;

	for (; bus >= 0; bus = t->nodes[bus].parent)
		if (tree_u32(t, bus, name, &value))
			return (int32_t)value;
	return 1;
}

int addr_cells(const struct tree *t, int bus)
{
	return bus_cells(t, bus, "#address-cells");
}

int size_cells(const struct tree *t, int bus)
{
	return bus_cells(t, bus, "#size-cells");
}
