# shellcheck shell=bash
# IP forwarding, IPv4 and IPv6: switched on by the first start, put back by the last stop.
#
# Writing ip_forward or conf/all/forwarding is not one change: the kernel copies the value
# to every interface and sets conf/all/accept_redirects to its opposite. So everything the
# kernel overwrites is recorded first.

V4_CONF=/proc/sys/net/ipv4/conf
V6_CONF=/proc/sys/net/ipv6/conf

forwarding_state() { printf '%s/forwarding.state' "$RUN_DIR"; }

# sysctl_is FILE VALUE: one line is there to be read.
sysctl_is() {
	local value
	read -r value <"$1" && [ "$value" = "$2" ]
}

record() {
	local file value
	for file; do
		read -r value <"$file"
		printf '%s %s\n' "$file" "$value"
	done
}

# set_sysctl VALUE FILE: fails without noise; the caller says what it means.
set_sysctl() { printf '%s\n' "$1" 2>/dev/null >"$2"; }

is_off() { [ -e "$1" ] && sysctl_is "$1" 0; }

forwarding_enable() {
	local state
	state=$(forwarding_state)
	# What was found by the first start is the truth; later starts must not overwrite it.
	[ -e "$state" ] || : >"$state"
	if is_off /proc/sys/net/ipv4/ip_forward; then
		remember "$state" /proc/sys/net/ipv4/ip_forward "$V4_CONF"/*/forwarding "$V4_CONF/all/accept_redirects"
		set_sysctl 1 /proc/sys/net/ipv4/ip_forward 2>/dev/null ||
			warn "cannot switch on IPv4 forwarding (is /proc/sys read-only here?): only this host can be reached"
	fi
	if is_off "$V6_CONF/all/forwarding"; then
		enable_v6 "$state"
	fi
}

remember() {
	local state=$1
	shift
	grep -q "^$1 " "$state" || record "$@" >>"$state"
}

# enable_v6: a forwarding host ignores router advertisements and loses the default route
# it has from them, unless accept_ra is 2 beforehand.
enable_v6() {
	local state=$1 file
	remember "$state" "$V6_CONF/all/forwarding" "$V6_CONF"/*/forwarding "$V6_CONF"/*/accept_ra
	for file in "$V6_CONF"/*/accept_ra; do
		if sysctl_is "$file" 1; then
			set_sysctl 2 "$file" 2>/dev/null || true
		fi
	done
	set_sysctl 1 "$V6_CONF/all/forwarding" 2>/dev/null ||
		warn "cannot switch on IPv6 forwarding (is /proc/sys read-only here?): only this host can be reached"
}

# forwarding_restore: in the order of recording, so that the switch for all comes before
# the interfaces that differed from it.
forwarding_restore() {
	local state file value
	state=$(forwarding_state)
	[ -f "$state" ] || return 0
	while read -r file value; do
		[[ $file == /proc/sys/net/ipv[46]/* ]] || continue
		if [ -e "$file" ] && ! sysctl_is "$file" "$value"; then
			set_sysctl "$value" "$file" 2>/dev/null || warn "cannot put $file back to $value"
		fi
	done <"$state"
	rm -f -- "$state"
}
