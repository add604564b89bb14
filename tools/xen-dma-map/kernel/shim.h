/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What drivers/of/address.c needs of the kernel to be built as a program:
 * types, nodes without reference counts, and stubs for what it does with MMIO.
 * Everything about device trees comes from the kernel's own files.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef u32 __be32;
typedef u64 __be64;
typedef u64 phys_addr_t, dma_addr_t, resource_size_t;
typedef u32 phandle;

#define CONFIG_PCI 1
#define CONFIG_OF_ADDRESS 1
#define CONFIG_HAS_DMA 1
/* Only these are asked for with IS_ENABLED(). */
#define is_enabled_CONFIG_PCI 1
#define is_enabled_CONFIG_PPC 0
#define IS_ENABLED(x) is_enabled_##x

#define __init
#define __iomem
#define __free(x)
#define __maybe_unused __attribute__((unused))
#define VISIBLE_IF_KUNIT
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define EXPORT_SYMBOL_IF_KUNIT(x)
#define pr_debug(...) do { } while (0)
#define pr_err(...) do { } while (0)
#define pr_warn(...) do { } while (0)
#define pr_warn_once(...) do { } while (0)
#define of_dump_addr(...) do { } while (0)
#define WARN_ONCE(...) do { } while (0)
#define WARN_ON(x) (x)
#define unreachable() __builtin_unreachable()
#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
#define PHYS_ADDR_MAX (~(phys_addr_t)0)
#define OF_BAD_ADDR ((u64)-1)
#define OF_ROOT_NODE_ADDR_CELLS_DEFAULT 1
#define OF_ROOT_NODE_SIZE_CELLS_DEFAULT 1
#define NR_FWNODE_REFERENCE_ARGS 16
#define MAX_PHANDLE_ARGS NR_FWNODE_REFERENCE_ARGS
#define ENOTSUPP 524
#define overflows_type(a, b) ((void)(b), false)
#define wrapping_sub(t, a, b) ((t)((a) - (b)))
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define no_free_ptr(x) (x)
#define kzalloc_objs(x, n) calloc(n, sizeof(x))
#define kbasename(x) (x)
#define cpu_to_be32(x) htobe32(x)
#define be32_to_cpu(x) be32toh(x)
#define be32_to_cpup(p) be32toh(*(const u32 *)(p))
#define IS_ERR(p) ((unsigned long)(p) >= (unsigned long)-4095)
#define ERR_PTR(e) ((void *)(long)(e))
#define PTR_ERR(p) ((long)(p))
#define IOMEM_ERR_PTR(e) ERR_PTR(e)
#define max(a, b) ((a) > (b) ? (a) : (b))
#define raw_spin_lock_irqsave(l, f) ((void)(f))
#define raw_spin_unlock_irqrestore(l, f) ((void)(f))

#define IORESOURCE_IO 0x100
#define IORESOURCE_MEM 0x200
#define IORESOURCE_PREFETCH 0x2000
#define IORESOURCE_MEM_64 0x100000
#define IORESOURCE_MEM_NONPOSTED 0x400
#define PCI_BASE_ADDRESS_0 0x10
#define LOGIC_PIO_CPU_MMIO 1

static inline const char *strchrnul_(const char *s, int c)
{
	while (*s && *s != (char)c)
		s++;
	return s;
}

#define strchrnul(s, c) strchrnul_(s, c)

struct fwnode_handle { int none; };
struct resource {
	u64 start, end;
	const char *name;
	unsigned long flags;
	struct resource *parent, *child, *sibling;
};

struct logic_pio_hwaddr { unsigned long flags; };

struct property {
	char *name;
	int length;
	void *value;
	struct property *next;
};

struct device_node {
	const char *name;
	phandle phandle;
	const char *full_name;
	struct fwnode_handle fwnode;
	struct property *properties;
	struct device_node *parent, *child, *sibling, *allnext;
};

extern struct device_node *of_root;
static const bool dma_default_coherent;

static inline struct device_node *of_node_get(const struct device_node *np)
{
	return (struct device_node *)np;
}

static inline void of_node_put(struct device_node *np) { (void)np; }

/* Registers are of no interest here. */
#define find_io_range_by_fwnode(f) ((struct logic_pio_hwaddr *)NULL)
#define pci_register_io_range(f, a, s) ((void)(f), -EINVAL)
#define pci_address_to_pio(a) ((unsigned long)-1)
#define logic_pio_trans_hwaddr(f, a, s) ((unsigned long)-1)
#define ioremap(a, s) NULL
#define ioremap_np(a, s) NULL
#define request_mem_region(a, s, n) NULL
#define release_mem_region(a, s) do { } while (0)
#define resource_size(r) ((r)->end - (r)->start + 1)

/* Declared in headers of which only parts are taken. */
struct of_bus;
struct of_pci_range_parser;
struct of_pci_range;
struct bus_dma_region;
int of_pci_range_parser_init(struct of_pci_range_parser *p, struct device_node *n);
struct of_pci_range *of_pci_range_parser_one(struct of_pci_range_parser *p,
					     struct of_pci_range *r);
const void *__of_get_property(const struct device_node *np, const char *name, int *lenp);
const __be32 *__of_get_address(struct device_node *n, int i, int bar, u64 *s, unsigned int *f);
u64 of_translate_address(struct device_node *n, const __be32 *in);
u64 of_translate_dma_address(struct device_node *n, const __be32 *in);
int of_address_to_resource(struct device_node *n, int i, struct resource *r);
#define of_get_address(n, i, s, f) __of_get_address(n, i, -1, s, f)
#define of_range_parser_init of_pci_range_parser_init
#define of_property_read_string_index(...) do { } while (0)
#define of_device_is_compatible(n, c) false
#define of_machine_is_compatible(c) false
#define of_property_present(np, name) of_property_read_bool(np, name)
static inline struct device_node *of_find_node_by_phandle(phandle handle)
{
	struct device_node *np;

	for (np = of_root; np; np = np->allnext)
		if (handle && np->phandle == handle)
			break;
	return np;
}
