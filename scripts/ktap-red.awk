# SPDX-License-Identifier: GPL-2.0-only
# List the tests of a nested KTAP document that failed (mode=red), or that were
# skipped with their reason (mode=skip), or that passed (mode=pass), or count the
# leaves (mode=count):
# boot/test/suite/case/parameter. A test is listed, not its parents, unless it
# failed with no failing part.
# usage: awk [-v mode=red|skip|pass|count] -f ktap-red.awk results.ktap

function indent(s) { match(s, /^ */); return RLENGTH }

{ d = indent($0); text = substr($0, d + 1) }

text ~ /^# Subtest: / {
	# A subtest begun at this depth ends all deeper ones.
	for (i in sub_name)
		if (i + 0 >= d) delete sub_name[i]
	sub_name[d] = substr(text, 12)
	next
}
# Why a whole document is skipped is in its plan.
text ~ /^(# )?1\.\.0 # SKIP / {
	plan_reason = text
	sub(/^.*# SKIP */, "", plan_reason)
	next
}
text ~ /^(not )?ok [0-9]+/ {
	failed = text ~ /^not ok/
	skipped = text ~ /# SKIP/
	name = text
	sub(/^(not )?ok [0-9]+( - | )?/, "", name)
	reason = name
	sub(/ *# .*/, "", name)
	sub(/^[^#]*# SKIP */, "", reason)
	# ktap_helpers.sh has no place for a reason but the name.
	if (skipped && reason == "" && (i = index(name, ": "))) {
		reason = substr(name, i + 2)
		name = substr(name, 1, i - 1)
	}
	if (skipped && reason == "")
		reason = plan_reason
	plan_reason = ""
	path = ""
	n = 0
	for (i in sub_name)
		if (i + 0 <= d) keys[++n] = i + 0
	# A result line stands in its parent's frame: sort the frames outwards in.
	for (i = 1; i <= n; i++)
		for (j = i + 1; j <= n; j++)
			if (keys[j] < keys[i]) { t = keys[i]; keys[i] = keys[j]; keys[j] = t }
	for (i = 1; i <= n; i++)
		path = path sub_name[keys[i]] "/"
	gsub(/ /, "_", name)
	kids_failed = 0; kids = 0
	for (i in fails)
		if (i + 0 > d) { kids_failed += fails[i]; kids += seen[i]; delete fails[i]; delete seen[i] }
	for (i in sub_name)
		if (i + 0 > d) delete sub_name[i]
	if (failed && !kids_failed && mode == "red")
		print path name
	if (!failed && !skipped && mode == "pass" && !kids)
		print path name
	# A parent is skipped when all of its cases are, which are listed.
	if (skipped && mode == "skip" && !kids)
		print path name ": " (reason == "" ? "(no reason given)" : reason)
	if (!kids) {
		total++
		if (failed) nfail++
		else if (skipped) nskip++
	} else if (failed && !kids_failed) {
		total++; nfail++
	}
	fails[d] += failed
	seen[d]++
}
END {
	if (mode == "count")
		printf "%d passed, %d failed, %d skipped\n", total - nfail - nskip, nfail, nskip
}
