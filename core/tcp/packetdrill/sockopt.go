package packetdrill

import (
	"cmp"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// sockopt is a socket option: how it is set, and what it reads as.
type sockopt struct {
	set     func(r *runner, s *socket, n int64) error
	get     func(r *runner, s *socket) int64
	refused string // why there is neither
}

type optionKey struct{ level, name string }

func flag(field func(*socket) *bool) sockopt {
	return sockopt{
		set: func(_ *runner, s *socket, n int64) error { *field(s) = n != 0; return nil },
		get: func(_ *runner, s *socket) int64 {
			if *field(s) {
				return 1
			}
			return 0
		},
	}
}

func wholeNumber(field func(*socket) *int) sockopt {
	return sockopt{
		set: func(_ *runner, s *socket, n int64) error { *field(s) = int(n); return nil },
		get: func(_ *runner, s *socket) int64 { return int64(*field(s)) },
	}
}

func duration(unit time.Duration, field func(*socket) *time.Duration) sockopt {
	return sockopt{
		set: func(_ *runner, s *socket, n int64) error { *field(s) = time.Duration(n) * unit; return nil },
		get: func(_ *runner, s *socket) int64 { return int64(*field(s) / unit) },
	}
}

// ignored is an option whose every value leaves the engine as it is.
var ignored = sockopt{set: func(*runner, *socket, int64) error { return nil }}

const defaultMSS = 536 // what TCP_MAXSEG says before there is a connection (RFC 9293 §3.7.1, MUST-15)

const defaultKeepIdle = 2 * time.Hour // RFC 9293 §3.8.4, MUST-28

var socketOptions = map[optionKey]sockopt{
	{"SOL_SOCKET", "SO_REUSEADDR"}:     ignored,
	{"SOL_SOCKET", "SO_REUSEPORT"}:     ignored,
	{"SOL_SOCKET", "SO_PRIORITY"}:      ignored,
	{"SOL_SOCKET", "SO_ERROR"}:         {get: func(*runner, *socket) int64 { return 0 }}, // see getError
	{"SOL_SOCKET", "SO_SNDBUF"}:        bufferSize(false),
	{"SOL_SOCKET", "SO_RCVBUF"}:        bufferSize(true),
	{"SOL_SOCKET", "SO_SNDBUFFORCE"}:   bufferSize(false),
	{"SOL_SOCKET", "SO_RCVBUFFORCE"}:   bufferSize(true),
	{"SOL_IPV6", "IPV6_V6ONLY"}:        ignored,
	{"SOL_IPV6", "IPV6_RECVTCLASS"}:    refused("the engine does not tell of headers"),
	{"SOL_IPV6", "IPV6_AUTOFLOWLABEL"}: ignored,
	{"SOL_SOCKET", "SO_OOBINLINE"}:     ignored, // as urgent data always is
	{"SOL_SOCKET", "SO_NOSIGPIPE"}:     ignored,
	{"SOL_SOCKET", "SO_REUSEPORT_LB"}:  ignored,
	{"SOL_SOCKET", "SO_DONTROUTE"}:     ignored,
	{"SOL_SOCKET", "SO_RCVTIMEO"}:      refused("calls block as long as the script says"),
	{"SOL_SOCKET", "SO_SNDTIMEO"}:      refused("calls block as long as the script says"),
	{"SOL_TCP", "TCP_MAXUNACKTIME"}:    duration(time.Second, func(s *socket) *time.Duration { return &s.options.UserTimeout }),
	{"SOL_IP", "IP_FREEBIND"}:          ignored,
	{"SOL_IP", "IP_RECVERR"}:           refused("the engine has no error queue"),
	{"SOL_IP", "IP_RECVTOS"}:           refused("the engine does not tell of headers"),
	{"SOL_SOCKET", "SO_DEBUG"}:         ignored,
	{"SOL_SOCKET", "SO_MARK"}:          ignored,
	{"SOL_SOCKET", "SO_TXREHASH"}:      ignored,
	{"SOL_SOCKET", "SO_RCVLOWAT"}:      refused("readers are woken by every byte"),
	{"SOL_SOCKET", "SO_ZEROCOPY"}:      flag(func(s *socket) *bool { return &s.errs.zeroCopy }),
	{"SOL_SOCKET", "SO_TIMESTAMPING"}: {
		set: func(_ *runner, s *socket, n int64) error {
			s.errs.stamping, s.errs.keyBase = n, s.errs.written
			return nil
		},
		get: func(_ *runner, s *socket) int64 { return s.errs.stamping },
	},
	{"SOL_SOCKET", "SO_TIMESTAMP"}:       refused("the engine does not tell when bytes arrived"),
	{"SOL_SOCKET", "SO_TIMESTAMPNS"}:     refused("the engine does not tell when bytes arrived"),
	{"SOL_SOCKET", "SO_BUSY_POLL"}:       ignored,
	{"SOL_SOCKET", "SO_BINDTODEVICE"}:    ignored, // there is one
	{"SOL_SOCKET", "SO_MAX_PACING_RATE"}: refused("the pacing rate is the congestion control's"),
	{"SOL_SOCKET", "SO_TYPE"}:            {get: func(*runner, *socket) int64 { return constants["SOCK_STREAM"] }},
	{"SOL_SOCKET", "SO_ACCEPTCONN"}:      {get: func(_ *runner, s *socket) int64 { return oneIf(s.listener != 0) }},
	{"SOL_SOCKET", "SO_KEEPALIVE"}:       flag(func(s *socket) *bool { return &s.keepAlive }),
	{"SOL_TCP", "TCP_NODELAY"}: {
		set: setNoDelay,
		get: func(_ *runner, s *socket) int64 { return oneIf(s.options.NoDelay) },
	},
	{"SOL_TCP", "TCP_FASTOPEN"}:         flag(func(s *socket) *bool { return &s.options.FastOpen }), // how many may wait is the engine's
	{"SOL_TCP", "TCP_FASTOPEN_CONNECT"}: flag(func(s *socket) *bool { return &s.fastOpen }),
	{"SOL_TCP", "TCP_FASTOPEN_KEY"}:     refused("cookies are made with the stack's own secret"),
	{"SOL_TCP", "TCP_CORK"}:             flag(func(s *socket) *bool { return &s.options.Cork }),
	{"SOL_TCP", "TCP_QUICKACK"}:         flag(func(s *socket) *bool { return &s.options.QuickAck }),
	{"SOL_TCP", "TCP_KEEPIDLE"}:         duration(time.Second, func(s *socket) *time.Duration { return &s.keepIdle }),
	{"SOL_TCP", "TCP_KEEPINTVL"}:        duration(time.Second, func(s *socket) *time.Duration { return &s.options.KeepAliveInterval }),
	{"SOL_TCP", "TCP_KEEPCNT"}:          wholeNumber(func(s *socket) *int { return &s.options.KeepAliveCount }),
	{"SOL_TCP", "TCP_SYNCNT"}:           wholeNumber(func(s *socket) *int { return &s.options.SynRetries }),
	{"SOL_TCP", "TCP_USER_TIMEOUT"}:     duration(time.Millisecond, func(s *socket) *time.Duration { return &s.options.UserTimeout }),
	{"SOL_TCP", "TCP_MAXSEG"}: {
		set: func(_ *runner, s *socket, n int64) error { s.options.MaxSegment = int(n); return nil },
		get: func(r *runner, s *socket) int64 {
			if s.conn == 0 {
				return int64(cmp.Or(s.options.MaxSegment, defaultMSS))
			}
			return int64(r.set.reportedMSS(ptr(r.status(s))))
		},
	},
	{"SOL_TCP", "TCP_INFO"}:   {get: func(*runner, *socket) int64 { return 0 }},
	{"SOL_TCP", "TCP_NOPUSH"}: flag(func(s *socket) *bool { return &s.options.Cork }),
	{"SOL_TCP", "TCP_NOOPT"}: {set: func(_ *runner, s *socket, n int64) error {
		s.options.NoSACK, s.options.NoTimestamps, s.options.NoWindowScale = n != 0, n != 0, n != 0
		return nil
	}},
	{"SOL_TCP", "TCP_INQ"}:              flag(func(s *socket) *bool { return &s.inq }),
	{"SOL_TCP", "TCP_KEEPINIT"}:         duration(time.Second, func(s *socket) *time.Duration { return &s.options.ConnectTimeout }),
	{"SOL_TCP", "TCP_NOTSENT_LOWAT"}:    refused("writers are woken by free space in the send buffer"),
	{"SOL_TCP", "TCP_LINGER2"}:          refused("the wait in FIN-WAIT-2 is a setting of the stack"),
	{"SOL_TCP", "TCP_DEFER_ACCEPT"}:     refused("connections are accepted when they are established"),
	{"SOL_TCP", "TCP_WINDOW_CLAMP"}:     refused("the receive buffer bounds the window"),
	{"SOL_TCP", "TCP_MD5SIG"}:           refused("the engine signs no segments (RFC 2385)"),
	{"SOL_TCP", "TCP_REPAIR"}:           refused("a connection's state can't be set from outside"),
	{"SOL_TCP", "TCP_ULP"}:              refused("there are no protocols above"),
	{"SOL_TCP", "TCP_TX_DELAY"}:         refused("the link does not delay"),
	{"SOL_TCP", "TCP_ZEROCOPY_RECEIVE"}: refused("a script's bytes are in no memory of its own"),
	{"SOL_TCP", "TCP_SAVE_SYN"}:         refused("the engine does not keep SYNs"),
	{"SOL_TCP", "TCP_LOG"}:              ignored,
	{"SOL_TCP", "TCP_LOGDUMP"}:          ignored,
	{"SOL_TCP", "TCP_RACK_PACE_ALWAYS"}: refused("the pacing rate is the congestion control's"),
	{"SOL_IP", "IP_TTL"}: {
		set: func(_ *runner, s *socket, n int64) error { s.options.TTL = uint8(n); return nil },
		get: func(_ *runner, s *socket) int64 { return int64(s.options.TTL) },
	},
	{"SOL_IP", "IP_TOS"}: {
		set: func(_ *runner, s *socket, n int64) error { s.options.TrafficClass = uint8(n) &^ 3; return nil },
		get: func(_ *runner, s *socket) int64 { return int64(s.options.TrafficClass) },
	},
	{"SOL_IP", "IP_MTU"}:          {get: func(r *runner, s *socket) int64 { return int64(r.status(s).PathMTU) }},
	{"SOL_IP", "IP_MTU_DISCOVER"}: ignored, // the engine always discovers; no script sees the bit that asks for it
}

var levels = map[string]string{
	"SOL_SOCKET": "SOL_SOCKET", "SOL_TCP": "SOL_TCP", "IPPROTO_TCP": "SOL_TCP", "SOL_IP": "SOL_IP", "IPPROTO_IP": "SOL_IP",
	"SOL_IPV6": "SOL_IPV6", "IPPROTO_IPV6": "SOL_IPV6",
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// setNoDelay is TCP_NODELAY. Linux sends what a cork or MSG_MORE holds back when it is switched on.
func setNoDelay(r *runner, s *socket, n int64) error {
	s.options.NoDelay = n != 0
	if r.set.dialect != DialectLinux || n == 0 || s.conn == 0 || !s.options.Cork && !s.more {
		return nil
	}
	corked := s.options.Cork
	s.options.Cork, s.more = false, false
	err := r.apply(s)
	s.options.Cork = corked
	return err
}

// bufferSize is SO_SNDBUF or SO_RCVBUF.
func bufferSize(receive bool) sockopt {
	field := func(s *socket) *int {
		if receive {
			return &s.options.RecvBuffer
		}
		return &s.options.SendBuffer
	}
	return sockopt{
		set: func(_ *runner, s *socket, n int64) error { *field(s) = int(n); return nil },
		get: func(r *runner, s *socket) int64 {
			return r.set.reportedBuffer(*field(s), receive, ptr(r.status(s)))
		},
	}
}

// refused is an option that the engine can't honour; a script that depends on it would not show what it claims to.
func refused(why string) sockopt { return sockopt{refused: why} }

// noValue are options whose value is no number; what they ask for leaves the engine as it is.
var noValue = map[string]bool{
	"TCP_FUNCTION_BLK": true, // which of its stacks FreeBSD runs
	"TCP_CCALGOOPT":    true,
}

// optionOf finds the option that a call is about.
func (c *Call) optionOf() (name string, o sockopt, err error) {
	if len(c.Args) < 4 {
		return "", o, failf(ParseError, 0, "%s wants more than %d arguments", c.Name, len(c.Args))
	}
	name = c.Args[2].Text
	switch name {
	case "IPV6_UNICAST_HOPS":
		return name, socketOptions[optionKey{"SOL_IP", "IP_TTL"}], nil
	case "IPV6_TCLASS":
		return name, socketOptions[optionKey{"SOL_IP", "IP_TOS"}], nil
	case "IPV6_MTU_DISCOVER":
		return name, socketOptions[optionKey{"SOL_IP", "IP_MTU_DISCOVER"}], nil
	case "SO_LINGER", "TCP_CONGESTION":
		return name, o, nil
	}
	o, ok := socketOptions[optionKey{levels[c.Args[1].Text], name}]
	if o.refused != "" {
		return name, o, failf(Unsupported, 0, "%s of %s: %s", c.Name, name, o.refused)
	}
	if noValue[name] && c.Name == "setsockopt" {
		return name, o, nil
	}
	if !ok || c.Name == "setsockopt" && o.set == nil || c.Name == "getsockopt" && o.get == nil {
		return name, o, failf(Unsupported, 0, "%s of %s", c.Name, name)
	}
	return name, o, nil
}

func (r *runner) callSetsockopt(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	name, o, err := c.optionOf()
	if err != nil {
		return begun{}, err
	}
	value := &c.Args[3]
	if noValue[name] {
		return atOnce(func() (int64, error) { return 0, nil })
	}
	switch name {
	case "SO_LINGER":
		return r.setLinger(s, value)
	case "TCP_CONGESTION":
		return atOnce(func() (int64, error) {
			name := value.Text
			if name == "newreno" {
				name = "reno"
			}
			cc, err := tcp.ParseCongestionControl(name)
			if err != nil {
				return 0, failf(Unsupported, 0, "congestion control %q", value.Text)
			}
			s.options.Congestion = cc
			return 0, r.apply(s)
		})
	}
	n, err := eval(value)
	if err != nil {
		return begun{}, err
	}
	return atOnce(func() (int64, error) {
		before := s.options
		if err := o.set(r, s, n); err != nil {
			return 0, err
		}
		if err := s.options.Validate(); err != nil {
			s.options = before
			return 0, errno("EINVAL")
		}
		return 0, r.apply(s)
	})
}

func (r *runner) setLinger(s *socket, value *Expr) (begun, error) {
	on, ok1 := value.field("onoff")
	seconds, ok2 := value.field("linger")
	if !ok1 || !ok2 {
		return begun{}, failf(ParseError, 0, "SO_LINGER is written {onoff=…, linger=…}")
	}
	a, err := eval(&on)
	if err != nil {
		return begun{}, err
	}
	b, err := eval(&seconds)
	if err != nil {
		return begun{}, err
	}
	if a != 0 && b != 0 {
		return begun{}, failf(Unsupported, 0, "SO_LINGER with a time")
	}
	return atOnce(func() (int64, error) {
		s.lingers, s.lingerFor = a != 0, b
		return 0, nil
	})
}

// apply tells the engine of a socket's options.
func (r *runner) apply(s *socket) error {
	s.options.KeepAlive = -1
	if s.keepAlive {
		if s.options.KeepAlive = s.keepIdle; s.keepIdle == 0 {
			s.options.KeepAlive = defaultKeepIdle
			if d := r.set.options.KeepAlive; d > 0 {
				s.options.KeepAlive = d
			}
		}
	}
	if s.listener != 0 {
		return r.listenAnew(s)
	}
	if s.conn == 0 {
		return nil
	}
	options := s.options
	options.Cork = options.Cork || s.more
	if err := r.stack.SetOptions(r.now, s.conn, &options); err != nil {
		return err
	}
	return r.changed()
}

func (r *runner) callGetsockopt(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	name, o, err := c.optionOf()
	if err != nil {
		return begun{}, err
	}
	want := &c.Args[3]
	return atOnce(func() (int64, error) {
		switch {
		case name == "SO_ERROR":
			return r.getError(s, want)
		case want.Kind == ExprEllipsis:
			return 0, nil
		case name == "TCP_CONGESTION":
			if got := s.options.Congestion.String(); want.Text != got {
				return 0, failf(WrongResult, 0, "%s is %s, want %s", name, got, want.Text)
			}
			return 0, nil
		case name == "SO_LINGER":
			return 0, failf(Unsupported, 0, "getsockopt of SO_LINGER")
		}
		if name == "TCP_INFO" {
			return 0, r.compareInfo(s, want)
		}
		n, err := eval(want)
		if err != nil {
			return 0, err
		}
		if got := o.get(r, s); got != n {
			return 0, failf(WrongResult, 0, "%s is %d, want %d", name, got, n)
		}
		return 0, nil
	})
}

// getError compares and takes the pending error of a socket.
func (r *runner) getError(s *socket, want *Expr) (int64, error) {
	got := "0"
	if err := r.pendingError(s); err != nil {
		e, _ := errnoOf(err)
		got = string(r.set.dialect.unreachable(e))
	}
	if want.Kind == ExprList && len(want.Args) == 1 {
		want = &want.Args[0]
	}
	text := want.Text
	if want.Kind == ExprInt {
		if text = "0"; want.Int != 0 {
			return 0, failf(Unsupported, 0, "SO_ERROR by number")
		}
	}
	if want.Kind != ExprEllipsis && text != got {
		return 0, failf(WrongResult, 0, "SO_ERROR is %s, want %s", got, text)
	}
	return 0, nil
}
