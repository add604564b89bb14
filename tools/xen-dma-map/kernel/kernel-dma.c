// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel says about the DMA of each node of a device tree: its own
 * drivers/of/address.c, built as a program (see Makefile). Prints the lines of
 * xen-dma-map --raw.
 */
#include "parts.h"
#include <libfdt.h>

struct device_node *of_root;

#include "address.c"

/* Nodes in the order of the flat tree, as unflatten_dt_nodes() links them. */
static struct device_node *unflatten(const void *blob)
{
	struct device_node *open[64], *np, *last = NULL, **tail;
	int offset, depth = 0, i, len;

	for (offset = 0; offset >= 0 && depth >= 0; offset = fdt_next_node(blob, offset, &depth)) {
		if (depth >= 64)
			exit(3);
		np = calloc(1, sizeof(*np));
		np->full_name = fdt_get_name(blob, offset, NULL);
		np->name = np->full_name;
		if (depth) {
			np->parent = open[depth - 1];
			for (tail = &np->parent->child; *tail; tail = &(*tail)->sibling)
				;
			*tail = np;
			last->allnext = np;
		} else {
			of_root = np;
		}
		last = np;
		open[depth] = np;
		struct property **prop = &np->properties;

		for (i = fdt_first_property_offset(blob, offset); i >= 0;
		     i = fdt_next_property_offset(blob, i)) {
			struct property *p = calloc(1, sizeof(*p));

			p->value = (void *)fdt_getprop_by_offset(blob, i, (const char **)&p->name,
								 &len);
			p->length = len;
			*prop = p;
			prop = &p->next;
			/* As populate_properties() in drivers/of/fdt.c. */
			if ((!strcmp(p->name, "phandle") || !strcmp(p->name, "linux,phandle")) &&
			    len == 4 && !np->phandle)
				np->phandle = be32_to_cpup(p->value);
			if (!strcmp(p->name, "ibm,phandle") && len == 4)
				np->phandle = be32_to_cpup(p->value);
		}
	}
	return of_root;
}

static void print_path(const struct device_node *np)
{
	if (np->parent) {
		print_path(np->parent);
		printf("/%s", np->full_name);
	}
}

int main(int argc, char **argv)
{
	const struct bus_dma_region *map, *r;
	struct device_node *np, *bus_np;
	static char blob[16 << 20];
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
	size_t len;
	int ret;

	if (!f)
		return 2;
	len = fread(blob, 1, sizeof(blob), f);
	fclose(f);
	if (fdt_check_full(blob, len))
		return 1;
	unflatten(blob);
	printf("max_cpu_address %#llx\n", (unsigned long long)of_dma_get_max_cpu_address(NULL));
	for (np = of_root; np; np = np->allnext) {
		map = NULL;
		/*
		 * of_dma_configure_id(); pci_dma_configure() gives it the host
		 * bridge's node, which is not the device's.
		 */
		bus_np = of_bus_pci_match(np) ? np : __of_get_dma_parent(np);
		ret = of_dma_get_range(bus_np, &map);
		if (np->parent)
			print_path(np);
		else
			printf("/");
		printf(" %s limit %#llx %s", ret == -ENODEV ? "none" : ret ? "bad" : "ok",
		       ret ? 0 : (unsigned long long)dma_range_map_max(map),
		       of_dma_is_coherent(np) ? "coherent" : "noncoherent");
		for (r = map; r && r->size; r++)
			printf(" %#llx=%#llx+%#llx", (unsigned long long)r->dma_start,
			       (unsigned long long)r->cpu_start, (unsigned long long)r->size);
		printf("\n");
		free((void *)map);
	}
	return 0;
}
