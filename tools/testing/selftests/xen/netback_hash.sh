#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs netback_hash (see there), which needs a xenstore: starts xenstored and
# writes dom0's own entries if nothing has done so yet, with the programs of an
# installed Xen toolstack. Needs root in dom0; no more than busybox besides.
# XEN_BIN is where the toolstack's private programs are, if not in a folder of
# the usual names:
#
#	./netback_hash.sh

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh

skip_all()
{
	ktap_print_header
	ktap_skip_all "$1"
	exit "$KSFT_SKIP"
}

# Does a xenstored answer the kernel?
has_xenstore()
{
	timeout 10 xenstore-read domid >/dev/null 2>&1 ||
		timeout 10 xenstore-ls / >/dev/null 2>&1
}

for bin in $XEN_BIN /usr/lib/xen-*/bin /usr/lib/xen/bin /usr/libexec/xen/bin; do
	[ -d "$bin" ] && PATH=$PATH:$bin
done

[ "$(id -u)" = 0 ] || skip_all "needs root"
grep -qs control_d /proc/xen/capabilities || skip_all "not in Xen's dom0"

if ! has_xenstore; then
	command -v xenstored >/dev/null || skip_all "no xenstored"
	mkdir -p /run/xen /run/xenstored /var/lib/xenstored /var/run/xen
	xenstored || skip_all "xenstored does not start"
	command -v xen-init-dom0 >/dev/null && xen-init-dom0 >/dev/null
	has_xenstore || skip_all "xenstored does not answer"
fi

"$DIR"/netback_hash "$@"
ret=$?
# Should it have been killed in the middle: allocations are not to fail any more
failslab=/sys/kernel/debug/failslab/probability
[ ! -e $failslab ] || echo 0 >$failslab
exit $ret
