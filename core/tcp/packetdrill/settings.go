package packetdrill

import (
	"fmt"
	"net/netip"
	"reflect"
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
	// Lines are applied before each script's own, as if they stood at its head: --Name=Value.
	Lines []Setting
	// Settings are applied before each script's own, as if they stood in a sysctl command.
	Settings []Setting
	// Dialect is the system that the scripts were written for; a script's --dialect goes before it.
	Dialect Dialect
	// ReadFile reads a file that a script's commands name, relative to the script. Nil: there are none.
	ReadFile func(name string) ([]byte, error)
	// IgnoreDefaults passes over commands that run a script named defaults.
	IgnoreDefaults bool
	// IgnorePush leaves the PSH flag of what the engine sends out of the comparison.
	IgnorePush bool
	// IgnoreOptionOrder compares TCP options without their order and padding, which are a sender's to choose
	// (RFC 9293 §3.1).
	IgnoreOptionOrder bool
	// Strict makes a packet that leaves and that the script does not mention a failure.
	Strict bool
}

// settings are what a script runs with.
type settings struct {
	config         tcp.Config
	options        tcp.Options
	tolerance      time.Duration
	tsTick         time.Duration // 0: the values of timestamps are not looked at
	local          [2]wire.Addr  // IPv4, IPv6
	remote         [2]wire.Addr
	v6             bool
	dryRun         bool
	mss            int // of the segments that a large packet of the peer is made of; 0: it is one segment
	dialect        Dialect
	anyOrder       bool // of TCP options
	anyPush        bool // of segments with data
	recvSpace      int  // what SO_RCVBUF says of a socket that did not set it; 0: its buffer
	markedControl  bool // scripts want ECT(0) on what carries no new data
	mssWithOptions bool // MSS is reported with the bytes that options take
	fastOpen       fastOpenModes
}

const defaultTolerance = 4 * time.Millisecond

func newSettings(o *Options) *settings {
	s := &settings{dialect: o.Dialect, options: tcp.DefaultOptions(), tolerance: o.Tolerance, anyOrder: o.IgnoreOptionOrder, anyPush: o.IgnorePush, fastOpen: defaultFastOpenModes}
	s.options.NoMTUProbing, s.options.NoPacing = true, true // as in Linux unless a script asks for it
	// Buffers tune themselves only for scripts that are about it: the others see one window and one window scale.
	s.options.RecvBuffer, s.options.SendBuffer = 4<<20, 4<<20
	if s.tolerance == 0 {
		s.tolerance = defaultTolerance
	}
	s.local = [2]wire.Addr{mustAddr("192.168.0.1"), mustAddr("fd3d:fa7b:d17d::1")}
	s.remote = [2]wire.Addr{mustAddr("192.0.2.1"), mustAddr("2001:db8::1")}
	return s
}

func mustAddr(text string) wire.Addr { return wire.AddrFrom(netip.MustParseAddr(text)) }

// receiveBuffer sets what receive buffers begin with, and how far they grow: that decides the window scale.
func (s *settings) receiveBuffer(usual, most int) {
	s.recvSpace = usual
	s.options.RecvBuffer = 0
	s.config.RecvBuffer = tcp.Autotuning{Initial: usual, Max: max(usual, most)}
}

// sameConfig says whether a stack made with a could have been made with b.
func sameConfig(a, b *tcp.Config) bool { return reflect.DeepEqual(a, b) }

// programLines are about how a program that runs scripts behaves, or about a network that is two addresses here.
var programLines = map[string]bool{
	"gateway_ip": true, "netmask_ip": true, "init_scripts": true, "non_fatal": true, "speed": true, "verbose": true, "strict": true,
	"debug": true, "tun_dev": true, "persistent_tun_dev": true, "fm_filter": true, "no_cleanup": true, "code_sockopt": true,
	"code_format": true, "code_command": true, "wire_client_dev": true, "live_bind_port": true, "live_connect_port": true,
	"bind_port": true, "connect_port": true, "strict_segments": true,
	"send_omit_free": true, // no buffer is used twice
}

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
	case "mss":
		s.mss, err = strconv.Atoi(value)
	case "ip_version":
		switch value {
		case "ipv4", "ipv6", "ipv4-mapped-ipv6": // on the wire the last is IPv4
			s.v6 = value == "ipv6"
		default:
			return failf(Unsupported, 0, "--ip_version=%s", value)
		}
	case "local_ip":
		err = s.address(&s.local, value)
	case "remote_ip":
		err = s.address(&s.remote, value)
	case "dialect":
		s.dialect, err = ParseDialect(value)
	case "dry_run":
		s.dryRun = true
	default:
		if !programLines[name] {
			return failf(Unsupported, 0, "--%s", name)
		}
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

// routeMetrics applies what `ip route change` says of a route.
func (s *settings) routeMetrics(words []string) error {
	for i := 0; i < len(words); i++ {
		name, value := words[i], ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		var err error
		switch name {
		case "initcwnd":
			err = setInt(&s.config.InitialWindow, value)
		case "rto_min":
			err = s.routeTime(&s.options.MinRTO, value)
		case "quickack":
			s.options.QuickAck = value == "1"
		case "advmss":
			err = setInt(&s.options.MaxSegment, value)
		case "mtu", "lock":
			if name == "mtu" && value == "lock" {
				continue
			}
			err = setInt(&s.config.MTU, value)
		case "congctl":
			s.options.Congestion, err = tcp.ParseCongestionControl(value)
		case "initrwnd", "window", "features", "hoplimit", "reordering", "fastopen_no_cookie":
			return failf(Unsupported, 0, "route metric %s", name)
		default: // the prefix, via, dev, src, proto, scope and metric of a network with one route
			continue
		}
		if err != nil {
			return failf(Unsupported, 0, "route metric %s %s: %v", name, value, err)
		}
		i++
	}
	return nil
}

// routeTime reads 5ms, 200ms, 1s or a plain number of milliseconds.
func (s *settings) routeTime(field *time.Duration, text string) error {
	if d, err := time.ParseDuration(text); err == nil {
		*field = d
		return nil
	}
	return setDuration(field, text, time.Millisecond)
}

// queueing is tc qdisc: a plain queue in front of the link changes nothing, the fair queue paces. What loses or delays
// packets is refused: a script's peer does that.
func (s *settings) queueing(words []string) error {
	for i, w := range words {
		switch w {
		case "pfifo", "noqueue", "pfifo_fast":
			if i+1 < len(words) {
				return failf(Unsupported, 0, "tc with a bound on the queue")
			}
			return nil
		case "fq":
			s.options.NoPacing = false
			return nil
		case "del", "delete":
			return nil
		}
	}
	return failf(Unsupported, 0, "command tc %s", strings.Join(words, " "))
}

// number is the setting's value as a whole number from low on.
func number(value string, low int64) (int64, error) {
	n, err := strconv.ParseInt(value, 0, 64)
	if err == nil && n < low {
		err = fmt.Errorf("%d is below %d", n, low)
	}
	return n, err
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
