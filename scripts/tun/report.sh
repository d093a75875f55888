# shellcheck shell=bash
# What tun.sh tells: status and check. Neither changes anything, and neither needs root.

# device_users N: "name (pid N)" of the programs that have the device open.
device_users() {
	local info pid own out=
	own=$(readlink /proc/self/ns/net)
	while read -r info; do
		pid=${info#/proc/}
		pid=${pid%%/*}
		[ "$(readlink "/proc/$pid/ns/net" 2>/dev/null)" = "$own" ] || continue
		out+="${out:+, }$(cat "/proc/$pid/comm" 2>/dev/null) (pid $pid)"
	done < <(grep -ls "^iff:[[:space:]]*tun$1\$" /proc/[0-9]*/fdinfo/* 2>/dev/null | sort -u -t/ -k3,3)
	printf '%s' "$out"
}

is_up() { ip -o link show dev "tun$1" 2>/dev/null | grep '[<,]UP[,>]' >/dev/null; }

# status N…: all that were started by default, else the default device.
status() {
	local n code=0
	have ip || die "there is no 'ip' command: apt-get install iproute2"
	if [ "$#" -eq 0 ]; then
		# shellcheck disable=SC2046 # a list of numbers
		set -- $(started_numbers)
		[ "$#" -gt 0 ] || set -- "$DEFAULT_N"
	fi
	for n; do
		validate_n "$n"
		status_one "$n" || code=3
	done
	return "$code"
}

status_one() {
	local n=$1 users port target
	if ! has_state "$n"; then
		if device_exists "$n"; then
			say "tun$n: there, but not made by tun.sh"
		else
			say "tun$n: not started"
		fi
		return 1
	fi
	if ! is_up "$n"; then
		say "tun$n: started, but the device is gone or down: tun.sh start $n repairs it"
		return 1
	fi
	say "tun$n: up"
	say "  addresses  $(ip -o address show dev "tun$n" scope global | awk '{ printf "%s%s", s, $4; s = ", " }')"
	say "  owner      uid $(state_get "$n" owner)"
	say "  link       $(ip -o link show dev "tun$n" | sed 's/.* \(mtu [0-9]*\).* \(qlen [0-9]*\).*/\1, \2/')"
	say "  firewall   $(state_get "$n" firewall)"
	state_get "$n" forward | while read -r port target; do
		say "  forward    port $port to $target"
	done
	users=$(device_users "$n")
	say "  in use by  ${users:-nobody}"
}

# check_line OK|FAIL WHAT [ADVICE]
check_line() {
	if [ "$1" = OK ]; then
		say "OK    $2"
	else
		say "FAIL  $2: $3"
		CHECK_FAILED=1
	fi
}

# check_that WHAT ADVICE COMMAND…
check_that() {
	local what=$1 advice=$2
	shift 2
	if "$@" >/dev/null 2>&1; then
		check_line OK "$what"
	else
		check_line FAIL "$what" "$advice"
	fi
}

# check N…: the machine, then each device that was started.
check() {
	local n
	CHECK_FAILED=0
	check_that "the ip command" "apt-get install iproute2" have ip
	check_that "/dev/net/tun can be opened" "modprobe tun; in a container: --device /dev/net/tun" tun_or_sudo
	check_that "root, or sudo to become root" "run it as root, or apt-get install sudo" root_or_sudo
	check_that "nftables or iptables" "apt-get install nftables" firewall_tool
	check_that "IPv6" "the kernel has no IPv6; Starfish uses IPv4 only" test -e /proc/sys/net/ipv6
	if forward_policy_drops; then
		check_line FAIL "forwarding between interfaces" "another firewall drops it (iptables -S FORWARD)"
	fi
	if [ "$#" -eq 0 ]; then
		# shellcheck disable=SC2046 # a list of numbers
		set -- $(started_numbers)
	fi
	for n; do
		validate_n "$n"
		check_device "$n"
	done
	return "$CHECK_FAILED"
}

# tun_or_sudo: an ordinary user needs it to exist; whether it opens is for root to see.
tun_or_sudo() { tun_device_openable || { ! is_root && [ -e /dev/net/tun ]; }; }
root_or_sudo() { is_root || have sudo; }

firewall_tool() {
	if is_root; then
		[ "$(firewall_kind)" != none ]
	else
		have nft || have iptables || [ -x /usr/sbin/nft ] || [ -x /usr/sbin/iptables ]
	fi
}

check_device() {
	local n=$1 repair="tun.sh start $1"
	check_that "tun$n was started" "$repair" has_state "$n"
	has_state "$n" || return 0
	check_that "tun$n is up" "$repair" is_up "$n"
	check_that "tun$n has $(v4_address "$n")/24" "$repair" has_address "$n" "$(v4_address "$n")/24"
	if [ -n "$(state_get "$n" v6)" ]; then
		check_that "tun$n has $(v6_address "$n")/64" "$repair" v6_present "$n"
	fi
	check_that "IP forwarding is on" "$repair" test "$(cat /proc/sys/net/ipv4/ip_forward)" = 1
	if is_root && [ "$(state_get "$n" firewall)" != none ]; then
		check_that "the firewall rules of tun$n" "$repair" firewall_exists "$n"
	fi
}

has_address() { ip -o address show dev "tun$1" | grep -F " $2 " >/dev/null; }
