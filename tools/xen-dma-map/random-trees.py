# SPDX-License-Identifier: GPL-2.0-only
# Device trees at random, of the properties that the DMA rules look at. PCI and
# ISA buses have the cells that they must have, and a DMA parent as many as the
# parent: else the kernel reads what lies behind the property.
# usage: random-trees.py COUNT SEED FOLDER
import os
import random
import sys

count, seed, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
r = random.Random(seed)
os.makedirs(folder, exist_ok=True)
VALUES = [0, 0, 0, 1, 2, 0x1000, 0x2000, 0x10000000, 0x40000000, 0x80000000, 0xc0000000, 0xffffffff,
          0x02000000, 0x42000000, 0x43000000, 0x01000000]


def cells(n):
    return ["%#x" % r.choice(VALUES) for _ in range(n)]


def node(depth, name, na, ns, labels):
    """One node and all below it; na and ns: the cells of its parent."""
    out = ["%s {" % name]
    own_na, own_ns = na, ns
    pci = name.startswith("pcie") or r.random() < .1
    isa = name.startswith("isa")
    if pci or isa or r.random() < .8:
        own_na = 3 if pci else 2 if isa else r.choice([1, 1, 2, 2, 3])
        out.append("#address-cells = <%d>;" % own_na)
    if pci or isa or r.random() < .8:
        own_ns = 2 if pci else 1 if isa else r.choice([1, 1, 2, 2, 0] if r.random() < .2 else [1, 2])
        out.append("#size-cells = <%d>;" % own_ns)
    if pci:
        out.append('device_type = "pci";')
    label = None
    if depth and r.random() < .4:
        label = "l%d" % len(labels), own_na, own_ns
        labels.append(label)
        out[0] = "%s: %s" % (label[0], out[0])
        out.append("#interconnect-cells = <%d>;" % r.choice([0, 1, 2]))
    if r.random() < .1:
        out.append('status = "%s";' % r.choice(["okay", "disabled", "ok"]))
    if depth:
        out.append('compatible = "%s";' % r.choice(["simple-bus", "simple-bus", "x,dev"]))
        if r.random() < .7:
            out.append("reg = <%s>;" % " ".join(cells(na + ns)))
    if r.random() < .15:
        out.append(r.choice(["dma-coherent;", "dma-noncoherent;"]))
    x = r.random()
    if x < .3:
        out.append("dma-ranges;")
    elif x < .8:
        entry = own_na + na + own_ns
        total = []
        # So that translations through several levels are often found.
        for _ in range(r.choice([1, 1, 2, 3])):
            e = cells(entry)
            if r.random() < .6 and own_ns:
                e[:own_na + na] = ["0"] * (own_na + na)
                e[own_na - 1] = "%#x" % r.choice(VALUES)
                e[-own_ns:] = ["0"] * (own_ns - 1) + ["0x%x" % r.choice([0x1000, 0x40000000, 0xffffffff])]
            total += e
        if r.random() < .1:
            total = total[:-1]
        if total:
            out.append("dma-ranges = <%s>;" % " ".join(total))
    if labels and r.random() < .15:
        # To what comes earlier only: no circles, on which the kernel hangs.
        earlier = [x[0] for x in labels if x != label and x[1:] == (na, ns)]
        if earlier:
            out.append('interconnects = <&%s %s>;' % (r.choice(earlier), " ".join(cells(r.choice([0, 1, 1, 2])))))
            out.append('interconnect-names = "%s";' % r.choice(["dma-mem", "dma-mem", "write"]))
    if depth < 5:
        for i in range(r.choice([0, 1, 1, 2, 3]) + (depth == 0)):
            name = r.choice(["bus", "dev", "pcie", "isa", "soc"]) + "@%d%d" % (depth, i)
            out += ["\t" + x for x in node(depth + 1, name, own_na, own_ns, labels)]
    if not depth and own_ns:
        out.append('\tmemory@0 { device_type = "memory"; reg = <%s>; };' %
                   " ".join(["0"] * (own_na + own_ns - 1) + ["0x80000000"]))
    out.append("};")
    return out


for n in range(count):
    with open("%s/%06d.dts" % (folder, n), "w", encoding="ascii") as f:
        f.write("/dts-v1/;\n" + "\n".join(node(0, "/", 1, 1, [])) + "\n")
