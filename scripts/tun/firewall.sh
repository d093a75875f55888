# shellcheck shell=bash
# Address translation for one device: masquerade for what leaves the host, DNAT for the
# ports that are forwarded. The rules are a function of the device's state file and are
# always written whole, so that adding, removing and repairing are one operation.

# firewall_kind: nft, iptables or none, the first that works here.
firewall_kind() {
	if [ -n "${STARFISH_FIREWALL:-}" ]; then
		printf '%s' "$STARFISH_FIREWALL"
	elif have nft && nft list tables >/dev/null 2>&1; then
		printf nft
	elif have iptables && iptables -w -t nat -S >/dev/null 2>&1; then
		printf iptables
	else
		printf none
	fi
}

nft_table() { printf 'starfish_tun%s' "$1"; }
iptables_chain() { printf 'SF_tun%s_%s' "$1" "$2"; }

firewall_exists() {
	if have nft && nft list table inet "$(nft_table "$1")" >/dev/null 2>&1; then
		return 0
	fi
	have iptables && iptables -w -t nat -S "$(iptables_chain "$1" POST)" >/dev/null 2>&1
}

firewall_apply() {
	case $(state_get "$1" firewall) in
	nft) nft_apply "$1" ;;
	iptables) iptables_apply "$1" ;;
	none) ;;
	esac
}

firewall_remove() {
	case $(state_get "$1" firewall) in
	nft) nft_remove "$1" ;;
	iptables) iptables_remove "$1" ;;
	none) ;;
	esac
}

# nft_apply: one transaction; the table is declared before it is deleted so that the
# first time is no special case.
nft_apply() {
	local n=$1 table
	table=$(nft_table "$n")
	{
		printf 'table inet %s\ndelete table inet %s\n' "$table" "$table"
		printf 'table inet %s {\n' "$table"
		printf 'chain prerouting { type nat hook prerouting priority -100; policy accept;\n'
		nft_dnat_rules "$n" "iifname != \"tun$n\"" "iifname != \"tun$n\""
		printf '}\nchain output { type nat hook output priority -100; policy accept;\n'
		# Loopback destinations would need route_localnet, which weakens the host.
		nft_dnat_rules "$n" 'ip daddr != 127.0.0.0/8' 'ip6 daddr != ::1'
		printf '}\nchain postrouting { type nat hook postrouting priority 100; policy accept;\n'
		printf 'oifname { "lo", "tun%s" } accept\n' "$n"
		printf 'ip saddr %s masquerade\n' "$(v4_prefix "$n")"
		printf 'ip6 saddr %s masquerade\n' "$(v6_prefix "$n")"
		printf '}\n}\n'
	} | nft -f -
}

# nft_dnat_rules N V4_MATCH V6_MATCH: a rule for each forward.
nft_dnat_rules() {
	local port target
	state_get "$1" forward | while read -r port target; do
		case $target in
		\[*) printf '%s meta nfproto ipv6 fib daddr type local tcp dport %s dnat ip6 to %s\n' "$3" "$port" "$target" ;;
		*) printf '%s meta nfproto ipv4 fib daddr type local tcp dport %s dnat ip to %s\n' "$2" "$port" "$target" ;;
		esac
	done
}

nft_remove() {
	if nft list table inet "$(nft_table "$1")" >/dev/null 2>&1; then
		nft delete table inet "$(nft_table "$1")"
	fi
}

iptables_apply() {
	local n=$1
	iptables_remove "$n"
	iptables_apply_family "$n" iptables "$(v4_prefix "$n")" 127.0.0.0/8
	if have ip6tables && ip6tables -w -t nat -S >/dev/null 2>&1; then
		iptables_apply_family "$n" ip6tables "$(v6_prefix "$n")" ::1/128
	fi
}

# iptables_apply_family N COMMAND PREFIX LOOPBACK: the rules live in chains of their own,
# so that they come and go without touching anybody else's.
iptables_apply_family() {
	local n=$1 run=$2 prefix=$3 loopback=$4 pre post fwd port target
	pre=$(iptables_chain "$n" PRE) post=$(iptables_chain "$n" POST) fwd=$(iptables_chain "$n" FWD)

	"$run" -w -t nat -N "$post"
	"$run" -w -t nat -A "$post" -o lo -j RETURN
	"$run" -w -t nat -A "$post" -o "tun$n" -j RETURN
	"$run" -w -t nat -A "$post" -j MASQUERADE
	"$run" -w -t nat -A POSTROUTING -s "$prefix" -j "$post"

	"$run" -w -t nat -N "$pre"
	state_get "$n" forward | while read -r port target; do
		case $run:$target in
		ip6tables:\[* | iptables:[0-9]*)
			"$run" -w -t nat -A "$pre" -p tcp --dport "$port" -j DNAT --to-destination "$target"
			;;
		esac
	done
	"$run" -w -t nat -A PREROUTING ! -i "tun$n" -m addrtype --dst-type LOCAL -j "$pre"
	"$run" -w -t nat -A OUTPUT ! -d "$loopback" -m addrtype --dst-type LOCAL -j "$pre"

	# Unlike nftables, where every table has its say, one FORWARD chain decides for all:
	# container engines set its policy to drop.
	"$run" -w -N "$fwd"
	"$run" -w -A "$fwd" -j ACCEPT
	"$run" -w -I FORWARD -i "tun$n" -j "$fwd"
	"$run" -w -I FORWARD -o "tun$n" -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j "$fwd"
}

iptables_remove() {
	local n=$1 run
	for run in iptables ip6tables; do
		have "$run" || continue
		iptables_remove_chain "$run" nat "$(iptables_chain "$n" POST)"
		iptables_remove_chain "$run" nat "$(iptables_chain "$n" PRE)"
		iptables_remove_chain "$run" filter "$(iptables_chain "$n" FWD)"
	done
}

# iptables_remove_chain COMMAND TABLE CHAIN: the jumps to it first, then the chain.
iptables_remove_chain() {
	local run=$1 table=$2 chain=$3 rule
	"$run" -w -t "$table" -S "$chain" >/dev/null 2>&1 || return 0
	"$run" -w -t "$table" -S | grep -- "-j $chain\$" | while read -r rule; do
		# shellcheck disable=SC2086 # the rule is a list of words as iptables printed it
		"$run" -w -t "$table" -D ${rule#-A }
	done
	"$run" -w -t "$table" -F "$chain"
	"$run" -w -t "$table" -X "$chain"
}

# forward_policy_drops: does another firewall drop what the host forwards?
forward_policy_drops() {
	have iptables && iptables -w -S FORWARD 2>/dev/null | grep '^-P FORWARD DROP' >/dev/null
}
