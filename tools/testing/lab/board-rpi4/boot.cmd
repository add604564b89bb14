# SPDX-License-Identifier: GPL-2.0-only
# U-Boot's script: Xen with dom0's kernel and initramfs, and the device tree that
# the firmware loaded (with the board's RAM in it). @...@: from make-board.
echo "xen-dma-offset: loading Xen, kernel and initramfs"
setenv d xen-dma-offset
setenv from "${devtype} ${devnum}:${distro_bootpart}"
if fdt addr ${fdt_addr} && fdt move ${fdt_addr} @DTB_ADDR@ 0x40000 && fdt addr @DTB_ADDR@ && load ${from} @KERNEL_ADDR@ ${d}/Image.gz; then
	fdt set /chosen "#address-cells" <2>
	fdt set /chosen "#size-cells" <2>
	fdt set /chosen xen,xen-bootargs "@XEN_ARGS@"
	fdt mknode /chosen module@0
	fdt set /chosen/module@0 compatible "multiboot,kernel" "multiboot,module"
	fdt set /chosen/module@0 reg <0 @KERNEL_ADDR@ 0 0x${filesize}>
	fdt set /chosen/module@0 bootargs "@DOM0_ARGS@"
	if load ${from} @INITRD_ADDR@ ${d}/initramfs.gz; then
		fdt mknode /chosen module@1
		fdt set /chosen/module@1 compatible "multiboot,ramdisk" "multiboot,module"
		fdt set /chosen/module@1 reg <0 @INITRD_ADDR@ 0 0x${filesize}>
		load ${from} @XEN_ADDR@ ${d}/xen && booti @XEN_ADDR@ - @DTB_ADDR@
	fi
fi
echo "xen-dma-offset: FAILED, see above"
