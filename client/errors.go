package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errorDomain is the domain of the daemon's ErrorInfo details.
const errorDomain = "starfish"

// errnoByReason gives the reasons of the API, POSIX names, back as the numbers that they name.
var errnoByReason = map[string]syscall.Errno{
	"EADDRINUSE":    syscall.EADDRINUSE,
	"EADDRNOTAVAIL": syscall.EADDRNOTAVAIL,
	"EAFNOSUPPORT":  syscall.EAFNOSUPPORT,
	"EALREADY":      syscall.EALREADY,
	"EBADF":         syscall.EBADF,
	"ECANCELED":     syscall.ECANCELED,
	"ECONNABORTED":  syscall.ECONNABORTED,
	"ECONNREFUSED":  syscall.ECONNREFUSED,
	"ECONNRESET":    syscall.ECONNRESET,
	"EHOSTUNREACH":  syscall.EHOSTUNREACH,
	"EINVAL":        syscall.EINVAL,
	"EISCONN":       syscall.EISCONN,
	"EMFILE":        syscall.EMFILE,
	"EMSGSIZE":      syscall.EMSGSIZE,
	"ENETUNREACH":   syscall.ENETUNREACH,
	"ENFILE":        syscall.ENFILE,
	"ENOBUFS":       syscall.ENOBUFS,
	"ENOPROTOOPT":   syscall.ENOPROTOOPT,
	"ENOTCONN":      syscall.ENOTCONN,
	"EPERM":         syscall.EPERM,
	"EPIPE":         syscall.EPIPE,
	"ESHUTDOWN":     syscall.ESHUTDOWN,
	"ETIMEDOUT":     syscall.ETIMEDOUT,
}

// Error is an error that the daemon reported. It wraps the syscall.Errno that a kernel socket would have given.
type Error struct {
	Errno   syscall.Errno
	Message string // for a person: the operation, its addresses and the cause
}

// Error returns the cause alone where the number says it all, since net.OpError puts operation and addresses before
// it; else the daemon's whole message.
func (e *Error) Error() string {
	cause := e.Errno.Error()
	if e.Message == "" || strings.HasSuffix(e.Message, cause) {
		return cause
	}
	return e.Message
}

// Unwrap returns the error number.
func (e *Error) Unwrap() error { return e.Errno }

// Timeout reports whether the error is a timeout, as net.Error wants it.
func (e *Error) Timeout() bool { return e.Errno.Timeout() }

// Temporary reports whether trying again may help, as net.Error wants it.
func (e *Error) Temporary() bool { return e.Errno.Temporary() }

// hasErrno reports whether the daemon reported that error number.
func hasErrno(err error, errno syscall.Errno) bool {
	var reported *Error
	return errors.As(err, &reported) && reported.Errno == errno
}

// contextError is what a call that its context ended returns, shaped as package net's: it is a timeout if the deadline
// passed, and matches the context's error.
type contextError struct {
	cause   error // context.Canceled or context.DeadlineExceeded
	message string
}

var (
	errCanceled     error = &contextError{context.Canceled, "operation was canceled"}
	errDialDeadline error = &contextError{context.DeadlineExceeded, "i/o timeout"}
)

func (e *contextError) Error() string { return e.message }
func (e *contextError) Unwrap() error { return e.cause }
func (e *contextError) Timeout() bool { return errors.Is(e.cause, context.DeadlineExceeded) }
func (e *contextError) Temporary() bool {
	return e.Timeout()
}

// Is makes a passed deadline match os.ErrDeadlineExceeded too.
func (e *contextError) Is(target error) bool {
	return target == os.ErrDeadlineExceeded && e.Timeout()
}

// lostError says that the daemon went away under a connection. For the connection that is a reset.
type lostError struct{ socket string }

func (e *lostError) Error() string {
	return fmt.Sprintf("starfishd at %s has gone, and the connection with it", e.socket)
}

func (e *lostError) Unwrap() error { return syscall.ECONNRESET }

// fromStatus turns an RPC's error into what this package returns. The caller knows whether it means a daemon that
// can't be reached.
func fromStatus(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != errorDomain {
			continue
		}
		if errno, ok := errnoByReason[info.GetReason()]; ok {
			return &Error{Errno: errno, Message: st.Message()}
		}
	}
	switch st.Code() {
	case codes.Canceled:
		return errCanceled
	case codes.DeadlineExceeded:
		return errDialDeadline
	default:
		return fmt.Errorf("starfishd: %s", st.Message())
	}
}

// fromContext turns a context's error into what this package returns.
func fromContext(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errDialDeadline
	}
	return errCanceled
}

// opError wraps err as package net does; nil stays nil.
func opError(op, network string, source, addr net.Addr, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: network, Source: source, Addr: addr, Err: err}
}

// cause strips the unix socket's own net.OpError and os.SyscallError, whose addresses mean nothing to the caller.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return err
}
