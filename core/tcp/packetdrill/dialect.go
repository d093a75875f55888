package packetdrill

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// Dialect is the system that a script was written for: the defaults that its scripts take for granted, and what their
// socket calls mean.
type Dialect uint8

// The dialects. DialectByScript lets each script's settings tell; DialectOwn is the project's: the engine's defaults.
const (
	DialectByScript Dialect = iota
	DialectOwn
	DialectLinux
	DialectFreeBSD
	numDialects
)

// String returns the name of the dialect.
func (d Dialect) String() string {
	return [numDialects]string{"by script", "starfish", "linux", "freebsd"}[d]
}

// ParseDialect finds a dialect by its name.
func ParseDialect(name string) (Dialect, error) {
	for d := DialectOwn; d < numDialects; d++ {
		if d.String() == name {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is no dialect: starfish, linux or freebsd", name)
}

// freeBSDSyn is a SYN as FreeBSD orders its options, among the scripts' ways to write it.
var freeBSDSyn = regexp.MustCompile(`> *(\[[a-z0-9]+\] *)?S[EWA.]* .*<mss \d+, *nop, *wscale \d+, *sackOK`)

// dialectOf tells the dialect of a script by the names of its settings, and by its SYNs.
func dialectOf(src string) Dialect {
	switch {
	case strings.Contains(src, "net.inet.") || strings.Contains(src, "kern.") || strings.Contains(src, "kldload"):
		return DialectFreeBSD
	case freeBSDSyn.MatchString(src):
		return DialectFreeBSD
	case strings.Contains(src, "defaults.sh") || strings.Contains(src, "net.ipv4.") || strings.Contains(src, "net/ipv4/"):
		return DialectLinux
	default:
		return DialectOwn
	}
}

// linuxDefaults are the settings that the scripts written for Linux call defaults, where the file is not beside them.
const linuxDefaults = `sysctl net.ipv4.tcp_rmem="4096 540000 15728640" net.ipv4.tcp_wmem="4096 262144 4194304"
sysctl net.ipv4.tcp_slow_start_after_idle=0 net.ipv4.tcp_congestion_control=cubic net.ipv4.tcp_ecn=0`

// begin sets what a dialect's systems do unless told otherwise.
func (d Dialect) begin(s *settings) {
	switch d {
	case DialectByScript, DialectOwn:
	case DialectLinux:
		// Linux pushes too when half the largest window has been written since it last did. RFC 9293 §3.9.1.2 asks for PSH
		// on the last buffered segment only, so that the rest is a sender's to choose.
		s.anyPush = true
		// Linux sends everything but SYNs as ECN-capable, once Accurate ECN is agreed on. RFC 9768 §4 leaves RFC 3168's ban on
		// that as it is; RFC 8311 §4.3 allows it as an experiment.
		s.markedControl = true
		s.config.AccECNOption = tcp.AccECNOptionAlways // tcp_ecn_option=2
		s.config.Choices.UnboundedSlowStart = true     // its HyStart has no limit for one ACK
	case DialectFreeBSD:
		s.options.MinRTO, s.options.MaxRTO = 30*time.Millisecond, 64*time.Second
		s.options.SynRetries, s.options.SynAckRetries = 12, 3
		s.options.ConnectTimeout = 75 * time.Second
		s.config.Choices = tcp.Choices{
			RTOMargin: 200 * time.Millisecond, SynFin: tcp.SynFinTaken, FastOpenAskedOnce: true, TimeWaitUnreset: true,
		}
		s.receiveBuffer(64<<10, 2<<20)
		s.options.SendBuffer = 32 << 10
		s.options.Congestion = tcp.CongestionReno
		s.options.KeepAliveCount = 8
		s.config.QuickAcks = -1
		s.anyOrder, s.mssWithOptions = true, true
	}
}

// unreachable is the name that a system has for what ICMP said: FreeBSD calls a protocol that isn't there, and what a policy
// forbids, refused.
func (d Dialect) unreachable(e errno) errno {
	if d == DialectFreeBSD && (e == "ENOPROTOOPT" || e == "EHOSTUNREACH") {
		return "ECONNREFUSED"
	}
	return e
}

// reportedBuffer is what getsockopt says of a buffer of n bytes: Linux doubles what it was set to, FreeBSD rounds the
// receive buffer of a connection up to whole segments.
func (s *settings) reportedBuffer(n int, receive bool, st *tcp.Status) int64 {
	unset := receive && n == s.options.RecvBuffer && s.recvSpace > 0
	if unset {
		n = s.recvSpace
	}
	switch {
	case s.dialect == DialectLinux && !unset:
		return 2 * int64(n)
	case s.dialect == DialectFreeBSD && receive && st.State >= tcp.StateSynReceived && st.MSS > 0:
		return int64((n + st.MSS - 1) / st.MSS * st.MSS)
	default:
		return int64(n)
	}
}

// reportedMSS is what TCP_MAXSEG and tcpi_snd_mss say: Linux takes off the bytes of the options that every segment
// carries, FreeBSD does not.
func (s *settings) reportedMSS(st *tcp.Status) int {
	const timestamps = 12 // with their padding
	if s.mssWithOptions && st.Timestamps {
		return st.MSS + timestamps
	}
	return st.MSS
}

// windowLags says whether a window that left may stand for the one that a script of another system wants: silly window
// avoidance holds the right edge back by less than a segment (RFC 9293 §3.8.6.2.2).
func (s *settings) windowLags(want, got uint16, st *tcp.Status) bool {
	segment := st.MSS
	if segment == 0 { // TIME-WAIT without a user
		segment = cmp.Or(s.config.MTU, 1500) - wire.IPv6HeaderLen - wire.TCPHeaderLen
	}
	return s.dialect == DialectFreeBSD && got != 0 && got < want && int(want-got)<<st.RecvWScale < segment
}
