# SPDX-License-Identifier: GPL-2.0-only
# Functions and structures out of a kernel source file, as they are there:
# awk -v want="name name struct:name" -f extract.awk FILE
BEGIN {
	n = split(want, w, " ")
	for (i = 1; i <= n; i++)
		left[w[i]] = 1
}
# A function begins in the first column and ends at a "}" there; its head may
# take several lines.
!on && /^[a-z].*[*a-z_0-9 ]\(/ && !/;$/ {
	name = $0
	sub(/\(.*/, "", name)
	sub(/.*[ *]/, "", name)
	on = name in left
}
!on && /^struct [a-z_]+ \{$/ && ("struct:" $2) in left {
	on = 1
	name = "struct:" $2
}
!on && /^#define [A-Za-z_]+/ {
	name = $2
	sub(/\(.*/, "", name)
	name = "define:" name
	if (name in left) {
		do {
			print
			more = /\\$/
		} while (more && (getline) > 0)
		delete left[name]
		next
	}
}
on {
	print
	if (/^\}/) {
		on = 0
		print ""
		delete left[name]
	}
}
END {
	for (name in left) {
		print FILENAME ": no " name > "/dev/stderr"
		bad = 1
	}
	exit bad
}
