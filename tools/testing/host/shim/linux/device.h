/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_DEVICE_H
#define SHIM_LINUX_DEVICE_H

struct bus_dma_region;

struct device {
	const struct bus_dma_region *dma_range_map;
};

#endif
