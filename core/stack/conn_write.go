package stack

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// writeBlock is how many bytes Write hands over at a time: one super-segment.
const writeBlock = 64 << 10

// smallWrite is up to which size bytes are copied with the connection locked, behind those of the last Write if there is
// room in its block. Larger ones get blocks of their own, filled before the lock is taken.
const smallWrite = 2 << 10

// poolPause is how long a writer waits for the pool when it is exhausted, before it looks again.
const poolPause = time.Millisecond

// Write writes all of p, or says why not. It waits while the connection's buffer is full. It copies p; the order of bytes
// of concurrent Writes is that of the calls, unmixed.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	total := 0
	for {
		room, err := c.awaitRoom(len(p) == 0)
		if err != nil {
			return total, c.opError("write", err)
		}
		if len(p) == 0 {
			return total, nil
		}
		n, err := c.stage(p[:min(room, len(p), writeBlock)])
		total += n
		p = p[n:]
		if err != nil {
			return total, c.opError("write", err)
		}
		if len(p) == 0 {
			return total, nil
		}
	}
}

// awaitRoom waits until tx has room and returns how much, with writing locked. With peek it only says what is wrong
// already.
func (c *Conn) awaitRoom(peek bool) (int, error) {
	for {
		c.mu.Lock()
		if err := c.writeError(); err != nil {
			c.mu.Unlock()
			return 0, err
		}
		if room := c.stagedLimit - c.tx.Len(); room > 0 || peek {
			c.mu.Unlock()
			return room, nil
		}
		wait := c.writeWait.arm()
		c.mu.Unlock()
		<-wait
	}
}

// writeError returns why Write fails. It wants mu.
func (c *Conn) writeError() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.intent&wantAttach != 0:
		return errAttached
	case c.writeExpiry.passed():
		return os.ErrDeadlineExceeded
	case c.txEnd != nil:
		return c.txEnd
	case c.intent&wantShutWrite != 0:
		return tcp.ErrShutdown
	}
	return nil
}

// stage copies p into tx and tells the shard. It may take less than all of p, and nothing with an error.
func (c *Conn) stage(p []byte) (int, error) {
	memory := &c.shard.stack.memory
	if len(p) <= smallWrite {
		if !memory.forUser(len(p)) {
			return 0, c.awaitPool()
		}
		c.mu.Lock()
		if err := c.writeError(); err != nil {
			c.mu.Unlock()
			return 0, err
		}
		n := c.tx.Append(memory.pool, p)
		c.mu.Unlock()
		if n == 0 {
			return 0, c.awaitPool()
		}
		c.shard.mention(&c.note)
		return n, nil
	}
	s, ok := memory.get(len(p))
	if !ok {
		return 0, c.awaitPool()
	}
	copy(s.Bytes(), p)
	if err := c.push(s); err != nil {
		return 0, err
	}
	return len(p), nil
}

// push adds s, whose reference it takes over, to tx and tells the shard.
func (c *Conn) push(s zbuf.Slice) error {
	c.mu.Lock()
	if err := c.writeError(); err != nil {
		c.mu.Unlock()
		s.Release()
		return err
	}
	c.tx.Push(s)
	c.mu.Unlock()
	c.shard.mention(&c.note)
	return nil
}

// awaitPool waits a little, or until the connection or the deadline ends.
func (c *Conn) awaitPool() error {
	c.shard.stack.writesWithoutBuffers.Add(1)
	c.mu.Lock()
	if err := c.writeError(); err != nil {
		c.mu.Unlock()
		return err
	}
	wait := c.writeWait.arm()
	c.mu.Unlock()
	timer := time.NewTimer(poolPause)
	defer timer.Stop()
	select {
	case <-wait:
	case <-timer.C:
		c.mu.Lock()
		c.writeWait.disarm()
		c.mu.Unlock()
	}
	return nil
}

// ReadFrom writes what r gives until it ends, reading straight into the buffers.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		s, err := c.block()
		if err != nil {
			return total, c.opError("write", err)
		}
		n, readErr := r.Read(s.Bytes())
		if err := c.pushWithRoom(zbuf.Compact(c.shard.stack.cfg.Pool, s.Resize(n))); err != nil {
			return total, c.opError("write", err)
		}
		total += int64(n)
		switch {
		case errors.Is(readErr, io.EOF):
			return total, nil
		case readErr != nil:
			return total, readErr
		}
	}
}

// block waits until there is room and returns a block of no more than that. Others may write meanwhile: the room is
// looked at again before the block is added.
func (c *Conn) block() (zbuf.Slice, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		room, err := c.awaitRoom(false)
		if err != nil {
			return zbuf.Slice{}, err
		}
		if s, ok := c.shard.stack.memory.get(min(room, writeBlock)); ok {
			return s, nil
		}
		if err := c.awaitPool(); err != nil {
			return zbuf.Slice{}, err
		}
	}
}

// pushWithRoom is push, once there is room.
func (c *Conn) pushWithRoom(s zbuf.Slice) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.awaitRoom(s.Len() == 0); err != nil {
		s.Release()
		return err
	}
	return c.push(s)
}
