#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Looks for what the kernel has lost in the tests before (or ever since it was
# booted), with kmemleak. Not the memory of KUnit's threads: mainline's
# kunit_attach_mm() takes a reference to a struct mm_struct that nobody drops.
# Needs CONFIG_DEBUG_KMEMLEAK and root; no more than busybox besides:
#
#	./leaks.sh

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh

kmemleak=/sys/kernel/debug/kmemleak

# It does not look at what is younger than 5 s.
scan()
{
	sleep 6
	echo scan >$kmemleak
}

# All that it has found, but for those of KUnit
objects()
{
	awk '
	function object_ends()
	{
		if (!(kunit && mm))
			printf "%s", object
		object = ""
		kunit = mm = 0
	}
	/^unreferenced object/ { object_ends() }
	/comm "kunit_try_catch"/ { kunit = 1 }
	/ mm_alloc\+/ { mm = 1 }
	{ object = object "# " $0 "\n" }
	END { object_ends() }' $kmemleak
}

ktap_print_header
if ! [ -w $kmemleak ]; then
	ktap_skip_all "no CONFIG_DEBUG_KMEMLEAK, debugfs or no root"
	exit "$KSFT_SKIP"
fi
# Twice: what has changed since the last scan is not reported yet.
if ! scan 2>/dev/null || ! scan 2>/dev/null; then
	ktap_skip_all "kmemleak is off: kmemleak=on on the command line, or it ran out of memory"
	exit "$KSFT_SKIP"
fi

ktap_set_plan 1
found=$(objects)
# Not to be reported again: the tests after this one look for themselves.
echo clear >$kmemleak
if [ -z "$found" ]; then
	ktap_test_pass "nothing_has_leaked"
else
	echo "$found"
	ktap_test_fail "nothing_has_leaked"
fi
ktap_finished
