# SPDX-License-Identifier: GPL-2.0-only
# One line a target; the work is in scripts/.

.PHONY: help run check check-full quick bench bench-disk bench-locks demo board board-test mutants matrix docs tree refresh clean
help: ; @sed -n 's/^## //p' Makefile

## make run        the main job: build, boot the emulated board, run the suite
##                 LAB=rpi4  KERNEL=series|stock|N  XEN=4.20|4.17|4.14  LINUX=<tree>
run: ; @scripts/run-lab
## make check      every test that decides whether a change is good
check: ; @scripts/check
## make check-full  the same and other kernels, other Xens, debug kernels, proofs; three hours
check-full: ; @scripts/check --full
## make quick      the part of it that needs no kernel build
quick: ; @scripts/quick
## make bench      what DMA costs, in instructions: bare metal, stock, series side by side
bench: ; @scripts/bench
## make bench-disk  what a guest's disk I/O costs dom0, per MB
bench-disk: ; @scripts/bench-disk
## make bench-locks  the locks that mapping foreign memory takes, on 1 and 4 CPUs
bench-locks: ; @scripts/bench-locks
## make demo       how late a real-time guest is beside a Linux guest with disk and network
demo: ; @scripts/demo
## make board      what a real board's card needs: BOARD=rpi4; scripts/install-rpi4 writes it
board: ; @scripts/board
## make board-test BOARD=rpi4 CONSOLE=<tty or host:port>: the suite on a real board
board-test: ; @scripts/board-test
## make mutants  kernels with one defect each: is it caught? M="name ..." for some
mutants: ; @scripts/mutants
## make matrix   the suite after every patch: a table in out/matrix/
matrix: ; @scripts/matrix
## make docs       the kernel documentation's page about all this: out/docs/virt/xen-dma.html
docs: ; @scripts/docs
## make tree       a kernel tree with the series on it, to edit in
tree: ; @scripts/tree
## make refresh    from that tree back to patches/ and the mirrored files
refresh: ; @scripts/refresh
## make clean      remove out/ (the cache is left alone)
clean: ; rm -rf out
