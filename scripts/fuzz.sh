#!/usr/bin/env bash
# usage: fuzz.sh TIME [PACKAGE…]
#
# Runs every fuzz target that there is for TIME each.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"
cd "$(dirname -- "$0")/.."

time=${1:?the time for each target, such as 3s}
shift
[ "$#" -gt 0 ] || set -- ./...
GO=${GO:-go}

# Only packages that mention a target are worth compiling for the list.
targets() {
	local package dir
	"$GO" list -f '{{.ImportPath}} {{.Dir}}' "$@" | while read -r package dir; do
		grep -lqs '^func Fuzz' "$dir"/*_test.go || continue
		"$GO" test -list '^Fuzz' "$package" | sed -n "s|^Fuzz.*|$package &|p"
	done
}

failed=0
count=0
while read -r package target; do
	count=$((count + 1))
	if output=$("$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" 2>&1); then
		say "ok    $package $target $(sed -n 's/.*\(execs: [0-9]*\).*/\1/p' <<<"$output" | tail -n 1)"
	else
		say "FAIL  $package $target"
		printf '%s\n' "$output"
		failed=$((failed + 1))
	fi
done < <(targets "$@")
say "$count fuzz targets, $failed failed"
[ "$failed" -eq 0 ]
