package packetdrill

import (
	"errors"

	"github.com/MUCZ/Starfish/core/tcp"
)

// errnos are the POSIX names of the engine's errors, as package tcp's table has them.
var errnos = []struct {
	err  error
	name string
}{
	{tcp.ErrNotFound, "EBADF"},
	{tcp.ErrNotConnected, "ENOTCONN"},
	{tcp.ErrClosed, "EPIPE"},
	{tcp.ErrWouldBlock, "EAGAIN"},
	{tcp.ErrRefused, "ECONNREFUSED"},
	{tcp.ErrReset, "ECONNRESET"},
	{tcp.ErrAborted, "ECONNABORTED"},
	{tcp.ErrTimeout, "ETIMEDOUT"},
	{tcp.ErrAddrInUse, "EADDRINUSE"},
	{tcp.ErrNoPorts, "EADDRNOTAVAIL"},
	{tcp.ErrAddrNotOwned, "EADDRNOTAVAIL"},
	{tcp.ErrNetUnreachable, "ENETUNREACH"},
	{tcp.ErrHostUnreach, "EHOSTUNREACH"},
	{tcp.ErrNoProtocol, "ENOPROTOOPT"},
	{tcp.ErrTooMany, "ENFILE"},
	{tcp.ErrNoBuffers, "ENOBUFS"},
	{tcp.ErrInvalid, "EINVAL"},
	{tcp.ErrMessageSize, "EMSGSIZE"},
	{tcp.ErrShutdown, "EPIPE"},
}

// errno is an error of a system call by its POSIX name.
type errno string

func (e errno) Error() string { return string(e) }

// errnoOf names err; the engine's errors have names, and what has none is the runner's own.
func errnoOf(err error) (errno, bool) {
	var e errno
	if errors.As(err, &e) {
		return e, true
	}
	for _, known := range errnos {
		if errors.Is(err, known.err) {
			return errno(known.name), true
		}
	}
	return "", false
}

// sameErrno compares names; two of them are the same number on Linux.
func sameErrno(a, b string) bool {
	canonical := func(s string) string {
		if s == "EWOULDBLOCK" {
			return "EAGAIN"
		}
		return s
	}
	return canonical(a) == canonical(b)
}
