#!/usr/bin/env bash
# usage: bench.sh [FLAG-OF-./bench…]
#
# All benchmarks in one run: first ./bench, which sets Starfish over a TUN device beside the
# kernel's TCP over a veth pair, then those that stand beside the code, one package after
# the other. Tables go to stdout, the figures to bench.json (the second kind as "packages").
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
	"$GO" mod download
	say "Starfish beside the kernel's TCP"
	"$GO" run ./bench -o bench.json "$@"

	say "The parts by themselves"
	LOG=$(mktemp)
	# shellcheck disable=SC2064 # the name is known now
	trap "rm -f '$LOG' '$LOG.json' '$LOG.all'" EXIT
	# -p 1: two packages at once would measure each other.
	scripts/enter.sh "$GO" test -p 1 -run '^$' -bench . -benchmem -benchtime "${BENCHTIME:-0.5s}" -timeout 60m ./... >"$LOG" || {
		grep -v 'no test files' "$LOG" >&2
		die "a benchmark failed"
	}
	figures <"$LOG" >"$LOG.json"
	table "$LOG.json"
	jq --slurpfile packages "$LOG.json" '. + {packages: $packages[0]}' bench.json >"$LOG.all"
	mv -- "$LOG.all" bench.json
	say "the figures are in bench.json"
}

main "$@"
