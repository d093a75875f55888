package packetdrill

import (
	"fmt"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// Dialect is the system that a script was written for: the defaults that its scripts take for granted, and what their
// socket calls mean.
type Dialect uint8

// The dialects. DialectOwn is the project's: the engine's defaults.
const (
	DialectOwn Dialect = iota
	DialectLinux
	DialectFreeBSD
	numDialects
)

// String returns the name of the dialect.
func (d Dialect) String() string {
	return [numDialects]string{"starfish", "linux", "freebsd"}[d]
}

// ParseDialect finds a dialect by its name.
func ParseDialect(name string) (Dialect, error) {
	for d := range numDialects {
		if d.String() == name {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is no dialect: starfish, linux or freebsd", name)
}

// dialectOf tells the dialect of a script by the names of its settings.
func dialectOf(src string) Dialect {
	switch {
	case strings.Contains(src, "net.inet.") || strings.Contains(src, "kern.") || strings.Contains(src, "kldload"):
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
	case DialectLinux:
		// Linux pushes too when half the largest window has been written since it last did. RFC 9293 §3.9.1.2 asks for PSH
		// on the last buffered segment only, so that the rest is a sender's to choose.
		s.anyPush = true
	case DialectFreeBSD:
		const slop = 200 * time.Millisecond // net.inet.tcp.rexmit_slop is added to every timeout
		s.options.MinRTO = 30*time.Millisecond + slop
		s.options.RecvBuffer, s.options.SendBuffer = 65536, 32768
		s.options.Congestion = tcp.CongestionReno
		s.config.QuickAcks = -1
		s.anyOrder = true
	}
}

// reportedBuffer is what getsockopt says of a buffer of n bytes: Linux doubles what it was set to, FreeBSD rounds the
// receive buffer of a connection up to whole segments.
func (d Dialect) reportedBuffer(n int, receive bool, st *tcp.Status) int64 {
	switch {
	case d == DialectLinux:
		return 2 * int64(n)
	case d == DialectFreeBSD && receive && established(st) && st.MSS > 0:
		return int64((n + st.MSS - 1) / st.MSS * st.MSS)
	default:
		return int64(n)
	}
}
