package packetdrill

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// Options are what the user of Run says of all scripts.
type Options struct {
	// Tolerance is how far a time may be off; a script's --tolerance_usecs goes before it. Default 4 ms.
	Tolerance time.Duration
	// Defines are names for the scripts (-D NAME=value).
	Defines map[string]string
	// Settings are applied before each script's own, as if they stood in a sysctl command.
	Settings []Setting
	// IgnoreDefaults passes over commands that run a script named defaults.
	IgnoreDefaults bool
	// IgnorePush leaves the PSH flag of what the engine sends out of the comparison.
	IgnorePush bool
	// Strict makes a packet that leaves and that the script does not mention a failure.
	Strict bool
}

// settings are what a script runs with.
type settings struct {
	config    tcp.Config
	options   tcp.Options
	tolerance time.Duration
	tsTick    time.Duration // 0: the values of timestamps are not looked at
	local     [2]wire.Addr  // IPv4, IPv6
	remote    [2]wire.Addr
	v6        bool
}

const defaultTolerance = 4 * time.Millisecond

func newSettings(o *Options) *settings {
	s := &settings{tolerance: o.Tolerance}
	s.options.NoMTUProbing = true // as in Linux unless a script asks for it
	if s.tolerance == 0 {
		s.tolerance = defaultTolerance
	}
	s.local = [2]wire.Addr{mustAddr("192.168.0.1"), mustAddr("fd3d:fa7b:d17d::1")}
	s.remote = [2]wire.Addr{mustAddr("192.0.2.1"), mustAddr("2001:db8::1")}
	return s
}

func mustAddr(text string) wire.Addr { return wire.AddrFrom(netip.MustParseAddr(text)) }

// line applies a --name=value of a script's head.
func (s *settings) line(name, value string) error {
	var err error
	switch name {
	case "tolerance_usecs":
		s.tolerance, err = microseconds(value)
	case "tcp_ts_tick_usecs":
		s.tsTick, err = microseconds(value)
	case "mtu":
		s.config.MTU, err = strconv.Atoi(value)
	case "ip_version":
		switch value {
		case "ipv4", "ipv6":
			s.v6 = value == "ipv6"
		default:
			return failf(Unsupported, 0, "--ip_version=%s", value)
		}
	case "local_ip":
		err = s.address(&s.local, value)
	case "remote_ip":
		err = s.address(&s.remote, value)
	case "gateway_ip", "netmask_ip", "init_scripts", "non_fatal", "speed", "verbose", "strict", "dry_run":
		// The network of a script is two addresses; the rest is about how a program that runs it behaves.
	default:
		return failf(Unsupported, 0, "--%s", name)
	}
	if err != nil {
		return failf(ParseError, 0, "--%s=%s: %v", name, value, err)
	}
	return nil
}

func (s *settings) address(pair *[2]wire.Addr, text string) error {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return err
	}
	if a.Is4() {
		pair[0] = wire.AddrFrom(a)
	} else {
		pair[1] = wire.AddrFrom(a)
	}
	return nil
}

func microseconds(text string) (time.Duration, error) {
	n, err := strconv.ParseInt(text, 0, 64)
	return time.Duration(n) * time.Microsecond, err
}

// asBuilt are settings of Linux that ask for what the engine does anyway, and the values that do.
var asBuilt = map[string]string{
	"tcp_abort_on_overflow": "0", "tcp_dsack": "1", "tcp_early_retrans": "3", "tcp_ecn": "0 2", "tcp_fack": "0",
	"tcp_fastopen": "0 1 2 3", // a script that uses it fails where it does
	"tcp_frto":     "1 2", "tcp_recovery": "1", "tcp_rfc1337": "1", "tcp_slow_start_after_idle": "1",
	"tcp_tw_reuse": "0 1 2", "tcp_no_metrics_save": "1", "tcp_moderate_rcvbuf": "0", "tcp_low_latency": "0 1",
	"tcp_autocorking": "0", "tcp_thin_linear_timeouts": "0", "tcp_retrans_collapse": "0", "tcp_stdurg": "0",
	"tcp_syncookies": "0 1", "tcp_ecn_fallback": "0 1", "tcp_migrate_req": "0", "tcp_reordering": "3",
}

// number is the setting's value as a whole number from low on.
func number(value string, low int64) (int64, error) {
	n, err := strconv.ParseInt(value, 0, 64)
	if err == nil && n < low {
		err = fmt.Errorf("%d is below %d", n, low)
	}
	return n, err
}

// sysctl applies a setting by the name that Linux, or this package below "starfish.", gives it.
func (s *settings) sysctl(name, value string) error {
	name = strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, "/proc/sys/"), "proc/sys/"), "/", ".")
	value = strings.Join(strings.Fields(value), " ")
	short, isTCP := strings.CutPrefix(name, "net.ipv4.")
	own, isOwn := strings.CutPrefix(name, "starfish.")
	if allowed, ok := asBuilt[short]; isTCP && ok {
		for _, a := range strings.Fields(allowed) {
			if a == value {
				return nil
			}
		}
		return failf(Unsupported, 0, "setting %s=%s", name, value)
	}
	var apply func(*settings, string) error
	switch {
	case isTCP:
		apply = linuxSettings[short]
	case isOwn:
		apply = ownSettings[own]
	}
	if apply == nil {
		return failf(Unsupported, 0, "setting %s", name)
	}
	if err := apply(s, value); err != nil {
		return failf(Unsupported, 0, "setting %s=%s: %v", name, value, err)
	}
	return nil
}

var linuxSettings = map[string]func(*settings, string) error{
	"tcp_sack":           func(s *settings, v string) error { s.options.NoSACK = v == "0"; return nil },
	"tcp_mtu_probing":    func(s *settings, v string) error { s.options.NoMTUProbing = v == "0"; return nil },
	"tcp_timestamps":     func(s *settings, v string) error { s.options.NoTimestamps = v == "0"; return nil },
	"tcp_window_scaling": func(s *settings, v string) error { s.options.NoWindowScale = v == "0"; return nil },
	"tcp_congestion_control": func(s *settings, v string) (err error) {
		s.options.Congestion, err = tcp.ParseCongestionControl(v)
		return err
	},
	"tcp_syn_retries":      func(s *settings, v string) error { return setInt(&s.options.SynRetries, v) },
	"tcp_keepalive_time":   func(s *settings, v string) error { return setDuration(&s.options.KeepAlive, v, time.Second) },
	"tcp_keepalive_intvl":  func(s *settings, v string) error { return setDuration(&s.options.KeepAliveInterval, v, time.Second) },
	"tcp_keepalive_probes": func(s *settings, v string) error { return setInt(&s.options.KeepAliveCount, v) },
	"tcp_fin_timeout":      func(s *settings, v string) error { return setDuration(&s.config.FinWait2, v, time.Second) },
	"tcp_rto_min_us":       func(s *settings, v string) error { return setDuration(&s.options.MinRTO, v, time.Microsecond) },
	"tcp_rmem":             func(s *settings, v string) error { return setMiddle(&s.options.RecvBuffer, v) },
	"tcp_wmem":             func(s *settings, v string) error { return setMiddle(&s.options.SendBuffer, v) },
	"tcp_max_syn_backlog":  func(s *settings, v string) error { return setInt(&s.config.Limits.SynQueue, v) },
	"tcp_max_tw_buckets":   func(s *settings, v string) error { return setInt(&s.config.Limits.TimeWait, v) },
	"ip_default_ttl":       func(s *settings, v string) error { n, err := number(v, 1); s.options.TTL = uint8(n); return err },
}

// ownSettings are what scripts pin that Linux has no name for.
var ownSettings = map[string]func(*settings, string) error{
	"initial_window":    func(s *settings, v string) error { return setInt(&s.config.InitialWindow, v) },
	"delayed_ack_us":    func(s *settings, v string) error { return setDuration(&s.config.DelayedAck, v, time.Microsecond) },
	"quick_acks": func(s *settings, v string) error {
		if s.config.QuickAcks = -1; v == "0" {
			return nil
		}
		return setInt(&s.config.QuickAcks, v)
	},
	"time_wait_us":      func(s *settings, v string) error { return setDuration(&s.config.TimeWait, v, time.Microsecond) },
	"challenge_acks":    func(s *settings, v string) error { return setInt(&s.config.Limits.ChallengeAcks, v) },
	"resets_per_second": func(s *settings, v string) error { return setInt(&s.config.Limits.ResetsPerSec, v) },
	"initial_rto_us":    func(s *settings, v string) error { return setDuration(&s.options.InitialRTO, v, time.Microsecond) },
	"min_rto_us":        func(s *settings, v string) error { return setDuration(&s.options.MinRTO, v, time.Microsecond) },
	"connect_timeout_us": func(s *settings, v string) error {
		return setDuration(&s.options.ConnectTimeout, v, time.Microsecond)
	},
	"user_timeout_us": func(s *settings, v string) error { return setDuration(&s.options.UserTimeout, v, time.Microsecond) },
	"quick_ack":       func(s *settings, v string) error { s.options.QuickAck = v == "1"; return nil },
	"pacing":          func(s *settings, v string) error { s.options.Pacing = v == "1"; return nil },
	"no_delay":        func(s *settings, v string) error { s.options.NoDelay = v == "1"; return nil },
	"mss":             func(s *settings, v string) error { return setInt(&s.options.MaxSegment, v) },
	"recv_buffer":     func(s *settings, v string) error { return setInt(&s.options.RecvBuffer, v) },
	"send_buffer":     func(s *settings, v string) error { return setInt(&s.options.SendBuffer, v) },
}

func setInt(field *int, value string) error {
	n, err := number(value, 1)
	*field = int(n)
	return err
}

func setDuration(field *time.Duration, value string, unit time.Duration) error {
	n, err := number(value, 1)
	*field = time.Duration(n) * unit
	return err
}

// setMiddle takes the default of "minimum default maximum".
func setMiddle(field *int, value string) error {
	words := strings.Fields(value)
	if len(words) != 3 {
		return fmt.Errorf("want three numbers")
	}
	return setInt(field, words[1])
}
