package stack

import (
	"errors"
	"io"
	"math"
	"net"

	"github.com/MUCZ/Starfish/core/tcp"
)

// errStackClosed is what calls on connections of a closed Stack get.
var errStackClosed = net.ErrClosed

// userEdge is the edge of a connection whose bytes its user reads and writes. It is the Conn itself.
type userEdge Conn

func (e *userEdge) conn() *Conn { return (*Conn)(e) }

// onUser tells the engine what the user has done since the last time.
func (e *userEdge) onUser(s *shard) {
	c := e.conn()
	c.mu.Lock()
	defer c.mu.Unlock()
	e.tellConsumed(s)
	c.resize(s)
	e.send(s)
	if c.intent&^c.done&wantShutRead != 0 {
		c.done |= wantShutRead
		e.discard(s)
		_ = s.engine.CloseRead(s.now, c.id) // an error says that the connection has ended, which has its own event
	}
	e.finish(s)
}

// tellConsumed opens the receive window for what the user took. It wants mu.
func (e *userEdge) tellConsumed(s *shard) {
	if e.consumed > 0 {
		s.engine.Consumed(s.now, e.id, e.consumed)
		e.consumed = 0
	}
}

// discard drops what the user does not want to read any more. It wants mu.
func (e *userEdge) discard(s *shard) {
	s.engine.Consumed(s.now, e.id, e.rx.Len())
	e.rx.Clear()
}

// send moves tx to the engine as far as it has room, and wakes the writer once half of tx is free. It wants mu.
func (e *userEdge) send(s *shard) {
	if e.tx.Len() == 0 {
		return
	}
	if _, err := s.engine.Send(s.now, e.id, &e.tx); err != nil {
		// Nothing will ever be sent again. If the connection ended, onEnd says why it did.
		e.tx.Clear()
		if e.txEnd == nil {
			e.txEnd = err
		}
	}
	if e.tx.Len() <= e.stagedLimit/2 && e.writeWait.wake() {
		s.woke = true
	}
}

// finish ends what the user wants to have ended, in good order once all of tx is with the engine. It wants mu.
func (e *userEdge) finish(s *shard) {
	if e.intent&wantAbort != 0 || e.intent&wantClose != 0 && e.rx.Len() > 0 {
		e.abort(s)
		return
	}
	if e.tx.Len() > 0 {
		return
	}
	switch open := e.intent &^ e.done; {
	case open&wantClose != 0:
		e.done |= wantClose
		_ = s.engine.Close(s.now, e.id) // an error says that it has ended
		s.leave(e.conn())
	case open&wantShutWrite != 0:
		e.done |= wantShutWrite
		_ = s.engine.CloseWrite(s.now, e.id)
	}
}

// abort ends the connection with a reset. It wants mu.
func (e *userEdge) abort(s *shard) {
	e.done |= wantClose | wantAbort
	e.rx.Clear()
	e.tx.Clear()
	_ = s.engine.Abort(s.now, e.id)
	s.leave(e.conn())
}

// onReadable moves what came to rx.
func (e *userEdge) onReadable(s *shard) {
	c := e.conn()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rxEnd != nil && c.intent&wantShutRead == 0 {
		return
	}
	e.tellConsumed(s)
	c.resize(s)
	n, err := s.engine.Receive(c.id, &c.rx, math.MaxInt)
	for err == nil && n > 0 {
		n, err = s.engine.Receive(c.id, &c.rx, math.MaxInt)
	}
	if c.intent&wantShutRead != 0 {
		e.discard(s)
		return
	}
	if err != nil && !errors.Is(err, tcp.ErrWouldBlock) {
		c.rxEnd = err
	}
	if (c.rx.Len() > 0 || c.rxEnd != nil) && c.readWait.wake() {
		s.woke = true
	}
}

// onWritable goes on with what the engine had no room for.
func (e *userEdge) onWritable(s *shard) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conn().resize(s)
	e.send(s)
	e.finish(s)
}

// onEnd remembers why the connection ended, for all who use it. The engine keeps the handle until the user lets go.
func (e *userEdge) onEnd(s *shard, err error) {
	c := e.conn()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended, c.end = true, err
	c.tx.Clear()
	c.txEnd = tcp.ErrShutdown
	if err != nil {
		c.txEnd = err
	}
	if c.rxEnd == nil {
		c.rxEnd = io.EOF
		if err != nil {
			c.rxEnd = err
		}
	}
	c.wakeAll()
	e.finish(s)
}

// onSocket can't be: there is none.
func (e *userEdge) onSocket(*shard, uint32) {}

// onStackClosed fails all calls to come.
func (e *userEdge) onStackClosed(s *shard) {
	c := e.conn()
	c.mu.Lock()
	e.abort(s)
	c.ended, c.end = true, errStackClosed
	c.rxEnd, c.txEnd = errStackClosed, errStackClosed
	c.wakeAll()
	c.stopDeadlines()
	c.mu.Unlock()
	c.reading.Lock()
	c.taken.Clear()
	c.reading.Unlock()
}
