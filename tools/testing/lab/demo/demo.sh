#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash disable=SC1091,SC2034,SC2154,SC2317 # lib.sh and for it
#
# The demo, in dom0: a bare-metal guest that is to wake up periodically, on a CPU
# of its own, without and with a Linux guest beside it that does disk and network
# I/O through dom0's devices. See usage() for how to run it on a board.

usage()
{
	cat <<-TXT
	usage: demo.sh --disk=DEVICE --bridge=NAME [OPTION]...     on a board
	       demo.sh --lab [OPTION]...                           in the window lab
	A periodic guest has a CPU of its own. How late it wakes up is measured twice:
	with nothing else to do for Xen, and with a Linux guest that writes and reads
	back a disk, fetches files and has its own fetched, all of it compared.
	  --disk=DEVICE   the guest's disk: ITS FIRST 64 MB ARE OVERWRITTEN
	  --bridge=NAME   dom0's bridge with its network card; dom0 gets the further
	                  address 10.9.0.1 on it, the guest has 10.9.0.2
	  --server=IP     who has the files "down" and "down.sum" (its sha256sum), by
	                  HTTP on port 80; another machine on the bridge's network
	                  (with an address in 10.9.0.0/24), or the card has nothing to
	                  do; default: dom0 itself
	  --cpu=N         the periodic guest's CPU (the last one)
	  --period=US     its period in microseconds (1000)
	  --seconds=N     length of each measurement (20)
	  --break=WHAT    something to notice, for the demo's own test: disk, down or up
	                  (wrong data), stop (the periodic guest), pause (it, for 0.5 s)
	Needs Xen's toolstack, busybox, a GICv2, two CPUs or more, Linux's blkback and
	netback, and the files that lie beside it.
	Exit code: 0 if all data was right and the periodic guest was heard.
	TXT
}

cd "$(dirname "$0")" || exit
GUESTS=$(pwd -P)
. ./lib.sh
# dom0's system may have no brctl, no httpd.
if ! command -v brctl httpd >/dev/null; then
	mkdir -p "$STATE"/bin
	busybox --install -s "$STATE"/bin
	PATH=$PATH:$STATE/bin
fi

POOL=periodic
lab='' disk='' bridge='' server=$DOM0_IP cpu='' period=1000 seconds=20 break=''
for arg; do
	value=${arg#*=}
	case $arg in
	--lab) lab=1 ;;
	--disk=*) disk=$value ;;
	--bridge=*) bridge=$value ;;
	--server=*) server=$value ;;
	--cpu=*) cpu=$value ;;
	--period=*) period=$value ;;
	--seconds=*) seconds=$value ;;
	--break=*) break=$value ;;
	-h | --help) usage; exit ;;
	*) usage >&2; exit 2 ;;
	esac
done
case $break in
'' | disk | down | up | stop | pause) ;;
*) usage >&2; exit 2 ;;
esac
if [ -n "$lab" ]; then
	disk=$(disk_nvme 1)
elif [ -z "$disk" ] || [ -z "$bridge" ]; then
	usage >&2
	exit 2
fi

# Whatever ends the script, the machine is left as it was.
cleanup()
{
	trap - EXIT
	[ -z "${fetching-}" ] || kill "$fetching" 2>/dev/null
	[ -z "${breaking-}" ] || kill "$breaking" 2>/dev/null
	clean_up >"$STATE"/left 2>&1
	if [ -n "${pool-}" ]; then
		xl cpupool-destroy "$POOL"
		xl cpupool-cpu-add Pool-0 "$cpu"
	fi
	[ -z "$bridge" ] || ifconfig "$bridge:demo" down 2>/dev/null
	[ -z "${served-}" ] || pkill -f "httpd -p $DOM0_IP:80"
}

fail()
{
	echo "DEMO failed: $*"
	# What the guests said last
	for said in "$STATE"/*/console; do
		[ ! -s "$said" ] || tr -d '\r' <"$said" | tail -n 4 | sed "s,^,# $(basename "${said%/console}"): ,"
	done
	exit 1
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# A scheduler's pool with this one CPU: nothing but the periodic guest can run
# on it. The null scheduler does nothing at all, but not every Xen has it.
own_cpu()
{
	cpus=$(xl info | awk '$1 == "nr_cpus" { print $3 }')
	why="the machine has ${cpus:-no} CPU, two are needed"
	[ "${cpus:-0}" -ge 2 ] || return
	cpu=${cpu:-$((cpus - 1))}
	if ! xl cpupool-cpu-remove Pool-0 "$cpu" >"$STATE"/said 2>&1; then
		why="dom0 does not let go of CPU $cpu (is it pinned there?): $(tail -n 1 "$STATE"/said)"
		return 1
	fi
	pool=1
	for scheduler in null credit2 credit; do
		xl cpupool-create "name=\"$POOL\"" "sched=\"$scheduler\"" "cpus=[\"$cpu\"]" >"$STATE"/said 2>&1 &&
			return
	done
	why="no pool for CPU $cpu: $(tail -n 1 "$STATE"/said)"
	return 1
}

periodic_start()
{
	dir=$STATE/periodic
	mkdir -p "$dir"
	cat >"$dir/cfg" <<-CFG
	name="periodic"
	kernel="$GUESTS/periodic"
	memory=16
	vcpus=1
	pool="$POOL"
	gic_version="v2"
	on_crash="preserve"
	CFG
	if ! xl create -q -e -p "$dir/cfg" >"$dir/xl" 2>&1; then
		why="xl create of the periodic guest failed: $(grep -v '^$' "$dir/xl" | head -n 3 | xargs)"
		return 1
	fi
	xl domid periodic >"$dir/id"
	: >"$dir/console"
	domu_run periodic && wait_for 20 "the periodic guest's first word" grep -q '^PERIODIC ready' "$dir/console"
}

# order TEXT ANSWER: to the periodic guest; its answer is in $answer
order()
{
	had=$(answers "$2")
	echo "$1" >"$orders"
	if ! wait_for 20 "" new_answer "$2"; then
		why="the periodic guest does not answer '${1%% *}' (xl list: $(xl list periodic 2>/dev/null | awk 'NR > 1 { print $5 }' | grep . || echo gone))"
		return 1
	fi
	answer=$(grep "^PERIODIC $2 .* end" "$STATE"/periodic/console | tail -n 1 | tr -d '\r')
}

answers()
{
	grep -c "^PERIODIC $1 .* end" "$STATE"/periodic/console
}

new_answer()
{
	[ "$(answers "$1")" -gt "$had" ]
}

# value NAME: of the last answer
value()
{
	echo "$answer" | sed -n "s/.* $1=\([0-9]*\) .*/\1/p"
}

us()
{
	awk -v ns="$1" 'BEGIN { printf "%.1f", ns / 1000 }'
}

# uptime in 1/100 s
ticks()
{
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}"
}

# measure WHAT: for so many seconds; adds a line to the table
measure()
{
	say "measuring for $seconds s: $1"
	order "start $period" started || fail "$why"
	began=$(ticks)
	sleep "$seconds"
	order report report || fail "$why"
	due=$((($(ticks) - began) * 10000 / period))
	periods=$(value periods) missed=$(value missed)
	# Does its time pass as ours does? It reads orders in its own, too.
	heard=$((periods + missed))
	slack=$((due / 5 + 2000000 / period))
	if [ $heard -lt $((due - slack)) ] || [ $heard -gt $((due + slack)) ]; then
		fail "the periodic guest counted $heard periods, about $due were due"
	fi
	[ "$periods" -gt 0 ] || fail "the periodic guest did not wake up once"
	printf '%-22s %9d %8d %9s %11s %9s %9s\n' "$1" "$periods" "$missed" "$(us "$(value min_ns)")" \
		"$(us "$(value avg_ns)")" "$(us "$(value p99_ns)")" "$(us "$(value max_ns)")" >>"$STATE"/table
}

# dom0 fetches the guest's file again and again: MB in $STATE/up.mb, and why not
fetch()
{
	mb=0
	until [ -e "$STATE"/www/stop ]; do
		rm -f "$STATE"/up
		wget -q -T 60 -O "$STATE"/up "http://$1/up" || { echo "it broke off" >"$STATE"/up.why; break; }
		[ "$break" != up ] || flip_byte "$STATE"/up
		got=$(sha256sum <"$STATE"/up)
		got=${got%% *}
		[ "$got" = "$2" ] || { echo "it arrived with the sum $got, expected $2" >"$STATE"/up.why; break; }
		mb=$((mb + $(wc -c <"$STATE"/up) / 1048576))
		echo $mb >"$STATE"/up.mb
	done
}

flip_byte()
{
	byte=$(dd if="$1" bs=1 skip=1000000 count=1 2>/dev/null | hexdump -v -e '1/1 "%d"')
	# shellcheck disable=SC2059 # an octal number is what is wanted
	printf "\\$(printf %o $((byte ^ 1)))" | dd of="$1" bs=1 seek=1000000 conv=notrunc 2>/dev/null
}

# sectors read|written: of blkback, for the Linux guest
sectors()
{
	cat "/sys/bus/xen-backend/devices/vbd-$linux-51712/statistics/$1"
}

# vif sent|received: KB that the Linux guest has sent or received, as netback counts
vif()
{
	case $1 in
	sent) direction=rx ;;
	*) direction=tx ;;
	esac
	echo $(($(cat "/sys/class/net/vif$linux.0/statistics/${direction}_bytes") / 1024))
}

# mb KB
mb()
{
	awk -v kb="$1" 'BEGIN { printf "%.1f MB", kb / 1024 }'
}

working()
{
	[ "$(sectors rd_sect)" -gt 0 ] && [ "$(vif sent)" -gt 256 ] && [ "$(vif received)" -gt 256 ]
}

load_start()
{
	domu_start linux "xvda=$disk" 2 "work:xvda:$server:$DOM0_IP" || fail "$why"
	linux=$(cat "$STATE"/linux/id)
	domu_says linux "note serving " || fail "$why"
	echo 0 >"$STATE"/up.mb
	# shellcheck disable=SC2086 # address and sum
	fetch $line &
	fetching=$!
	wait_for $((3 * LIMIT)) "the Linux guest's I/O" working && return
	reason=$why
	still_right
	fail "$reason"
}

# Did something go wrong in the meantime?
still_right()
{
	[ ! -e "$STATE"/up.why ] || fail "a file from the Linux guest: $(cat "$STATE"/up.why)"
	console_scan linux "ok work:"
	case $? in
	0) fail "the Linux guest has stopped working" ;;
	1) fail "$why" ;;
	esac
	! domu_off linux || fail "the Linux guest is gone"
}

# On the disk, behind the guest's back: in each place where it writes, while it
# has not yet read it back.
scribble()
{
	times=0
	while :; do
		for mb in $(seq 0 2 46); do
			dd if=/dev/zero of="$disk" bs=4k count=1 seek=$((mb * 256)) oflag=direct 2>"$STATE"/said.scribble ||
				say "cannot scribble: $(tail -n 1 "$STATE"/said.scribble)"
			times=$((times + 1))
			echo $times >"$STATE"/scribbled
		done
	done
}

something_wrong()
{
	case $break in
	'' | up) return ;;
	disk) scribble ;;
	down) flip_byte "$STATE"/www/down ;;
	stop) sleep 1; xl pause periodic ;;
	pause) sleep 1; xl pause periodic; sleep 0.5; xl unpause periodic ;;
	esac
}

rm -rf "$STATE"/table "$STATE"/up.* "$STATE"/www/stop
if [ -n "$lab" ]; then
	network || fail "$why"
else
	BRIDGE=$bridge
	ifconfig "$bridge:demo" "$DOM0_IP" netmask 255.255.255.0 up || fail "$bridge does not take the address $DOM0_IP"
	served=1
	serve || fail "$why"
fi
[ -b "$disk" ] || fail "the disk '$disk' is no block device"

own_cpu || fail "$why"
say "CPU $cpu is in a pool of its own, scheduler $scheduler"
periodic_start || fail "$why"
orders=$(xenstore-read "/local/domain/$(cat "$STATE"/periodic/id)/console/tty")
measure "without load"
load_start
# Where everything runs
xl vcpu-list | sed 's/^/# /'
rd=$(sectors rd_sect) wr=$(sectors wr_sect) down=$(vif received) up=$(vif sent)
card=$([ -z "$lab" ] || eth0_sent)
something_wrong &
breaking=$!
measure "with load"
rd=$((($(sectors rd_sect) - rd) / 2)) wr=$((($(sectors wr_sect) - wr) / 2))
down=$(($(vif received) - down)) up=$(($(vif sent) - up))
still_right
did="the Linux guest read $(mb $rd) and wrote $(mb $wr) of disk, received $(mb $down) and sent $(mb $up)"
if [ $rd = 0 ] || [ $wr = 0 ] || [ $down = 0 ] || [ $up = 0 ]; then
	fail "there was no load: in $seconds s $did"
fi
if [ -n "$lab" ]; then
	card=$((($(eth0_sent) - card) / 1024))
	# What is counted for a packet's headers differs a little.
	[ $card -ge $((up * 9 / 10)) ] || fail "of $(mb $up) from the Linux guest $(mb $card) went through dom0's e1000e"
fi
: >"$STATE"/www/stop
domu_says linux "note did " || fail "$why"
did_disk=${line% *} did_down=${line#* }
wait $fetching
fetching=
still=$(cat "$STATE"/up.why 2>/dev/null)
[ -z "$still" ] || fail "a file from the Linux guest: $still"
did_up=$(cat "$STATE"/up.mb)
if [ "$did_disk" = 0 ] || [ "$did_down" = 0 ] || [ "$did_up" = 0 ]; then
	fail "compared were $did_disk MB of disk, $did_down MB of network received, $did_up MB sent: nothing must be 0"
fi
[ "$break" != disk ] || say "scribbled $(cat "$STATE"/scribbled) times"
domu_gone linux || fail "$why"
domu_gone periodic || fail "$why"
no_trouble || fail "$why"

way="dom0's $(basename "$disk") and the bridge $bridge"
[ -z "$lab" ] || way="dom0's NVMe and e1000e"
{
	echo "A guest on CPU $cpu, with no other on it (scheduler $scheduler), is to wake up every $period us."
	echo "How late it is, in us, measured for $seconds s each:"
	printf '%-22s %9s %8s %9s %11s %9s %9s\n' '' periods missed least average '99 %' most
	cat "$STATE"/table
	echo "Load: in these $seconds s $did,"
	echo "through $way."
	echo "Data: in all $did_disk MB of disk written, read back and compared, files of $did_down MB received and of $did_up MB"
	echo "sent, and compared: all data was right."
} | sed 's/^/DEMO /'
exit 0
