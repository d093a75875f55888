#!/usr/bin/env bash
# Makes and removes the TUN devices that Starfish uses. See --help.
set -euo pipefail

SELF=$(readlink -f -- "$0")
HERE=${SELF%/*}
PROGRAM=tun.sh
# shellcheck source=scripts/lib.sh
. "$HERE/scripts/lib.sh"
# shellcheck source=scripts/tun/state.sh
. "$HERE/scripts/tun/state.sh"
# shellcheck source=scripts/tun/forwarding.sh
. "$HERE/scripts/tun/forwarding.sh"
# shellcheck source=scripts/tun/firewall.sh
. "$HERE/scripts/tun/firewall.sh"
# shellcheck source=scripts/tun/report.sh
. "$HERE/scripts/tun/report.sh"

DEFAULT_N=144

usage() {
	cat <<'EOF'
usage: tun.sh start|restart [OPTION…] [N…]
       tun.sh stop|status|check [N…]
       tun.sh forward   [N] PORT ADDR:PORT
       tun.sh unforward [N] PORT

Makes the TUN device tunN (N from 0 to 255, default 144) for starfishd:

  tunN               owned by the user who calls, also through sudo
  169.254.N.1/24     the kernel's side; the other addresses of 169.254.N.0/24
                     belong to programs that use Starfish
  fd73:6669:7368:N::1/64
                     the same for IPv6, a unique local prefix
  up, a queue of 10000 packets, the lowest retransmission timeout on its route

and lets those addresses reach the world: IP forwarding, and masquerade for what
leaves the host (nftables table starfish_tunN, or iptables where there is no nft).

  start      make it; repairs what is missing when it is there already
  stop       put back everything that start changed; IP forwarding is put back
             when the last device goes
  restart    stop, then start with the same owner and forwards
  status     what there is; exit status 3 when a device is not up
  check      can this machine do it, and is what is there in order?
  forward    PORT of this host leads to ADDR:PORT, an address behind tunN
             (IPv6 addresses in brackets), so that other hosts can dial it
  unforward  takes it away

options, with the environment variable that sets the same:
  --mtu BYTES      TUN_MTU          68 to 65535; left as it is by default
  --rto-min TIME   TUN_RTO_MIN      the kernel's lowest retransmission timeout
                                    towards tunN, 10ms by default; 0 leaves it
  --multi-queue    TUN_MULTI_QUEUE=1   for starfishd --queues 2 or more
  --owner USER     TUN_OWNER        name or number; the caller by default
  -h, --help

State is kept in /run/starfish/tunN.state.
EOF
}

# Names and addresses of device N. The digits of N stand in the IPv6 prefix as they
# are read: tun144 has fd73:6669:7368:144::/64.
v4_prefix() { printf '169.254.%s.0/24' "$1"; }
v4_address() { printf '169.254.%s.1' "$1"; }
v6_prefix() { printf 'fd73:6669:7368:%s::/64' "$1"; }
v6_address() { printf 'fd73:6669:7368:%s::1' "$1"; }
# Asked of the kernel and not of /sys, which shows the namespace that mounted it.
device_exists() { ip link show dev "tun$1" >/dev/null 2>&1; }

# The default of 500 packets loses bursts: a window larger than the queue overflows it.
readonly TX_QUEUE_LEN=10000
# IPv6 does not exist on a link below this (RFC 8200 §5).
readonly IPV6_MIN_MTU=1280

validate_n() {
	[[ $1 =~ ^(0|[1-9][0-9]{0,2})$ ]] || usage_error "N is a number from 0 to 255, not '$1'"
	[ "$1" -le 255 ] || usage_error "N is at most 255, because 169.254.N.0/24 is made of it; not $1"
}

validate_port() {
	if ! [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] || [ "$1" -gt 65535 ]; then
		usage_error "a port is a number from 1 to 65535, not '$1'"
	fi
}

require_tools() {
	have ip || die "there is no 'ip' command: apt-get install iproute2"
	have flock || die "there is no 'flock' command: apt-get install util-linux"
}

require_tun() {
	if [ ! -e /dev/net/tun ]; then
		modprobe tun >/dev/null 2>&1 || true
	fi
	[ -e /dev/net/tun ] ||
		die "there is no /dev/net/tun: 'modprobe tun' on a machine; in a container: --device /dev/net/tun --cap-add NET_ADMIN"
	tun_device_openable || die "cannot open /dev/net/tun (mode $(stat -c '%A, owner %U' /dev/net/tun)): not permitted here"
}

# require_free N: neither the name nor the prefix may be somebody else's.
require_free() {
	local n=$1 holder
	if device_exists "$n"; then
		die "tun$n exists and was not made by tun.sh: choose another N, or remove it with 'ip link delete tun$n'"
	fi
	holder=$(ip -4 route show exact "$(v4_prefix "$n")" | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
	[ -z "$holder" ] || die "$(v4_prefix "$n") is in use on $holder: choose another N"
	if [ "$n" -eq 169 ]; then
		warn "169.254.169.254 is the metadata service of most clouds; it is out of reach while tun169 is up"
	fi
}

# owner_of_device: a persistent device without an owner is open to every user
# (tun(4): owner and group are checked only when they are set), so there is always one.
owner_of_device() {
	local owner=${OPT_OWNER:-${SUDO_UID:-$UID}}
	if [[ $owner =~ ^[0-9]+$ ]]; then
		printf '%s' "$owner"
	else
		id -u -- "$owner" 2>/dev/null || die "there is no user '$owner'"
	fi
}

# begin: from here on, changes are made.
begin() {
	lock_state
	STARTING=
	trap on_exit EXIT
}

start_one() {
	local n=$1
	if has_state "$n" && device_exists "$n"; then
		configure "$n"
		say "tun$n: already started, owner uid $(state_get "$n" owner)"
		return
	fi
	require_tun
	require_free "$n"
	if ! has_state "$n"; then
		new_state "$n"
	fi
	# The state is on disk before the first change, so that a failure half-way is undone.
	STARTING=$n
	create_device "$n"
	configure "$n"
	STARTING=
	say "tun$n: started, $(v4_address "$n")/24$(state_get "$n" v6 | sed 's/.*/ and &\/64/'), owner uid $(state_get "$n" owner)"
}

new_state() {
	local owner kind
	owner=$(owner_of_device)
	kind=$(firewall_kind)
	state_replace "$1" <<-EOF
		owner=$owner
		firewall=$kind
		multi_queue=$OPT_MULTI_QUEUE
	EOF
	if [ "$kind" = none ]; then
		warn "neither nftables nor iptables works here: connections reach this host only (apt-get install nftables)"
	elif forward_policy_drops && [ "$kind" = nft ]; then
		warn "another firewall drops what this host forwards (iptables -S FORWARD): allow tun$1 there to reach other hosts"
	fi
}

create_device() {
	local n=$1 flags=(vnet_hdr)
	if [ "$(state_get "$n" multi_queue)" = 1 ]; then
		flags+=(multi_queue)
	fi
	ip tuntap add dev "tun$n" mode tun user "$(state_get "$n" owner)" "${flags[@]}"
}

# configure N: everything but the device itself; each step leaves what is right alone.
configure() {
	local n=$1
	if [ -n "$OPT_MTU" ]; then
		ip link set dev "tun$n" mtu "$OPT_MTU"
	fi
	ip link set dev "tun$n" txqueuelen "$TX_QUEUE_LEN" up
	ip address replace "$(v4_address "$n")/24" dev "tun$n"
	configure_v6 "$n"
	set_rto_min "$n"
	forwarding_enable
	firewall_apply "$n"
}

configure_v6() {
	local n=$1 mtu
	mtu=$(ip -o link show dev "tun$n" | sed 's/.* mtu \([0-9]*\).*/\1/')
	if [ -n "$(state_get "$n" v6)" ] && v6_present "$n"; then
		return
	fi
	if [ ! -e /proc/sys/net/ipv6 ] || [ "$mtu" -lt "$IPV6_MIN_MTU" ]; then
		return
	fi
	if ip -6 address replace "$(v6_address "$n")/64" dev "tun$n" nodad 2>/dev/null; then
		{ state_without "$n" v6; printf 'v6=%s\n' "$(v6_address "$n")"; } | state_replace "$n"
	fi
}

v6_present() { has_address "$1" "$(v6_address "$1")/64"; }

# state_without N KEY: the state file less the lines of KEY.
state_without() { grep -v "^$2=" "$(state_file "$1")" || true; }

# set_rto_min N: the kernel's 200 ms are for the Internet; its peer here is this machine.
set_rto_min() {
	local n=$1 time=$OPT_RTO_MIN
	[ "$time" != 0 ] || return 0
	ip -4 route change "$(v4_prefix "$n")" dev "tun$n" proto kernel scope link src "$(v4_address "$n")" rto_min "$time" ||
		die "the route refuses rto_min '$time' (a number with ms or s)"
	if v6_present "$n"; then
		ip -6 route change "$(v6_prefix "$n")" dev "tun$n" proto kernel metric 256 rto_min "$time"
	fi
}

# on_exit: undoes a start that stopped half-way; what failed has printed why.
on_exit() {
	local code=$?
	trap - EXIT
	if [ -n "$STARTING" ]; then
		undo "$STARTING"
		warn "tun$STARTING was not started; everything is as it was before"
		code=1
	fi
	release_run_dir
	exit "$code"
}

stop_one() {
	local n=$1 users
	if ! has_state "$n"; then
		! device_exists "$n" || die "tun$n was not made by tun.sh, so it is left alone ('ip link delete tun$n' removes it)"
		say "tun$n: not started"
		return
	fi
	users=$(device_users "$n")
	undo "$n"
	say "tun$n: stopped${users:+ (it was in use by $users)}"
}

# undo N: takes away what start made, in the reverse order.
undo() {
	local n=$1
	firewall_remove "$n"
	if device_exists "$n"; then
		# 'ip tuntap del' refuses while a program has it open.
		ip link delete dev "tun$n"
	fi
	rm -f -- "$(state_file "$n")"
	if [ -z "$(started_numbers)" ]; then
		forwarding_restore
	fi
}

restart_one() {
	# What is taken from one device's state is not for the next one.
	local n=$1 forwards='' OPT_OWNER=$OPT_OWNER OPT_MULTI_QUEUE=$OPT_MULTI_QUEUE
	if has_state "$n"; then
		forwards=$(state_get "$n" forward)
		: "${OPT_OWNER:=$(state_get "$n" owner)}"
		if [ "$(state_get "$n" multi_queue)" = 1 ]; then
			OPT_MULTI_QUEUE=1
		fi
		stop_one "$n"
	fi
	start_one "$n"
	if [ -n "$forwards" ]; then
		{ cat "$(state_file "$n")"; printf '%s\n' "$forwards" | sed 's/^/forward=/'; } | state_replace "$n"
		firewall_apply "$n"
	fi
}

require_started() {
	if ! has_state "$1" || ! device_exists "$1"; then
		die "tun$1 is not started: tun.sh start $1"
	fi
	[ "$(state_get "$1" firewall)" != none ] ||
		die "neither nftables nor iptables works here, so ports cannot be forwarded (apt-get install nftables, then tun.sh restart $1)"
}

# split_target ADDR:PORT: sets TARGET_ADDR and TARGET_PORT.
split_target() {
	if [[ $1 =~ ^\[([0-9a-fA-F:]+)\]:([0-9]+)$ || $1 =~ ^([0-9.]+):([0-9]+)$ ]]; then
		TARGET_ADDR=${BASH_REMATCH[1]} TARGET_PORT=${BASH_REMATCH[2]}
		validate_port "$TARGET_PORT"
	else
		usage_error "the target is ADDR:PORT, such as 169.254.$DEFAULT_N.2:8080 or [$(v6_prefix "$DEFAULT_N" | cut -d/ -f1)2]:8080; not '$1'"
	fi
}

# require_behind N ADDR: the kernel must send packets for ADDR into tunN.
require_behind() {
	local route
	route=$(ip -o route get "$2" 2>/dev/null) || die "there is no route to $2"
	case $route in
	local*) die "$2 is the kernel's own address: forward to an address that starfishd owns" ;;
	*" dev tun$1 "*) ;;
	*) die "$2 is not behind tun$1 (addresses of $(v4_prefix "$1") and $(v6_prefix "$1") are)" ;;
	esac
}

forward() {
	local n=$1 port=$2 target=$3 family='[0-9]' old
	require_started "$n"
	split_target "$target"
	require_behind "$n" "$TARGET_ADDR"
	[[ $target != \[* ]] || family='\['
	old=$(state_get "$n" forward | grep "^$port $family" | cut -d' ' -f2) || true
	if [ "$old" = "$target" ]; then
		say "tun$n: port $port leads to $target already"
		return
	fi
	[ -z "$old" ] || die "port $port leads to $old: tun.sh unforward $n $port"
	{ cat "$(state_file "$n")"; printf 'forward=%s %s\n' "$port" "$target"; } | state_replace "$n"
	if ! firewall_apply "$n"; then
		{ grep -vxF "forward=$port $target" "$(state_file "$n")" || true; } | state_replace "$n"
		die "the forward was not added"
	fi
	say "tun$n: port $port leads to $target"
}

unforward() {
	local n=$1 port=$2
	require_started "$n"
	if ! state_get "$n" forward | grep "^$port " >/dev/null; then
		say "tun$n: port $port leads nowhere"
		return
	fi
	{ grep -v "^forward=$port " "$(state_file "$n")" || true; } | state_replace "$n"
	firewall_apply "$n"
	say "tun$n: port $port leads nowhere any more"
}

# forward_command VERB ARG…: [N] PORT [ADDR:PORT]
forward_command() {
	local verb=$1 n=$DEFAULT_N
	shift
	# Only the target has a colon, so the words before it say whether N was given.
	local target=
	if [ "$#" -gt 0 ] && [[ ${*: -1} == *:* ]]; then
		target=${*: -1}
		set -- "${@:1:$#-1}"
	fi
	if [ "$#" -eq 2 ]; then
		n=$1
		shift
	fi
	[ "$#" -eq 1 ] || usage_error "usage: tun.sh $verb [N] PORT ADDR:PORT"
	validate_n "$n"
	validate_port "$1"
	if [ "$verb" = forward ]; then
		[ -n "$target" ] || usage_error "usage: tun.sh forward [N] PORT ADDR:PORT"
		split_target "$target"
		begin
		forward "$n" "$1" "$target"
	else
		begin
		unforward "$n" "$1"
	fi
}

# parse_options ARG…: sets OPT_* and ARGS.
parse_options() {
	OPT_MTU=${TUN_MTU:-} OPT_RTO_MIN=${TUN_RTO_MIN:-10ms} OPT_OWNER=${TUN_OWNER:-} OPT_MULTI_QUEUE=0
	[ "${TUN_MULTI_QUEUE:-0}" = 0 ] || OPT_MULTI_QUEUE=1
	ARGS=()
	while [ "$#" -gt 0 ]; do
		case $1 in
		--mtu=* | --rto-min=* | --owner=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
		--mtu | --rto-min | --owner)
			[ "$#" -ge 2 ] || usage_error "$1 needs a value"
			case $1 in
			--mtu) OPT_MTU=$2 ;;
			--rto-min) OPT_RTO_MIN=$2 ;;
			--owner) OPT_OWNER=$2 ;;
			esac
			shift
			;;
		--multi-queue) OPT_MULTI_QUEUE=1 ;;
		-h | --help)
			usage
			exit 0
			;;
		-*) usage_error "unknown option '$1'" ;;
		*) ARGS+=("$1") ;;
		esac
		shift
	done
	if [ -n "$OPT_MTU" ] && { ! [[ $OPT_MTU =~ ^[0-9]{2,5}$ ]] || [ "$OPT_MTU" -lt 68 ] || [ "$OPT_MTU" -gt 65535 ]; }; then
		usage_error "the MTU is a number from 68 to 65535, not '$OPT_MTU'"
	fi
}

# become_root: the environment does not survive sudo, so settings travel as options.
become_root() {
	is_root && return
	have sudo || die "making devices needs root, and there is no sudo: run it as root"
	local options=(--rto-min "$OPT_RTO_MIN")
	[ -z "$OPT_MTU" ] || options+=(--mtu "$OPT_MTU")
	[ -z "$OPT_OWNER" ] || options+=(--owner "$OPT_OWNER")
	[ "$OPT_MULTI_QUEUE" = 0 ] || options+=(--multi-queue)
	exec sudo -- "$SELF" "${options[@]}" "${ARGS[@]}"
}

# for_each COMMAND N…: all are looked at before the first is touched.
for_each() {
	local command=$1 n
	shift
	[ "$#" -gt 0 ] || set -- "$DEFAULT_N"
	for n; do validate_n "$n"; done
	for n; do "$command" "$n"; done
}

main() {
	parse_options "$@"
	[ "${#ARGS[@]}" -gt 0 ] || usage_error "say what to do: start, stop, restart, status, check, forward or unforward"
	local verb=${ARGS[0]}
	case $verb in
	start | stop | restart)
		require_tools
		become_root
		choose_run_dir
		begin
		for_each "${verb}_one" "${ARGS[@]:1}"
		;;
	forward | unforward)
		require_tools
		become_root
		choose_run_dir
		forward_command "${ARGS[@]}"
		;;
	status | check)
		choose_run_dir
		"$verb" "${ARGS[@]:1}"
		;;
	*) usage_error "'$verb' is not one of start, stop, restart, status, check, forward, unforward" ;;
	esac
}

main "$@"
