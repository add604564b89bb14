# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Functions of the window lab's scripts: the address map and the geometry table.
# Sourced, never run. Needs LAB_WINDOW, the folder that it lies in.

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# lab_address NAME: value of NAME in address-map.h
lab_address() {
	local value

	value=$(awk -v name="$1" '$1 == "#define" && $2 == name && NF == 3 { print $3 }' \
		"$LAB_WINDOW/address-map.h")
	[ -n "$value" ] || die "address-map.h has no $1"
	echo "$value"
}

geometry_names() {
	awk '!/^#/ && NF { print $1 }' "$LAB_WINDOW/geometries"
}

# geometry_read NAME: sets GEOMETRY_RANGES (array of dma:cpu:size),
# GEOMETRY_BITS and GEOMETRY_COMMENT, or ends the script.
geometry_read() {
	local line ranges range part

	line=$(awk -v name="$1" '!/^#/ && $1 == name' "$LAB_WINDOW/geometries")
	[ -n "$line" ] ||
		die "no geometry '$1'; there are: $(geometry_names | tr '\n' ' ')"
	[ "$(wc -l <<<"$line")" -eq 1 ] || die "geometry '$1' is there twice"
	# shellcheck disable=SC2034 # used by the scripts that source this
	read -r _ ranges GEOMETRY_BITS GEOMETRY_COMMENT <<<"$line"
	[[ "$GEOMETRY_BITS" =~ ^[0-9]+$ ]] || die "geometry '$1': no bits"
	IFS=, read -r -a GEOMETRY_RANGES <<<"$ranges"
	for range in "${GEOMETRY_RANGES[@]}"; do
		[[ "$range" =~ ^0x[0-9a-f]+:0x[0-9a-f]+:0x[0-9a-f]+$ ]] ||
			die "geometry '$1': '$range' is not dma:cpu:size in hex"
		for part in ${range//:/ }; do
			((part % 4096 == 0)) ||
				die "geometry '$1': $part is no multiple of 4 KB"
		done
	done
}

# geometry_has_offset: does any range of the geometry read last have an offset?
geometry_has_offset() {
	local range dma cpu

	for range in "${GEOMETRY_RANGES[@]}"; do
		IFS=: read -r dma cpu _ <<<"$range"
		((dma == cpu)) || return 0
	done
	return 1
}
