# shellcheck shell=bash
# What tun.sh remembers, so that stop can undo exactly what start did.
#
# RUN_DIR/tunN.state        key=value lines, one file for each device that start made
# RUN_DIR/forwarding.state  "FILE VALUE" lines, the sysctls as they were before the first start
#
# The files are read line by line and never sourced.

# choose_run_dir: network namespaces other than the machine's (or the container's)
# own have devices of the same names, so each gets a directory of its own.
choose_run_dir() {
	local base=${STARFISH_RUN_DIR:-/run/starfish} own init
	own=$(readlink /proc/self/ns/net)
	init=$(readlink /proc/1/ns/net 2>/dev/null) || init=
	own=${own#net:[} own=${own%]}
	init=${init#net:[} init=${init%]}
	RUN_DIR=$base/netns-$own
	# Only root may ask for the namespace of process 1; for others the directory is the answer.
	if [ "$own" = "$init" ] || { [ -z "$init" ] && [ ! -d "$RUN_DIR" ]; }; then
		RUN_DIR=$base
	fi
}

state_file() { printf '%s/tun%s.state' "$RUN_DIR" "$1"; }
has_state() { [ -f "$(state_file "$1")" ]; }

# state_get N KEY: prints the values of KEY, one a line.
state_get() {
	local key value
	while IFS='=' read -r key value; do
		if [ "$key" = "$2" ]; then
			printf '%s\n' "$value"
		fi
	done <"$(state_file "$1")"
}

# state_replace N: the new contents come from stdin; a crash leaves the old or the new.
state_replace() {
	local file
	file=$(state_file "$1")
	cat >"$file.new"
	mv -f -- "$file.new" "$file"
}

# started_numbers: every N that has been started, in order.
started_numbers() {
	local file n
	for file in "$RUN_DIR"/tun*.state; do
		[ -f "$file" ] || continue
		n=${file##*/tun}
		printf '%s\n' "${n%.state}"
	done | sort -n
}

# lock_state: one invocation at a time. The lock is on the directory above, which is
# there before and after, so that nothing is left behind and no lock file is raced for.
lock_state() {
	local above=${STARFISH_RUN_DIR:-/run/starfish}
	above=${above%/*}
	exec 9<"$above"
	flock -w 30 9 || die "another tun.sh has held the lock on $above for 30 seconds"
	[ -d "$RUN_DIR" ] || mkdir -p -- "$RUN_DIR" || die "cannot create $RUN_DIR"
	discard_foreign_state
}

# discard_foreign_state: inodes of network namespaces are reused. State that a dead
# namespace left behind has neither a device nor a table here, and its sysctls were
# not this namespace's.
discard_foreign_state() {
	local n
	[[ $RUN_DIR == */netns-* ]] || return 0
	for n in $(started_numbers); do
		if device_exists "$n" || firewall_exists "$n"; then
			return 0
		fi
	done
	rm -f -- "$RUN_DIR"/tun*.state "$RUN_DIR/forwarding.state"
}

# release_run_dir: the directory goes when nothing is in it, starfishd's socket included.
release_run_dir() {
	if [ -n "$(started_numbers)" ]; then
		return
	fi
	rmdir -- "$RUN_DIR" 2>/dev/null || true
	if [[ $RUN_DIR == */netns-* ]]; then
		rmdir -- "${RUN_DIR%/*}" 2>/dev/null || true
	fi
}
