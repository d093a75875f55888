package packetdrill

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// sockopt is a socket option: how it is set, and what it reads as.
type sockopt struct {
	set func(r *runner, s *socket, n int64) error
	get func(r *runner, s *socket) int64
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

const defaultKeepIdle = 2 * time.Hour // RFC 9293 §3.8.4, MUST-28

var socketOptions = map[optionKey]sockopt{
	{"SOL_SOCKET", "SO_REUSEADDR"}:   ignored,
	{"SOL_SOCKET", "SO_REUSEPORT"}:   ignored,
	{"SOL_SOCKET", "SO_PRIORITY"}:    ignored,
	{"SOL_SOCKET", "SO_ERROR"}:       {get: func(*runner, *socket) int64 { return 0 }}, // see getError
	{"SOL_SOCKET", "SO_SNDBUF"}:      wholeNumber(func(s *socket) *int { return &s.options.SendBuffer }),
	{"SOL_SOCKET", "SO_RCVBUF"}:      wholeNumber(func(s *socket) *int { return &s.options.RecvBuffer }),
	{"SOL_SOCKET", "SO_SNDBUFFORCE"}: wholeNumber(func(s *socket) *int { return &s.options.SendBuffer }),
	{"SOL_SOCKET", "SO_RCVBUFFORCE"}: wholeNumber(func(s *socket) *int { return &s.options.RecvBuffer }),
	{"SOL_SOCKET", "SO_KEEPALIVE"}:   flag(func(s *socket) *bool { return &s.keepAlive }),
	{"SOL_TCP", "TCP_NODELAY"}:       flag(func(s *socket) *bool { return &s.options.NoDelay }),
	{"SOL_TCP", "TCP_CORK"}:          flag(func(s *socket) *bool { return &s.options.Cork }),
	{"SOL_TCP", "TCP_QUICKACK"}:      flag(func(s *socket) *bool { return &s.options.QuickAck }),
	{"SOL_TCP", "TCP_KEEPIDLE"}:      duration(time.Second, func(s *socket) *time.Duration { return &s.keepIdle }),
	{"SOL_TCP", "TCP_KEEPINTVL"}:     duration(time.Second, func(s *socket) *time.Duration { return &s.options.KeepAliveInterval }),
	{"SOL_TCP", "TCP_KEEPCNT"}:       wholeNumber(func(s *socket) *int { return &s.options.KeepAliveCount }),
	{"SOL_TCP", "TCP_SYNCNT"}:        wholeNumber(func(s *socket) *int { return &s.options.SynRetries }),
	{"SOL_TCP", "TCP_USER_TIMEOUT"}:  duration(time.Millisecond, func(s *socket) *time.Duration { return &s.options.UserTimeout }),
	{"SOL_TCP", "TCP_MAXSEG"}: {
		set: func(_ *runner, s *socket, n int64) error { s.options.MaxSegment = int(n); return nil },
		get: func(r *runner, s *socket) int64 { return int64(r.status(s).MSS) },
	},
	{"SOL_TCP", "TCP_INFO"}: {get: func(*runner, *socket) int64 { return 0 }},
	{"SOL_IP", "IP_TTL"}: {
		set: func(_ *runner, s *socket, n int64) error { s.options.TTL = uint8(n); return nil },
		get: func(_ *runner, s *socket) int64 { return int64(s.options.TTL) },
	},
	{"SOL_IP", "IP_TOS"}: {
		set: func(_ *runner, s *socket, n int64) error { s.options.TrafficClass = uint8(n) &^ 3; return nil },
		get: func(_ *runner, s *socket) int64 { return int64(s.options.TrafficClass) },
	},
	{"SOL_IP", "IP_MTU"}: {get: func(r *runner, s *socket) int64 { return int64(r.status(s).PathMTU) }},
	{"SOL_IP", "IP_MTU_DISCOVER"}: {set: func(_ *runner, _ *socket, n int64) error {
		if n == constants["IP_PMTUDISC_DO"] || n == constants["IP_PMTUDISC_WANT"] {
			return nil // what the engine always does
		}
		return failf(Unsupported, 0, "IP_MTU_DISCOVER %d", n)
	}},
}

var levels = map[string]string{
	"SOL_SOCKET": "SOL_SOCKET", "SOL_TCP": "SOL_TCP", "IPPROTO_TCP": "SOL_TCP", "SOL_IP": "SOL_IP", "IPPROTO_IP": "SOL_IP",
	"SOL_IPV6": "SOL_IPV6", "IPPROTO_IPV6": "SOL_IPV6",
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
	case "SO_LINGER", "TCP_CONGESTION":
		return name, o, nil
	}
	o, ok := socketOptions[optionKey{levels[c.Args[1].Text], name}]
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
	switch name {
	case "SO_LINGER":
		return r.setLinger(s, value)
	case "TCP_CONGESTION":
		return atOnce(func() (int64, error) {
			cc, err := tcp.ParseCongestionControl(value.Text)
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
		got = string(e)
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
