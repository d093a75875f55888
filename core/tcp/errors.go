package tcp

import "errors"

// Errors of user calls, and reasons why connections ended. Test them with errors.Is.
// The POSIX name behind each is what a kernel socket would give.
var (
	ErrNotFound       = errors.New("no such connection")             // EBADF
	ErrNotConnected   = errors.New("connection is not established")  // ENOTCONN
	ErrClosed         = errors.New("connection is closed")           // EPIPE on send
	ErrWouldBlock     = errors.New("operation would block")          // EAGAIN
	ErrRefused        = errors.New("connection refused")             // ECONNREFUSED
	ErrReset          = errors.New("connection reset by peer")       // ECONNRESET
	ErrAborted        = errors.New("connection aborted locally")     // ECONNABORTED
	ErrTimeout        = errors.New("connection timed out")           // ETIMEDOUT
	ErrAddrInUse      = errors.New("address already in use")         // EADDRINUSE
	ErrNoPorts        = errors.New("no ephemeral port is free")      // EADDRNOTAVAIL
	ErrAddrNotOwned   = errors.New("address is not owned by stack")  // EADDRNOTAVAIL
	ErrNetUnreachable = errors.New("network is unreachable")         // ENETUNREACH
	ErrHostUnreach    = errors.New("no route to host")               // EHOSTUNREACH
	ErrNoProtocol     = errors.New("protocol not available")         // ENOPROTOOPT
	ErrTooMany        = errors.New("too many connections")           // ENFILE
	ErrNoBuffers      = errors.New("no buffer space available")      // ENOBUFS
	ErrInvalid        = errors.New("invalid argument")               // EINVAL
	ErrMessageSize    = errors.New("path MTU is too small for TCP")  // EMSGSIZE
	ErrShutdown       = errors.New("sending side is already closed") // EPIPE
)

// PathTimeout is why a connection timed out of whose path ICMP had something to say before (RFC 5461 §2). It is that error, more
// than a timeout.
type PathTimeout struct {
	Reason error  // ErrHostUnreach and the like
	ICMP   string // what ICMP said last: "time exceeded"
}

// Error says both.
func (e *PathTimeout) Error() string {
	return ErrTimeout.Error() + "; last ICMP error: " + e.ICMP
}

// Unwrap returns the reason.
func (e *PathTimeout) Unwrap() error { return e.Reason }
