package chargen

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// settleTime is what a peer has, after the last byte is written, to take what is on its way and to close.
const settleTime = 5 * time.Second

// receiveBuffer is what one read can take.
const receiveBuffer = 256 << 10

var errNegativeOffset = errors.New("chargen: negative offset")

// Conn is a connection whose sending half can be closed by itself.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Transfer is one direction of one connection. Its bounds count from its start; zero means none.
type Transfer struct {
	Conn     Conn
	Bytes    int64
	Duration time.Duration

	count atomic.Int64
}

// Count returns how many bytes were moved so far. It may be called while the transfer runs.
func (t *Transfer) Count() int64 { return t.count.Load() }

// Send writes characters until a bound is reached or the peer goes away, closes the sending half, and waits a moment for
// the peer to take all and close. It returns the moment at which that was done: that of the peer's end of the stream, or
// else of the last write. What the peer sends is read and dropped, also after Send has returned, until the connection is
// closed. Without a bound of bytes it is no error that the peer takes no more: RFC 864's service sends until the user
// closes.
func (t *Transfer) Send() (time.Time, error) {
	drained := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, t.Conn)
		drained <- err
	}()
	err := t.write()
	if err == nil {
		err = t.Conn.CloseWrite()
	}
	written := time.Now()
	if err != nil {
		if t.Bytes == 0 && peerEnded(err) {
			err = nil
		}
		return written, err
	}
	select {
	case err := <-drained:
		return time.Now(), err
	case <-time.After(settleTime):
		return written, nil
	}
}

// write writes until a bound is reached.
func (t *Transfer) write() error {
	if t.Duration > 0 {
		if err := t.Conn.SetWriteDeadline(time.Now().Add(t.Duration)); err != nil {
			return err
		}
	}
	for sent := int64(0); t.Bytes == 0 || sent < t.Bytes; {
		chunk := from(sent)
		if t.Bytes > 0 {
			chunk = chunk[:min(int64(len(chunk)), t.Bytes-sent)]
		}
		n, err := t.Conn.Write(chunk)
		sent = t.count.Add(int64(n))
		if t.Duration > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Receive reads and drops bytes until a bound is reached or the peer ends the stream, and returns that moment.
func (t *Transfer) Receive() (time.Time, error) {
	if t.Duration > 0 {
		if err := t.Conn.SetReadDeadline(time.Now().Add(t.Duration)); err != nil {
			return time.Now(), err
		}
	}
	p := make([]byte, receiveBuffer)
	for t.Bytes == 0 || t.Count() < t.Bytes {
		n, err := t.Conn.Read(p)
		t.count.Add(int64(n))
		if errors.Is(err, io.EOF) || t.Duration > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return time.Now(), err
		}
	}
	return time.Now(), nil
}

// peerEnded reports whether the error says that the peer took no more.
func peerEnded(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
