package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// tokenSize is what the daemon reads before the connection's own bytes.
const tokenSize = 32

// sendBuffer is what a program can write ahead of the daemon, in bytes. The system's own 208 KiB are three super-segments:
// program and daemon would take turns.
const sendBuffer = 4 << 20

// dataSocket is the edge that the kernel carries: a unix stream socket, whose poller, buffers and deadlines do the work.
type dataSocket struct {
	uc *net.UnixConn
	// whyEnded asks the daemon why the connection ended: nil if it ended in order.
	whyEnded func(ctx context.Context) error

	// closing ends with Close, and the question to the daemon with it.
	closing context.Context
	cancel  context.CancelFunc

	readClosed, writeClosed atomic.Bool
	deadlineMu              sync.Mutex // keeps the read deadline that CloseRead has set

	endMu sync.Mutex
	end   error // what Read returns after the last byte; nil as long as that is unknown
}

// dialDataSocket connects to the data socket of a connection and presents the token. The path is the one in the
// daemon's file system; where this process sees it elsewhere, it is beside the control socket.
func dialDataSocket(ctx context.Context, control string, at *starfishv1.DataSocket,
	whyEnded func(context.Context) error,
) (*dataSocket, error) {
	if len(at.GetToken()) != tokenSize {
		return nil, errors.New("starfishd gave a malformed token")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", at.GetPath())
	if errors.Is(err, fs.ErrNotExist) {
		beside := filepath.Join(filepath.Dir(control), filepath.Base(at.GetPath()))
		conn, err = new(net.Dialer).DialContext(ctx, "unix", beside)
	}
	if err != nil {
		return nil, err
	}
	// It is a wish: where the system's limit (sysctl net.core.wmem_max) is lower, that is what we get.
	_ = conn.(*net.UnixConn).SetWriteBuffer(sendBuffer)
	// A fresh socket's queue takes the token at once.
	if _, err := conn.Write([]byte(at.GetToken())); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	d := &dataSocket{uc: conn.(*net.UnixConn), whyEnded: whyEnded}
	d.closing, d.cancel = context.WithCancel(context.Background())
	return d, nil
}

func (d *dataSocket) Read(p []byte) (int, error) {
	if d.readClosed.Load() {
		return 0, io.EOF
	}
	n, err := d.uc.Read(p)
	if err != nil {
		err = d.readError(err)
	}
	return n, err
}

// readError says what an error of the unix socket means for the connection.
func (d *dataSocket) readError(err error) error {
	bare := cause(err)
	switch {
	case d.readClosed.Load():
		return io.EOF
	case errors.Is(bare, io.EOF), errors.Is(bare, syscall.ECONNRESET):
		return d.ended()
	}
	return bare
}

func (d *dataSocket) Write(p []byte) (int, error) {
	n, err := d.uc.Write(p)
	if err != nil {
		err = d.writeError(err)
	}
	return n, err
}

// writeError says what an error of the unix socket means for the connection: a broken pipe has a better reason, which
// the daemon knows, unless the pipe was closed here.
func (d *dataSocket) writeError(err error) error {
	bare := cause(err)
	if !errors.Is(bare, syscall.EPIPE) && !errors.Is(bare, syscall.ECONNRESET) {
		return bare
	}
	if d.writeClosed.Load() {
		return syscall.EPIPE
	}
	if reason := d.ended(); !errors.Is(reason, io.EOF) {
		return reason
	}
	return syscall.EPIPE
}

// ended returns io.EOF or the reason why the connection ended, after the socket has said that nothing more comes. The
// daemon shuts its writing side down for the peer's FIN, and closes the socket when the connection is gone. Only in the
// second case there may be a reason to ask for: the common end costs no RPC.
func (d *dataSocket) ended() error {
	d.endMu.Lock()
	defer d.endMu.Unlock()
	if d.end != nil {
		return d.end
	}
	hungUp, err := d.hungUp()
	if err != nil {
		return cause(err)
	}
	if !hungUp {
		d.end = io.EOF
		return d.end
	}
	ctx, cancel := context.WithTimeout(d.closing, reconnectLimit)
	defer cancel()
	err = d.whyEnded(ctx)
	switch {
	case d.closing.Err() != nil:
		return net.ErrClosed
	case err == nil:
		err = io.EOF
	}
	d.end = err
	return err
}

// hungUp reports whether the socket is closed in both directions.
func (d *dataSocket) hungUp() (bool, error) {
	raw, err := d.uc.SyscallConn()
	if err != nil {
		return false, err
	}
	var fds [1]unix.PollFd
	var pollErr error
	err = raw.Control(func(fd uintptr) {
		fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		for {
			if _, pollErr = unix.Poll(fds[:], 0); pollErr != unix.EINTR {
				return
			}
		}
	})
	return fds[0].Revents&unix.POLLHUP != 0, errors.Join(err, pollErr)
}

// CloseRead is this side's affair alone, as it is in Linux's TCP: the daemon must not see a socket that refuses data,
// since that would end the connection.
func (d *dataSocket) CloseRead() error {
	d.deadlineMu.Lock()
	defer d.deadlineMu.Unlock()
	d.readClosed.Store(true)
	return bareOrNil(d.uc.SetReadDeadline(time.Unix(1, 0))) // wakes a Read that waits
}

func (d *dataSocket) CloseWrite() error {
	d.writeClosed.Store(true)
	return bareOrNil(d.uc.CloseWrite())
}

func (d *dataSocket) Close() error {
	d.cancel()
	return bareOrNil(d.uc.Close())
}

func (d *dataSocket) SetReadDeadline(t time.Time) error {
	d.deadlineMu.Lock()
	defer d.deadlineMu.Unlock()
	if d.readClosed.Load() {
		return nil
	}
	return bareOrNil(d.uc.SetReadDeadline(t))
}

func (d *dataSocket) SetWriteDeadline(t time.Time) error { return bareOrNil(d.uc.SetWriteDeadline(t)) }

func bareOrNil(err error) error {
	if err == nil {
		return nil
	}
	return cause(err)
}

// readFrom lets the kernel copy from files (sendfile) and kernel TCP sockets (splice).
func (d *dataSocket) readFrom(r io.Reader) (int64, bool, error) {
	var source io.WriterTo
	switch r := r.(type) {
	case *os.File:
		info, err := r.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return 0, false, nil
		}
		source = r
	case *net.TCPConn:
		source = r
	default:
		return 0, false, nil
	}
	n, err := source.WriteTo(d.uc)
	if errors.Is(err, syscall.EPIPE) {
		err = d.writeError(err)
	}
	return n, true, err
}

// writeTo lets the kernel copy into kernel TCP sockets (splice).
func (d *dataSocket) writeTo(w io.Writer) (int64, bool, error) {
	target, ok := w.(*net.TCPConn)
	if !ok {
		return 0, false, nil
	}
	if d.readClosed.Load() {
		return 0, true, nil
	}
	n, err := target.ReadFrom(d.uc)
	switch {
	case err == nil:
		err = d.readError(io.EOF)
	case d.readClosed.Load() && errors.Is(err, os.ErrDeadlineExceeded):
		err = nil // CloseRead woke it
	case errors.Is(err, syscall.ECONNRESET):
		// Either side's: the daemon closes this one only when the connection has ended.
		if hungUp, pollErr := d.hungUp(); pollErr == nil && hungUp {
			err = d.ended()
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, true, err
}
