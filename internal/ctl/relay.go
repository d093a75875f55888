package ctl

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/MUCZ/Starfish/client"
)

// After the peer's FIN the relay ends once stdin has kept silent.
const (
	// quietTime is for a terminal, and for a stdin that has never said anything, such as a pipe that nobody writes to.
	quietTime = 50 * time.Millisecond
	// stallTime is for one that has: its program may only be slow, and the rest of its data would be lost. socat waits
	// as long.
	stallTime = 500 * time.Millisecond
)

// relay joins a connection with stdin and stdout until the peer closes, and closes it.
//
// The peer's FIN closes one direction only: what stdin has ready is still sent, until its end or until it makes the
// relay wait. A terminal or an idle pipe would hold it for ever otherwise.
func (a *app) relay(ctx context.Context, conn *client.Conn, stdin *os.File) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stopAbort := context.AfterFunc(ctx, func() { a.abandon(conn) })
	defer stopAbort()
	up := &upstream{conn: conn, stdin: stdin, fail: fail, done: make(chan struct{})}
	go up.run()
	_, err := io.Copy(stdoutWriter{a.stdout}, conn)
	if err != nil {
		a.abandon(conn)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	if err := up.finish(); err != nil {
		a.abandon(conn)
		return err
	}
	return conn.Close()
}

// abandon resets the connection: nobody takes what may still come, and the peer should know.
func (a *app) abandon(conn *client.Conn) {
	ended := make(chan struct{})
	go func() {
		_ = conn.Abort() // it may have ended already
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(abortLimit):
	}
}

// stdoutWriter marks the errors of stdout, to tell them from the connection's.
type stdoutWriter struct{ io.Writer }

func (w stdoutWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = stdoutError{err}
	}
	return n, err
}

// upstream copies stdin into a connection and then closes that direction.
type upstream struct {
	conn  *client.Conn
	stdin *os.File
	fail  context.CancelCauseFunc // ends the relay: the peer must not take half of stdin for all of it
	done  chan struct{}
	err   error // after done was closed

	reads   atomic.Uint64 // begun so far
	reading atomic.Bool
}

func (u *upstream) run() {
	defer close(u.done)
	_, err := u.conn.ReadFrom(u)
	if err == nil {
		err = u.conn.CloseWrite()
	}
	// The direction from the peer says better how a connection has ended.
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.ENOTCONN) {
		u.err = err
	}
}

// Read is stdin's, and keeps a record of its waiting.
func (u *upstream) Read(p []byte) (int, error) {
	u.reads.Add(1)
	u.reading.Store(true)
	n, err := u.stdin.Read(p)
	u.reading.Store(false)
	if err != nil && !errors.Is(err, io.EOF) {
		u.fail(err)
	}
	return n, err
}

// finish waits after the peer's FIN until all of stdin is sent, or until stdin keeps silent.
func (u *upstream) finish() error {
	terminal := isTerminal(u.stdin)
	silent := uint64(0) // the read that was waiting at the last look
	for {
		patience := quietTime
		if !terminal && u.reads.Load() > 1 {
			patience = stallTime
		}
		select {
		case <-u.done:
			return u.err
		case <-time.After(patience):
		}
		reads := u.reads.Load()
		if u.reading.Load() && reads == silent {
			return nil
		}
		silent = reads
	}
}
