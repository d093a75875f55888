package packetdrill

import (
	"github.com/MUCZ/Starfish/core/tcp"
)

// fastOpenModes are the bits of Linux's tcp_fastopen.
type fastOpenModes uint16

const (
	fastOpenClient       fastOpenModes = 1
	fastOpenServer       fastOpenModes = 2
	fastOpenNoCookie     fastOpenModes = 0x200 // servers take data without a cookie
	fastOpenEveryServer  fastOpenModes = 0x400 // no TCP_FASTOPEN needed
	defaultFastOpenModes               = fastOpenClient | fastOpenServer
)

// fastOpenSetting is net.ipv4.tcp_fastopen. A client of ours sends no data without a cookie, also where a bit asks for it:
// a script that sees that fails where it does.
func fastOpenSetting(s *settings, value string) error {
	n, err := number(value, 0)
	if err != nil {
		return err
	}
	s.fastOpen = fastOpenModes(n)
	s.config.Choices.FastOpenUnproven = s.fastOpen&fastOpenNoCookie != 0
	return nil
}

// fastOpenSwitch is a setting of FreeBSD's for one of the modes.
func fastOpenSwitch(mode fastOpenModes) applySetting {
	return func(s *settings, value string) error {
		if s.fastOpen |= mode; value == "0" {
			s.fastOpen &^= mode
		}
		return nil
	}
}

// serves says whether a socket that listens takes data in SYNs.
func (s *settings) serves(l *socket) bool {
	return s.fastOpen&fastOpenServer != 0 && (l.options.FastOpen || s.fastOpen&fastOpenEveryServer != 0)
}

// defers says whether connect returns at once, and the SYN waits for data to go with it (TCP_FASTOPEN_CONNECT).
func (r *runner) defers(s *socket, remote tcp.Endpoint) bool {
	if !s.fastOpen || s.conn != 0 || r.set.fastOpen&fastOpenClient == 0 {
		return false
	}
	s.options.FastOpen = true
	return r.stack.FastOpenRoom(r.source(s), remote.Addr, &s.options) > 0
}

// fastOpens says whether a send opens a connection, and to where: by MSG_FASTOPEN, behind a connect that was put off, or
// on FreeBSD by a sendto on a socket with TCP_FASTOPEN.
func (r *runner) fastOpens(s *socket, c *Call, flags int64) (remote tcp.Endpoint, opens bool, err error) {
	if s.deferred != nil {
		return *s.deferred, true, nil
	}
	asked := flags&constants["MSG_FASTOPEN"] != 0
	implied := r.set.dialect == DialectFreeBSD && s.options.FastOpen && s.conn == 0 && c.Name == "sendto"
	if !asked && !implied {
		return remote, false, nil
	}
	remote = tcp.Endpoint{Addr: r.theirs(s.v6), Port: defaultPort}
	switch {
	case c.Name == "sendto" && len(c.Args) > 4:
		if c.Args[4].Text == "AF_UNSPEC" {
			return remote, true, errno("EOPNOTSUPP")
		}
		remote, err = r.endpoint(&c.Args[4], remote)
	case c.Name == "sendmsg":
		if name, ok := c.Args[1].field("msg_name"); ok {
			remote, err = r.endpoint(&name, remote)
		}
	case implied:
		return remote, false, nil
	}
	return remote, true, err
}

// beginFastOpen opens, and sends what fits with the SYN if the peer has given a cookie. The rest goes behind the handshake,
// for which a blocking call waits; without waiting nothing else is sent.
func (r *runner) beginFastOpen(s *socket, remote tcp.Endpoint, c *Call, n, flags int64) (begun, error) {
	if r.set.fastOpen&fastOpenClient == 0 {
		return begun{}, errno("EOPNOTSUPP")
	}
	if st := r.status(s); s.conn != 0 && st.State != tcp.StateClosed {
		if opening(&st) {
			return begun{}, errno("EALREADY")
		}
		return begun{}, errno("EISCONN")
	}
	s.deferred = nil
	s.options.FastOpen = true
	room := r.stack.FastOpenRoom(r.source(s), remote.Addr, &s.options)
	if err := r.open(s, remote); err != nil {
		return begun{}, err
	}
	early := min(room, int(n))
	if r.set.dialect == DialectFreeBSD {
		early = int(n) // all is queued while the handshake goes on
	}
	if early > 0 {
		if _, err := r.queue(s, early); err != nil {
			return begun{}, err
		}
	} else if err := r.changed(); err != nil {
		return begun{}, err
	}
	rest, err := r.beginSend(c, n-int64(early), flags)
	if err != nil {
		return begun{}, err
	}
	if r.set.dialect == DialectFreeBSD {
		return begun{dontWait: true, try: func() (int64, error) { return n, nil }}, nil
	}
	if rest.dontWait {
		return begun{dontWait: true, try: func() (int64, error) {
			if early == 0 {
				return 0, errno("EINPROGRESS")
			}
			s.errs.wrote(int64(early), flags&constants["MSG_ZEROCOPY"] != 0)
			return int64(early), nil
		}}, nil
	}
	return begun{try: func() (int64, error) {
		if s.connecting {
			if _, err := r.connectAgain(s, false); err != nil {
				return 0, err
			}
		}
		sent, err := rest.try()
		return sent + int64(early), err
	}}, nil
}
