package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// lingerLimit is how long a connection that is closed in both directions here waits for the peer's FIN, as Linux's
// tcp_fin_timeout has it.
const lingerLimit = 60 * time.Second

// grpcStream is the edge that gRPC carries: one Stream RPC. A goroutine receives and another sends, since calls of gRPC
// know no deadline of their own; what they hold is one message in each direction, all else waits behind HTTP/2's
// windows.
type grpcStream struct {
	client *Client
	id     uint64
	rpc    grpc.ClientStream
	cancel context.CancelFunc // ends the RPC, which aborts the connection if it is not let go yet

	readDeadline, writeDeadline *deadline

	closed     chan struct{} // Close was called
	readClosed chan struct{} // CloseRead was called
	closeOnce  sync.Once
	readOnce   sync.Once

	// The receiving half: receiveLoop hands over what Read takes.
	arrived chan *mem.Reader // closed when nothing more comes
	readEnd error            // after arrived was closed: io.EOF, or why the connection ended
	readMu  sync.Mutex       // held by the Read at work; guards rest
	rest    *mem.Reader      // of a message that Read took in part
	ended   chan struct{}    // the RPC has ended
	endErr  error            // after ended was closed: nil, or why

	// The sending half: Write fills, sendLoop empties.
	writeMu sync.Mutex // held by the Write at work
	outMu   sync.Mutex // guards out and finish
	out     *[]byte    // from frames, nil when empty
	finish  finish
	filled  chan struct{} // capacity 1: out or finish has changed
	emptied chan struct{} // capacity 1: out was taken
}

// finish says what follows the bytes that were written.
type finish int

const (
	goOn      finish = iota
	halfClose        // CloseSend: FIN
	letGo            // the close message: FIN, and nobody receives any more
)

// openStream makes a Stream RPC and waits until its connection is there. The context bounds that, not the RPC.
func (c *Client) openStream(ctx context.Context, open *starfishv1.StreamOpen) (*grpcStream, *starfishv1.Connection, error) {
	var s *grpcStream
	var info *starfishv1.Connection
	err := c.call(ctx, func(ctx context.Context) error {
		rpcCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, cancel)
		rpc, opened, err := c.startStream(rpcCtx, open)
		if err != nil {
			stop()
			cancel()
			return err
		}
		if !stop() {
			return ctx.Err() // the RPC is cancelled already, and the connection with it
		}
		s, info = newStream(c, opened.GetId(), rpc, cancel), opened
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	go s.receiveLoop()
	go s.sendLoop()
	return s, info, nil
}

func (c *Client) startStream(ctx context.Context, open *starfishv1.StreamOpen) (grpc.ClientStream, *starfishv1.Connection, error) {
	rpc, err := c.cc.NewStream(ctx, &starfishv1.Starfish_ServiceDesc.Streams[0],
		starfishv1.Starfish_Stream_FullMethodName, grpc.ForceCodecV2(streamCodec{}))
	if err != nil {
		return nil, nil, err
	}
	request := &starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Open{Open: open}}
	if err := rpc.SendMsg(&outgoing{message: request}); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	var answer incoming // an io.EOF above means that RecvMsg has the reason
	if err := rpc.RecvMsg(&answer); err != nil {
		return nil, nil, err
	}
	opened := answer.message.GetOpened()
	if opened == nil {
		return nil, nil, errors.New("starfishd broke the protocol: the stream's first message names no connection")
	}
	return rpc, opened, nil
}

func newStream(c *Client, id uint64, rpc grpc.ClientStream, cancel context.CancelFunc) *grpcStream {
	return &grpcStream{
		client:        c,
		id:            id,
		rpc:           rpc,
		cancel:        cancel,
		readDeadline:  newDeadline(),
		writeDeadline: newDeadline(),
		closed:        make(chan struct{}),
		readClosed:    make(chan struct{}),
		arrived:       make(chan *mem.Reader),
		ended:         make(chan struct{}),
		filled:        make(chan struct{}, 1),
		emptied:       make(chan struct{}, 1),
	}
}

func (s *grpcStream) SetReadDeadline(t time.Time) error {
	if isClosed(s.closed) {
		return net.ErrClosed
	}
	s.readDeadline.set(t)
	return nil
}

func (s *grpcStream) SetWriteDeadline(t time.Time) error {
	if isClosed(s.closed) {
		return net.ErrClosed
	}
	s.writeDeadline.set(t)
	return nil
}

// CloseRead makes Read return io.EOF; what arrives from now on is dropped.
func (s *grpcStream) CloseRead() error {
	if isClosed(s.closed) {
		return net.ErrClosed
	}
	s.readOnce.Do(func() { close(s.readClosed) })
	return nil
}

// CloseWrite has FIN sent after what was written.
func (s *grpcStream) CloseWrite() error {
	switch {
	case isClosed(s.closed):
		return net.ErrClosed
	case isClosed(s.ended):
		return syscall.ENOTCONN
	}
	s.finishWith(halfClose)
	return nil
}

// Close lets the connection go after what was written, and unblocks everything at once.
func (s *grpcStream) Close() error {
	err := net.ErrClosed
	s.closeOnce.Do(func() {
		err = nil
		s.client.flushBegins(s)
		if isClosed(s.ended) {
			s.client.flushEnds(s)
		}
		close(s.closed)
		if !s.finishWith(letGo) {
			go s.linger()
		}
	})
	return err
}

// finishWith sets what follows the bytes written, and reports whether it was still open.
func (s *grpcStream) finishWith(f finish) bool {
	s.outMu.Lock()
	first := s.finish == goOn
	if first {
		s.finish = f
	}
	s.outMu.Unlock()
	signal(s.filled)
	return first
}

// linger ends a stream that was half-closed before it was closed: the close message can't follow CloseSend. Like a
// kernel's socket in FIN-WAIT-2 it waits a while for the peer's FIN.
func (s *grpcStream) linger() {
	wait := time.NewTimer(lingerLimit)
	defer wait.Stop()
	select {
	case <-s.ended:
	case <-wait.C:
		s.cancel()
	}
}

// writeEnd returns what a write finds after the end of the RPC, which Close brings about as well.
func (s *grpcStream) writeEnd() error {
	if isClosed(s.closed) {
		return net.ErrClosed
	}
	if s.endErr != nil && !errors.Is(s.endErr, io.EOF) {
		return s.endErr
	}
	return syscall.EPIPE
}

// The kernel can't copy into or out of an RPC.

func (s *grpcStream) readFrom(io.Reader) (int64, bool, error) { return 0, false, nil }
func (s *grpcStream) writeTo(io.Writer) (int64, bool, error)  { return 0, false, nil }

// signal wakes whoever waits on a channel of capacity 1.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// expired reports whether a call must fail before it begins, and how.
func (s *grpcStream) expired(d *deadline) error {
	switch {
	case isClosed(s.closed):
		return net.ErrClosed
	case isClosed(d.done()):
		return os.ErrDeadlineExceeded
	}
	return nil
}
