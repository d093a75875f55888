package tcp

import (
	"fmt"
	"time"
)

// Options are what a user can set of one connection, when opening it, on a listener for what it accepts, or later.
// A zero field means the Stack's default.
type Options struct {
	// NoDelay switches Nagle's algorithm off (RFC 1122 §4.2.3.4, RFC 9293 MUST-17).
	NoDelay bool
	// QuickAck acknowledges every segment at once: no delayed ACK (RFC 9293 §3.8.6.3).
	QuickAck bool
	// Cork holds partial segments back until it is cleared or a full segment is there.
	Cork bool
	// NoPacing sends what the window allows at once instead of spreading it over the round trip.
	NoPacing bool
	// Congestion selects the congestion control.
	Congestion CongestionControl
	// InitialRTO is the retransmission timeout before the first RTT sample (RFC 6298 §2.1: 1 s).
	InitialRTO time.Duration
	// MinRTO is the floor of the retransmission timeout.
	MinRTO time.Duration
	// MaxRTO is the ceiling that its backing off ends at (RFC 6298 §2.5), at least a second.
	MaxRTO time.Duration
	// RecvBuffer bounds the bytes received and not yet consumed by the user, and so the receive window. Unset, the buffer
	// tunes itself (Config.RecvBuffer).
	RecvBuffer int
	// SendBuffer bounds the bytes that Send takes before they are acknowledged. Unset, the buffer tunes itself
	// (Config.SendBuffer).
	SendBuffer int
	// KeepAlive is the idle time before the first probe; negative switches keep-alive off (RFC 9293 §3.8.4).
	KeepAlive time.Duration
	// KeepAliveInterval is the time between unanswered probes.
	KeepAliveInterval time.Duration
	// KeepAliveCount is how many unanswered probes end the connection.
	KeepAliveCount int
	// UserTimeout ends the connection when sent data stay unacknowledged that long (RFC 9293 §3.9.1, RFC 5482).
	UserTimeout time.Duration
	// Linger bounds what Close leaves behind: when the peer has not acknowledged all data and the FIN by then, it gets an
	// RST. Negative resets at once, as SO_LINGER with a time of zero does; unset, the user timeout is the bound.
	Linger time.Duration
	// ConnectTimeout bounds an active open.
	ConnectTimeout time.Duration
	// SynRetries is how often a SYN is repeated.
	SynRetries int
	// SynAckRetries is how often a listener repeats its SYN-ACK.
	SynAckRetries int
	// FastOpen is TCP Fast Open (RFC 7413): on a listener, data in a SYN are taken from peers that have connected before; on
	// a connection, data go with the SYN. A SYN that the network doubles may deliver its data twice (§2.1): only for users
	// who can take that.
	FastOpen bool
	// MaxSegment bounds the maximum segment size announced and used (RFC 9293 §3.7.1).
	MaxSegment int
	// TTL is the IPv4 time to live and the IPv6 hop limit.
	TTL uint8
	// TrafficClass is the DSCP, in the upper six bits. The lower two are ECN's (RFC 3168 §5), not the user's.
	TrafficClass uint8
	// ECN is Explicit Congestion Notification (RFC 3168).
	ECN ECN
	// NoMTUProbing takes the path MTU from ICMP alone: black holes are not left (RFC 4821, RFC 2923 §2.1).
	NoMTUProbing bool
	// NoTimestamps, NoSACK, NoWindowScale leave the option out of the SYN, and refuse it in the peer's.
	NoTimestamps, NoSACK, NoWindowScale bool
	// FixedISN, when not nil, is the initial sequence number. For tests only: it defeats RFC 6528.
	FixedISN *uint32
}

// Bounds of what options may ask for.
const (
	MinBuffer  = 1
	MaxBuffer  = 1 << 30 // RFC 7323 §2.3: the largest window is 2^30 bytes
	minSegment = 64
	maxSegment = 65_535 - 40
)

func checkDuration(name string, d, high time.Duration) error {
	if low := time.Millisecond; d != 0 && (d < low || d > high) {
		return fmt.Errorf("%w: %s %v is outside %v to %v", ErrInvalid, name, d, low, high)
	}
	return nil
}

// checkMaxRTO wants a second at least: less is no backing off, and a probe a second is what a dead path can bear.
func checkMaxRTO(d time.Duration) error {
	if d != 0 && d < time.Second {
		return fmt.Errorf("%w: maximum RTO %v is below %v", ErrInvalid, d, time.Second)
	}
	return nil
}

func checkInt(name string, n, low, high int) error {
	if n != 0 && (n < low || n > high) {
		return fmt.Errorf("%w: %s %d is outside %d to %d", ErrInvalid, name, n, low, high)
	}
	return nil
}

// Validate reports the first option that is out of its range.
func (o *Options) Validate() error {
	for _, err := range []error{
		checkDuration("initial RTO", o.InitialRTO, maxRTO),
		checkDuration("minimum RTO", o.MinRTO, maxRTO),
		checkDuration("maximum RTO", o.MaxRTO, maxRTO),
		checkMaxRTO(o.MaxRTO),
		checkDuration("keep-alive", max(o.KeepAlive, 0), maxKeepAlive),
		checkDuration("keep-alive interval", o.KeepAliveInterval, maxKeepAlive),
		checkDuration("user timeout", o.UserTimeout, maxKeepAlive),
		checkDuration("linger", max(o.Linger, 0), maxKeepAlive),
		checkDuration("connect timeout", o.ConnectTimeout, maxKeepAlive),
		checkInt("keep-alive count", o.KeepAliveCount, 1, 127),
		checkInt("SYN retries", o.SynRetries, 1, 127),
		checkInt("SYN-ACK retries", o.SynAckRetries, 1, 127),
		checkInt("receive buffer", o.RecvBuffer, MinBuffer, MaxBuffer),
		checkInt("send buffer", o.SendBuffer, MinBuffer, MaxBuffer),
		checkInt("maximum segment size", o.MaxSegment, minSegment, maxSegment),
	} {
		if err != nil {
			return err
		}
	}
	if o.TrafficClass&3 != 0 {
		return fmt.Errorf("%w: traffic class %#02x sets ECN bits", ErrInvalid, o.TrafficClass)
	}
	if o.Congestion >= numCongestionControls {
		return fmt.Errorf("%w: unknown congestion control %d", ErrInvalid, o.Congestion)
	}
	if o.ECN >= numECN {
		return fmt.Errorf("%w: unknown ECN %d", ErrInvalid, o.ECN)
	}
	return nil
}

// maxKeepAlive bounds times that a user sets; Linux's bound for keep-alive, 32,767 s, is the same order.
const maxKeepAlive = 365 * 24 * time.Hour

// withDefaults returns o with its zero fields taken from d.
func (o Options) withDefaults(d *Options) Options {
	o.NoDelay = o.NoDelay || d.NoDelay
	o.QuickAck = o.QuickAck || d.QuickAck
	o.Cork = o.Cork || d.Cork
	o.NoPacing = o.NoPacing || d.NoPacing
	o.FastOpen = o.FastOpen || d.FastOpen
	o.NoMTUProbing = o.NoMTUProbing || d.NoMTUProbing
	o.NoTimestamps = o.NoTimestamps || d.NoTimestamps
	o.NoSACK = o.NoSACK || d.NoSACK
	o.NoWindowScale = o.NoWindowScale || d.NoWindowScale
	orDefault(&o.Congestion, d.Congestion)
	orDefault(&o.InitialRTO, d.InitialRTO)
	orDefault(&o.MinRTO, d.MinRTO)
	orDefault(&o.MaxRTO, d.MaxRTO)
	orDefault(&o.RecvBuffer, d.RecvBuffer)
	orDefault(&o.SendBuffer, d.SendBuffer)
	orDefault(&o.KeepAlive, d.KeepAlive)
	orDefault(&o.KeepAliveInterval, d.KeepAliveInterval)
	orDefault(&o.KeepAliveCount, d.KeepAliveCount)
	orDefault(&o.UserTimeout, d.UserTimeout)
	orDefault(&o.Linger, d.Linger)
	orDefault(&o.ConnectTimeout, d.ConnectTimeout)
	orDefault(&o.SynRetries, d.SynRetries)
	orDefault(&o.SynAckRetries, d.SynAckRetries)
	orDefault(&o.MaxSegment, d.MaxSegment)
	orDefault(&o.TTL, d.TTL)
	orDefault(&o.TrafficClass, d.TrafficClass)
	orDefault(&o.ECN, d.ECN)
	if o.FixedISN == nil {
		o.FixedISN = d.FixedISN
	}
	return o
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// DefaultOptions are what zero fields stand for: what the field's users know from Linux, except where a reason stands beside the value.
func DefaultOptions() Options {
	return Options{
		Congestion:        CongestionCubic,
		InitialRTO:        time.Second,            // RFC 6298 §2.1
		MinRTO:            200 * time.Millisecond, // Linux's; RFC 6298 §2.4 says 1 s, sized for coarse clocks
		MaxRTO:            maxRTO,
		KeepAlive:         -1, // off, RFC 9293 MUST-25
		KeepAliveInterval: 75 * time.Second,
		KeepAliveCount:    9,
		UserTimeout:       15 * time.Minute,  // what Linux's 15 retransmissions come to; RFC 9293 §3.8.3 R2 ≥ 100 s
		ConnectTimeout:    190 * time.Second, // RFC 9293 §3.8.3 (MUST-23): at least 3 minutes; Linux gives up at 127 s
		SynRetries:        7,                 // at 1, 3, 7, 15, 31, 63 and 127 s
		SynAckRetries:     5,                 // until 63 s, as Linux: the peer's SYN, sent again, begins anew
		TTL:               64,
		ECN:               ECNAccept, // as Linux: asking makes some paths fail, agreeing doesn't
	}
}
