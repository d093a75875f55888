package packetdrill

import (
	"errors"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// polled is one entry of a poll call.
type polled struct {
	s              *socket
	events         int64
	want           int64
	hasWant        bool
	unknownSocket  bool
	got            int64
	descriptorText int64
}

func (r *runner) callPoll(c *Call) (begun, error) {
	if len(c.Args) != 3 {
		return begun{}, failf(ParseError, 0, "poll wants three arguments")
	}
	entries, err := r.pollEntries(&c.Args[0])
	if err != nil {
		return begun{}, err
	}
	timeout, err := c.number(2)
	if err != nil {
		return begun{}, err
	}
	deadline := r.now.Add(time.Duration(timeout) * time.Millisecond)
	if timeout >= 0 {
		r.wakeAt(deadline)
	}
	return begun{dontWait: timeout == 0, try: func() (int64, error) {
		ready := int64(0)
		for i := range entries {
			e := &entries[i]
			if e.got = r.readiness(e); e.got != 0 {
				ready++
			}
		}
		if ready == 0 && (timeout < 0 || r.now < deadline) {
			return 0, tcp.ErrWouldBlock
		}
		for _, e := range entries {
			if e.hasWant && e.got != e.want {
				return 0, failf(WrongResult, 0, "poll gives revents %#x for descriptor %d, want %#x", e.got, e.descriptorText, e.want)
			}
		}
		return ready, nil
	}}, nil
}

func (r *runner) pollEntries(list *Expr) ([]polled, error) {
	var entries []polled
	for i := range list.Args {
		var e polled
		for name, value := range map[string]*int64{"fd": &e.descriptorText, "events": &e.events, "revents": &e.want} {
			field, ok := list.Args[i].field(name)
			if !ok || field.Kind == ExprEllipsis {
				continue
			}
			n, err := eval(&field)
			if err != nil {
				return nil, err
			}
			*value = n
			e.hasWant = e.hasWant || name == "revents"
		}
		e.s = r.sockets[e.descriptorText]
		e.unknownSocket = e.s == nil
		entries = append(entries, e)
	}
	return entries, nil
}

// readiness is what poll says of a socket.
func (r *runner) readiness(e *polled) int64 {
	if e.unknownSocket {
		return constants["POLLNVAL"]
	}
	var ready int64
	in, out := constants["POLLIN"]|constants["POLLRDNORM"], constants["POLLOUT"]|constants["POLLWRNORM"]
	s := e.s
	if s.listener != 0 {
		var st tcp.ListenerStatus
		if err := r.stack.ListenerStatus(s.listener, &st); err == nil && st.AcceptQueue > 0 {
			ready |= in
		}
		return ready & e.events
	}
	if s.conn == 0 {
		return out&e.events | constants["POLLHUP"]
	}
	st := r.status(s)
	n, err := r.fillQuietly(s)
	ended := n == 0 && err != nil && !errors.Is(err, tcp.ErrWouldBlock) && !errors.Is(err, tcp.ErrNotConnected)
	if n > 0 || ended {
		ready |= in
	}
	if ended {
		ready |= constants["POLLRDHUP"]
	}
	if established(&st) && r.stack.SendSpace(s.conn) > 0 || st.State > tcp.StateEstablished && st.State != tcp.StateCloseWait {
		ready |= out
	}
	always := int64(0)
	if st.State == tcp.StateClosed {
		ready |= out
		always |= constants["POLLHUP"]
		if st.Err != nil && !s.reported {
			always |= constants["POLLERR"]
		}
	}
	if len(s.errs.notes) > 0 {
		always |= constants["POLLERR"]
	}
	return ready&e.events | always
}

// receivedFin are the states behind the peer's FIN.
var receivedFin = map[tcp.State]bool{
	tcp.StateCloseWait: true, tcp.StateClosing: true, tcp.StateLastAck: true, tcp.StateTimeWait: true,
}

// fillQuietly looks whether there is something to read.
func (r *runner) fillQuietly(s *socket) (int, error) {
	if s.conn == 0 {
		return 0, tcp.ErrNotConnected
	}
	return r.fill(s, 1)
}
