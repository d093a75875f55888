#!/usr/bin/env bash
# usage: enter.sh demo.sh      ('make demo' does that)
#
# The main job, for a person to watch: starfishd on a TUN device, programs that are not ours
# on another host, a file in both directions, and the speed beside the kernel's. It runs
# inside enter.sh, so devices, rules and processes end with it; only its directory is
# removed by hand.
set -euo pipefail
ROOT=$(cd -- "$(dirname -- "$0")/.." && pwd)
PROGRAM=demo
# shellcheck source=scripts/lib.sh
. "$ROOT/scripts/lib.sh"
cd "$ROOT"

MIB=${DEMO_MIB:-256}
HERE_IP=10.99.0.1
THERE_IP=10.99.0.2
THERE_IP6=fd00:99::2
STARFISH_IP=169.254.144.2

PATH=$ROOT/bin:$PATH:/usr/sbin:/sbin
WORK=$(mktemp -d "${TMPDIR:-/tmp}/starfish-demo.XXXXXX")
# Workers of nginx are another user.
chmod 755 "$WORK"
export STARFISH_SOCKET=$WORK/starfishd.sock
STEP=0
RESULTS=()

# step SENTENCE: what happens now.
step() {
	STEP=$((STEP + 1))
	printf '\n%s %s\n' "${BOLD}[$STEP]${PLAIN}" "${BOLD}$*${PLAIN}"
}

# command TEXT: the command as a person would type it.
command_line() { printf '    $ %s\n' "$*"; }

# run COMMAND…: shows it, runs it, and shows what it says.
run() {
	command_line "$*"
	"$@" 2>&1 | sed 's/^/      /'
}

result() { printf '    %s %s\n' "${GREEN}→${PLAIN}" "$*"; }

there() { ip netns exec there "$@"; }

colours() {
	BOLD='' GREEN='' RED='' PLAIN=''
	if [ -t 1 ]; then
		BOLD=$'\e[1m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
	fi
}

finish() {
	local code=$?
	trap - EXIT
	if [ "$code" -ne 0 ]; then
		printf '\n%s\n' "${RED}The demo failed in step $STEP (exit status $code).${PLAIN}"
		if [ -s "$WORK/starfishd.log" ]; then
			say "The last lines of starfishd:"
			tail -n 15 "$WORK/starfishd.log" | sed 's/^/      /'
		fi
	fi
	# shellcheck disable=SC2046 # a list of process numbers
	kill $(jobs -p) 2>/dev/null || true
	rm -rf -- "$WORK"
	exit "$code"
}

require() {
	local program
	for program in starfishd starfishctl ip nc nginx sha256sum; do
		have "$program" || die "there is no '$program' (make demo installs or builds it)"
	done
	tun_device_openable || die "cannot open /dev/net/tun: 'modprobe tun'; in a container: --device /dev/net/tun"
}

two_hosts() {
	step "Two hosts, each a network namespace, and a cable (veth) between them: here $HERE_IP, there $THERE_IP."
	ip netns add there
	ip link add to-there type veth peer name to-here netns there
	ip address add "$HERE_IP/24" dev to-there
	ip address add fd00:99::1/64 dev to-there nodad
	ip link set to-there up
	there ip address add "$THERE_IP/24" dev to-here
	there ip address add "$THERE_IP6/64" dev to-here nodad
	there ip link set to-here up
	there ip link set lo up
	run ip -brief address show dev to-there
}

start_daemon() {
	step "A TUN device, and starfishd on it: from here on TCP runs in a program, not in the kernel."
	run ./tun.sh start
	command_line "starfishd --socket $STARFISH_SOCKET &"
	starfishd --socket "$STARFISH_SOCKET" >"$WORK/starfishd.log" 2>&1 &
	DAEMON=$!
	wait_for 10 starfishctl status || die "starfishd does not answer within 10 seconds"
	run starfishctl status
}

start_nginx() {
	mkdir -p "$WORK/www"
	printf 'Hello from nginx, over the kernel of another host.\n' >"$WORK/www/hello"
	cat >"$WORK/nginx.conf" <<-EOF
		worker_processes 1;
		pid $WORK/nginx.pid;
		error_log $WORK/nginx.log;
		events {}
		http {
			access_log off;
			client_body_temp_path $WORK/nginx-body;
			proxy_temp_path $WORK/nginx-proxy;
			fastcgi_temp_path $WORK/nginx-fastcgi;
			uwsgi_temp_path $WORK/nginx-uwsgi;
			scgi_temp_path $WORK/nginx-scgi;
			server { listen 80; listen [::]:80; root $WORK/www; default_type text/plain; }
		}
	EOF
	there nginx -c "$WORK/nginx.conf" -e "$WORK/nginx.log"
	wait_for 5 there nc -z "$THERE_IP" 80 || die "nginx does not answer: $(cat "$WORK/nginx.log")"
}

talk_to_nginx() {
	local address got
	step "Over there, nginx. An unprivileged program asks starfishd to connect, over IPv4 and over IPv6."
	start_nginx
	for address in "$THERE_IP:80" "[$THERE_IP6]:80"; do
		command_line "printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | starfishctl connect $address"
		got=$(printf 'GET /hello HTTP/1.0\r\n\r\n' | timeout 20 starfishctl connect "$address")
		[[ $got == *'200 OK'*'Hello from nginx'* ]] || die "nginx did not say hello: $got"
		result "$(head -n 1 <<<"$got" | tr -d '\r'), $(tail -n 1 <<<"$got")"
	done
	RESULTS+=("nginx on another host answered, over IPv4 and IPv6")
}

refused() {
	local message
	step "Nobody listens on port 81: the error says what, where and why."
	command_line "starfishctl connect $THERE_IP:81"
	if message=$(timeout 20 starfishctl connect "$THERE_IP:81" 2>&1 </dev/null); then
		die "connecting to a closed port succeeded"
	fi
	result "$message"
}

# timed COMMAND…: runs it and sets TOOK to its seconds.
timed() {
	local start=$EPOCHREALTIME
	"$@"
	TOOK=$(elapsed "$start" "$EPOCHREALTIME")
}

gbit() { awk -v mib="$MIB" -v s="$1" 'BEGIN { printf "%.2f Gbit/s", mib * 1048576 * 8 / s / 1e9 }'; }

same_file() {
	local sum
	sum=$(sha256sum <"$2")
	[ "${sum%% *}" = "$SUM" ] || die "$1: the SHA-256 differs: ${sum%% *} instead of $SUM"
}

# The transfers. At the far end are programs on the kernel's TCP; at this end one of these.
client_starfish() { timeout 180 starfishctl connect "$THERE_IP:$1"; }
# cat on bash's /dev/tcp moves 128 KiB at a time, as starfishctl does; nc moves 16.
client_kernel() { timeout 180 bash -c "exec 3<>/dev/tcp/$THERE_IP/$1; cat >&3"; }
client_kernel_mute() { timeout 180 bash -c "exec 3<>/dev/tcp/$THERE_IP/$1; cat <&3"; }

listens_there() { there ss -Hltn "sport = :$1" | grep . >/dev/null; }
listens_here() { starfishctl ss | grep -i listen | grep ":$1" >/dev/null; }

# send CLIENT PORT: the time counts until the far end has everything.
send() {
	there timeout 180 nc -d -l "$2" >"$WORK/arrived" &
	local sink=$!
	wait_for 5 listens_there "$2" || die "nc does not listen"
	timed sent_by "$1" "$2" "$sink"
	same_file "sending" "$WORK/arrived"
}

sent_by() {
	"client_$1" "$2" <"$WORK/file"
	wait "$3"
}

# receive CLIENT PORT: the client says nothing, and doesn't half-close either: nc -l would stop.
receive() {
	there timeout 180 nc -N -l "$2" <"$WORK/file" &
	local source=$!
	wait_for 5 listens_there "$2" || die "nc does not listen"
	timed received_by "$1" "$2"
	wait "$source"
	same_file "receiving" "$WORK/received"
}

received_by() { "client_$1" "$2" <&"$SILENCE" >"$WORK/received"; }

both_ways() {
	step "A file of $MIB MiB to nc over there, and back; the SHA-256 is compared each time."
	head -c "${MIB}M" /dev/urandom >"$WORK/file"
	SUM=$(sha256sum <"$WORK/file")
	SUM=${SUM%% *}
	mkfifo "$WORK/silence"
	exec {SILENCE}<>"$WORK/silence"
	result "the file's SHA-256 is $SUM"
	command_line "starfishctl connect $THERE_IP:7001 <file   # there: nc -l 7001 >arrived"
	send starfish 7001
	SEND=$TOOK
	result "the same SHA-256 over there, after $SEND s"
	command_line "starfishctl connect $THERE_IP:7002 >received   # there: nc -N -l 7002 <file"
	receive starfish 7002
	RECEIVE=$TOOK
	result "the same SHA-256 here, after $RECEIVE s"
	RESULTS+=("$MIB MiB sent and received by Starfish, with the same SHA-256")
}

be_dialled() {
	step "Now Starfish listens, and a kernel client of the other host dials this host's port 8080."
	run ./tun.sh forward 8080 "$STARFISH_IP:8080"
	command_line "starfishctl listen 8080 >received &   # there: nc -N $HERE_IP 8080 <file"
	timeout 180 starfishctl listen 8080 >"$WORK/received" </dev/null &
	local listener=$!
	wait_for 10 listens_here 8080 || die "the listener does not appear in 'starfishctl ss'"
	run starfishctl ss
	timed dialled_by_nc "$listener"
	DIALLED=$TOOK
	same_file "the listener" "$WORK/received"
	result "the same SHA-256 here, after $DIALLED s"
	run ./tun.sh unforward 8080
	RESULTS+=("$MIB MiB accepted by a Starfish listener from a kernel client")
}

dialled_by_nc() {
	there timeout 180 nc -N "$HERE_IP" 8080 <"$WORK/file"
	wait "$1"
}

kernel_too() {
	step "The same with the kernel's TCP at this end, over the same cable."
	command_line "cat <file >/dev/tcp/$THERE_IP/7003   # there: nc -l 7003 >arrived"
	send kernel 7003
	KERNEL_SEND=$TOOK
	command_line "cat </dev/tcp/$THERE_IP/7004 >received   # there: nc -N -l 7004 <file"
	receive kernel_mute 7004
	KERNEL_RECEIVE=$TOOK
	printf '\n      %-28s %12s %12s\n' '' 'Starfish' 'kernel'
	printf '      %-28s %12s %12s\n' "send $MIB MiB" "$(gbit "$SEND")" "$(gbit "$KERNEL_SEND")"
	printf '      %-28s %12s %12s\n' "receive $MIB MiB" "$(gbit "$RECEIVE")" "$(gbit "$KERNEL_RECEIVE")"
	printf '      %-28s %12s\n' "accept and receive $MIB MiB" "$(gbit "$DIALLED")"
	RESULTS+=("from file to file: $(gbit "$SEND") sending, $(gbit "$RECEIVE") receiving (the kernel: $(gbit "$KERNEL_SEND"), $(gbit "$KERNEL_RECEIVE"))")
}

stop_all() {
	step "The daemon stops in good order, and tun.sh puts everything back."
	command_line "kill -TERM \$(pidof starfishd)"
	kill -TERM "$DAEMON"
	local code=0
	wait "$DAEMON" || code=$?
	[ "$code" -eq 0 ] || die "starfishd ended with exit status $code"
	result "starfishd has ended with exit status 0"
	run ./tun.sh stop
	[ "$(cat /proc/sys/net/ipv4/ip_forward)" = "$FORWARDING" ] || die "tun.sh left ip_forward changed"
	! nft list ruleset 2>/dev/null | grep starfish || die "tun.sh left a firewall table"
	result "no device, no rule and no setting is left"
}

summary() {
	local line
	printf '\n%s\n' "${BOLD}Everything worked:${PLAIN}"
	for line in "${RESULTS[@]}"; do
		printf '  %s %s\n' "${GREEN}✓${PLAIN}" "$line"
	done
	printf '\nThese figures include files and nc; "make bench" measures TCP by itself.\n'
	printf 'Try it yourself: sudo ./tun.sh start; sudo bin/starfishd &   then: bin/starfishctl connect HOST:PORT\n'
}

main() {
	colours
	trap finish EXIT
	require
	FORWARDING=$(cat /proc/sys/net/ipv4/ip_forward)
	two_hosts
	start_daemon
	talk_to_nginx
	refused
	both_ways
	be_dialled
	kernel_too
	stop_all
	summary
}

main "$@"
