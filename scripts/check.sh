#!/usr/bin/env bash
# usage: check.sh [STEP…]
#
# Runs the checks of CI, all of them by default, and sums up at the end. A failure does not
# stop the others. 'make check' builds the tools beforehand.
set -euo pipefail
ROOT=$(cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$ROOT/scripts/lib.sh"
cd "$ROOT"

GO=${GO:-go}
TOOLS=$ROOT/bin/tools
STEPS=(tests format modules architecture lint shell api generated race fuzz)

step_format() { scripts/format.sh; }

# Is go.mod what the imports need? And are the downloads what go.sum says?
step_modules() {
	"$GO" mod tidy -diff
	"$GO" mod verify
}

step_architecture() { "$GO" test -count=1 ./internal/archtest/; }

step_lint() { "$TOOLS/golangci-lint" run ./...; }

step_shell() {
	local scripts
	mapfile -t scripts < <(source_files '*.sh' .ci/run)
	shellcheck --external-sources "${scripts[@]}"
}

step_api() {
	"$TOOLS/buf" lint
	"$TOOLS/buf" format --diff --exit-code
	# The contract must not break what the last release, or else the main branch, promised.
	local against
	against=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse -q --verify origin/main 2>/dev/null || true)
	if [ -z "$against" ]; then
		say "breaking changes are not looked for: there is neither a tag nor origin/main"
	elif ! git cat-file -e "$against:api/proto/starfish/v1/starfish.proto" 2>/dev/null; then
		say "breaking changes are not looked for: $against has no contract yet"
	else
		"$TOOLS/buf" breaking --against ".git#ref=$against"
	fi
}

# Generated code must be what the generator makes of the contract now. The line that
# names the protoc version depends on who calls the generator.
step_generated() {
	local out code=0 file
	out=$(mktemp -d)
	"$TOOLS/buf" generate --output "$out" || code=$?
	for file in api/proto/starfish/v1/*.pb.go; do
		diff -u -I '^//[ 	-]*protoc  *[v(]' "$file" "$out/$file" || code=1
	done
	rm -rf "$out"
	[ "$code" -eq 0 ] || say "the generated code is not that of the contract: make generate"
	return "$code"
}

step_tests() { scripts/test.sh; }
step_race() { scripts/test.sh -race -short -timeout 15m ./...; }
step_fuzz() { scripts/fuzz.sh "${FUZZTIME:-3s}"; }

main() {
	local step start code failed=() report=()
	[ "$#" -gt 0 ] || set -- "${STEPS[@]}"
	for step; do
		declare -F "step_$step" >/dev/null || usage_error "'$step' is not one of: ${STEPS[*]}"
	done
	for step; do
		say "=== $step"
		start=$EPOCHREALTIME code=0
		# A subshell of its own, so that set -e holds inside the step.
		bash -euo pipefail "$0" --step "$step" || code=$?
		report+=("$([ "$code" -eq 0 ] && echo ok || echo FAIL)	$step	$(elapsed "$start" "$EPOCHREALTIME") s")
		[ "$code" -eq 0 ] || failed+=("$step")
	done
	say "=== summary"
	printf '%s\n' "${report[@]}"
	[ "${#failed[@]}" -eq 0 ] || die "failed: ${failed[*]} (again: scripts/check.sh ${failed[*]})"
}

if [ "${1:-}" = --step ]; then
	"step_$2"
else
	main "$@"
fi
