package daemon

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// FuzzAPI gives any message to any method of a daemon. Nothing may panic, another user's connection stays as it is, and
// every error has a code.
func FuzzAPI(f *testing.F) {
	for i, m := range []proto.Message{
		connectTo(1), connectTo(80),
		&starfishv1.ListenRequest{Local: &starfishv1.Endpoint{Address: testAddress}},
		&starfishv1.AttachRequest{ConnectionId: 1}, &starfishv1.ShutdownRequest{ConnectionId: 1, How: 3},
		closeConnection(1), closeListener(1), &starfishv1.AbortRequest{ConnectionId: 1},
		&starfishv1.SetOptionsRequest{ConnectionId: 1, Options: &starfishv1.Options{}},
		&starfishv1.ListConnectionsRequest{PageSize: 1, PageToken: "c1"}, &starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Open{Open: openByID(3)}},
	} {
		message, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, message)
	}
	d := startDaemon(f, nil)
	victim := d.dial(f)
	victimID, _ := victim.pair()
	s := d.registry.beginSession(peer{uid: 4_000_000, pid: 1}, "fuzz")
	defer d.endSession(s)
	f.Fuzz(func(t *testing.T, method int, message []byte) {
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), sessionKey{}, s), 20*time.Millisecond)
		defer cancel()
		methods := starfishv1.Starfish_ServiceDesc.Methods
		if method = int(uint(method) % uint(len(methods)+1)); method == len(methods) {
			checkCode(t, d.Stream(&fuzzStream{ctx: ctx, message: message}))
		} else {
			_, err := methods[method].Handler(d.Daemon, ctx, func(request any) error {
				if err := proto.Unmarshal(message, request.(proto.Message)); err != nil {
					return status.Error(codes.InvalidArgument, err.Error())
				}
				return nil
			}, nil)
			checkCode(t, err)
		}
		if d.registry.connection(victimID) == nil {
			t.Fatalf("another user's connection is gone after method %d", method)
		}
	})
}

func checkCode(t *testing.T, err error) {
	if err != nil && status.Code(err) == codes.Unknown {
		t.Errorf("an error without a code: %v", err)
	}
}

// fuzzStream is a Stream call whose client sends one message and hangs up.
type fuzzStream struct {
	grpc.ServerStream
	ctx     context.Context
	message []byte
	sent    bool
}

func (s *fuzzStream) Context() context.Context              { return s.ctx }
func (s *fuzzStream) Send(*starfishv1.StreamResponse) error { return nil }

func (s *fuzzStream) SendMsg(m any) error {
	if out, ok := m.(*streamOut); ok {
		out.payload.Free()
	}
	return nil
}

func (s *fuzzStream) Recv() (*starfishv1.StreamRequest, error) {
	request := &starfishv1.StreamRequest{}
	if err := proto.Unmarshal(s.message, request); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return request, nil
}

func (s *fuzzStream) RecvMsg(m any) error {
	if s.sent {
		<-s.ctx.Done()
		return status.FromContextError(s.ctx.Err()).Err()
	}
	s.sent = true
	return newCodec().Unmarshal(pieces(s.message, 7), m)
}
