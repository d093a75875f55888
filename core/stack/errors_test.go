package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestErrno(t *testing.T) {
	for err, want := range map[error]syscall.Errno{
		tcp.ErrRefused:                                syscall.ECONNREFUSED,
		tcp.ErrReset:                                  syscall.ECONNRESET,
		tcp.ErrTimeout:                                syscall.ETIMEDOUT,
		tcp.ErrNetUnreachable:                         syscall.ENETUNREACH,
		fmt.Errorf("%w: bad", tcp.ErrInvalid):         syscall.EINVAL,
		&net.OpError{Err: syscall.EADDRINUSE}:         syscall.EADDRINUSE,
		&net.OpError{Err: userError(tcp.ErrShutdown)}: syscall.EPIPE,
		io.EOF:                 0,
		net.ErrClosed:          0,
		context.Canceled:       0,
		os.ErrDeadlineExceeded: 0,
	} {
		if got := Errno(err); got != want {
			t.Errorf("Errno(%v) = %v, want %v", err, got, want)
		}
	}
	if Errno(nil) != 0 {
		t.Error("Errno(nil) is not 0")
	}
}

// Timeouts and their like answer as package net's do.
func TestErrorsLookLikeNet(t *testing.T) {
	var err error = &net.OpError{Op: "read", Net: "tcp", Err: userError(tcp.ErrTimeout)}
	var n net.Error
	if !errors.As(err, &n) || !n.Timeout() {
		t.Errorf("%v is no timeout", err)
	}
	err = &net.OpError{Op: "dial", Net: "tcp", Err: contextError(context.DeadlineExceeded)}
	if !errors.As(err, &n) || !n.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no timeout", err)
	}
}
