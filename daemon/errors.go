package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/core/tcp"
)

// errorDomain is the domain of every ErrorInfo.
const errorDomain = "starfish"

// grpcCodes gives each POSIX error its canonical code. The API's documentation has the same table.
var grpcCodes = map[syscall.Errno]codes.Code{
	unix.ECONNREFUSED:  codes.Unavailable,
	unix.ENETUNREACH:   codes.Unavailable,
	unix.EHOSTUNREACH:  codes.Unavailable,
	unix.ESHUTDOWN:     codes.Unavailable,
	unix.ECONNRESET:    codes.Aborted,
	unix.ECONNABORTED:  codes.Aborted,
	unix.ETIMEDOUT:     codes.DeadlineExceeded,
	unix.EADDRINUSE:    codes.AlreadyExists,
	unix.EADDRNOTAVAIL: codes.FailedPrecondition,
	unix.ENOTCONN:      codes.FailedPrecondition,
	unix.EPIPE:         codes.FailedPrecondition,
	unix.EALREADY:      codes.FailedPrecondition,
	unix.EISCONN:       codes.FailedPrecondition,
	unix.EBADF:         codes.NotFound,
	unix.EPERM:         codes.PermissionDenied,
	unix.EINVAL:        codes.InvalidArgument,
	unix.EAFNOSUPPORT:  codes.InvalidArgument,
	unix.EMSGSIZE:      codes.InvalidArgument,
	unix.ENOPROTOOPT:   codes.Unimplemented,
	unix.ENOBUFS:       codes.ResourceExhausted,
	unix.ENFILE:        codes.ResourceExhausted,
	unix.EMFILE:        codes.ResourceExhausted,
	unix.ECANCELED:     codes.Canceled,
}

// failure is an error of the API: an operation, what it was about, the POSIX error and where it helps a word more.
type failure struct {
	op       string // "connect"
	subject  string // "10.0.0.2:8080", "connection 7"
	errno    syscall.Errno
	detail   string // replaces the errno's own words
	metadata map[string]string
}

// Error is for a person: "connect 10.0.0.2:8080: connection refused".
func (f *failure) Error() string {
	var b strings.Builder
	b.WriteString(f.op)
	if f.subject != "" {
		b.WriteString(" " + f.subject)
	}
	b.WriteString(": " + f.reasonText())
	return b.String()
}

func (f *failure) reasonText() string {
	if f.detail != "" {
		return f.detail
	}
	return f.errno.Error()
}

// GRPCStatus is what package status asks for: it makes a failure fit to be returned by a method.
func (f *failure) GRPCStatus() *status.Status {
	code, known := grpcCodes[f.errno]
	if !known {
		code = codes.Internal
	}
	st := status.New(code, f.Error())
	detailed, err := st.WithDetails(&errdetails.ErrorInfo{Reason: reason(f.errno), Domain: errorDomain, Metadata: f.metadata})
	if err != nil {
		return st
	}
	return detailed
}

// with adds a piece of metadata.
func (f *failure) with(key, value string) *failure {
	if f.metadata == nil {
		f.metadata = make(map[string]string)
	}
	f.metadata[key] = value
	return f
}

// reason is an errno's POSIX name.
func reason(errno syscall.Errno) string {
	if name := unix.ErrnoName(errno); name != "" {
		return name
	}
	return "EIO"
}

// errnoOf names any error that the stack or a context can give. It is 0 for none.
func errnoOf(err error) syscall.Errno {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return unix.ECANCELED
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return unix.ETIMEDOUT
	case errors.Is(err, net.ErrClosed):
		return unix.EBADF
	}
	if errno := stack.Errno(err); errno != 0 {
		return errno
	}
	return unix.EIO
}

// failed wraps an error of the stack. Addresses are left out of it: the subject has them.
func failed(op, subject string, err error) *failure {
	f := &failure{op: op, subject: subject, errno: errnoOf(err)}
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	switch f.errno {
	case unix.EINVAL, unix.EIO:
		f.detail = err.Error() // says in words what is invalid
	case unix.ECANCELED:
		f.detail = "cancelled"
	case unix.EBADF:
		f.detail = "it is closed"
	}
	if said := endMessage(err); said != "" {
		f.detail = said
	}
	return f
}

// endMessage is what the end of a connection has to say beside its number: what ICMP told about the path of one that timed out.
func endMessage(err error) string {
	var path *tcp.PathTimeout
	if errors.As(err, &path) {
		return path.Error()
	}
	return ""
}

// invalid says that a request makes no sense.
func invalid(op, format string, arguments ...any) *failure {
	return &failure{op: op, errno: unix.EINVAL, detail: fmt.Sprintf(format, arguments...)}
}

// connectionName is how messages speak of a connection.
func connectionName(id uint64) string { return fmt.Sprintf("connection %d", id) }

func listenerName(id uint64) string { return fmt.Sprintf("listener %d", id) }

// ownedList is how messages name the addresses that can be used.
func ownedList(prefixes []netip.Prefix) string {
	names := make([]string, len(prefixes))
	for i, p := range prefixes {
		names[i] = p.Masked().String()
	}
	return strings.Join(names, ", ")
}
