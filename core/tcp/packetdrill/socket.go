package packetdrill

import (
	"errors"
	"io"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// socket is what a descriptor of a script stands for.
type socket struct {
	v6          bool
	nonblocking bool
	options     tcp.Options // always whole: the engine's defaults with what the script has set
	local       tcp.Endpoint
	flow        *flow

	listener tcp.ListenerID
	backlog  int
	conn     tcp.ConnID

	connecting bool          // connect was called, and nobody was told how it went
	reported   bool          // the error that ended the connection was told
	lingers    bool          // SO_LINGER is on
	err        error         // that ended the connection, where the engine has none
	keepAlive  bool          // SO_KEEPALIVE is on
	more       bool          // the last send said MSG_MORE
	uncorkAt   tcp.Time      // when what it holds back goes all the same; 0: not, or never
	inq        bool          // TCP_INQ is on
	fastOpen   bool          // TCP_FASTOPEN_CONNECT is on
	deferred   *tcp.Endpoint // connect was called, and the SYN waits for the first write
	filled     uint64        // sends that found the buffer full
	lingerFor  int64         // of SO_LINGER, seconds
	keepIdle   time.Duration // of TCP_KEEPIDLE; 0 when not set
	errs       errQueue
	chronicle  chronicle
	peeked     zbuf.Chain // received, not read by the script yet
}

// status reports the connection's state, CLOSED when there is none.
func (r *runner) status(s *socket) (st tcp.Status) {
	if s.conn != 0 {
		_ = r.stack.Status(s.conn, &st) // a handle that is gone is a connection that is closed
	}
	return st
}

// pendingError takes the error that ended the connection, once.
func (r *runner) pendingError(s *socket) error {
	st := r.status(s)
	if s.err != nil && s.conn != 0 && !s.reported {
		s.reported = true
		return s.err
	}
	if s.conn == 0 || st.State != tcp.StateClosed || st.Err == nil || s.reported {
		return nil
	}
	s.reported, s.connecting = true, false
	return st.Err
}

// established says whether the handshake is over.
func established(st *tcp.Status) bool {
	return st.State >= tcp.StateEstablished
}

// fill moves up to n bytes that the engine has received to peeked, and reports how many are there then.
func (r *runner) fill(s *socket, n int) (int, error) {
	for s.peeked.Len() < n {
		if _, err := r.stack.Receive(s.conn, &s.peeked, n-s.peeked.Len()); err != nil {
			return s.peeked.Len(), err
		}
	}
	return s.peeked.Len(), nil
}

// receive is one attempt at read and its relatives.
func (r *runner) receive(s *socket, n int, flags int64) (int64, error) {
	if s.conn == 0 {
		return 0, errno("ENOTCONN")
	}
	n = max(n, 0)
	have, err := r.fill(s, n)
	if have == 0 && n > 0 {
		return r.receiveNone(s, err)
	}
	if have < n && flags&constants["MSG_WAITALL"] != 0 && errors.Is(err, tcp.ErrWouldBlock) && !s.dontWait(flags) {
		return 0, err
	}
	have = min(have, n)
	if flags&constants["MSG_PEEK"] == 0 {
		s.peeked.Skip(have)
		r.stack.Consumed(r.now, s.conn, have)
		return int64(have), r.changed()
	}
	return int64(have), nil
}

// receiveNone is what read returns when there is nothing to read.
func (r *runner) receiveNone(s *socket, err error) (int64, error) {
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if pending := r.pendingError(s); pending != nil {
		return 0, pending
	}
	st := r.status(s)
	switch {
	case st.State == tcp.StateClosed:
		return 0, nil // the error was told: the end of the stream
	case opening(&st):
		return 0, tcp.ErrWouldBlock
	}
	return 0, err
}

func (s *socket) dontWait(flags int64) bool {
	return s.nonblocking || flags&constants["MSG_DONTWAIT"] != 0
}

// send is one attempt at write and its relatives: it takes what fits of n bytes.
func (r *runner) send(s *socket, n int) (int, error) {
	if s.conn == 0 {
		return 0, errno("EPIPE")
	}
	st := r.status(s)
	if opening(&st) {
		return 0, tcp.ErrWouldBlock
	}
	if err := r.pendingError(s); err != nil {
		return 0, err
	}
	if st.State == tcp.StateClosed {
		return 0, errno("EPIPE")
	}
	return r.queue(s, n)
}

// opening says whether a handshake that we began is going on.
func opening(st *tcp.Status) bool {
	return st.State == tcp.StateSynSent || st.State == tcp.StateSynReceived
}

// queue hands n bytes to the engine, and reports how many it took.
func (r *runner) queue(s *socket, n int) (int, error) {
	var data zbuf.Chain
	zeros := make([]byte, min(n, r.stack.SendSpace(s.conn)))
	if data.Append(r.pool, zeros) < len(zeros) {
		return 0, failf(Unsupported, 0, "a send of %d bytes", n)
	}
	if n > 0 && len(zeros) == 0 {
		data.Append(r.pool, []byte{0}) // the engine says why it takes nothing, and will tell when it does
	}
	sent, err := r.stack.Send(r.now, s.conn, &data)
	data.Clear()
	if err != nil {
		return 0, err
	}
	s.errs.written += uint64(sent)
	if sent < n {
		s.filled++
	}
	if sent == 0 && n > 0 {
		return 0, tcp.ErrWouldBlock // nothing has changed: not to be tried again before something does
	}
	return sent, r.changed()
}

// release gives the socket up as close does.
func (r *runner) release(s *socket) error {
	s.peeked.Clear()
	switch {
	case s.listener != 0:
		_ = r.stack.CloseListener(r.now, s.listener)
	case s.conn != 0 && s.lingers && s.lingerFor == 0:
		_ = r.stack.Abort(r.now, s.conn)
	case s.conn != 0:
		if r.set.dialect == DialectFreeBSD {
			_ = r.stack.CloseRead(r.now, s.conn) // its close throws away what was not read; others answer that by RST
		}
		_ = r.stack.Close(r.now, s.conn)
	}
	return r.changed()
}
