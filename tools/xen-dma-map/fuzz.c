// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a device tree, in every form of output: libFuzzer's entry
 * (make fuzz). Half of the runs get the blob's header repaired, so that what
 * lies behind it is reached.
 */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "dma-map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	struct options o = { .mask = 64, .need = 128 << 20, .svg = "/dev/null" };
	struct tree t;
	uint8_t *blob;

	if (size < 1 || size > 65536)
		return 0;
	if (!null)
		null = fopen("/dev/null", "w");
	/* A copy of its own size: reading past it is seen. */
	blob = malloc(size - 1 ? size - 1 : 1);
	memcpy(blob, data + 1, size - 1);
	if (*data & 1 && size - 1 >= sizeof(struct fdt_header)) {
		fdt_set_magic(blob, FDT_MAGIC);
		fdt_set_version(blob, 17);
		fdt_set_last_comp_version(blob, 16);
		fdt_set_totalsize(blob, size - 1);
	}
	o.mask = *data & 2 ? 32 : 64;
	if (*data & 4)
		spans_add(&o.ram, 0, 0x7fffffff);
	if (*data & 8)
		spans_add(&o.banks, 0x10000000, 0x2fffffff);
	o.all = *data & 16;
	if (!tree_read(&t, blob, size - 1)) {
		report(&t, &o, null);
		o.json = true;
		o.svg = NULL;
		report(&t, &o, null);
		o.raw = true;
		report(&t, &o, null);
	}
	tree_free(&t);
	free(blob);
	return 0;
}
