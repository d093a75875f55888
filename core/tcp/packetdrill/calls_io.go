package packetdrill

import (
	"cmp"
	"errors"
	"strings"

	"github.com/MUCZ/Starfish/core/tcp"
)

// sendFlags and receiveFlags are those that have a meaning here.
var (
	sendFlags    = []string{"MSG_DONTWAIT", "MSG_NOSIGNAL", "MSG_MORE", "MSG_FASTOPEN", "MSG_ZEROCOPY"}
	receiveFlags = []string{"MSG_DONTWAIT", "MSG_PEEK", "MSG_WAITALL", "MSG_NOSIGNAL", "MSG_ERRQUEUE", "MSG_TRUNC"}
)

// refusedFlags are why flags are refused.
var refusedFlags = map[string]string{
	"MSG_EOR": "the engine keeps no boundaries of records",
	"MSG_OOB": "urgent data is delivered in line (RFC 6093 §4)",
}

func checkFlags(flags int64, known []string) error {
	for _, name := range known {
		flags &^= constants[name]
	}
	for name, bit := range constants {
		if strings.HasPrefix(name, "MSG_") && flags&bit != 0 {
			return failf(Unsupported, 0, "flag %s: %s", name, cmp.Or(refusedFlags[name], "the runner does not know what it does"))
		}
	}
	return nil
}

// checkBuffer is what the kernel says of a call without a buffer.
func (c *Call) checkBuffer(n int64) error {
	if n > 0 && len(c.Args) > 1 && c.Args[1].Kind == ExprName && c.Args[1].Text == "NULL" {
		return errno("EFAULT")
	}
	return nil
}

// flagsAt reads the flags of a call, if it has some there.
func (c *Call) flagsAt(i int, known []string) (int64, error) {
	if i >= len(c.Args) || c.Args[i].Kind == ExprEllipsis {
		return 0, nil
	}
	flags, err := c.number(i)
	if err != nil {
		return 0, err
	}
	return flags, checkFlags(flags, known)
}

func (r *runner) callRead(c *Call) (begun, error) {
	n, err := c.number(2)
	if err != nil {
		return begun{}, err
	}
	flags, err := c.flagsAt(3, receiveFlags)
	if err != nil {
		return begun{}, err
	}
	if err := c.checkBuffer(n); err != nil {
		return begun{}, err
	}
	return r.beginReceive(c, n, flags)
}

func (r *runner) beginReceive(c *Call, n, flags int64) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	return begun{dontWait: s.dontWait(flags), try: func() (int64, error) { return r.receive(s, int(n), flags) }}, nil
}

func (r *runner) callReadVector(c *Call) (begun, error) {
	n, err := c.vectorAt(1)
	if err != nil {
		return begun{}, err
	}
	return r.beginReceive(c, n, 0)
}

func (r *runner) callRecvmsg(c *Call) (begun, error) {
	n, err := c.messageLength()
	if err != nil {
		return begun{}, err
	}
	flags, err := c.flagsAt(2, receiveFlags)
	if err != nil {
		return begun{}, err
	}
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	if flags&constants["MSG_ERRQUEUE"] != 0 {
		return atOnce(func() (int64, error) { return r.receiveError(c, s) })
	}
	control, err := c.receivedControl()
	if err != nil {
		return begun{}, err
	}
	return begun{dontWait: s.dontWait(flags), try: func() (int64, error) {
		n, err := r.receive(s, int(n), flags)
		if err == nil {
			err = r.compareControl(s, control)
		}
		return n, err
	}}, nil
}

// vectorAt adds up the lengths of an iovec: [{..., 100}, {..., 200}].
func (c *Call) vectorAt(i int) (int64, error) {
	if i >= len(c.Args) {
		return 0, failf(ParseError, 0, "%s wants more than %d arguments", c.Name, len(c.Args))
	}
	return vectorLength(&c.Args[i])
}

func vectorLength(e *Expr) (total int64, err error) {
	for i := range e.Args {
		v := &e.Args[i]
		if v.Kind != ExprStruct || len(v.Args) != 2 {
			return 0, failf(ParseError, 0, "an I/O vector is written [{..., LENGTH}, …]")
		}
		n, err := eval(&v.Args[1])
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// messageLength adds up the lengths of a msghdr's I/O vector.
func (c *Call) messageLength() (int64, error) {
	if len(c.Args) < 2 {
		return 0, failf(ParseError, 0, "%s wants a message", c.Name)
	}
	vector, ok := c.Args[1].field("msg_iov")
	if !ok {
		return 0, failf(ParseError, 0, "%s's message has no msg_iov", c.Name)
	}
	return vectorLength(&vector)
}

func (r *runner) callWrite(c *Call) (begun, error) {
	n, err := c.number(2)
	if err != nil {
		return begun{}, err
	}
	flags, err := c.flagsAt(3, sendFlags)
	if err != nil {
		return begun{}, err
	}
	if err := c.checkBuffer(n); err != nil {
		return begun{}, err
	}
	return r.beginWrite(c, n, flags)
}

// beginWrite is write, or connect and write at once.
func (r *runner) beginWrite(c *Call, n, flags int64) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	if remote, opens, err := r.fastOpens(s, c, flags); opens || err != nil {
		return r.beginFastOpen(s, remote, c, n, flags)
	}
	return r.beginSend(c, n, flags)
}

func (r *runner) callWriteVector(c *Call) (begun, error) {
	n, err := c.vectorAt(1)
	if err != nil {
		return begun{}, err
	}
	return r.beginWrite(c, n, 0)
}

func (r *runner) callSendmsg(c *Call) (begun, error) {
	n, err := c.messageLength()
	if err != nil {
		return begun{}, err
	}
	if control, ok := c.Args[1].field("msg_control"); ok && len(control.Args) > 0 {
		return begun{}, failf(Unsupported, 0, "ancillary data %s: the engine takes none", controlType(&control.Args[0]))
	}
	flags, err := c.flagsAt(2, sendFlags)
	if err != nil {
		return begun{}, err
	}
	return r.beginWrite(c, n, flags)
}

func (r *runner) beginSend(c *Call, n, flags int64) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	if n < 0 {
		return begun{}, errno("EINVAL")
	}
	left, dontWait := int(n), s.dontWait(flags)
	more, zeroCopy := flags&constants["MSG_MORE"] != 0, flags&constants["MSG_ZEROCOPY"] != 0
	done := func(err error) (int64, error) {
		taken := n - int64(left)
		if taken > 0 || err == nil {
			s.errs.wrote(taken, zeroCopy)
			r.observe()
			return taken, nil
		}
		return 0, err
	}
	return begun{dontWait: dontWait, socket: s, try: func() (int64, error) {
		if more {
			if err := r.cork(s, true); err != nil {
				return 0, err
			}
		}
		sent, err := r.send(s, left)
		left -= sent
		if err == nil && !more {
			err = r.cork(s, false) // what was held back goes with what is new
		}
		switch {
		case errors.Is(err, tcp.ErrWouldBlock) && dontWait:
			return done(err)
		case err != nil:
			return 0, err
		case left > 0 && !dontWait:
			return 0, tcp.ErrWouldBlock
		}
		return done(nil)
	}}, nil
}

// cork holds partial segments back while the last send said MSG_MORE, or TCP_CORK is on.
func (r *runner) cork(s *socket, more bool) error {
	if more && r.set.dialect == DialectLinux && s.conn != 0 {
		// Linux holds back for a retransmission timeout, from the first byte on.
		if s.uncorkAt == 0 {
			st := r.status(s)
			s.uncorkAt = r.now.Add(st.RTO)
			r.wakeAt(s.uncorkAt)
		}
	} else {
		s.uncorkAt = 0
	}
	if s.conn == 0 || s.more == more {
		return nil
	}
	s.more = more
	return r.apply(s)
}

// uncork lets go of what was held back for long enough.
func (r *runner) uncork() error {
	for _, s := range r.sockets {
		if s.uncorkAt != 0 && s.uncorkAt <= r.now {
			if err := r.cork(s, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *runner) callShutdown(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	how, err := c.number(1)
	if err != nil {
		return begun{}, err
	}
	return atOnce(func() (int64, error) {
		if s.conn == 0 || !established(ptr(r.status(s))) {
			return 0, errno("ENOTCONN")
		}
		if how != constants["SHUT_WR"] {
			if err := r.stack.CloseRead(r.now, s.conn); err != nil {
				return 0, err
			}
		}
		if how != constants["SHUT_RD"] {
			if err := r.stack.CloseWrite(r.now, s.conn); err != nil {
				return 0, err
			}
		}
		return 0, r.changed()
	})
}

func ptr[T any](v T) *T { return &v }

func (r *runner) callClose(c *Call) (begun, error) {
	if fd, err := c.number(0); err == nil && (r.files[fd] || r.epolls[fd] != nil) {
		return atOnce(func() (int64, error) {
			delete(r.files, fd)
			delete(r.epolls, fd)
			return 0, nil
		})
	}
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	fd, err := c.number(0)
	if err != nil {
		return begun{}, err
	}
	return atOnce(func() (int64, error) {
		delete(r.sockets, fd)
		return 0, r.release(s)
	})
}

func (r *runner) callFcntl(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	command, err := c.number(1)
	if err != nil {
		return begun{}, err
	}
	switch command {
	case constants["F_GETFL"]:
		return atOnce(func() (int64, error) {
			flags := constants["O_RDWR"]
			if s.nonblocking {
				flags |= constants["O_NONBLOCK"]
			}
			return flags, nil
		})
	case constants["F_SETFL"]:
		flags, err := c.number(2)
		if err != nil {
			return begun{}, err
		}
		return atOnce(func() (int64, error) {
			s.nonblocking = flags&constants["O_NONBLOCK"] != 0
			return 0, nil
		})
	default:
		return begun{}, failf(Unsupported, 0, "fcntl command %d", command)
	}
}

func (r *runner) callIoctl(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	request, err := c.number(1)
	if err != nil {
		return begun{}, err
	}
	var value func(st *tcp.Status) int
	switch request {
	case constants["SIOCINQ"]:
		value = func(*tcp.Status) int { return int(r.unread(s)) }
	case constants["SIOCOUTQ"]:
		value = func(st *tcp.Status) int { return st.SendQueue }
	case constants["SIOCOUTQNSD"]:
		value = func(st *tcp.Status) int { return st.NotSent }
	case constants["FIONBIO"]:
		on, err := c.number(2)
		return begun{dontWait: true, try: func() (int64, error) { s.nonblocking = on != 0; return 0, nil }}, err
	default:
		return begun{}, failf(Unsupported, 0, "ioctl request %#x", request)
	}
	want := int64(-1)
	if len(c.Args) > 2 && c.Args[2].Kind != ExprEllipsis {
		if want, err = c.number(2); err != nil {
			return begun{}, err
		}
	}
	return atOnce(func() (int64, error) {
		st := r.status(s)
		if got := int64(value(&st)); want >= 0 && got != want {
			return 0, failf(WrongResult, 0, "ioctl gives %d, want %d", got, want)
		}
		return 0, nil
	})
}
