package stack

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Conn is a connection. It implements net.Conn, and its methods may be called from any number of goroutines.
//
// Until Attach its bytes are its user's, who takes them from rx and puts them into tx; the shard moves them from and to
// the engine by reference. The receive window opens only as the user takes bytes, so that the engine's RecvBuffer bounds
// what rx holds, and maxStaged bounds tx.
type Conn struct {
	note          note
	shard         *shard
	id            tcp.ConnID
	local, remote tcp.Endpoint
	consumeStep   int // bytes taken by the user that are worth telling the engine
	stagedLimit   int // bytes in tx
	edge          edge
	opening       chan error // of DialTCP, until the handshake has ended

	// reading and writing are held by one reader and one writer at a time. They come before mu.
	reading sync.Mutex
	taken   zbuf.Chain // what the reader has taken from rx and not yet given to the user
	writing sync.Mutex

	mu          sync.Mutex
	rx, tx      zbuf.Chain
	consumed    int   // bytes that the user took, of which the engine does not know
	rxEnd       error // why nothing follows rx: io.EOF, or why the connection ended
	txEnd       error // why Write fails
	end         error // why the connection ended, if not normally
	ended       bool  // the engine has told
	closed      bool  // the user has let go
	intent      intent
	done        intent // what of intent the engine has been told
	readWait    waker
	writeWait   waker
	readExpiry  *deadline
	writeExpiry *deadline
}

// intent is what the user of a connection wants to have ended.
type intent uint8

const (
	wantShutWrite intent = 1 << iota
	wantShutRead
	wantClose
	wantAbort // together with wantClose
	wantAttach
)

// maxStaged is how many bytes of a user's wait in tx for the shard: enough that writer and shard need not take turns at
// every super-segment, little beside a send buffer.
const maxStaged = 1 << 20

// maxConsumeStep is how many bytes the user may take before the engine is told. It is at most a quarter of the receive
// buffer, so that the window that the peer sees never closes for this.
const maxConsumeStep = 256 << 10

// newConn makes the Conn of an engine's connection and enters it in the table. It reports as well whether the connection
// has ended already. The shard's goroutine calls it.
func (s *shard) newConn(id tcp.ConnID) (c *Conn, ended bool, err error) {
	var st tcp.Status
	if err := s.engine.Status(id, &st); err != nil {
		return nil, false, err
	}
	c = &Conn{shard: s, id: id, local: st.Local, remote: st.Remote}
	c.note.about = c
	c.resize(s)
	c.edge = (*userEdge)(c)
	s.enter(c)
	return c, st.State == tcp.StateClosed, nil
}

// resize derives the Conn's own bounds from the buffers that the engine has for it now. It wants mu, once others have c. It
// follows each arrival: when the window is closed, what the user still has to take is more than a step.
func (c *Conn) resize(s *shard) {
	recv, send := s.engine.BufferSizes(c.id)
	c.consumeStep = max(1, min(maxConsumeStep, recv/4))
	c.stagedLimit = max(1, min(maxStaged, send))
}

// LocalAddr returns our end, a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local.AddrPort()) }

// RemoteAddr returns the peer's end, a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote.AddrPort()) }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, true, true)
}

// SetReadDeadline sets the time at which Read gives up; the zero time stands for never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadlines(t, true, false)
}

// SetWriteDeadline sets the time at which Write gives up; the zero time stands for never.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadlines(t, false, true)
}

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if read {
		c.setDeadline(&c.readExpiry, &c.readWait, t)
	}
	if write {
		c.setDeadline(&c.writeExpiry, &c.writeWait, t)
	}
	return nil
}

// CloseWrite sends FIN behind what was written. The other direction goes on.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	err := c.usable()
	if err == nil {
		c.intent |= wantShutWrite
		c.writeWait.wake()
	}
	c.mu.Unlock()
	if err != nil {
		return c.opError("close", err)
	}
	c.shard.mention(&c.note)
	return nil
}

// CloseRead ends reading: what the peer still sends is acknowledged and discarded.
func (c *Conn) CloseRead() error {
	c.mu.Lock()
	err := c.usable()
	if err == nil {
		c.intent |= wantShutRead
		if c.rxEnd == nil {
			c.rxEnd = io.EOF
		}
		c.readWait.wake()
	}
	c.mu.Unlock()
	if err != nil {
		return c.opError("close", err)
	}
	c.shard.mention(&c.note)
	return nil
}

// usable returns why calls on the connection have no effect any more. It wants mu.
func (c *Conn) usable() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.ended:
		return c.endError()
	}
	return nil
}

// endError is why an ended connection can't be used. It wants mu.
func (c *Conn) endError() error {
	if c.end != nil {
		return c.end
	}
	return tcp.ErrNotConnected
}

// Close lets go of the connection and returns at once; Read and Write that are under way return too. What was written
// is still delivered, unless there are bytes that were not read: then the peer gets a reset, since it would take
// silence for success (RFC 2525 §2.17).
func (c *Conn) Close() error { return c.letGo(wantClose, "close") }

// Abort lets go of the connection with a reset. What was written and not delivered is lost.
func (c *Conn) Abort() error { return c.letGo(wantClose|wantAbort, "abort") }

func (c *Conn) letGo(how intent, op string) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.opError(op, net.ErrClosed)
	}
	c.closed = true
	c.wakeAll()
	c.stopDeadlines()
	c.mu.Unlock()

	// Who reads has been woken, or is copying and done soon.
	c.reading.Lock()
	if c.taken.Len() > 0 {
		how |= wantAbort
	}
	c.taken.Clear()
	c.reading.Unlock()

	c.mu.Lock()
	c.intent |= how
	c.mu.Unlock()
	c.shard.mention(&c.note)
	return nil
}

func (c *Conn) wakeAll() {
	c.readWait.wake()
	c.writeWait.wake()
}

// Err returns why the connection ended, and nil while it lives and after a normal end.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return nil
	}
	return userError(c.end)
}

// Status returns what the connection looks like to the engine.
func (c *Conn) Status() (tcp.Status, error) {
	var st tcp.Status
	err := c.control(func(s *shard) error { return s.engine.Status(c.id, &st) })
	return st, c.opError("status", err)
}

// SetOptions changes options of the connection. Those that belong to its beginning have no effect any more.
func (c *Conn) SetOptions(opt *tcp.Options) error {
	return c.opError("set", c.control(func(s *shard) error {
		err := s.engine.SetOptions(s.now, c.id, opt)
		c.mu.Lock()
		c.resize(s)
		c.mu.Unlock()
		return err
	}))
}

// control runs f on the shard's goroutine if the user still has the connection.
func (c *Conn) control(f func(s *shard) error) error {
	result := net.ErrClosed
	err := c.shard.call(func(s *shard) {
		if s.conn(c.id) == c && !c.isClosed() {
			result = f(s)
		}
	})
	if err != nil {
		return err
	}
	return result
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
