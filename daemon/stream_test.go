package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/daemon/config"
)

// testStream is a client's end of a Stream call.
type testStream struct {
	starfishv1.Starfish_StreamClient
	t  testing.TB
	id uint64
}

func openByID(id uint64) *starfishv1.StreamOpen {
	return &starfishv1.StreamOpen{From: &starfishv1.StreamOpen_ConnectionId{ConnectionId: id}}
}

// stream begins a Stream call.
func (s *testSession) stream(ctx context.Context, open *starfishv1.StreamOpen) (*testStream, error) {
	call, err := s.Stream(ctx)
	if err != nil {
		return nil, err
	}
	// An error of Send is io.EOF: Recv has the reason.
	_ = call.Send(&starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Open{Open: open}})
	r, err := call.Recv()
	if err != nil {
		return nil, err
	}
	return &testStream{call, s.t, r.GetOpened().GetId()}, nil
}

func (s *testSession) mustStream(open *starfishv1.StreamOpen) *testStream {
	s.t.Helper()
	stream, err := s.stream(testContext(s.t), open)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream
}

func (s *testStream) Write(p []byte) (int, error) {
	return len(p), s.Send(&starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Data{Data: p}})
}

func (s *testStream) closeGracefully() {
	s.t.Helper()
	if err := s.Send(&starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Close{Close: &starfishv1.StreamClose{}}}); err != nil {
		s.t.Error(err)
	}
	s.closeSend()
}

func (s *testStream) closeSend() {
	s.t.Helper()
	if err := s.CloseSend(); err != nil {
		s.t.Error(err)
	}
}

// readToEOF returns the data up to the message eof.
func (s *testStream) readToEOF() []byte {
	s.t.Helper()
	var data []byte
	for {
		r, err := s.Recv()
		if err != nil {
			s.t.Fatal(err)
		}
		if r.GetEof() != nil {
			return data
		}
		data = append(data, r.GetData()...)
	}
}

// wantOK wants the call to end well.
func (s *testStream) wantOK() {
	s.t.Helper()
	if r, err := s.Recv(); !errors.Is(err, io.EOF) {
		s.t.Errorf("got %v, %v; want the end of the call", r, err)
	}
}

func (s *testStream) wantEnd(code codes.Code, reason string) {
	s.t.Helper()
	for {
		if _, err := s.Recv(); err != nil {
			wantError(s.t, err, code, reason)
			return
		}
	}
}

func TestStreamHalfCloseByClientFirst(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	left, right := s.mustStream(openByID(c)), s.mustStream(openByID(a))
	data := pattern(3_000_000)
	go func() {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 100_000)
			writeAll(t, left, rest[:n])
			rest = rest[n:]
		}
		left.closeSend()
	}()
	if !bytes.Equal(right.readToEOF(), data) {
		t.Error("other bytes arrived than were sent")
	}
	writeAll(t, right, []byte("answer"))
	right.closeSend()
	right.wantOK()
	if got := left.readToEOF(); string(got) != "answer" {
		t.Errorf("got %q after the half-close", got)
	}
	left.wantOK()
	if end := s.connection(c).GetEnd(); end == nil || end.GetReason() != "" {
		t.Errorf("end %v", end)
	}
}

func TestStreamHalfCloseByPeerFirst(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	left, right := s.mustStream(openByID(c)), s.attachAndCloseWrite(a)
	if got := left.readToEOF(); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	writeAll(t, left, []byte("after FIN"))
	left.closeSend()
	wantRead(t, right, []byte("after FIN"))
	wantEOF(t, right)
	left.wantOK()
}

func (s *testSession) attachAndCloseWrite(id uint64) io.Reader {
	s.t.Helper()
	socket := s.attach(id)
	if err := socket.CloseWrite(); err != nil {
		s.t.Fatal(err)
	}
	return socket
}

func TestStreamReset(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	stream := s.mustStream(openByID(c))
	if _, err := s.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: a}); err != nil {
		t.Fatal(err)
	}
	stream.wantEnd(codes.Aborted, "ECONNRESET")
	if end := s.connection(c).GetEnd(); end.GetReason() != "ECONNRESET" {
		t.Errorf("end %v", end)
	}
}

func TestStreamResetAfterPeersFIN(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	stream, peer := s.mustStream(openByID(c)), s.mustStream(openByID(a))
	peer.closeSend()
	stream.readToEOF()
	if _, err := s.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: a}); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := stream.Write([]byte("x")); err != nil {
			break
		}
	}
	stream.wantEnd(codes.Aborted, "ECONNRESET")
}

// Nothing is sent, and nobody asks: the end of the connection ends the call by itself.
func TestStreamResetAfterPeersFINWhileIdle(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	stream, peer := s.mustStream(openByID(c)), s.mustStream(openByID(a))
	peer.closeSend()
	stream.readToEOF()
	// The peer has sent FIN and is in FIN-WAIT-2; its abort sends a reset (RFC 9293 §3.10.5).
	if _, err := s.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: a}); err != nil {
		t.Fatal(err)
	}
	stream.wantEnd(codes.Aborted, "ECONNRESET")
}

// Data that can't be sent any more is not taken and forgotten: the call ends, though the peer says nothing.
func TestStreamSendsAfterShutdown(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	stream, peer := s.mustStream(openByID(c)), s.mustStream(openByID(a))
	if _, err := s.Shutdown(testContext(t), &starfishv1.ShutdownRequest{ConnectionId: c}); err != nil {
		t.Fatal(err)
	}
	peer.readToEOF()
	writeAll(t, stream, []byte("too late"))
	stream.wantEnd(codes.FailedPrecondition, "EPIPE")
	if end := s.connection(c).GetEnd(); end.GetReason() != "ECONNABORTED" {
		t.Errorf("end %v", end)
	}
}

// A client that sends everything before it receives gets through its sending when the connection is reset meanwhile,
// and then what came before the reset, and the reset.
func TestStreamResetWhileClientOnlySends(t *testing.T) {
	// A buffer that tunes itself grows with what the user takes, which depends on the machine.
	s := startDaemon(t, func(c *config.Config) { c.TCP.RecvBuffer = 1 << 20 }).dial(t)
	c, a := s.pair()
	stream, peer := s.mustStream(openByID(c)), s.mustStream(openByID(a))
	answer := pattern(400_000) // more than gRPC holds for a client that doesn't receive
	for rest := answer; len(rest) > 0; {
		n := min(len(rest), 100_000)
		writeAll(t, peer, rest[:n])
		rest = rest[n:]
	}
	eventually(t, "the answer to be acknowledged", func() bool {
		return s.connection(a).GetInfo().GetBytesAcked() >= uint64(len(answer))
	})
	if _, err := s.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: a}); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 100_000)
	for range 4 * streamWindow / len(chunk) {
		writeAll(t, stream, chunk)
	}
	stream.closeSend()
	var got []byte
	for {
		r, err := stream.Recv()
		if err != nil {
			wantError(t, err, codes.Aborted, "ECONNRESET")
			break
		}
		got = append(got, r.GetData()...)
	}
	if !bytes.Equal(got, answer) {
		t.Errorf("%d of %d bytes came before the reset", len(got), len(answer))
	}
}

func TestStreamGracefulClose(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	left, right := s.mustStream(openByID(c)), s.mustStream(openByID(a))
	data := pattern(200_000)
	writeAll(t, left, data)
	left.closeGracefully()
	left.wantOK()
	if !bytes.Equal(right.readToEOF(), data) {
		t.Error("what was sent before close did not arrive")
	}
}

func TestStreamCancelledIsReset(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	for name, before := range map[string]func(*testStream){
		"while idle": func(*testStream) {},
		"while it can't send": func(left *testStream) {
			go func() {
				for {
					if _, err := left.Write(make([]byte, 100_000)); err != nil {
						return
					}
				}
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, a := s.pair()
			ctx, cancel := context.WithCancel(testContext(t))
			left, err := s.stream(ctx, openByID(c))
			if err != nil {
				t.Fatal(err)
			}
			before(left)
			time.Sleep(50 * time.Millisecond)
			cancel()
			s.mustStream(openByID(a)).wantEnd(codes.Aborted, "ECONNRESET")
		})
	}
}

func TestStreamCancelledAfterFINIsReset(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	ctx, cancel := context.WithCancel(testContext(t))
	left, err := s.stream(ctx, openByID(c))
	if err != nil {
		t.Fatal(err)
	}
	left.closeSend()
	right := s.mustStream(openByID(a))
	right.readToEOF()
	cancel()
	right.wantEnd(codes.Aborted, "ECONNRESET")
}

func TestStreamOpensAndAccepts(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	listenerID, port := s.listen()
	left := s.mustStream(&starfishv1.StreamOpen{From: &starfishv1.StreamOpen_Connect{Connect: connectTo(port)}})
	right := s.mustStream(&starfishv1.StreamOpen{From: &starfishv1.StreamOpen_Accept{Accept: &starfishv1.AcceptRequest{ListenerId: listenerID}}})
	writeAll(t, left, []byte("hello"))
	left.closeSend()
	if got := right.readToEOF(); string(got) != "hello" {
		t.Errorf("got %q", got)
	}
	if got := s.connection(left.id).GetTransport(); got != starfishv1.Transport_TRANSPORT_STREAM {
		t.Errorf("transport %v", got)
	}
}

// A connection that a call opens for its own bytes has its way from the first moment that others can find it.
func TestOpenedWithItsWay(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.dial(t)
	_, port := s.listen()
	ctx, owner := d.asUser(t, uint32(os.Getuid()))
	for _, way := range []edge{edgeStream, edgePending} {
		c, err := d.connect(ctx, owner, connectTo(port), way)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c.id})
		wantError(t, err, codes.FailedPrecondition, "EALREADY")
	}
}

func TestStreamMisuse(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, _ := s.pair()
	attached := connectTo(1)
	attached.Attach = true
	for name, c := range map[string]struct {
		open   *starfishv1.StreamOpen
		code   codes.Code
		reason string
	}{
		"nothing named":  {&starfishv1.StreamOpen{}, codes.InvalidArgument, "EINVAL"},
		"no connection":  {openByID(999), codes.NotFound, "EBADF"},
		"refused":        {&starfishv1.StreamOpen{From: &starfishv1.StreamOpen_Connect{Connect: connectTo(1)}}, codes.Unavailable, "ECONNREFUSED"},
		"attach as well": {&starfishv1.StreamOpen{From: &starfishv1.StreamOpen_Connect{Connect: attached}}, codes.InvalidArgument, "EINVAL"},
	} {
		if _, err := s.stream(testContext(t), c.open); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantError(t, err, c.code, c.reason)
		}
	}
	stream := s.mustStream(openByID(c))
	_, err := s.stream(testContext(t), openByID(c))
	wantError(t, err, codes.FailedPrecondition, "EALREADY")
	_, err = s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c})
	wantError(t, err, codes.FailedPrecondition, "EALREADY")
	if err := stream.Send(&starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Open{Open: openByID(c)}}); err != nil {
		t.Fatal(err)
	}
	stream.wantEnd(codes.InvalidArgument, "EINVAL")
}

func TestStreamMessageTooLarge(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, _ := s.pair()
	stream := s.mustStream(openByID(c))
	writeAll(t, stream, make([]byte, maxMessage+1))
	_, err := stream.Recv()
	if status.Code(err) != codes.ResourceExhausted && status.Code(err) != codes.Aborted {
		t.Errorf("got %v", err)
	}
}

func TestStreamBackPressure(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	left, right := s.mustStream(openByID(c)), s.mustStream(openByID(a))
	const total = 32 << 20 // more than all buffers and windows on the way
	go func() {
		chunk := make([]byte, 256<<10)
		for range total / len(chunk) {
			writeAll(t, left, chunk)
		}
		left.closeSend()
	}()
	time.Sleep(300 * time.Millisecond)
	if got := s.connection(a).GetInfo().GetBytesReceived(); got >= total {
		t.Errorf("all %d bytes were taken although nobody reads", got)
	}
	got := 0
	for {
		r, err := right.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if r.GetEof() != nil {
			break
		}
		got += len(r.GetData())
	}
	if got != total {
		t.Errorf("%d bytes arrived", got)
	}
}
