package stack

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/MUCZ/Starfish/core/tcp"
)

// errAttached is given to those who read or write a connection whose bytes belong to a data socket.
var errAttached = syscall.EBUSY

// errnos gives each error of the engine its POSIX name.
var errnos = []struct {
	err   error
	errno syscall.Errno
}{
	{tcp.ErrNotFound, syscall.EBADF},
	{tcp.ErrNotConnected, syscall.ENOTCONN},
	{tcp.ErrClosed, syscall.EPIPE},
	{tcp.ErrShutdown, syscall.EPIPE},
	{tcp.ErrWouldBlock, syscall.EAGAIN},
	{tcp.ErrRefused, syscall.ECONNREFUSED},
	{tcp.ErrReset, syscall.ECONNRESET},
	{tcp.ErrAborted, syscall.ECONNABORTED},
	{tcp.ErrTimeout, syscall.ETIMEDOUT},
	{tcp.ErrAddrInUse, syscall.EADDRINUSE},
	{tcp.ErrNoPorts, syscall.EADDRNOTAVAIL},
	{tcp.ErrAddrNotOwned, syscall.EADDRNOTAVAIL},
	{tcp.ErrNetUnreachable, syscall.ENETUNREACH},
	{tcp.ErrHostUnreach, syscall.EHOSTUNREACH},
	{tcp.ErrNoProtocol, syscall.ENOPROTOOPT},
	{tcp.ErrTooMany, syscall.ENFILE},
	{tcp.ErrNoBuffers, syscall.ENOBUFS},
	{tcp.ErrInvalid, syscall.EINVAL},
	{tcp.ErrMessageSize, syscall.EMSGSIZE},
}

// Errno returns the POSIX name of an error of the engine or of this package, and 0 when it has none: nil, io.EOF,
// net.ErrClosed and deadlines are not the kernel's to name.
func Errno(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	for i := range errnos {
		if errors.Is(err, errnos[i].err) {
			return errnos[i].errno
		}
	}
	return 0
}

// userError turns an error of the engine into what package net's users expect inside a net.OpError.
func userError(err error) error {
	var path *tcp.PathTimeout
	if errors.As(err, &path) {
		return pathError{path, Errno(path)}
	}
	if errno := Errno(err); errno != 0 && !errors.Is(err, tcp.ErrInvalid) {
		return errno
	}
	return err // ErrInvalid says in words what is invalid
}

// pathError is a timeout of which ICMP told why, in its words and with the number of the reason.
type pathError struct {
	*tcp.PathTimeout
	errno syscall.Errno
}

func (e pathError) Unwrap() []error { return []error{e.errno, e.PathTimeout} }

// opError wraps an error of an operation on a connection. The end of the stream stays as it is.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // io.EOF is never wrapped on its way here
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: userError(err)}
}

// contextError turns the end of a context into the error that package net gives for it.
func contextError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return dialTimeout{}
	}
	return err
}

// dialTimeout is a deadline exceeded, whichever of its two names is asked for.
type dialTimeout struct{}

func (dialTimeout) Error() string   { return os.ErrDeadlineExceeded.Error() }
func (dialTimeout) Timeout() bool   { return true }
func (dialTimeout) Temporary() bool { return true }
func (dialTimeout) Is(target error) bool {
	return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
}
