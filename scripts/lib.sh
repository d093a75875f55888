# shellcheck shell=bash
# What the project's scripts share. Source it; it sets nothing but functions and
# PROGRAM, the name that messages begin with.

PROGRAM=${PROGRAM:-${0##*/}}

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }

# die MESSAGE: an error the person can act on, and exit status 1.
die() {
	warn "$*"
	exit 1
}

# usage_error MESSAGE: a command line that makes no sense, and exit status 2.
usage_error() {
	warn "$*"
	warn "try '$PROGRAM --help'"
	exit 2
}

have() { command -v -- "$1" >/dev/null 2>&1; }
is_root() { [ "$EUID" -eq 0 ]; }

# as_root COMMAND…: runs it as root, through sudo where that is needed.
as_root() {
	if is_root; then
		"$@"
	elif have sudo; then
		sudo -- "$@"
	else
		return 126
	fi
}

# tun_device_openable: is there a /dev/net/tun that this user may open?
tun_device_openable() { (: <>/dev/net/tun) 2>/dev/null; }

# elapsed START END: seconds with two digits, from two values of $EPOCHREALTIME.
elapsed() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b - a }'; }

# wait_for SECONDS COMMAND…: repeats COMMAND until it succeeds; fails after SECONDS.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

# source_files PATTERN…: the project's files of these names, those not yet added included,
# those that git ignores not. From an archive there is no git to ask.
source_files() {
	local file
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
			[ ! -f "$file" ] || printf '%s\n' "$file"
		done
	else
		for file; do find . -path ./bin -prune -o -name "${file##*/}" -type f -print; done
	fi
}
