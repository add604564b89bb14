/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xen-dma-map: what a board's device tree says about DMA.
 *
 * tree.c reads a flat tree into arrays, once, with every bound checked; dma.c
 * has the rules of the kernel (drivers/of/address.c, drivers/of/device.c) on
 * these arrays; report.c says it to people and machines.
 */
#ifndef DMA_MAP_H
#define DMA_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_NODES	32768
#define MAX_PROPS	1048576
#define MAX_DEPTH	64
#define MAX_RANGES	16384	/* bytes */
#define MAX_SPANS	256
#define BAD_ADDR	UINT64_MAX

struct prop {
	const char *name;
	const uint8_t *data;
	unsigned int len;
};

struct node {
	const char *name;
	int parent;		/* -1: the root */
	int end;		/* number of the first node behind the subtree */
	int first_prop, num_props;
	uint32_t phandle;
};

struct tree {
	struct node *nodes;
	struct prop *props;
	int num_nodes, num_props;
	char error[160];
};

/* [start, last], so that the end of the address space can be said */
struct span {
	uint64_t start, last;
};

struct spans {
	int num;
	struct span s[MAX_SPANS];
};

struct region {
	uint64_t cpu, dma, size;
};

enum map_result {
	MAP_OK,			/* regions from a dma-ranges property */
	MAP_NONE,		/* -ENODEV: no dma-ranges that says anything */
	MAP_BAD,		/* -EINVAL: there is one, and no entry is of use */
	MAP_LOOP,		/* DMA parents in a circle: the kernel would hang */
};

struct map {
	enum map_result result;
	int num;
	int from;		/* node of the dma-ranges, -1 if none */
	bool spec_no_mapping;	/* a bus without dma-ranges on the way up */
	uint64_t limit;		/* dev->bus_dma_limit; 0: none */
	struct region *regions;
};

/* tree.c */
int tree_read(struct tree *t, const void *blob, size_t size);
void tree_free(struct tree *t);
const struct prop *tree_prop(const struct tree *t, int node, const char *name);
bool tree_u32(const struct tree *t, int node, const char *name, uint32_t *value);
bool tree_string(const struct tree *t, int node, const char *name, const char *value);
int tree_string_index(const struct tree *t, int node, const char *name, const char *value);
int tree_by_phandle(const struct tree *t, uint32_t phandle);
bool tree_available(const struct tree *t, int node);
bool tree_name_is(const struct tree *t, int node, const char *name);
const char *tree_path(const struct tree *t, int node, char *buf, size_t size);
uint32_t be32(const uint8_t *p);
uint64_t cells(const uint8_t *p, int num);
int addr_cells(const struct tree *t, int bus);
int size_cells(const struct tree *t, int bus);

/* dma.c */
bool dma_is_pci(const struct tree *t, int node);
int dma_parent(const struct tree *t, int node);
int dma_get_map(const struct tree *t, int node, struct map *m);
void dma_map_device(const struct tree *t, int node, struct map *m);
void dma_map_free(struct map *m);
bool dma_is_coherent(const struct tree *t, int node);
uint64_t dma_max_cpu_address(const struct tree *t);
bool dma_is_master(const struct tree *t, int node);
bool dma_has_iommu(const struct tree *t, int node);

/* spans.c */
void spans_add(struct spans *s, uint64_t start, uint64_t last);
void spans_and(struct spans *out, const struct spans *a, const struct spans *b);
void spans_minus(struct spans *out, const struct spans *a, const struct spans *b);
uint64_t spans_size(const struct spans *s);

/* report.c */
struct options {
	struct spans ram, banks, used;	/* from the command line */
	unsigned int mask;		/* bits of a driver's mask */
	uint64_t need;			/* bytes that dom0 needs in reach */
	bool all, json, raw;
	const char *svg;
};

int report(const struct tree *t, const struct options *o, FILE *out);

#endif
