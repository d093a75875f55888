package stack

import (
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// socketChunk bounds the bytes that leave the engine for a socket at a time.
const socketChunk = 1 << 20

// hangupRounds bounds the reads of a socket whose other end is gone: all it holds is read as far as the engine has room.
const hangupRounds = 1 << 12

// socketEdge is the edge of a connection whose bytes belong to a unix stream socket. The shard's goroutine owns it.
type socketEdge struct {
	conn *Conn
	fd   int
	done func(error)

	in  zbuf.Chain // read from the socket, and the engine had no room
	out zbuf.Chain // taken from the engine, and the socket had no room

	armed    uint32 // what epoll watches for
	watching bool
	starving bool // the pool was exhausted: nothing is read until the shard tries again
	hangup   bool // the socket's other end is closed
	inEnd    bool // nothing more is read from the socket
	finSent  bool // the engine knows that nothing follows in
	outEnd   bool // nothing more comes from the engine
	outShut  bool // and the socket's other end knows
	ended    bool // the connection has ended, because of err
	err      error
	closed   bool // the socket is
}

// progress moves what can be moved in both directions, and ends what has come to its end.
func (e *socketEdge) progress(s *shard) {
	e.fill(s)
	e.drain(s)
	e.settle(s)
}

// fill moves bytes from the socket to the engine.
func (e *socketEdge) fill(s *shard) {
	rounds := socketRounds
	if e.hangup {
		rounds = hangupRounds
	}
	for range rounds {
		if e.closed || !e.feed(s) || e.inEnd || e.starving {
			return
		}
		// With no space at all a little is read, so that the engine has a reason to tell when there is again.
		n, err := s.sockets.read(s, e.fd, &e.in, max(smallRead, s.engine.SendSpace(e.conn.id)))
		switch {
		case n > 0:
		case err == nil:
			e.inEnd = true
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, tcp.ErrNoBuffers):
			s.counters.noBuffers++
			s.starve(e)
			return
		default:
			// ECONNRESET: the other end was closed with bytes unread, which a reset tells the peer.
			e.abandon(s)
			return
		}
	}
	e.feed(s) // what the last round has read: only after Send tells the engine that there is room again
}

// feed gives the engine what waits in in, and reports whether nothing waits any more.
func (e *socketEdge) feed(s *shard) bool {
	if e.in.Len() == 0 {
		return true
	}
	if _, err := s.engine.Send(s.now, e.conn.id, &e.in); err != nil {
		e.in.Clear() // the connection has ended, and onEnd, which follows, says why
		return false
	}
	return e.in.Len() == 0
}

// drain moves bytes from the engine to the socket. When it returns, bytes in out are those that wait for the socket.
func (e *socketEdge) drain(s *shard) {
	if e.closed {
		return
	}
	e.pull(s)
	for range socketRounds {
		if e.out.Len() == 0 {
			return
		}
		offered := e.out.Len()
		n, err := s.sockets.write(e.fd, &e.out)
		e.out.Skip(n)
		s.engine.Consumed(s.now, e.conn.id, n)
		switch {
		case err == nil && n == offered:
			e.pull(s)
		case err == nil || errors.Is(err, unix.EAGAIN):
			return
		default:
			e.abandon(s) // EPIPE: nobody will read what was received
			return
		}
	}
}

// pull takes bytes from the engine for one write. A connection that was reset must not look as if the peer had sent FIN,
// not even for a moment: its end is onEnd's affair, which follows.
func (e *socketEdge) pull(s *shard) {
	for !e.outEnd && e.out.Len() < socketChunk {
		_, err := s.engine.Receive(e.conn.id, &e.out, socketChunk-e.out.Len())
		switch {
		case errors.Is(err, io.EOF):
			e.outEnd = true
		case err != nil:
			e.outEnd = e.ended
			return
		}
	}
}

// settle ends what has come to its end, and has epoll watch for the rest.
func (e *socketEdge) settle(s *shard) {
	if e.closed {
		return
	}
	id := e.conn.id
	if e.hangup && e.inEnd && e.in.Len() == 0 {
		if e.out.Len() > 0 {
			e.abandon(s)
			return
		}
		_ = s.engine.Close(s.now, id) // sends a reset if the engine has bytes that nobody will read
		e.release(s, e.err)
		return
	}
	if e.inEnd && e.in.Len() == 0 && !e.finSent {
		e.finSent = true
		_ = s.engine.CloseWrite(s.now, id) // an error says that the connection has ended, which onEnd is told
	}
	if e.outEnd && e.out.Len() == 0 {
		if e.ended && e.err != nil {
			_ = s.engine.Close(s.now, id)
			e.release(s, e.err)
			return
		}
		if !e.outShut {
			e.outShut = true
			_ = unix.Shutdown(e.fd, unix.SHUT_WR) // it fails if the other end is gone, which epoll tells
		}
		if e.inEnd && e.in.Len() == 0 {
			_ = s.engine.Close(s.now, id)
			e.release(s, nil)
			return
		}
	}
	e.rearm(s)
}

// rearm has epoll watch the socket for what the edge can use now.
func (e *socketEdge) rearm(s *shard) {
	if !e.watching {
		return
	}
	if e.hangup {
		// Level-triggered epoll would report it for ever; the engine's events drive the rest.
		e.unwatch(s)
		return
	}
	var want uint32
	if !e.inEnd && !e.starving && e.in.Len() == 0 {
		want |= unix.EPOLLIN
	}
	if e.out.Len() > 0 {
		want |= unix.EPOLLOUT
	}
	if want == e.armed {
		return
	}
	if err := s.poll.modify(e.fd, uint64(e.conn.id), want); err != nil {
		e.abandon(s)
		return
	}
	e.armed = want
}

func (e *socketEdge) unwatch(s *shard) {
	if e.watching {
		_ = s.poll.remove(e.fd) // it is in there
		e.watching = false
	}
}

// abandon ends the connection with a reset: bytes were received that nobody will read.
func (e *socketEdge) abandon(s *shard) {
	if e.closed {
		return
	}
	_ = s.engine.Abort(s.now, e.conn.id) // an error says that it has ended
	e.release(s, e.err)
}

// release closes the socket and forgets the connection, which the engine has been told.
func (e *socketEdge) release(s *shard, err error) {
	e.shut(s)
	c := e.conn
	s.leave(c)
	c.mu.Lock()
	if !c.ended {
		c.ended, c.end = true, err
	}
	c.stopDeadlines()
	c.mu.Unlock()
	done := e.done
	if err != nil {
		err = userError(err)
	}
	go done(err)
}

// shut closes the socket and drops all bytes.
func (e *socketEdge) shut(s *shard) {
	e.unwatch(s)
	_ = unix.Close(e.fd) // there is nothing to do about an error
	e.closed = true
	e.in.Clear()
	e.out.Clear()
}

func (e *socketEdge) onReadable(s *shard) {
	e.drain(s)
	e.settle(s)
}

func (e *socketEdge) onWritable(s *shard) {
	e.fill(s)
	e.settle(s)
}

func (e *socketEdge) onEnd(s *shard, err error) {
	if e.closed {
		return
	}
	e.ended, e.err = true, err
	e.in.Clear()
	e.inEnd, e.finSent = true, true
	c := e.conn
	c.mu.Lock()
	c.ended, c.end = true, err
	c.mu.Unlock()
	e.drain(s)
	e.settle(s)
}

func (e *socketEdge) onSocket(s *shard, events uint32) {
	if events&unix.EPOLLHUP != 0 {
		e.hangup = true
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e.fill(s)
	}
	if events&unix.EPOLLOUT != 0 {
		e.drain(s)
	}
	e.settle(s)
}

// onUser obeys the Conn's user, who has left the bytes to the socket but not the rest.
func (e *socketEdge) onUser(s *shard) {
	c := e.conn
	c.mu.Lock()
	open := c.intent &^ c.done
	c.done |= open
	c.mu.Unlock()
	switch {
	case e.closed:
	case open&wantAbort != 0, open&wantClose != 0 && e.out.Len() > 0:
		_ = s.engine.Abort(s.now, c.id) // an error says that it has ended
		e.release(s, net.ErrClosed)
	case open&wantClose != 0:
		e.giveBack(s)
	default:
		e.shutDown(s, open)
	}
}

// shutDown ends one direction or both because the Conn's user wants it.
func (e *socketEdge) shutDown(s *shard, open intent) {
	if open&wantShutWrite != 0 {
		e.inEnd = true
		_ = unix.Shutdown(e.fd, unix.SHUT_RD)
	}
	if open&wantShutRead != 0 {
		s.engine.Consumed(s.now, e.conn.id, e.out.Len())
		e.out.Clear()
		_ = s.engine.CloseRead(s.now, e.conn.id)
		e.drain(s)
	}
	e.settle(s)
}

// giveBack closes the socket and leaves what was read from it to the user's edge, which ends the connection once the
// engine has taken it.
func (e *socketEdge) giveBack(s *shard) {
	c := e.conn
	c.mu.Lock()
	e.in.MoveTo(&c.tx, e.in.Len())
	c.done &^= wantClose
	c.edge = (*userEdge)(c)
	c.mu.Unlock()
	e.shut(s)
	go e.done(net.ErrClosed)
	c.edge.onUser(s)
}

func (e *socketEdge) onStackClosed(s *shard) {
	if e.closed {
		return
	}
	_ = s.engine.Abort(s.now, e.conn.id)
	e.release(s, errStackClosed)
}
