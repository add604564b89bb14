# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Functions of the tests that run whole guests with Xen's toolstack. Sourced by
# test-*.sh, which run in dom0 (busybox sh) under the kernel's kselftest runner.
#
# A function that can fail returns non-zero and leaves the reason in $why.
# Nothing waits without a limit.

# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

GUESTS=${GUESTS:-/guests}
HERE=$(pwd -P)
STATE=/tmp/guests
BRIDGE=xenbr0
DOM0_IP=10.9.0.1
MEMORY=80	# MB of a guest, unless the test says otherwise
POLL=0.5	# seconds between two looks at a guest's console
LIMIT=180	# seconds to wait for a guest's next word: many times what an idle
		# machine needs, so that a busy one does not fail
# For the lab's own tests, from dom0's command line: the job of all guests
# instead of their own, and another limit.
JOB=$(sed -n 's/.*\blab\.guest=\([^ ]*\).*/\1/p' /proc/cmdline)
limit=$(sed -n 's/.*\blab\.guest_limit=\([0-9]*\).*/\1/p' /proc/cmdline)
LIMIT=${limit:-$LIMIT}
CR=$(printf '\r')
mkdir -p $STATE
why=

# --- Results -----------------------------------------------------------------

# check NAME COMMAND...: one test
check()
{
	name=$1
	shift
	why="no reason given"
	started=$(seconds)
	if "$@"; then
		say "$(($(seconds) - started)) s"
		ktap_test_pass "$name"
	else
		say "$name: $why"
		ktap_test_fail "$name"
		return 1
	fi
}

# skip NAME REASON: the kernel's helper takes no reason
skip()
{
	echo "ok $KTAP_TESTNO $1 # SKIP $2"
	KTAP_TESTNO=$((KTAP_TESTNO + 1))
	KTAP_CNT_SKIP=$((KTAP_CNT_SKIP + 1))
}

say()
{
	printf '# %s\n' "$*"
}

# --- The machine ---------------------------------------------------------------

# shellcheck disable=SC3045
seconds()
{
	read -r up _ </proc/uptime
	echo "${up%%.*}"
}

# wait_for LIMIT WHAT COMMAND...: until COMMAND succeeds
wait_for()
{
	end=$(($(seconds) + $1))
	what=$2
	shift 2
	until "$@"; do
		if [ "$(seconds)" -ge "$end" ]; then
			why="waited in vain for $what"
			return 1
		fi
		sleep 0.5
	done
}

xl()
{
	timeout -s KILL 120 xl "$@"
}

# A disk of a kind: the first of them that QEMU has given us
disk_nvme() { [ -b "/dev/nvme0n$1" ] && echo "/dev/nvme0n$1"; }

disk_usb()
{
	for d in /sys/block/sd*; do
		case $(readlink -f "$d") in
		*/usb*) echo "/dev/${d##*/}"; return ;;
		esac
	done
	return 1
}

# The network: domU's interface -- xenbr0 -- the first e1000e --( QEMU's hub )--
# the second e1000e, which has dom0's address. The bridge has none and does not
# answer for it (-arp), so every packet between domU and dom0 passes the hub, by
# DMA of both cards.
network()
{
	rm -f $STATE/www/arrived.*
	[ -e $STATE/network ] && return
	[ -e /sys/class/net/eth1 ] || { why="QEMU has given no two e1000e"; return 1; }
	brctl addbr $BRIDGE
	why="cannot configure eth0, eth1 and $BRIDGE"
	ifconfig eth0 0.0.0.0 up && brctl addif $BRIDGE eth0 && ifconfig $BRIDGE -arp up &&
		ifconfig eth1 $DOM0_IP netmask 255.255.255.0 up && serve || return
	wait_for 15 "the carrier of eth0 and eth1" carriers || return
	: >$STATE/network
}

# serve: dom0 has a file for guests, and its sum
serve()
{
	mkdir -p $STATE/www
	dd if=/dev/urandom of=$STATE/www/down bs=64k count=64 2>/dev/null
	sha256sum <$STATE/www/down | cut -d ' ' -f 1 >$STATE/www/down.sum
	httpd -p $DOM0_IP:80 -h $STATE/www >/dev/null 2>&1 </dev/null || { why="no httpd in dom0"; return 1; }
}

carriers()
{
	[ "$(cat /sys/class/net/eth0/carrier)$(cat /sys/class/net/eth1/carrier)" = 11 ]
}

# Bytes that left dom0 through the first e1000e
eth0_sent()
{
	cat /sys/class/net/eth0/statistics/tx_bytes
}

# fio and its libraries for the guests, on the last NVMe namespace
fio_disk()
{
	tools=$(disk_nvme 3) || { why="QEMU has given no third NVMe namespace"; return 1; }
	[ -e $STATE/fio ] && return
	mkdir -p $STATE/mnt
	why="cannot make a file system on $tools"
	mke2fs "$tools" >/dev/null && mount -t ext4 "$tools" $STATE/mnt &&
		mkdir $STATE/mnt/lib || return
	fio=$(command -v fio)
	cp "$fio" $STATE/mnt/fio
	for lib in $(LD_TRACE_LOADED_OBJECTS=1 "$fio" | grep -o '/[^ ]*'); do
		cp -L "$lib" $STATE/mnt/lib/
	done
	umount $STATE/mnt || { why="cannot write fio to $tools"; return 1; }
	: >$STATE/fio
}

# --- What Xen says -----------------------------------------------------------

xen_free_mb()
{
	xl info | awk '$1 == "free_memory" { print $3 }'
}

domains()
{
	xl list | awk 'NR > 1 { print $1 }' | xargs
}

# frames DOMID: machine frames of the pages of that domain, the newest, that are
# mapped by another, from Xen's dump of its grant tables. The dump can be larger
# than Xen's console ring: then it has lost its beginning, and what is left
# without a head is of the last domain.
frames()
{
	xl dmesg -c >/dev/null
	xl debug-keys g
	xl dmesg | awk -v head="grant-table for remote d$1 " '
		BEGIN { ours = 1 }
		/usage_print_all \[/ { ours = 0 }
		/grant-table for remote d/ {
			ours = index($0, head)
		}
		/no active grant|print_all \] done/ { ours = 0 }
		ours && match($0, /\[0x[0-9a-f]+\] +[0-9]+ 0x[0-9a-f]+/) {
			split(substr($0, RSTART, RLENGTH), word, / +/)
			print word[3]
		}'
}

# The host bridge's inbound windows, from the device tree: "first last" machine
# frames, a line each
windows()
{
	for f in /sys/firmware/devicetree/base/pcie*/dma-ranges; do
		[ -e "$f" ] || continue
		hexdump -v -e '7/4 "%08x " "\n"' "$f" | while read -r _ _ _ a3 a2 s3 s2; do
			first=$(($(be32 "$a3") << 20 | $(be32 "$a2") >> 12))
			size=$(($(be32 "$s3") << 20 | $(be32 "$s2") >> 12))
			echo "$first $((first + size - 1))"
		done
	done
}

# A big-endian cell that hexdump printed as a little-endian number
be32()
{
	echo $((0x$(echo "$1" | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/')))
}

# placement DOMID: "INSIDE of TOTAL granted frames, FIRST to LAST, inside the
# window FIRST to LAST"
placement()
{
	windows >$STATE/windows
	frames "$1" >$STATE/frames
	inside=0 total=0 low='' high=''
	while read -r f; do
		f=$((f))
		total=$((total + 1))
		[ -n "$low" ] && [ $low -le $f ] || low=$f
		[ -n "$high" ] && [ $high -ge $f ] || high=$f
		while read -r first last; do
			if [ $f -ge "$first" ] && [ $f -le "$last" ]; then
				inside=$((inside + 1))
				break
			fi
		done <$STATE/windows
	done <$STATE/frames
	# Without dma-ranges devices reach everything.
	[ -s $STATE/windows ] || inside=$total
	printf '%d of %d granted frames, 0x%x to 0x%x, inside the window%s\n' \
		$inside $total $((low)) $((high)) \
		"$(while read -r first last; do printf ' 0x%x-0x%x' "$first" "$last"; done <$STATE/windows)"
}

# --- Domains -----------------------------------------------------------------

# domu_create NAME DISKS NETWORK JOBS: a domain, not yet running. DISKS is
# "xvda=/dev/...[,...]", NETWORK the last byte of the domain's address, or "-"
domu_create()
{
	dir=$STATE/$1
	rm -rf "$dir"
	mkdir -p "$dir"
	{
		echo "name=\"$1\""
		echo "kernel=\"$GUESTS/Image\""
		echo "ramdisk=\"$GUESTS/initramfs.gz\""
		echo "memory=$MEMORY"
		echo "vcpus=1"
		[ -z "${CPUS-}" ] || echo "cpus=\"$CPUS\""
		echo "extra=\"console=hvc0 loglevel=4 panic=0 guest.jobs=${JOB:-$4} guest.ip=10.9.0.$3\""
		echo "on_crash=\"preserve\""
		echo "disk=["
		for d in $(echo "$2" | tr , ' '); do
			access=rw
			[ "${d%%=*}" = xvdt ] && access=ro
			echo "\"format=raw,vdev=${d%%=*},access=$access,backendtype=phy,script=$HERE/block-lab,target=${d#*=}\","
		done
		echo "]"
		[ "$3" = - ] || echo "vif=[\"mac=00:16:3e:00:00:0$3,bridge=$BRIDGE,script=$HERE/vif-lab\"]"
	} >"$dir/cfg"
	if ! xl create -q -e -p "$dir/cfg" >"$dir/xl" 2>&1; then
		why="xl create of $1 failed: $(grep -v '^$' "$dir/xl" | head -n 3 | xargs)"
		return 1
	fi
	xl domid "$1" >"$dir/id"
	: >"$dir/console"
}

# domu_run NAME: what was created runs, its console goes to a file
domu_run()
{
	dir=$STATE/$1
	id=$(cat "$dir/id")
	wait_for 10 "the console of domain $1" xenstore-exists "/local/domain/$id/console/tty" || return
	tty=$(xenstore-read "/local/domain/$id/console/tty")
	stty -F "$tty" raw -echo
	cat "$tty" >"$dir/console" 2>/dev/null </dev/null &
	echo $! >"$dir/reader"
	xl unpause "$1" || { why="xl unpause $1 failed"; return 1; }
}

# domu_start, as domu_create, and it runs
domu_start()
{
	domu_create "$@" && domu_run "$1"
}

# console_scan NAME WANT [JOB]: has the guest's console a line "GUEST WANT..."?
# 0: yes, $line has what follows; 1: no, and it will not come, see $why; 2: not
# yet. With JOB, only this job's failure counts. Built-in commands only: dom0
# shares its processors with the guest.
console_scan()
{
	last=
	while IFS= read -r line; do
		line=${line%"$CR"}
		last=$line
		case $line in
		"GUEST $2"*)
			line=${line#"GUEST $2"}
			return 0
			;;
		"GUEST fail ${3-}"*)
			why="domU $1: ${line#GUEST fail }"
			return 1
			;;
		*"Kernel panic - not syncing: "*)
			why="domU $1 panicked: ${line#*not syncing: }"
			return 1
			;;
		"GUEST end"*)
			why="domU $1 ended without saying '$2'"
			return 1
			;;
		esac
	done <"$STATE/$1/console"
	why="domU $1 did not say '$2'; its last line: $last"
	return 2
}

# domu_says NAME WANT [JOB]: until the guest says it, or cannot any more
domu_says()
{
	begin=$(seconds)
	next=$((begin + 20))
	while :; do
		console_scan "$@"
		case $? in
		0) return 0 ;;
		1) return 1 ;;
		esac
		now=$(seconds)
		if [ $((now - begin)) -ge "$LIMIT" ]; then
			why="$why, $LIMIT s waited"
			return 1
		fi
		if [ "$now" -ge "$next" ]; then
			next=$((now + 20))
			if domu_off "$1"; then
				sleep 1
				console_scan "$@" && return
				why="domU $1 shut down early. $why"
				return 1
			fi
		fi
		sleep "$POLL"
	done
}

# Has the domain crashed, shut down or vanished?
domu_off()
{
	case $(xl list "$1" 2>/dev/null | awk 'NR == 2 { print $5 }') in
	*s* | *c* | *d* | '') return 0 ;;
	esac
	return 1
}

# job NAME JOB: the guest has done that job well
job()
{
	domu_says "$1" "ok $2" "$2:"
}

# domu_gone NAME: destroy it, and see that nothing of it stays
domu_gone()
{
	id=$(cat "$STATE/$1/id")
	mv "$STATE/$1/id" "$STATE/$1/id.was"
	# The lab's init hands out what lies there.
	[ ! -d /tmp/out ] || cp "$STATE/$1/console" "/tmp/out/guest-$1.txt"
	xl destroy "$1" >/dev/null 2>&1
	[ ! -e "$STATE/$1/reader" ] || kill "$(cat "$STATE/$1/reader")" 2>/dev/null
	wait_for 20 "the end of domain $1 (id $id): Xen keeps it while pages of it are mapped" no_domain "$id" &&
		wait_for 10 "the backends of domain $1 (id $id) to go" no_backend "$id"
}

no_domain()
{
	! xl list | awk -v id="$1" 'NR > 1 && $2 == id { found = 1 } /^\(null\)/ { found = 1 } END { exit !found }'
}

no_backend()
{
	for kind in vbd vif; do
		for b in "/sys/bus/xen-backend/devices/$kind-$1-"*; do
			[ ! -e "$b" ] || return 1
		done
		! xenstore-exists "/local/domain/0/backend/$kind/$1" || return 1
	done
}

# Guests that a failed test has left: show what they said, and remove them.
clean_up()
{
	for guest in "$STATE"/*/id; do
		[ -e "$guest" ] || continue
		guest=${guest%/id}
		say "${guest##*/} is left over, the last lines of its console:"
		tr -d '\r' <"$guest/console" | tail -n 8 | sed 's/^/#   /'
		domu_gone "${guest##*/}" || say "$why"
	done
}

# no_leak FREE_MB: Xen has its memory back
no_leak()
{
	wait_for 15 "Xen's memory: $1 MB were free before, $(xen_free_mb) MB are now" xen_has_free "$1"
}

xen_has_free()
{
	[ "$(xen_free_mb)" -ge "$1" ]
}

# --- Parts of tests -----------------------------------------------------------

# persistent_grants 0|1: what blkback offers to guests from now on
persistent_grants()
{
	echo "$1" >/sys/module/xen_blkback/parameters/feature_persistent
}

# grants_are NAME VDEV 0|1: did both ends settle on (no) persistent grants?
grants_are()
{
	id=$(cat "$STATE/$1/id")
	got=$(xenstore-read "/local/domain/0/backend/vbd/$id/$2/feature-persistent" 2>/dev/null)
	[ "${got:-0}" = "$3" ] || { why="blkback offers feature-persistent=${got:-0}, not $3"; return 1; }
	got=$(xenstore-read "/local/domain/$id/device/vbd/$2/feature-persistent" 2>/dev/null)
	[ "$3" = 0 ] || [ "${got:-0}" = 1 ] || { why="blkfront has feature-persistent=${got:-0}"; return 1; }
}

# on_disk NAME VDEV DISK: what the guest wrote last is on dom0's disk
on_disk()
{
	console_scan "$1" "note sum $2 " || return
	expected=$line
	got=$(dd if="$3" bs=1M count=3 iflag=direct 2>/dev/null | sha256sum)
	why="$3 has the sum ${got%% *}, domU $1 wrote $expected"
	[ "${got%% *}" = "$expected" ]
}

# upload NAME: fetch what the guest serves, tell it the sum of what arrived; the
# file must have gone through dom0's e1000e
upload()
{
	domu_says "$1" "note serving " || return
	ip=${line% *} expected=${line#* }
	before=$(eth0_sent)
	if ! timeout 120 wget -q -T 60 -O $STATE/up "http://$ip/up"; then
		why="a file from domU $1 broke off after $(wc -c <$STATE/up) bytes"
		return 1
	fi
	sent=$(($(eth0_sent) - before))
	got=$(sha256sum <$STATE/up)
	rm -f $STATE/up
	echo "${got%% *}" >$STATE/www/arrived.new
	mv $STATE/www/arrived.new "$STATE/www/arrived.$ip"
	why="a file from domU $1 arrived with the sum ${got%% *}, expected $expected"
	[ "${got%% *}" = "$expected" ] || return
	why="the file from domU $1 did not go through dom0's e1000e ($sent bytes)"
	[ "$sent" -ge 1048576 ]
}

# no_trouble: what dom0's drivers would say of lost interrupts, lost or refused
# DMA, while this test ran
no_trouble()
{
	why="dom0's kernel says: $(dmesg | tail -n +$((LOG_LINES + 1)) | grep -m 1 -E \
		'I/O error|[Tt]imed out|timeout|Unit Hang|Reset adapter|swiotlb buffer is full|[Rr]efuses')"
	[ "$why" = "dom0's kernel says: " ]
}
LOG_LINES=$(dmesg | wc -l)

# What a test that ran out of time has left
clean_up
