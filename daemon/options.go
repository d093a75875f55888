package daemon

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/core/tcp"
)

// overlay returns base with the options that the client set. To the engine a zero value means its default, so a client
// that sets a number to zero is refused rather than misunderstood.
func overlay(op string, base tcp.Options, o *starfishv1.Options) (tcp.Options, error) {
	if o == nil {
		return base, nil
	}
	b := overlayer{}
	b.flags(&base, o)
	b.durations(&base, o)
	b.numbers(&base, o)
	if b.err == nil {
		b.err = base.Validate()
	}
	if b.err != nil {
		return base, invalid(op, "%v", b.err)
	}
	return base, nil
}

// overlayer keeps the first problem.
type overlayer struct{ err error }

func (b *overlayer) flags(base *tcp.Options, o *starfishv1.Options) {
	for _, f := range []struct {
		to   *bool
		from *bool
	}{
		{&base.NoDelay, o.NoDelay},
		{&base.QuickAck, o.QuickAck},
		{&base.Cork, o.Cork},
		{&base.NoMTUProbing, o.NoMtuProbing},
		{&base.FastOpen, o.FastOpen},
		{&base.NoTimestamps, o.NoTimestamps},
		{&base.NoSACK, o.NoSack},
		{&base.NoWindowScale, o.NoWindowScale},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if o.Pacing != nil {
		base.NoPacing = !*o.Pacing
	}
}

func (b *overlayer) durations(base *tcp.Options, o *starfishv1.Options) {
	for _, f := range []struct {
		name string
		to   *time.Duration
		from *durationpb.Duration
	}{
		{"initial_rto", &base.InitialRTO, o.InitialRto},
		{"min_rto", &base.MinRTO, o.MinRto},
		{"max_rto", &base.MaxRTO, o.MaxRto},
		{"keep_alive", &base.KeepAlive, o.KeepAlive},
		{"keep_alive_interval", &base.KeepAliveInterval, o.KeepAliveInterval},
		{"user_timeout", &base.UserTimeout, o.UserTimeout},
		{"linger", &base.Linger, o.Linger},
		{"connect_timeout", &base.ConnectTimeout, o.ConnectTimeout},
	} {
		if f.from == nil {
			continue
		}
		if err := f.from.CheckValid(); err != nil {
			b.problem("%s: %v", f.name, err)
			continue
		}
		if *f.to = f.from.AsDuration(); *f.to == 0 {
			b.problem("%s is zero", f.name)
		}
	}
}

func (b *overlayer) numbers(base *tcp.Options, o *starfishv1.Options) {
	b.number("recv_buffer", &base.RecvBuffer, o.RecvBuffer, tcp.MaxBuffer)
	b.number("send_buffer", &base.SendBuffer, o.SendBuffer, tcp.MaxBuffer)
	b.number("keep_alive_count", &base.KeepAliveCount, o.KeepAliveCount, 127)
	b.number("syn_retries", &base.SynRetries, o.SynRetries, 127)
	b.number("syn_ack_retries", &base.SynAckRetries, o.SynAckRetries, 127)
	b.number("max_segment", &base.MaxSegment, o.MaxSegment, 65_535)
	ttl := int(base.TTL)
	b.number("ttl", &ttl, o.Ttl, 255)
	base.TTL = uint8(ttl)
	if o.TrafficClass != nil {
		// RFC 3168 §5: the lower two bits are ECN's, which is the engine's affair.
		if *o.TrafficClass > 255 || *o.TrafficClass&3 != 0 {
			b.problem("traffic_class %d is no multiple of 4 up to 252", *o.TrafficClass)
		}
		base.TrafficClass = uint8(*o.TrafficClass)
	}
	if o.GetCongestionControl() != starfishv1.CongestionControl_CONGESTION_CONTROL_UNSPECIFIED {
		congestion, ok := congestionControls[o.GetCongestionControl()]
		if !ok {
			b.problem("unknown congestion_control %d", o.GetCongestionControl())
		}
		base.Congestion = congestion
	}
	if o.GetEcn() != starfishv1.Ecn_ECN_UNSPECIFIED {
		ecn, ok := ecnModes[o.GetEcn()]
		if !ok {
			b.problem("unknown ecn %d", o.GetEcn())
		}
		base.ECN = ecn
	}
	if o.FixedIsn != nil {
		base.FixedISN = o.FixedIsn
	}
}

func (b *overlayer) number(name string, to *int, from *uint32, most uint32) {
	if from == nil {
		return
	}
	if *from == 0 || *from > most {
		b.problem("%s %d is outside 1 to %d", name, *from, most)
		return
	}
	*to = int(*from)
}

func (b *overlayer) problem(format string, arguments ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, arguments...)
	}
}

var congestionControls = map[starfishv1.CongestionControl]tcp.CongestionControl{
	starfishv1.CongestionControl_CONGESTION_CONTROL_RENO:  tcp.CongestionReno,
	starfishv1.CongestionControl_CONGESTION_CONTROL_CUBIC: tcp.CongestionCubic,
	starfishv1.CongestionControl_CONGESTION_CONTROL_BBR:   tcp.CongestionBBR,
}

var ecnModes = map[starfishv1.Ecn]tcp.ECN{
	starfishv1.Ecn_ECN_OFF:             tcp.ECNOff,
	starfishv1.Ecn_ECN_ACCEPT:          tcp.ECNAccept,
	starfishv1.Ecn_ECN_ON:              tcp.ECNOn,
	starfishv1.Ecn_ECN_ACCURATE:        tcp.ECNAccurate,
	starfishv1.Ecn_ECN_ACCEPT_ACCURATE: tcp.ECNAcceptAccurate,
	starfishv1.Ecn_ECN_ON_ACCURATE:     tcp.ECNOnAccurate,
}

func ecnProto(e tcp.ECN) starfishv1.Ecn {
	for p, t := range ecnModes {
		if t == e {
			return p
		}
	}
	return starfishv1.Ecn_ECN_UNSPECIFIED
}

func congestionProto(c tcp.CongestionControl) starfishv1.CongestionControl {
	for p, t := range congestionControls {
		if t == c {
			return p
		}
	}
	return starfishv1.CongestionControl_CONGESTION_CONTROL_UNSPECIFIED
}

// onlyWhileOpening names the first option in o that can't change on a living connection; empty when all can.
func onlyWhileOpening(o *starfishv1.Options) string {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"congestion_control", o.GetCongestionControl() != 0},
		{"initial_rto", o.GetInitialRto() != nil},
		{"connect_timeout", o.GetConnectTimeout() != nil},
		{"syn_retries", o.GetSynRetries() != 0},
		{"syn_ack_retries", o.GetSynAckRetries() != 0},
		{"max_segment", o.GetMaxSegment() != 0},
		{"ecn", o.GetEcn() != 0},
		{"no_timestamps", o.GetNoTimestamps()},
		{"fast_open", o.GetFastOpen()},
		{"no_sack", o.GetNoSack()},
		{"no_window_scale", o.GetNoWindowScale()},
		{"fixed_isn", o != nil && o.FixedIsn != nil},
	} {
		if f.set {
			return f.name
		}
	}
	return ""
}

// optionsProto describes options in full, for GetInfo.
func optionsProto(o *tcp.Options) *starfishv1.Options {
	duration := func(d time.Duration) *durationpb.Duration {
		if d == 0 {
			return nil
		}
		return durationpb.New(d)
	}
	number := func(n int) *uint32 {
		if n == 0 {
			return nil
		}
		u := uint32(n)
		return &u
	}
	congestion, ecn, pacing := congestionProto(o.Congestion), ecnProto(o.ECN), !o.NoPacing
	return &starfishv1.Options{
		NoDelay:           &o.NoDelay,
		QuickAck:          &o.QuickAck,
		Cork:              &o.Cork,
		Pacing:            &pacing,
		CongestionControl: &congestion,
		InitialRto:        duration(o.InitialRTO),
		MinRto:            duration(o.MinRTO),
		MaxRto:            duration(o.MaxRTO),
		RecvBuffer:        number(o.RecvBuffer),
		SendBuffer:        number(o.SendBuffer),
		KeepAlive:         duration(o.KeepAlive),
		KeepAliveInterval: duration(o.KeepAliveInterval),
		KeepAliveCount:    number(o.KeepAliveCount),
		UserTimeout:       duration(o.UserTimeout),
		Linger:            duration(o.Linger),
		ConnectTimeout:    duration(o.ConnectTimeout),
		SynRetries:        number(o.SynRetries),
		SynAckRetries:     number(o.SynAckRetries),
		MaxSegment:        number(o.MaxSegment),
		Ttl:               number(int(o.TTL)),
		TrafficClass:      number(int(o.TrafficClass)),
		Ecn:               &ecn,
		NoMtuProbing:      &o.NoMTUProbing,
		FastOpen:          &o.FastOpen,
		NoTimestamps:      &o.NoTimestamps,
		NoSack:            &o.NoSACK,
		NoWindowScale:     &o.NoWindowScale,
	}
}
