package stack

import (
	"github.com/MUCZ/Starfish/core/tcp"
)

// edge is where the bytes of one connection come from and go to: its user's calls, or a socket. The shard's goroutine
// calls it, and no call may block.
type edge interface {
	// onUser looks at what the user has done.
	onUser(s *shard)
	// onReadable takes what the engine has received, or the end of it.
	onReadable(s *shard)
	// onWritable gives the engine more to send: it had no room for all of it.
	onWritable(s *shard)
	// onEnd is told that the connection has ended, why, and that onReadable was called for the last time. Err is nil
	// after a normal end.
	onEnd(s *shard, err error)
	// onSocket is told by epoll about the edge's socket.
	onSocket(s *shard, events uint32)
	// onStackClosed releases everything: the Stack is closed.
	onStackClosed(s *shard)
}

// onNote looks at what the user has done.
func (c *Conn) onNote(s *shard) {
	if s.conn(c.id) == c {
		c.edge.onUser(s)
	}
}

// onEvent passes on what the engine tells.
func (c *Conn) onEvent(s *shard, flags tcp.EventFlags) {
	if c.opening != nil {
		c.onOpened(s, flags)
		return
	}
	if flags&(tcp.EventReadable|tcp.EventClosed) != 0 {
		c.edge.onReadable(s)
	}
	if flags&tcp.EventClosed != 0 {
		c.edge.onEnd(s, s.reason(c.id))
		return
	}
	if flags&tcp.EventWritable != 0 {
		c.edge.onWritable(s)
	}
}

// onOpened tells DialTCP how the handshake ended.
func (c *Conn) onOpened(s *shard, flags tcp.EventFlags) {
	opening := c.opening
	switch {
	case flags&tcp.EventEstablished != 0:
		c.opening = nil
		c.edge.onWritable(s) // the first data may have been more than a send buffer
		opening <- nil
		if rest := flags &^ tcp.EventEstablished; rest != 0 {
			c.onEvent(s, rest)
		}
	case flags&tcp.EventClosed != 0:
		err := s.reason(c.id)
		if err == nil {
			err = tcp.ErrAborted
		}
		c.opening = nil
		_ = s.engine.Close(s.now, c.id) // it has ended: this frees the handle
		s.leave(c)
		opening <- err
	}
}

// reason returns why a connection has ended, nil if normally.
func (s *shard) reason(id tcp.ConnID) error {
	var st tcp.Status
	if err := s.engine.Status(id, &st); err != nil {
		return err
	}
	return st.Err
}

// onStackClosed ends the connection because its Stack does.
func (c *Conn) onStackClosed(s *shard) {
	if c.opening != nil {
		opening := c.opening
		c.opening = nil
		_ = s.engine.Abort(s.now, c.id) // the handle is live, or there is nothing to abort
		s.leave(c)
		opening <- errStackClosed
		return
	}
	c.edge.onStackClosed(s)
}
