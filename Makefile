# SPDX-License-Identifier: GPL-2.0-only
# One line a target; the work is in scripts/.

.PHONY: help run check quick bench mutants matrix tree refresh clean
help: ; @sed -n 's/^## //p' Makefile

## make run        the main job: build, boot the emulated board, run the suite
##                 LAB=rpi4  KERNEL=series|stock|N  XEN=4.20|4.17|4.14  LINUX=<tree>
run: ; @scripts/run-lab
## make check      every test that decides whether a change is good
check: ; @scripts/check
## make quick      the part of it that needs no kernel build
quick: ; @scripts/quick
## make bench      what DMA costs, in instructions: bare metal, stock, series side by side
bench: ; @scripts/bench
## make mutants  kernels with one defect each: is it caught? M="name ..." for some
mutants: ; @scripts/mutants
## make matrix   the suite after every patch: a table in out/matrix/
matrix: ; @scripts/matrix
## make tree       a kernel tree with the series on it, to edit in
tree: ; @scripts/tree
## make refresh    from that tree back to patches/ and the mirrored files
refresh: ; @scripts/refresh
## make clean      remove out/ (the cache is left alone)
clean: ; rm -rf out
