# SPDX-License-Identifier: GPL-2.0-only
# Flat KTAP from shell functions. Sourced after lib.sh, by who sets tap_dir.
# shellcheck shell=bash disable=SC2154

n=0 bad=0 skipped=0

# t NAME CMD...: one test; its output, in $tap_dir/NAME.log, is shown when it
# fails. It is skipped if it ends with 77, for the reason in its last line.
t() {
	local name=$1 log=$tap_dir/$1.log rc
	shift
	n=$((n + 1))
	# Behind "if" set -e would not hold in there.
	set +e
	(set -e; "$@") >"$log" 2>&1
	rc=$?
	set -e
	if [ $rc = 0 ]; then
		echo "ok $n $name"
	elif [ $rc = 77 ]; then
		skipped=$((skipped + 1))
		echo "ok $n $name # SKIP $(tail -n 1 "$log")"
	else
		sed 's/^/# /' "$log" | tail -n 20
		echo "not ok $n $name"
		bad=$((bad + 1))
	fi
}

# skip NAME REASON
skip() {
	n=$((n + 1))
	skipped=$((skipped + 1))
	echo "ok $n $1 # SKIP $2"
}
