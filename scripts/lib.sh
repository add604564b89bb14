# SPDX-License-Identifier: GPL-2.0-only
# Common parts of the project's scripts: paths, messages, locking, the apt
# configuration that leaves the user's own alone. Sourced, never run.
# shellcheck shell=bash

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/xen-dma-offset
LAB_DIR=$TOP/tools/testing/lab
SERIES_DIR=$TOP/patches/v7.3
SERIES_NAME="Xen DMA Offset Developers"
SERIES_MAIL=developers@xen-dma-offset.invalid
CROSS=aarch64-linux-gnu-
JOBS=${JOBS:-$(nproc)}
# The machine that the lab boots: arm64, x86_64.
LAB_ARCH=${LAB_ARCH:-arm64}
export TOP CACHE LAB_DIR SERIES_DIR SERIES_NAME SERIES_MAIL CROSS JOBS LAB_ARCH
export LC_ALL=C

# What a run from nothing takes in the cache's file system, in MB (seen: 3450).
NEED_MB=${NEED_MB:-5000}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# say TEXT: one line about what is going on; always to stderr, so that a
# script's stdout can be its result.
say() {
	printf '[%3ds] %s\n' "$SECONDS" "$*" >&2
}

# step TEXT CMD...: run a long command, its output in a log file; say what it
# does and how long it took. On failure: the last lines of the log, and die.
step() {
	local what=$1 log start=$SECONDS rc
	shift
	mkdir -p "$CACHE/log"
	log=$CACHE/log/$(tr -cs 'A-Za-z0-9.-' '-' <<<"$what" | cut -c1-60).log
	say "$what ..."
	# A subshell, and not behind ||, so that set -e holds inside.
	set +e
	(set -e; "$@") >"$log" 2>&1 </dev/null
	rc=$?
	set -e
	if [ "$rc" -ne 0 ]; then
		if ! free_space_ok 50 || grep 'No space left on device' "$log" >/dev/null; then
			die "$what: no space left in $CACHE; free some ($NEED_MB MB are needed) and run it again"
		fi
		# What die() said there is all that there is to say.
		if tail -n 1 "$log" | grep -E '^[a-z][a-z-]*: ' >/dev/null; then
			tail -n 1 "$log" >&2
			exit 1
		fi
		tail -n 15 "$log" >&2
		die "$what failed (exit $rc); the whole output is in $log"
	fi
	say "$what: done in $((SECONDS - start)) s"
}

# Before anything is fetched or built.
check_free_space() {
	local need=$NEED_MB
	# Later runs add a kernel and an initramfs.
	[ ! -e "$CACHE/linux.git" ] || need=$((need < 1500 ? need : 1500))
	free_space_ok "$need" ||
		die "less than $need MB free for $CACHE: free some (a run from nothing needs $NEED_MB MB) or set XDG_CACHE_HOME"
}

# free_space_ok MB: whether the cache's file system has that much left.
free_space_ok() {
	local free
	mkdir -p "$CACHE" 2>/dev/null || return 1
	free=$(df -Pm "$CACHE" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ]
}

# key FILE|TEXT...: a short hash of the contents of files and of plain words;
# names the cached result made from them.
key() {
	local x
	for x in "$@"; do
		if [ -f "$x" ]; then
			sha256sum <"$x"
		elif [ -d "$x" ]; then
			(cd "$x" && find . -type f ! -name '*~' -print0 | sort -z |
			 xargs -0 -r sha256sum)
		else
			printf 'text %s\n' "$x"
		fi
	done | sha256sum | cut -c1-16
}

# diffs PATCH...: what patches change, without what they say.
diffs() {
	local p
	for p in "$@"; do
		sed -n '/^diff --git/,/^-- $/p' "$p"
	done
}

# One run at a time changes the cache: others wait here.
lock_cache() {
	if ! mkdir -p "$CACHE" 2>/dev/null || ! [ -w "$CACHE" ]; then
		die "cannot write to $CACHE; set XDG_CACHE_HOME to a folder that can be written"
	fi
	[ -n "${XDO_LOCKED:-}" ] && return
	exec {XDO_LOCK_FD}>"$CACHE/lock"
	if ! flock -n "$XDO_LOCK_FD"; then
		say "another run is using $CACHE; waiting for it"
		flock "$XDO_LOCK_FD"
	fi
	export XDO_LOCKED=1
	# What an interrupted run left.
	rm -rf "$CACHE"/tmp.*
}

# Without this a child that outlives the script (ccache's, git's) would keep
# the lock.
unlock_cache() {
	[ -n "${XDO_LOCK_FD:-}" ] || return 0
	flock -u "$XDO_LOCK_FD"
	unset XDO_LOCKED
}

# alone DIR: two runs that write into the same folder would take away what is the
# other's. Held until this script ends.
alone() {
	exec {ALONE_FD}>"$1/.lock"
	flock -n "$ALONE_FD" || die "another run is working in $1; wait for it, or end it"
}

# free_lane N: wait until fewer than N jobs of this script run
free_lane() {
	while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do
		wait -n || true
	done
}

# start_lane CMD...: a job with a session of its own, which ends when this script does;
# "trap interrupted INT TERM" ends all of them.
start_lane() {
	(
		# What a compiler or git leaves behind would go on holding it.
		[ -z "${ALONE_FD:-}" ] || exec {ALONE_FD}>&-
		exec setpriv --pdeathsig TERM setsid "$@" </dev/null
	) &
}

# shellcheck disable=SC2317 # called by a trap
interrupted() {
	local lane
	trap - INT TERM
	for lane in $(jobs -p); do
		kill -TERM -- "-$lane" 2>/dev/null || true
	done
	wait
	die "interrupted; the next run goes on here"
}

host_codename() {
	local VERSION_CODENAME=''
	# shellcheck disable=SC1091
	. /etc/os-release
	case $VERSION_CODENAME in
	bookworm | trixie) echo "$VERSION_CODENAME" ;;
	*) die "this is not Debian 12 or 13 (/etc/os-release says '${VERSION_CODENAME:-?}'): use one, or a container of one" ;;
	esac
}

# The archive this machine already uses, so that nothing but it is asked:
# $1 is "main" or "security".
mirror() {
	local all
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		[ "$1" = main ] && echo "${DEBIAN_MIRROR%/}" || echo "${DEBIAN_MIRROR%/}-security"
		return
	fi
	# shellcheck disable=SC2016
	all=$(apt-get indextargets --no-release-info --format '$(SITE)' | sort -u)
	if [ "$1" = main ]; then
		grep -E '/debian/?$' <<<"$all" | sed -n 's,/$,,;1p'
	else
		grep -E '[/-]security/?$' <<<"$all" | sed -n 's,/$,,;1p'
	fi
}

# private_apt ARCH SUITE...: make an apt configuration of our own, for these
# suites and this architecture, below the cache; print its file for APT_CONFIG.
# An entry "src:SUITE" is for source packages. Lists a day old are fetched anew
# when there is a network.
private_apt() {
	local arch=$1 dir suite main security kr=/usr/share/keyrings/debian-archive-keyring.gpg
	shift
	dir=$CACHE/apt/$(key "$arch" "$@")
	main=$(mirror main)
	security=$(mirror security)
	[ -n "$main" ] || die "no Debian archive in this machine's apt sources; set DEBIAN_MIRROR to one"
	mkdir -p "$dir"/lists/partial "$dir"/archives/partial
	for suite in "$@"; do
		case $suite in
		src:*) echo "deb-src [signed-by=$kr] $main ${suite#src:} main" ;;
		*-security) [ -z "$security" ] || echo "deb [signed-by=$kr] $security $suite main" ;;
		*) echo "deb [signed-by=$kr] $main $suite main" ;;
		esac
	done >"$dir/sources.list"
	cat >"$dir/apt.conf" <<-CONF
	Dir::Etc::sourcelist "$dir/sources.list";
	Dir::Etc::sourceparts "/dev/null";
	Dir::State::lists "$dir/lists";
	Dir::Cache "$dir";
	Dir::Cache::archives "$dir/archives";
	APT::Architecture "$arch";
	APT::Architectures { "$arch"; };
	APT::Get::Assume-Yes "true";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	Acquire::Retries "3";
	Acquire::http::Timeout "20";
	Acquire::Languages "none";
	CONF
	if [ "$arch" != "$(dpkg --print-architecture)" ]; then
		: >"$dir/status"
		echo "Dir::State::status \"$dir/status\";" >>"$dir/apt.conf"
	fi
	if ! [ -e "$dir/fresh" ] || [ -n "$(find "$dir/fresh" -mmin +1440)" ]; then
		say "reading the package lists of: $*"
		# On a full disk apt waits for ever.
		free_space_ok 300 ||
			die "no space left in $CACHE for package lists; free some ($NEED_MB MB are needed) and run it again"
		if ! APT_CONFIG=$dir/apt.conf timeout 300 apt-get -qq -o APT::Update::Error-Mode=any update >"$dir/update.log" 2>&1; then
			[ -e "$dir/fresh" ] ||
				die "cannot reach the Debian archive of this machine ($(grep -m1 -oE 'Could not [^(]*|Unable to [^(]*|Temporary failure[^(]*' "$dir/update.log" || echo "see $dir/update.log")): connect the network and run it again"
			say "package lists could not be renewed, going on with those of $(date -r "$dir/fresh" +%F)"
		fi
		touch "$dir/fresh"
	fi
	echo "$dir/apt.conf"
}

# get_deb CONF PACKAGE DEST: fetch the newest version of a package (checked by
# the signed index's hash), leave it at DEST; its version in DEST.version.
get_deb() {
	local conf=$1 pkg=$2 dest=$3 tmp
	tmp=$(mktemp -d "$CACHE/tmp.XXXXXX")
	(cd "$tmp" && APT_CONFIG=$conf apt-get -qq download "$pkg" >&2) ||
		{ rm -rf "$tmp"; die "cannot fetch the package $pkg: check the network and run it again"; }
	dpkg-deb -f "$tmp"/*.deb Version >"$dest.version"
	mv "$tmp"/*.deb "$dest"
	rm -rf "$tmp"
}

# kernel_tree FILE: a checked-out kernel tree of the cache that has this file.
kernel_tree() {
	local d
	for d in "$CACHE/trees/edit" "$CACHE/trees/lab" "$CACHE"/trees/*; do
		[ -e "$d/$1" ] && { echo "$d"; return; }
	done
	return 1
}

# apply_series TREE PATCH...: put patches on a git tree, exactly (no fuzz, no
# three-way merge); name the patch that does not apply.
apply_series() {
	local tree=$1 p
	shift
	[ $# -gt 0 ] || return 0
	if ! git -C "$tree" -c user.name="$SERIES_NAME" -c user.email="$SERIES_MAIL" \
		-c core.fsync=none -c gc.auto=0 am -q --committer-date-is-author-date "$@" >"$CACHE/am.log" 2>&1; then
		p=$(sed -n 's/^Subject: *//p' "$(git -C "$tree" rev-parse --git-path rebase-apply/"$(printf %04d "$(cat "$(git -C "$tree" rev-parse --git-path rebase-apply/next)")")")" 2>/dev/null | head -n 1)
		git -C "$tree" am --abort >/dev/null 2>&1 || true
		die "the patch '${p:-$(head -n 1 "$CACHE/am.log")}' does not apply to this kernel ($(git -C "$tree" describe --always)): the series is for Linux 7.3; use such a tree, or rebase the series with 'make tree'"
	fi
}
