#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run a KUnit module, xen_dma_test or the one named, and pass its results on.
# usage: kunit.sh [MODULE]   (its suite has the same name)
#
# The tests run while the module is loaded; KUnit keeps the results in debugfs
# as KTAP, and this prints them as they are. Exits with 1 if a test failed,
# with 4 (skip) if they cannot be run here. Needs root and nothing but a POSIX
# shell with modprobe and mount (busybox will do).

readonly MODULE=${1:-xen_dma_test}
readonly SUITE=$MODULE
readonly DEBUGFS=/sys/kernel/debug
readonly RESULTS=$DEBUGFS/kunit/$SUITE/results
readonly RUN=$DEBUGFS/kunit/$SUITE/run
readonly PRINTK=/proc/sys/kernel/printk

readonly KSFT_PASS=0
readonly KSFT_FAIL=1
readonly KSFT_SKIP=4

skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit $KSFT_SKIP
}

# Not a skip: the module is there, but something about it is wrong.
fail_all()
{
	echo "TAP version 13"
	echo "1..1"
	echo "# $*"
	echo "not ok 1 $SUITE"
	exit $KSFT_FAIL
}

unload()
{
	modprobe -r "$MODULE" 2>/dev/null || rmmod "$MODULE"
}

# Is there a result of a single test, or the reason why there is none?
has_run()
{
	printf '%s\n' "$results" | grep -q -e '^    ok ' -e '^    not ok ' \
		-e '^not ok ' -e '# SKIP'
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d /proc/xen ] || [ -d /sys/hypervisor ] ||
	[ -d /proc/device-tree/hypervisor ] || skip_all "not a Xen domain"

# Built in, it is there already; its results are those of the boot.
if [ ! -d /sys/module/kunit ]; then
	# Whatever CONFIG_KUNIT_DEFAULT_ENABLED and _AUTORUN_ENABLED say.
	modprobe kunit enable=1 autorun=1 2>/dev/null ||
		skip_all "no KUnit (CONFIG_KUNIT)"
fi
[ -d $DEBUGFS/kunit ] || mount -t debugfs none $DEBUGFS 2>/dev/null
[ -d $DEBUGFS/kunit ] || skip_all "no KUnit in debugfs (CONFIG_KUNIT_DEBUGFS)"

# Not these: results of an earlier run that has left the module behind.
if [ -e "/sys/module/$MODULE/initstate" ]; then
	unload || fail_all "$MODULE is loaded and cannot be unloaded"
fi

loaded=
if [ ! -e "$RESULTS" ]; then
	modinfo "$MODULE" >/dev/null 2>&1 ||
		skip_all "no module $MODULE"
	# The results come from debugfs; a serial console is slow. Warnings and
	# what is worse still go there.
	level=
	if [ -w $PRINTK ]; then
		read -r level _ < $PRINTK
		[ "$level" -le 5 ] || echo 5 > $PRINTK
	fi
	out=$(modprobe "$MODULE" 2>&1)
	ret=$?
	[ -z "$level" ] || echo "$level" > $PRINTK
	[ $ret = 0 ] || fail_all "modprobe $MODULE: $out"
	loaded=1
fi
if [ ! -r "$RESULTS" ]; then
	[ -n "$loaded" ] && unload
	fail_all "no results in $RESULTS: is KUnit disabled (kunit.enable=0)?"
fi

results=$(cat "$RESULTS")
# A suite that has not run (kunit.autorun=0) calls itself a success.
if ! has_run; then
	echo run > "$RUN"
	results=$(cat "$RESULTS")
	if ! has_run; then
		[ -n "$loaded" ] && unload
		fail_all "$SUITE does not run"
	fi
fi
printf '%s\n' "$results"

ret=$KSFT_PASS
# The last line is the suite's: "ok 1 <suite>" or "not ok 1 <suite>".
verdict=$(printf '%s\n' "$results" | tail -n 1)
case $verdict in
"ok 1 $SUITE"*"# SKIP"*)
	ret=$KSFT_SKIP
	;;
"ok 1 $SUITE"*)
	;;
*)
	ret=$KSFT_FAIL
	;;
esac

if [ -n "$loaded" ] && ! unload; then
	echo "# $MODULE cannot be unloaded"
	ret=$KSFT_FAIL
fi
exit $ret
