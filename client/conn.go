package client

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// edge moves the bytes of one connection. Its errors are bare: io.EOF, net.ErrClosed, os.ErrDeadlineExceeded, or one
// that wraps a syscall.Errno. Read and Write may run at the same time as each other and as everything else.
type edge interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	CloseRead() error
	CloseWrite() error
	Close() error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// readFrom and writeTo are io.ReaderFrom's and io.WriterTo's methods where the kernel can do the copying; they
	// report whether they did. The error may be the other side's.
	readFrom(r io.Reader) (n int64, handled bool, err error)
	writeTo(w io.Writer) (n int64, handled bool, err error)
}

// Conn is a TCP connection of the daemon's stack. It is a net.Conn.
type Conn struct {
	client        *Client
	session       uint64 // of the client, in which the id is good
	id            uint64
	local, remote *net.TCPAddr
	edge          edge
}

var (
	_ net.Conn      = (*Conn)(nil)
	_ io.ReaderFrom = (*Conn)(nil)
	_ io.WriterTo   = (*Conn)(nil)
)

func newConn(c *Client, info *starfishv1.Connection) *Conn {
	return &Conn{
		client:  c,
		session: c.sessions.Load(),
		id:      info.GetId(),
		local:   tcpAddr(info.GetLocal()),
		remote:  tcpAddr(info.GetRemote()),
	}
}

// ID returns the daemon's number of the connection, as starfishctl ss shows it.
func (c *Conn) ID() uint64 { return c.id }

// LocalAddr returns our end, a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's end, a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// opError wraps an edge's error; io.EOF stays bare, as the callers of io.Reader expect it.
func (c *Conn) opError(op string, err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	return opError(op, "tcp", c.local, c.remote, err)
}

// Read reads what the peer sent; io.EOF says that the peer has closed its direction.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.edge.Read(p)
	return n, c.opError("read", err)
}

// Write sends p. It returns when the daemon, or a buffer on the way to it, has all of p.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.edge.Write(p)
	return n, c.opError("write", err)
}

// CloseRead ends the receiving direction: Read returns io.EOF from now on.
func (c *Conn) CloseRead() error { return c.opError("close", c.edge.CloseRead()) }

// CloseWrite ends the sending direction: FIN follows what was written, receiving goes on.
func (c *Conn) CloseWrite() error { return c.opError("close", c.edge.CloseWrite()) }

// Close ends the connection; what was written before is still delivered. A Read or Write that waits returns
// net.ErrClosed at once.
func (c *Conn) Close() error { return c.opError("close", c.edge.Close()) }

// SetDeadline sets the deadlines of Read and Write.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the time after which Read returns os.ErrDeadlineExceeded; zero means never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.edge.SetReadDeadline(t))
}

// SetWriteDeadline sets the time after which Write returns os.ErrDeadlineExceeded; zero means never.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.edge.SetWriteDeadline(t))
}

// ReadFrom sends what r has until its io.EOF. From files and kernel sockets the kernel copies, where it can.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	n, handled, err := c.edge.readFrom(r)
	if handled {
		return n, c.opError("readfrom", err)
	}
	more, err := copyThrough(writerOnly{c}, r)
	return n + more, err
}

// WriteTo writes what the peer sends to w, until the peer's FIN. Into files and kernel sockets the kernel copies, where
// it can.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	n, handled, err := c.edge.writeTo(w)
	if handled {
		return n, c.opError("writeto", err)
	}
	more, err := copyThrough(w, readerOnly{c})
	return n + more, err
}

// readerOnly and writerOnly hide the methods through which io.Copy would come back here.
type (
	readerOnly struct{ io.Reader }
	writerOnly struct{ io.Writer }
)

// copyThrough is io.Copy with a buffer from the pool: io.Copy's own of 32 KiB costs twice the calls.
func copyThrough(w io.Writer, r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	if file, ok := w.(*os.File); ok {
		w = writerOnly{file}
	}
	return io.CopyBuffer(w, r, *buf)
}
