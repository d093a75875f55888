#!/usr/bin/env bash
# usage: test.sh [GO-TEST-FLAG…] [PACKAGE…]
#
# Runs the tests in namespaces of their own (enter.sh), prints go test's ok lines, the
# tests that were skipped with their reasons, and as the last line the counts. With
# CI=true a test that was skipped for want of privilege, device or program is a failure.
set -euo pipefail
ROOT=$(cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$ROOT/scripts/lib.sh"
cd "$ROOT"

GO=${GO:-go}
GOTESTSUM=$ROOT/bin/tools/gotestsum

# runner: sets RUNNER. Without namespaces the tests that need root skip by themselves.
runner() {
	RUNNER=()
	local reason
	if reason=$(scripts/enter.sh true 2>&1); then
		RUNNER=(scripts/enter.sh)
	else
		warn "${reason#*: }"
		warn "tests that need a TUN device are skipped"
	fi
}

# skipped FILE: "package.test: reason", from go test's JSON. The reason is the line of output
# before "--- SKIP", without its position.
skipped() {
	jq -rs '
		(map(select(.Action == "output" and .Test != null))
			| group_by([.Package, .Test])
			| map({key: (.[0].Package + " " + .[0].Test), value: (map(.Output) | join(""))})
			| from_entries) as $output
		| map(select(.Action == "skip" and .Test != null))[]
		| .Package + "." + .Test + ": "
			+ ($output[.Package + " " + .Test] // ""
				| split("\n") | map(select(test("_test\\.go:[0-9]+: ") or test("^ +[^ ]+\\.go:[0-9]+: ")))
				| map(sub("^ *[^ ]+\\.go:[0-9]+: "; "")) | join(" "))
	' "$1"
}

count() { jq -rs "map(select(.Action == \"$2\" and .Test $3 null)) | length" "$1"; }

summary() {
	local json=$1 list
	list=$(skipped "$json")
	if [ -n "$list" ]; then
		say "skipped:"
		printf '%s\n' "$list" | sed 's/^/  /'
	fi
	local broken
	broken=$(jq -rs 'map(select(.Action == "fail" and .Test == null and .FailedBuild != null) | .Package) | .[]' "$json")
	if [ -n "$broken" ]; then
		say "did not build: $(printf '%s' "$broken" | tr '\n' ' ')"
	fi
	say "$(count "$json" pass '!=') passed, $(count "$json" fail '!=') failed, $(count "$json" skip '!=') skipped"
}

# refuse_skips FILE: on CI everything is there, so these reasons mean that a test did not run.
refuse_skips() {
	local list
	list=$(skipped "$1" | grep -Ei ': .*(root|/dev/net/tun|namespace|not installed|executable file not found|privilege)') || return 0
	warn "on CI these must run, not skip:"
	printf '%s\n' "$list" >&2
	return 1
}

main() {
	have jq || die "there is no 'jq' command: apt-get install jq"
	[ -x "$GOTESTSUM" ] || make --no-print-directory bin/tools/gotestsum
	runner
	# Inside there is no network, so everything is fetched first.
	"$GO" mod download
	local json code=0 args=("$@")
	json=$(mktemp)
	# shellcheck disable=SC2064 # the name is known now
	trap "rm -f '$json'" EXIT
	[ "$#" -gt 0 ] || args=(-timeout 15m ./...)
	"${RUNNER[@]}" "$GOTESTSUM" --format standard-quiet --hide-summary skipped --jsonfile "$json" --raw-command -- \
		"$GO" test -json "${args[@]}" || code=$?
	summary "$json"
	if [ "${CI:-}" = true ] && ! refuse_skips "$json"; then
		code=1
	fi
	return "$code"
}

main "$@"
