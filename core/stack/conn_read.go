package stack

import (
	"io"
	"net"
	"os"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// Read reads up to len(p) bytes; it waits for the first. It returns io.EOF after the peer's FIN.
func (c *Conn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if err := c.awaitBytes(len(p) == 0); err != nil {
		return 0, c.opError("read", err)
	}
	n := c.taken.Read(p)
	c.consume(n)
	return n, nil
}

// awaitBytes waits until taken holds bytes, with reading locked. With peek it only says what is wrong already.
func (c *Conn) awaitBytes(peek bool) error {
	for {
		c.mu.Lock()
		if err := c.readError(); err != nil {
			c.mu.Unlock()
			return err
		}
		if c.taken.Len() == 0 {
			c.rx.MoveTo(&c.taken, c.rx.Len())
		}
		if c.taken.Len() > 0 || peek {
			c.mu.Unlock()
			return nil
		}
		if err := c.rxEnd; err != nil {
			c.mu.Unlock()
			return err
		}
		wait := c.readWait.arm()
		c.mu.Unlock()
		<-wait
	}
}

// AwaitEnd waits until the connection has ended and returns why; nil after a normal end. Read and AwaitEnd wait for each
// other: AwaitEnd is for those who have read everything.
func (c *Conn) AwaitEnd() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		c.mu.Lock()
		switch {
		case c.ended:
			err := c.end
			c.mu.Unlock()
			return c.opError("read", err)
		case c.closed:
			c.mu.Unlock()
			return c.opError("read", net.ErrClosed)
		}
		wait := c.readWait.arm()
		c.mu.Unlock()
		<-wait
	}
}

// readError returns why Read fails though there may be bytes. It wants mu.
func (c *Conn) readError() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.intent&wantAttach != 0:
		return errAttached
	case c.intent&wantShutRead != 0:
		return io.EOF
	case c.readExpiry.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// consume counts n bytes as taken by the user and tells the engine when that is worth it.
func (c *Conn) consume(n int) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	c.consumed += n
	tell := c.consumed >= c.consumeStep
	c.mu.Unlock()
	if tell {
		c.shard.mention(&c.note)
	}
}

// WriteTo writes what is received to w until the peer's FIN, straight from the buffers.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	var chunk zbuf.Chain
	defer chunk.Clear()
	var views []zbuf.Slice
	var total int64
	for {
		c.reading.Lock()
		err := c.awaitBytes(false)
		if err == nil {
			c.taken.MoveTo(&chunk, c.taken.Len())
		}
		c.reading.Unlock()
		if err == io.EOF { //nolint:errorlint // it comes as it is
			return total, nil
		}
		if err != nil {
			return total, c.opError("read", err)
		}
		views = chunk.Views(views[:0], chunk.Start(), chunk.Len())
		for _, piece := range views {
			n, err := w.Write(piece.Bytes())
			total += int64(n)
			c.consume(n)
			if err != nil {
				return total, err
			}
		}
		chunk.Clear()
	}
}
