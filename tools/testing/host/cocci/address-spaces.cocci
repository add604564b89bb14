// SPDX-License-Identifier: GPL-2.0-only
/// Calls that mix up address spaces in Xen code: what takes or gives a frame, a
/// physical address or a bus address is handed one of another kind.
// Confidence: Moderate
// Options: --no-includes --include-headers

virtual report

// A machine frame's number says nothing to the memory map.
@bfn_valid@
expression D, E;
identifier n =~ "^(bfn|mfn|gfn)$";
position p;
@@
(
 pfn_valid(\(pfn_to_bfn\|bfn_to_local_pfn\|xen_baddr_val\|XEN_PFN_DOWN\)(E))@p
|
 pfn_valid(\(PFN_DOWN\|PHYS_PFN\)(\(xen_bus_to_phys\|xen_dma_to_phys\|dma_to_phys\)(D, E)))@p
|
 pfn_valid(n)@p
)

@script:python depends on report@
p << bfn_valid.p;
@@
coccilib.report.print_report(p[0], "pfn_valid: asked of a machine frame")

// Wrong for vmalloc memory; and a Linux frame is not a Xen frame.
@frame@
expression D, E;
position p;
@@
(
 pfn_to_gfn(virt_to_pfn(E))@p
|
 pfn_to_gfn(virt_to_pfn(E) + D)@p
|
 pfn_to_gfn(page_to_pfn(E))@p
|
 pfn_to_bfn(virt_to_pfn(E))@p
|
 pfn_to_bfn(page_to_pfn(E))@p
|
 pfn_to_mfn(virt_to_pfn(E))@p
|
 virt_to_phys(E)@p
|
 virt_to_bus(E)@p
)

@script:python depends on report@
p << frame.p;
@@
coccilib.report.print_report(p[0], "frame: a Linux frame or the linear map where Xen's frame is wanted")

// The device's offset belongs on a bus address, and only bus-addr.h puts it there.
@offset@
expression D, E;
position p;
@@
(
 phys_to_dma(D, E)@p
|
 dma_to_phys(D, E)@p
|
 phys_to_dma_unencrypted(D, E)@p
|
 __phys_to_dma(D, E)@p
)

@script:python depends on report@
p << offset.p;
@@
coccilib.report.print_report(p[0], "offset: device addresses are made and read in bus-addr.h")

// A DMA address is no physical address.
@dma_frame@
dma_addr_t d;
expression E;
position p;
@@
(
 PHYS_PFN(d)@p
|
 __phys_to_pfn(d)@p
|
 XEN_PFN_DOWN(d)@p
|
 pfn_to_page(PHYS_PFN(d))@p
|
 pfn_to_page(__phys_to_pfn(E->dev_bus_addr))@p
|
 __phys_to_pfn(E->dev_bus_addr)@p
|
 phys_to_virt(d)@p
|
 phys_to_page(d)@p
)

@script:python depends on report@
p << dma_frame.p;
@@
coccilib.report.print_report(p[0], "dma_frame: a DMA address taken for a physical one")

// With pages larger than 4 KB a Xen frame's number is not a Linux page's.
@xen_frame@
expression E;
position p;
@@
(
 pfn_to_kaddr(page_to_xen_pfn(E))@p
|
 pfn_to_page(\(gfn_to_pfn\|bfn_to_pfn\|page_to_xen_pfn\)(E))@p
|
 page_to_pfn(xen_pfn_to_page(E))@p
)

@script:python depends on report@
p << xen_frame.p;
@@
coccilib.report.print_report(p[0], "xen_frame: a Xen frame where a Linux page's number is wanted")

// The same the other way round, by way of a variable.
@linux_frame@
expression E, D;
idexpression n;
position p;
@@
 n = \(virt_to_pfn\|page_to_pfn\)(E)@p
 <+... \(pfn_to_gfn\|pfn_to_bfn\|pfn_to_mfn\)(\(n\|n + D\)) ...+>

@script:python depends on report@
p << linux_frame.p;
@@
coccilib.report.print_report(p[0], "linux_frame: a Linux page's number where a Xen frame is wanted")

// Grants are mapped at pages of ZONE_DEVICE that are as good as RAM.
@zone_device@
expression E;
position p;
@@
 WARN_ON_ONCE(is_zone_device_page(E))@p

@script:python depends on report@
p << zone_device.p;
@@
coccilib.report.print_report(p[0], "zone_device: refuses the pages that grants are mapped at")

// Memory that user space names: whose mapping is it?
@whose_mapping@
expression E;
expression V;
position p;
@@
 V = \(vma_lookup\|find_vma\)(...)
 ... when != V->vm_ops
     when any
 V->vm_private_data = E@p

@script:python depends on report@
p << whose_mapping.p;
@@
coccilib.report.print_report(p[0], "whose_mapping: takes another driver's vm_private_data")

// What is granted of a page is its first frame, which may be less than the page.
@behind_grant@
expression A, N, O;
position p;
@@
 O = A & (PAGE_SIZE - 1)
 ... when != O >= XEN_PAGE_SIZE
     when any
 N->notify.pgoff = O@p

@script:python depends on report@
p << behind_grant.p;
@@
coccilib.report.print_report(p[0], "behind_grant: an offset in a page for one in the grant")
