// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "dma-map.h"

#define MAX_SIZE (16u << 20)

static const char usage[] =
"NAME\n"
"    xen-dma-map - what a board's device tree means for DMA in a Xen dom0\n"
"\n"
"SYNOPSIS\n"
"    xen-dma-map [OPTION]... BOARD.dtb\n"
"\n"
"DESCRIPTION\n"
"    Reads a flat device tree (a file, - for stdin, /sys/firmware/fdt on the board) and\n"
"    says for each device that may do DMA: the offset between physical and DMA addresses,\n"
"    what it reaches, whether it is cache-coherent, what part of the RAM it reaches\n"
"    directly and what must be bounced; and whether dom0's memory is enough, and which\n"
"    dom0_mem would do. The rules are those of Linux 7.3 on Arm. Behind a PCI host bridge\n"
"    its devices see what is said of the bridge.\n"
"\n"
"    A device tree does not name the devices that do DMA: shown is what Linux makes a\n"
"    device of and what has registers, less interrupt controllers, clocks and the like.\n"
"\n"
"OPTIONS\n"
"    --ram START:SIZE    the RAM (repeat it), instead of what the device tree says.\n"
"                        The Raspberry Pi's firmware fills this in; from a dtb file\n"
"                        it is missing. START and SIZE: 0x40000000, 1G, 948M\n"
"    --bank START:SIZE   dom0's memory (repeat it): the BANK lines of Xen's console\n"
"    --used START:SIZE   memory that Xen, dom0's kernel and initramfs take (repeat it)\n"
"    --need SIZE         what dom0 needs in reach of all devices (default 128M: the\n"
"                        bounce pool of 64M, and as much for what drivers allocate)\n"
"    --mask BITS         a driver's DMA mask (default 64)\n"
"    --all               name every device, not only the first ones of a kind\n"
"    --json              JSON instead of text\n"
"    --svg FILE          draw an address map as well\n"
"    --raw               a line for each node, device or not, to compare with the kernel\n"
"    --help              this\n"
"\n"
"EXIT STATUS\n"
"    0 fine; 1 not a usable device tree; 2 wrong usage;\n"
"    3 shown, but something is wrong: a dma-ranges that cannot be used, not enough memory\n"
"\n"
"EXAMPLE\n"
"    xen-dma-map --ram 0:948M --ram 1G:1G --bank 0x10000000:640M bcm2711-rpi-4-b.dtb\n";

static int die(const char *what, const char *why)
{
	fprintf(stderr, "xen-dma-map: %s: %s\n", what, why);
	return 1;
}

static bool number(const char *s, char **end, uint64_t *value)
{
	unsigned int shift = 0;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*value = strtoull(s, end, 0);
	if (errno)
		return false;
	if (**end == 'K')
		shift = 10;
	else if (**end == 'M')
		shift = 20;
	else if (**end == 'G')
		shift = 30;
	if (shift)
		(*end)++;
	if (*value << shift >> shift != *value)
		return false;
	*value <<= shift;
	return true;
}

static bool span(const char *s, struct spans *to)
{
	uint64_t start, size;
	char *end;

	if (!number(s, &end, &start) || *end != ':' || !number(end + 1, &end, &size) || *end)
		return false;
	if (!size || start + size - 1 < start || to->num == MAX_SPANS)
		return false;
	spans_add(to, start, start + size - 1);
	return true;
}

static void *read_all(const char *name, size_t *size)
{
	FILE *f = strcmp(name, "-") ? fopen(name, "rb") : stdin;
	void *blob = malloc(MAX_SIZE + 1);

	*size = 0;
	if (f && blob) {
		*size = fread(blob, 1, MAX_SIZE + 1, f);
		if (ferror(f)) {
			free(blob);
			blob = NULL;
		}
	}
	if (f && f != stdin)
		fclose(f);
	if (!f) {
		free(blob);
		return NULL;
	}
	return blob;
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "ram", 1, NULL, 'r' }, { "bank", 1, NULL, 'b' }, { "used", 1, NULL, 'u' },
		{ "need", 1, NULL, 'n' }, { "mask", 1, NULL, 'm' }, { "all", 0, NULL, 'a' },
		{ "json", 0, NULL, 'j' }, { "svg", 1, NULL, 's' }, { "raw", 0, NULL, 'w' },
		{ "help", 0, NULL, 'h' }, { 0 },
	};
	static struct options o = { .mask = 64, .need = 128 << 20 };
	struct tree t;
	uint64_t bits;
	char *end;
	void *blob;
	size_t size;
	bool ok;
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		ok = true;
		switch (c) {
		case 'r':
			ok = span(optarg, &o.ram);
			break;
		case 'b':
			ok = span(optarg, &o.banks);
			break;
		case 'u':
			ok = span(optarg, &o.used);
			break;
		case 'n':
			ok = number(optarg, &end, &o.need) && !*end;
			break;
		case 'm':
			ok = number(optarg, &end, &bits) && !*end && bits >= 1 && bits <= 64;
			o.mask = bits;
			break;
		case 'a':
			o.all = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 's':
			o.svg = optarg;
			break;
		case 'w':
			o.raw = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs("see xen-dma-map --help\n", stderr);
			return 2;
		}
		if (!ok) {
			die(optarg, "not understood; see --help");
			return 2;
		}
	}
	if (optind + 1 != argc) {
		fputs("usage: xen-dma-map [OPTION]... BOARD.dtb (see --help)\n", stderr);
		return 2;
	}
	blob = read_all(argv[optind], &size);
	if (!blob)
		return die(argv[optind], strerror(errno));
	if (size > MAX_SIZE) {
		free(blob);
		return die(argv[optind], "larger than any device tree");
	}
	if (tree_read(&t, blob, size))
		rc = die(argv[optind], t.error);
	else
		rc = report(&t, &o, stdout);
	tree_free(&t);
	free(blob);
	if (fflush(stdout) || ferror(stdout))
		rc = die("stdout", "cannot be written");
	return rc < 0 ? 1 : rc;
}
