#!/usr/bin/env bash
# usage: bench.sh [GO-TEST-FLAG…] [PACKAGE…]
#
# Runs every benchmark of the project in namespaces of their own, one after the other, and
# prints go test's lines as they come, then a table; the figures go to bench.json. Those of
# test/bench compare Starfish over a TUN device with the kernel's TCP over a veth pair.
set -euo pipefail
ROOT=$(cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$ROOT/scripts/lib.sh"
cd "$ROOT"
GO=${GO:-go}

# figures: go test's benchmark lines to one JSON array; every pair of value and unit is a metric.
figures() {
	jq -Rn '
		reduce inputs as $line ({package: "", all: []};
			if ($line | startswith("pkg: ")) then .package = $line[5:]
			elif ($line | test("^Benchmark[^ \t]+[ \t]+[0-9]+[ \t]")) then
				($line | [splits("[ \t]+")] | map(select(. != ""))) as $f
				| .all += [{
					package: .package,
					name: ($f[0] | sub("^Benchmark"; "") | sub("-[0-9]+$"; "")),
					runs: ($f[1] | tonumber),
					metrics: ([range(2; ($f | length) - 1; 2) | {key: $f[. + 1], value: ($f[.] | tonumber)}] | from_entries)
				}]
			else . end)
		| .all'
}

# table FILE: one line for each benchmark; throughput is given in Gbit/s, and allocations.
table() {
	{
		printf 'benchmark\tns/op\tGbit/s\tallocs/op\tother\n'
		jq -r '
			def known: ["ns/op", "MB/s", "Gbit/s", "B/op", "allocs/op"];
			def short: if . == null then "-" elif . >= 100 then round else (. * 100 | round / 100) end;
			.[] | . as $b | .metrics as $m
			| [ (.package | sub("^github.com/MUCZ/Starfish/"; "")) + " " + .name,
				($m["ns/op"] | short),
				(if $m["Gbit/s"] then $m["Gbit/s"] elif $m["MB/s"] then $m["MB/s"] * 8 / 1000 else null end | short),
				($m["allocs/op"] | short),
				([$m | to_entries[] | select(.key as $k | known | index($k) | not) | "\(.value | short) \(.key)"] | join(", "))
			] | map(tostring) | join("\t")' "$1"
	} | awk -F '\t' '
		{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } columns = NF > columns ? NF : columns }
		END {
			for (r = 1; r <= NR; r++) {
				line = sprintf("%-" width[1] "s", cell[r, 1])
				for (i = 2; i < columns; i++) line = line sprintf("  %" width[i] "s", cell[r, i])
				sub(/ +$/, "", line); print line "  " cell[r, columns]
			}
		}'
}

main() {
	have jq || die "there is no 'jq' command: apt-get install jq"
	[ "$#" -gt 0 ] || set -- -benchtime 1s ./...
	"$GO" mod download
	local log code=0
	log=$(mktemp)
	# shellcheck disable=SC2064 # the name is known now
	trap "rm -f '$log'" EXIT
	# -p 1: two packages at once would measure each other.
	scripts/enter.sh "$GO" test -p 1 -run '^$' -bench . -benchmem -timeout 30m "$@" | tee "$log" | grep -v 'no test files' || code=$?
	figures <"$log" >bench.json
	say
	table bench.json
	say
	say "the figures are in bench.json"
	return "$code"
}

main "$@"
