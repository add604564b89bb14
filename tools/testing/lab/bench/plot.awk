# SPDX-License-Identifier: GPL-2.0-only
# Draws the instructions of the benchmark's table: a bar for each kernel, as long
# as the logarithm of the number.
BEGIN { FS = "\t"; left = 230; width = 560; bar = 9; top = 40 }
NR == 1 {
	for (i = 3; i <= NF && $i !~ /\//; i++)
		kernel[++nk] = $i
	next
}
$2 == "instructions" {
	name[++n] = $1
	for (i = 1; i <= nk; i++) {
		v[n, i] = $(i + 2)
		if (v[n, i] + 0 > most)
			most = v[n, i] + 0
	}
}
function x(value) {
	return left + width * (log(value) - log(100)) / (log(most) - log(100))
}
END {
	split("#4d4d4d #d95f02 #1b9e77 #7570b3 #e7298a", colour, " ")
	row = bar * nk + 7
	high = top + n * row + 10
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"11\">\n", left + width + 80, high
	printf "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
	for (i = 1; i <= nk; i++) {
		printf "<rect x=\"%d\" y=\"6\" width=\"10\" height=\"10\" fill=\"%s\"/>", left + (i - 1) * 90, colour[i]
		printf "<text x=\"%d\" y=\"15\">%s</text>\n", left + (i - 1) * 90 + 14, kernel[i]
	}
	printf "<text x=\"%d\" y=\"15\">guest instructions, logarithmic</text>\n", left + nk * 90 + 10
	for (t = 100; t <= most; t *= 10)
		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#cccccc\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#666666\">%d</text>\n", x(t), x(t), top - 6, high, x(t), top - 9, t
	for (r = 1; r <= n; r++) {
		y = top + (r - 1) * row
		printf "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left - 6, y + bar * nk / 2 + 4, name[r]
		for (i = 1; i <= nk; i++) {
			if (v[r, i] !~ /^[0-9]+$/)
				continue
			printf "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", left, y + (i - 1) * bar, x(v[r, i]) - left, bar - 1, colour[i]
			printf "<text x=\"%.1f\" y=\"%.1f\" font-size=\"8\">%d</text>\n", x(v[r, i]) + 3, y + i * bar - 2, v[r, i]
		}
	}
	print "</svg>"
}
