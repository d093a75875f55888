package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestErrorsTable(t *testing.T) {
	for _, c := range []struct {
		err     error
		code    codes.Code
		reason  string
		message string
	}{
		{tcp.ErrRefused, codes.Unavailable, "ECONNREFUSED", "connect 10.0.0.2:8080: connection refused"},
		{tcp.ErrReset, codes.Aborted, "ECONNRESET", "connect 10.0.0.2:8080: connection reset by peer"},
		{tcp.ErrTimeout, codes.DeadlineExceeded, "ETIMEDOUT", "connect 10.0.0.2:8080: connection timed out"},
		{tcp.ErrNetUnreachable, codes.Unavailable, "ENETUNREACH", "connect 10.0.0.2:8080: network is unreachable"},
		{tcp.ErrHostUnreach, codes.Unavailable, "EHOSTUNREACH", "connect 10.0.0.2:8080: no route to host"},
		{tcp.ErrAddrInUse, codes.AlreadyExists, "EADDRINUSE", "connect 10.0.0.2:8080: address already in use"},
		{tcp.ErrNoPorts, codes.FailedPrecondition, "EADDRNOTAVAIL", ""},
		{tcp.ErrTooMany, codes.ResourceExhausted, "ENFILE", ""},
		{tcp.ErrNoBuffers, codes.ResourceExhausted, "ENOBUFS", ""},
		{fmt.Errorf("%w: TTL", tcp.ErrInvalid), codes.InvalidArgument, "EINVAL", "connect 10.0.0.2:8080: invalid argument: TTL"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: unix.ECONNREFUSED}, codes.Unavailable, "ECONNREFUSED", "connect 10.0.0.2:8080: connection refused"},
		{context.Canceled, codes.Canceled, "ECANCELED", "connect 10.0.0.2:8080: cancelled"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "ETIMEDOUT", ""},
		{os.ErrDeadlineExceeded, codes.DeadlineExceeded, "ETIMEDOUT", ""},
		{net.ErrClosed, codes.NotFound, "EBADF", ""},
		{io.ErrUnexpectedEOF, codes.Internal, "EIO", ""},
	} {
		f := failed("connect", "10.0.0.2:8080", c.err)
		wantError(t, f, c.code, c.reason)
		if got := status.Convert(f).Message(); c.message != "" && got != c.message {
			t.Errorf("message %q, want %q", got, c.message)
		}
	}
}

// The API's documentation has the table as well.
func TestErrorsTableIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../api/proto/starfish/v1/starfish.proto")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^//   ((?:E[A-Z]+(?:, )?)+) +([A-Z_]{4,})`).FindAllStringSubmatch(string(text), -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			documented[name] = m[2]
		}
	}
	for errno, code := range grpcCodes {
		want := regexp.MustCompile("([a-z])([A-Z])").ReplaceAllString(code.String(), "${1}_${2}")
		if want = strings.ToUpper(want); want == "CANCELED" {
			want = "CANCELLED"
		}
		if got := documented[reason(errno)]; got != want {
			t.Errorf("%s is documented as %q, and is %s", reason(errno), got, want)
		}
	}
}
