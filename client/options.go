package client

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"google.golang.org/protobuf/proto"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// Congestion names a congestion control algorithm.
type Congestion int

const (
	// CongestionDefault leaves the choice to the daemon.
	CongestionDefault Congestion = iota
	// Reno is NewReno: RFC 5681, RFC 6582.
	Reno
	// Cubic is RFC 9438.
	Cubic
	// BBR is BBRv3, draft-ietf-ccwg-bbr. It paces whatever NoPacing says.
	BBR
)

// ParseCongestion returns the algorithm that has the name; the empty name is CongestionDefault.
func ParseCongestion(name string) (Congestion, error) {
	switch strings.ToLower(name) {
	case "":
		return CongestionDefault, nil
	case "reno":
		return Reno, nil
	case "cubic":
		return Cubic, nil
	case "bbr":
		return BBR, nil
	}
	return CongestionDefault, fmt.Errorf("unknown congestion control %q: reno, cubic and bbr are known", name)
}

// ECN is what a connection does about Explicit Congestion Notification.
type ECN int

const (
	// ECNDefault leaves the choice to the daemon.
	ECNDefault ECN = iota
	// ECNOff neither asks for it nor agrees to it.
	ECNOff
	// ECNAccept agrees when the peer asks.
	ECNAccept
	// ECNOn asks for it, too (RFC 3168).
	ECNOn
	// ECNAccurate asks for Accurate ECN (RFC 9768), and agrees to either.
	ECNAccurate
	// ECNAcceptAccurate agrees when the peer asks, to either.
	ECNAcceptAccurate
	// ECNOnAccurate asks for RFC 3168's, and agrees to either.
	ECNOnAccurate
)

// ParseECN returns the choice that has the name; the empty name is ECNDefault.
func ParseECN(name string) (ECN, error) {
	for i, known := range []string{"", "off", "accept", "on", "accurate", "accept-accurate", "on-accurate"} {
		if strings.ToLower(name) == known {
			return ECN(i), nil
		}
	}
	return ECNDefault, fmt.Errorf("unknown ECN %q: off, accept, on, accurate, accept-accurate and on-accurate are known", name)
}

// Options of a connection, or on a listener of the connections that it accepts. A zero field means the daemon's
// default. The daemon checks the ranges.
type Options struct {
	// NoDelay switches Nagle's algorithm off (RFC 9293 §3.7.4).
	NoDelay bool
	// QuickAck acknowledges every segment at once (RFC 9293 §3.8.6.3).
	QuickAck bool
	// Cork holds partial segments back until it is cleared or a full segment is there.
	Cork bool
	// Congestion is the congestion control.
	Congestion Congestion
	// NoPacing sends what the window allows at once instead of spreading it over the round trip. BBR paces in any case.
	NoPacing bool
	// InitialRTO is the retransmission timeout before the first RTT sample (RFC 6298 §2.1).
	InitialRTO time.Duration
	// MinRTO is the floor of the retransmission timeout (RFC 6298 §2.4).
	MinRTO time.Duration
	// MaxRTO is the ceiling of the retransmission timeout as it backs off (RFC 6298 §2.5).
	MaxRTO time.Duration
	// RecvBuffer bounds the bytes received and not yet read, and so the receive window. Unset, the buffer tunes itself.
	RecvBuffer int
	// SendBuffer bounds the bytes written and not yet acknowledged. Unset, the buffer tunes itself.
	SendBuffer int
	// KeepAlive is the idle time before the first keep-alive probe; negative switches keep-alive off.
	KeepAlive time.Duration
	// KeepAliveInterval is the time between unanswered probes.
	KeepAliveInterval time.Duration
	// KeepAliveCount is how many unanswered probes end the connection.
	KeepAliveCount int
	// UserTimeout ends the connection when written data stay unacknowledged that long (RFC 5482).
	UserTimeout time.Duration
	// Linger bounds what Close leaves behind: when the peer has not acknowledged everything by then, it is reset. Negative
	// resets at once.
	Linger time.Duration
	// ConnectTimeout bounds an active open.
	ConnectTimeout time.Duration
	// SynRetries is how often a SYN is repeated.
	SynRetries int
	// SynAckRetries is how often a listener repeats its SYN-ACK.
	SynAckRetries int
	// MaxSegment is the largest maximum segment size announced and used.
	MaxSegment int
	// TTL is the IPv4 time to live and the IPv6 hop limit.
	TTL int
	// TrafficClass is the DSCP, in the upper six bits.
	TrafficClass int
	// ECN is Explicit Congestion Notification.
	ECN ECN
	// FastOpen is TCP Fast Open (RFC 7413): a listener takes data in the SYNs of peers that have connected before; a
	// connection asks for the cookie that this needs, and DialFastOpen sends data with the SYN once there is one. A SYN that the network doubles may deliver its data twice.
	FastOpen bool
	// NoMTUProbing takes the path MTU from ICMP alone, instead of also looking for it with data of different sizes (RFC 4821).
	NoMTUProbing bool
	// NoTimestamps, NoSACK and NoWindowScale leave the option out of the SYN.
	NoTimestamps, NoSACK, NoWindowScale bool

	set *starfishv1.Options // by Set
}

// proto returns the options that differ from zero, nil if there are none.
func (o *Options) proto() (*starfishv1.Options, error) {
	if *o == (Options{}) {
		return nil, nil
	}
	msg := &starfishv1.Options{
		NoDelay:           setTrue(o.NoDelay),
		QuickAck:          setTrue(o.QuickAck),
		Cork:              setTrue(o.Cork),
		Pacing:            setFalse(o.NoPacing),
		InitialRto:        setDuration(o.InitialRTO),
		MinRto:            setDuration(o.MinRTO),
		MaxRto:            setDuration(o.MaxRTO),
		KeepAlive:         setDuration(o.KeepAlive),
		KeepAliveInterval: setDuration(o.KeepAliveInterval),
		UserTimeout:       setDuration(o.UserTimeout),
		Linger:            setDuration(o.Linger),
		ConnectTimeout:    setDuration(o.ConnectTimeout),
		FastOpen:          setTrue(o.FastOpen),
		NoMtuProbing:      setTrue(o.NoMTUProbing),
		NoTimestamps:      setTrue(o.NoTimestamps),
		NoSack:            setTrue(o.NoSACK),
		NoWindowScale:     setTrue(o.NoWindowScale),
	}
	if o.Congestion != CongestionDefault {
		control, ok := map[Congestion]starfishv1.CongestionControl{
			Reno:  starfishv1.CongestionControl_CONGESTION_CONTROL_RENO,
			Cubic: starfishv1.CongestionControl_CONGESTION_CONTROL_CUBIC,
			BBR:   starfishv1.CongestionControl_CONGESTION_CONTROL_BBR,
		}[o.Congestion]
		if !ok {
			return nil, fmt.Errorf("unknown congestion control %d", o.Congestion)
		}
		msg.CongestionControl = &control
	}
	if o.ECN != ECNDefault {
		ecn, ok := map[ECN]starfishv1.Ecn{
			ECNOff: starfishv1.Ecn_ECN_OFF, ECNAccept: starfishv1.Ecn_ECN_ACCEPT, ECNOn: starfishv1.Ecn_ECN_ON,
			ECNAccurate: starfishv1.Ecn_ECN_ACCURATE, ECNAcceptAccurate: starfishv1.Ecn_ECN_ACCEPT_ACCURATE,
			ECNOnAccurate: starfishv1.Ecn_ECN_ON_ACCURATE,
		}[o.ECN]
		if !ok {
			return nil, fmt.Errorf("unknown ECN %d", o.ECN)
		}
		msg.Ecn = &ecn
	}
	for _, number := range []struct {
		name  string
		value int
		field **uint32
	}{
		{"receive buffer", o.RecvBuffer, &msg.RecvBuffer},
		{"send buffer", o.SendBuffer, &msg.SendBuffer},
		{"keep-alive count", o.KeepAliveCount, &msg.KeepAliveCount},
		{"SYN retries", o.SynRetries, &msg.SynRetries},
		{"SYN-ACK retries", o.SynAckRetries, &msg.SynAckRetries},
		{"maximum segment size", o.MaxSegment, &msg.MaxSegment},
		{"TTL", o.TTL, &msg.Ttl},
		{"traffic class", o.TrafficClass, &msg.TrafficClass},
	} {
		if number.value < 0 || int64(number.value) > 1<<32-1 {
			return nil, fmt.Errorf("%s %d is out of range", number.name, number.value)
		}
		if number.value != 0 {
			value := uint32(number.value)
			*number.field = &value
		}
	}
	if o.set != nil {
		proto.Merge(msg, o.set)
	}
	return msg, nil
}

func setTrue(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

// setFalse sets an option to false when it is to be off.
func setFalse(off bool) *bool {
	if !off {
		return nil
	}
	on := false
	return &on
}

func setDuration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
