#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The dmatest module on the machine's own DMA engine: memory to memory copies
# between buffers inside and outside the engine's reach, data compared by the
# module, DMA addresses compared with the device tree's dma-ranges by this
# script. On a Raspberry Pi 4 the engine (bcm2835-dma) reaches the first GB, at
# 0xc0000000 on its bus: a buffer below 1 GB has to be given to it directly at
# that offset, one above has to be bounced.
#
# A functional test on real hardware (or an emulation of it), as root, under Xen
# or not. DMATEST_DEVICE chooses an engine by device name; the default is the
# first with dma-ranges. Cases on DMA addresses need the trace event
# (CONFIG_ENABLE_DEFAULT_TRACERS). Needs no more than busybox:
#
#	./dmatest.sh

DIR="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=/dev/null
. "$DIR"/../kselftest/ktap_helpers.sh

readonly PARAMS=/sys/module/dmatest/parameters
# Seconds for one case; the module's own limit for a transfer is 3
readonly LIMIT=60

# Name; GFP_DMA buffers or not; bytes; size of the buffers; transfers per
# thread; channels; threads per channel.
#
# Lengths are multiples of 4, offsets too (alignment 2): QEMU's model of the
# engine never ends on others. A buffer that bounces may be 256 KB at most, and
# all of them together have to fit the smallest pool (half a MB).
readonly CASES="\
near_4_bytes          1      4   4096 20 1 1
near_1020_bytes       1   1020   4096 20 1 1
near_1_page           1   4096   8192 20 1 1
near_3_pages_and_4    1  12292  16384 20 1 1
near_64_KB            1  65536 131072 10 1 1
near_2_channels       1   8192  16384 20 2 1
near_4_threads        1   8192  16384 20 1 4
any_4_bytes           0      4   4096 20 1 1
any_1020_bytes        0   1020   4096 20 1 1
any_1_page            0   4096   8192 20 1 1
any_3_pages_and_4     0  12292  16384 20 1 1
any_64_KB             0  65536 131072 10 1 1
any_2_channels        0   8192  16384 20 2 1
any_4_threads         0   8192  16384 20 1 4"

device=
trace=
loaded=
ranges=			# lines of "DMA address, physical address, size"
far_ram=
n_direct=0
n_bounced=0
n_wrong=0
n_far_wrong=0

# A device tree property as one string of hexadecimal digits
property()
{
	od -An -v -tx1 "$1" | tr -d ' \n'
}

# Characters $2 to $3 of $1, as a number
cells()
{
	echo $((0x$(echo "$1" | cut -c "$2-$3")))
}

# The translation between the engine's bus and physical addresses: dma-ranges of
# the first bus above it that has one. The buses above that are taken to be one
# to one, as they are on every board this was written for.
read_ranges()
{
	node=$(readlink -f "/sys/class/dma/$1/device/of_node") || return 1
	while node=$(dirname "$node"); [ -e "$node/compatible" ]; do
		[ -s "$node/dma-ranges" ] && break
	done
	[ -s "$node/dma-ranges" ] || return 1

	child=$((8 * $(cells "$(property "$node/#address-cells")" 1 8)))
	size=$((8 * $(cells "$(property "$node/#size-cells")" 1 8)))
	parent=$((8 * $(cells "$(property "$node/../#address-cells")" 1 8)))
	hex=$(property "$node/dma-ranges")
	at=1
	while [ $at -lt ${#hex} ]; do
		mid=$((at + child))
		end=$((mid + parent))
		echo "$(cells "$hex" $at $((mid - 1)))" \
		     "$(cells "$hex" $mid $((end - 1)))" \
		     "$(cells "$hex" $end $((end + size - 1)))"
		at=$((end + size))
	done
}

# Sets dma_of to the DMA address of physical address $1, or to nothing if that
# is out of reach. No subshell: this is asked for every mapping.
to_dma()
{
	at=$1
	dma_of=
	# shellcheck disable=SC2086
	set -- $ranges
	while [ $# -ge 3 ]; do
		if [ $((at >= $2 && at < $2 + $3)) = 1 ]; then
			dma_of=$((at - $2 + $1))
			return
		fi
		shift 3
	done
}

# Is DMA address $1 inside the engine's reach?
in_reach()
{
	at=$1
	# shellcheck disable=SC2086
	set -- $ranges
	while [ $# -ge 3 ]; do
		[ $((at >= $1 && at < $1 + $3)) = 1 ] && return 0
		shift 3
	done
	return 1
}

# RAM that the engine does not reach: the end of the first such region
find_far_ram()
{
	sed -n 's/^\([0-9a-f]*\)-\([0-9a-f]*\) : System RAM$/\2/p' /proc/iomem |
	while read -r end; do
		to_dma $((0x$end))
		[ -z "$dma_of" ] && echo "0x$end" && break
	done
}

start_trace()
{
	for dir in /sys/kernel/tracing /sys/kernel/debug/tracing; do
		# dma_map_page was its name up to 6.17
		for event in dma_map_phys dma_map_page; do
			[ -e "$dir/events/dma/$event" ] || continue
			trace=$dir/instances/xen-dmatest
			mkdir -p "$trace" || return 1
			echo 1 > "$trace/events/dma/$event/enable"
			return 0
		done
	done
	return 1
}

stop_trace()
{
	[ -n "$trace" ] || return
	echo 0 > "$trace/tracing_on"
	rmdir "$trace"
}

# Judge every address that the engine was given in the last run
check_trace()
{
	shown=
	while read -r dma phys; do
		dma=$((0x$dma))
		phys=$((0x$phys))
		to_dma $phys
		if [ -n "$dma_of" ] && [ "$dma_of" = $dma ]; then
			kind=direct
			n_direct=$((n_direct + 1))
		elif [ -z "$dma_of" ] && in_reach $dma; then
			kind=bounced
			n_bounced=$((n_bounced + 1))
		else
			kind=WRONG
			n_wrong=$((n_wrong + 1))
			[ -n "$dma_of" ] || n_far_wrong=$((n_far_wrong + 1))
		fi
		case "$shown" in
		*$kind*) ;;
		*)
			ktap_print_msg "$1: $(printf "%s, phys %#x dma %#x" \
				       $kind $phys $dma)"
			shown="$shown $kind"
			;;
		esac
	done <<-END
	$(sed -n "s/.* $device .*dma_addr=\([0-9a-f]*\) .*phys_addr=\([0-9a-f]*\) .*/\1 \2/p" \
	  "$trace/trace")
	END
	echo > "$trace/trace"
}

set_params()
{
	while [ $# -gt 0 ]; do
		echo "$2" > "$PARAMS/$1" || return 1
		shift 2
	done
}

run_case()
{
	name=$1
	iterations=$5
	threads=$(($6 * $7))

	mark="xen-dmatest-$$-$name"
	echo "$mark" > /dev/kmsg

	[ -n "$trace" ] && echo > "$trace/trace"
	set_params nobounce "$2" transfer_size "$3" test_buf_size "$4" \
		   iterations "$5" max_channels "$6" threads_per_chan "$7" \
		   run 1 || return 1
	# The module says how it went in the kernel's log, and nowhere else. "run" is N
	# also before its threads have begun. Not its "wait": who reads that cannot be
	# killed.
	tenths=0
	while [ $tenths -lt ${LIMIT}0 ]; do
		result=$(dmesg | sed -n "/$mark/,\$s/.*dmatest: //p")
		ended=$(echo "$result" | grep -c ": summary ")
		[ "$ended" -ge "$threads" ] && [ "$(cat $PARAMS/run)" != Y ] && break
		usleep 100000 2>/dev/null || sleep 0.1
		tenths=$((tenths + 1))
	done

	passed=$(echo "$result" |
		 grep -c "summary $iterations tests, 0 failures.*(0)\$")
	[ -n "$trace" ] && check_trace "$name"
	if [ $tenths = ${LIMIT}0 ]; then
		ktap_print_msg "$name: not finished after $LIMIT seconds"
	elif [ "$passed" = "$threads" ]; then
		return 0
	fi

	ktap_print_msg "$name: $passed of $threads threads passed"
	echo "$result" | head -n 20 | while read -r line; do
		ktap_print_msg "$line"
	done
	return 1
}

clean_up()
{
	stop_trace
	[ -n "$loaded" ] && timeout 10 rmmod dmatest
}

skip_all()
{
	ktap_skip_all "$1"
	exit "$KSFT_SKIP"
}

ktap_print_header

[ "$(id -u)" = 0 ] || skip_all "needs root"

for chan in /sys/class/dma/*chan*; do
	[ -e "$chan/device" ] || continue
	dev=$(basename "$(readlink -f "$chan/device")")
	[ "${DMATEST_DEVICE:-$dev}" = "$dev" ] || continue
	ranges=$(read_ranges "$(basename "$chan")") || continue
	device=$dev
	break
done
[ -n "$device" ] || skip_all "no DMA engine with dma-ranges in /sys/class/dma"

if [ ! -d $PARAMS ]; then
	modprobe -q dmatest 2>/dev/null && loaded=1
	[ -d $PARAMS ] || skip_all "no dmatest module (CONFIG_DMATEST)"
fi
trap clean_up EXIT

driver=$(basename "$(readlink -f "$chan/device/driver")")
ktap_print_msg "engine $device, driver $driver"
echo "$ranges" | while read -r dma phys size; do
	ktap_print_msg "$(printf "dma-ranges: phys %#x dma %#x, %#x bytes" \
		       "$phys" "$dma" "$size")"
done
far_ram=$(find_far_ram)
ktap_print_msg "RAM out of its reach: ${far_ram:+up to }${far_ram:-none}"
start_trace || ktap_print_msg "no trace event for DMA mappings"

ktap_set_plan $(($(echo "$CASES" | wc -l) + 3))

set_params device "$device" timeout 3000 alignment 2

while read -r name rest; do
	case "$name" in
	any_*)
		if [ -z "$far_ram" ]; then
			ktap_test_skip "$name: all RAM is in reach"
			continue
		fi
		;;
	esac
	# shellcheck disable=SC2086
	if run_case "$name" $rest; then
		ktap_test_pass "$name"
	else
		ktap_test_fail "$name"
	fi
done <<-END
$CASES
END

# What the addresses looked like in all of the above
ktap_print_msg "$n_direct direct, $n_bounced bounced, $n_wrong wrong addresses"
if [ -z "$trace" ]; then
	reason="no trace event dma_map_phys (CONFIG_ENABLE_DEFAULT_TRACERS)"
	ktap_test_skip "memory_in_reach_has_the_offset: $reason"
	ktap_test_skip "memory_out_of_reach_is_bounced: $reason"
	ktap_test_skip "no_other_address: $reason"
else
	ktap_test_result "memory_in_reach_has_the_offset" \
			 test "$n_direct" -gt 0
	if [ -z "$far_ram" ]; then
		ktap_test_skip "memory_out_of_reach_is_bounced: all in reach"
	elif [ $((n_direct + n_bounced + n_wrong)) -gt 0 ] &&
	     [ $((n_bounced + n_far_wrong)) = 0 ]; then
		ktap_test_skip "memory_out_of_reach_is_bounced: no buffer there"
	else
		ktap_test_result "memory_out_of_reach_is_bounced" \
				 test $((n_bounced && !n_far_wrong)) = 1
	fi
	ktap_test_result "no_other_address" test "$n_wrong" = 0
fi

ktap_finished
