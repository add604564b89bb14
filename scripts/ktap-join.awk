# SPDX-License-Identifier: GPL-2.0-only
# Turn what run_kselftest.sh left (summary.tap, and test-NAME with each test's
# own output behind "# ") into one nested KTAP document.
# usage: awk -v boot=NAME -v dir=FOLDER [-v warnings=1] [-v lab_test=RESULT]
#            -f ktap-join.awk FOLDER/summary.tap
# RESULT, as "ok NAME" or "not ok NAME", is what the lab itself has to say.

# The test's own KTAP, two levels in. Its runner's remarks become diagnostics.
function nested(file,    line, n) {
	n = 0
	while ((getline line < file) > 0) {
		if (line ~ /^# timeout set to/ || line ~ /^# overriding timeout/)
			continue
		sub(/^# ?/, "", line)
		if (line ~ /^(TAP version|KTAP version)/ && !n++) {
			print "    KTAP version 1"
			print "    # Subtest: " name
			continue
		}
		print (n ? "    " : "    # ") line
	}
	close(file)
}

/^1\.\.[0-9]+$/ {
	print "  KTAP version 1"
	print "  # Subtest: " boot
	split($0, plan, /\.\./)
	# One test more: what the kernel logged.
	print "  1.." plan[2] + 1 + (lab_test != "")
	next
}
/^# selftests: / {
	name = $0
	sub(/^# selftests: [^:]*: /, "", name)
	next
}
/^(not )?ok [0-9]+ selftests: / {
	nested(dir "/test-" name)
	sub(/selftests: [^:]*: /, "")
	print "  " $0
	total++
	next
}
END {
	print "  " (warnings ? "not ok " : "ok ") total + 1 " kernel_log_clean"
	if (lab_test != "") {
		sub(/ok /, "ok " total + 2 " ", lab_test)
		print "  " lab_test
	}
}
