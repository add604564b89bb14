# SPDX-License-Identifier: GPL-2.0-only
# Joins the results of several runs to one table, with ratios.
# Input: lines "# BOOT KERNEL", each followed by that run's lines of
# "name<tab>unit<tab>value".
BEGIN { FS = OFS = "\t" }
/^# / {
	split($0, word, " ")
	kernel = word[3]
	prefix = word[2] ~ /-coherent$/ ? "coherent_" : ""
	if (!(kernel in seen)) {
		seen[kernel] = 1
		kernels[++nk] = kernel
	}
	next
}
{
	row = prefix $1 OFS $2
	if (!(row in rows)) {
		rows[row] = 1
		order[++nr] = row
	}
	value[row, kernel] = $3
}
# What the same work costs on bare metal: foreign memory is compared with local.
function bare_row(row) {
	sub(/@[0-9]+/, "", row)
	sub(/foreign_direct_/, "local_", row)
	sub(/foreign_bounced_/, "local_bounced_", row)
	sub(/_last_ref|_no_alias/, "", row)
	return row
}
END {
	line = "work" OFS "unit"
	for (i = 1; i <= nk; i++)
		line = line OFS kernels[i]
	for (i = 1; i <= nk; i++)
		if (kernels[i] != "bare" && ("bare" in seen))
			line = line OFS kernels[i] "/bare"
	print line
	for (r = 1; r <= nr; r++) {
		row = order[r]
		line = row
		for (i = 1; i <= nk; i++)
			line = line OFS ((row, kernels[i]) in value ? value[row, kernels[i]] : "-")
		for (i = 1; i <= nk; i++) {
			if (kernels[i] == "bare" || !("bare" in seen))
				continue
			of = value[bare_row(row), "bare"]
			v = value[row, kernels[i]]
			line = line OFS (of && v != "" ? sprintf("%.3f", v / of) : "-")
		}
		print line
	}
}
