#!/usr/bin/env bash
# usage: enter.sh COMMAND…
#
# Runs COMMAND as root in network, mount and process namespaces of its own. Devices,
# addresses, firewall rules, sysctls, mounts and processes that it makes end with it,
# however it ends. An ordinary user becomes root by a user namespace where the system
# allows that.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

PATH=$PATH:/usr/sbin:/sbin

# What an ordinary user lacks, in sentences; empty when nothing.
explain_missing() {
	if ! unshare --user --map-root-user --net --mount true 2>/dev/null; then
		printf 'This system does not let ordinary users make user namespaces'
		if [ "$(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null)" = 0 ]; then
			printf ' (sysctl kernel.unprivileged_userns_clone=1 allows it)'
		elif [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ]; then
			printf ' (sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows it)'
		fi
		printf '. '
	fi
	if [ ! -e /dev/net/tun ]; then
		printf 'There is no /dev/net/tun (modprobe tun). '
	elif ! tun_device_openable; then
		printf 'You may not open /dev/net/tun (chmod 666 /dev/net/tun allows it, and is what udev sets). '
	fi
}

# The first thing inside. /run is empty, so that ip-netns, tun.sh and starfishd keep their
# state to themselves. The shell stays, as process 1, to reap what COMMAND leaves.
# shellcheck disable=SC2016 # for the shell inside
INSIDE='mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/lock && ip link set lo up && { "$@"; exit $?; }'

main() {
	[ "$#" -gt 0 ] || usage_error "say what to run"
	have unshare || die "there is no 'unshare' command: apt-get install util-linux"
	local how=(--net --mount --pid --fork --kill-child --mount-proc)
	if is_root; then
		exec unshare "${how[@]}" sh -c "$INSIDE" sh "$@"
	fi
	local missing
	missing=$(explain_missing)
	if [ -n "$missing" ]; then
		die "${missing}Or run it as root: sudo make …"
	fi
	how+=(--user --map-root-user)
	# With subordinate ids, programs inside may change to other users, as nginx and sshd do.
	if have newuidmap && grep -q "^$(id -un):" /etc/subuid 2>/dev/null; then
		how+=(--map-auto)
	fi
	exec env -u SUDO_UID -u SUDO_USER unshare "${how[@]}" sh -c "$INSIDE" sh "$@"
}

main "$@"
