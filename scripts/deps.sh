#!/usr/bin/env bash
# usage: deps.sh demo|test|check
#
# Installs the Debian packages whose commands are missing, one line for each. Where it
# cannot (no apt, no root and no sudo) it says what is missing and goes on: tests that
# need it are skipped with a reason.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"

# command:package or file:package, what each runs. For the race detector there is a C compiler, which can't build
# without the C library's headers.
DEMO=(ip:iproute2 ss:iproute2 nft:nftables flock:util-linux unshare:util-linux nc:netcat-openbsd nginx:nginx-light)
TEST=(
	git:git gcc:gcc /usr/include/stdlib.h:libc6-dev setpriv:util-linux nsenter:util-linux curl:curl iperf3:iperf3
	ssh:openssh-client sshd:openssh-server tcpdump:tcpdump tshark:tshark nmap:nmap hping3:hping3 sudo:sudo
	python3:python3 jq:jq openssl:openssl ps:procps
)
CHECK=(shellcheck:shellcheck)

# Daemons that Debian starts as soon as they are installed. The tests start their own.
SERVICES=(nginx:nginx-light ssh:openssh-server iperf3:iperf3)

# Commands for root live in directories that an ordinary user's PATH leaves out.
PATH=$PATH:/usr/sbin:/sbin

missing_packages() {
	local pair
	for pair; do
		case $pair in
		/*) [ -e "${pair%%:*}" ] ;;
		*) have "${pair%%:*}" ;;
		esac || printf '%s\n' "${pair#*:}"
	done
}

# without_services COMMAND…: Debian's own switch (policy-rc.d) keeps daemons from starting.
without_services() {
	local policy=/usr/sbin/policy-rc.d made=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
		made=yes
	fi
	local code=0
	"$@" || code=$?
	if [ -n "$made" ]; then
		as_root rm -f "$policy"
	fi
	return "$code"
}

# disable_services PACKAGE…: not now and not after the next boot either.
disable_services() {
	local pair package
	have systemctl || return 0
	for package; do
		for pair in "${SERVICES[@]}"; do
			if [ "${pair#*:}" = "$package" ]; then
				as_root systemctl disable --quiet "${pair%%:*}" >/dev/null 2>&1 || true
			fi
		done
	done
}

# apt_install PACKAGE…: the lists are fetched only when the first attempt fails, or when
# there are none.
apt_install() {
	local log code=0
	log=$(mktemp)
	if [ -z "$(find /var/lib/apt/lists -name '*Packages*' -print -quit 2>/dev/null)" ]; then
		as_root apt-get update -q >"$log" 2>&1 || true
	fi
	install_quietly "$@" >>"$log" 2>&1 || {
		as_root apt-get update -q >>"$log" 2>&1
		install_quietly "$@" >>"$log" 2>&1
	} || code=$?
	[ "$code" -eq 0 ] || tail -n 15 "$log" >&2
	rm -f "$log"
	return "$code"
}

install_quietly() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

main() {
	local want=()
	case ${1:-} in
	demo) want=("${DEMO[@]}") ;;
	test) want=("${DEMO[@]}" "${TEST[@]}") ;;
	check) want=("${DEMO[@]}" "${TEST[@]}" "${CHECK[@]}") ;;
	*) usage_error "say what for: demo, test or check" ;;
	esac
	have go || die "there is no Go: install 1.26 or later from https://go.dev/dl/ or your distribution"

	local packages
	mapfile -t packages < <(missing_packages "${want[@]}" | sort -u)
	[ "${#packages[@]}" -gt 0 ] || return 0
	if ! have apt-get; then
		warn "missing, and there is no apt-get to install it: ${packages[*]} (Debian's names)"
	elif ! is_root && ! have sudo; then
		warn "missing, and installing needs root or sudo: apt-get install ${packages[*]}"
	elif without_services apt_install "${packages[@]}"; then
		disable_services "${packages[@]}"
		printf 'installed %s\n' "${packages[@]}"
	else
		warn "apt-get could not install: ${packages[*]}"
	fi
}

main "$@"
