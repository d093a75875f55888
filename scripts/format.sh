#!/usr/bin/env bash
# usage: format.sh [--write]
#
# Lists the Go files that gofumpt and goimports would change, and fails when there are
# any; with --write it changes them. Generated code is left as its generator wrote it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"
cd "$(dirname -- "$0")/.."

mode=-l
[ "${1:-}" != --write ] || mode=-w

mapfile -t files < <(source_files '*.go' | while read -r file; do
	grep -q '^// Code generated .* DO NOT EDIT\.$' "$file" || printf '%s\n' "$file"
done)
[ "${#files[@]}" -gt 0 ] || exit 0

unformatted=$({
	bin/tools/gofumpt "$mode" "${files[@]}"
	bin/tools/goimports "$mode" -local github.com/MUCZ/Starfish "${files[@]}"
} | sort -u)
if [ -n "$unformatted" ]; then
	printf '%s\n' "$unformatted" "not formatted: make fmt"
	exit 1
fi
