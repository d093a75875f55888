package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/mem"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

const (
	// maxStreamData is the most data in one message.
	maxStreamData = 256 << 10

	// Reads begin small and grow while they come back full, so that an idle stream holds little and a busy one makes
	// large messages.
	minStreamRead = 4 << 10
	maxStreamRead = 64 << 10
)

// streamBuffers gives the buffers of Stream's reads: gRPC's own pool has no size between 32 KiB and 1 MiB.
var streamBuffers = mem.NewTieredBufferPool(minStreamRead, 16<<10, maxStreamRead)

// pump moves the bytes between one connection and one Stream call.
type pump struct {
	d      *Daemon
	c      *connection
	stream starfishv1.Starfish_StreamServer
	// letGo: the client sent close, and what Read says of it is no failure.
	letGo atomic.Bool
	// refused is set when the client broke the rules of the stream.
	refused atomic.Pointer[failure]
}

// Stream implements the API.
func (d *Daemon) Stream(stream starfishv1.Starfish_StreamServer) error {
	s, err := d.admit(stream.Context(), "stream")
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	c, err := d.streamConnection(stream.Context(), s, first)
	if err != nil {
		return err
	}
	opened := &starfishv1.StreamResponse{Message: &starfishv1.StreamResponse_Opened{Opened: c.proto()}}
	if err := stream.Send(opened); err != nil {
		d.abort(c)
		return err
	}
	p := &pump{d: d, c: c, stream: stream}
	return p.run()
}

// streamConnection finds or opens the connection that the first message names.
func (d *Daemon) streamConnection(ctx context.Context, s *session, first *starfishv1.StreamRequest) (*connection, error) {
	open := first.GetOpen()
	if open == nil {
		return nil, invalid("stream", "the first message is not open")
	}
	switch from := open.GetFrom().(type) {
	case *starfishv1.StreamOpen_ConnectionId:
		c, err := d.findConnection("stream", s, from.ConnectionId)
		if err != nil {
			return nil, err
		}
		return c, c.claim("stream", edgeStream)
	case *starfishv1.StreamOpen_Connect:
		if from.Connect.GetAttach() {
			return nil, invalid("stream", "attach in the connect request of a stream")
		}
		return d.connect(ctx, s, from.Connect, edgeStream)
	case *starfishv1.StreamOpen_Accept:
		if from.Accept.GetAttach() {
			return nil, invalid("stream", "attach in the accept request of a stream")
		}
		return d.accept(ctx, s, from.Accept.GetListenerId(), edgeStream)
	default:
		return nil, invalid("stream", "open names no connection")
	}
}

// run moves bytes until both directions have ended, or one has failed. gRPC allows one goroutine to send and one to
// receive; the one that receives ends with the call, at the latest.
func (p *pump) run() error {
	// A call that is cancelled ends the connection, whatever its two sides wait for.
	defer context.AfterFunc(p.stream.Context(), func() { _ = p.c.conn.Abort() })()
	sent := make(chan error, 1)
	go func() { sent <- p.fromClient() }()
	err := p.toClient()
	if err == nil {
		err = p.awaitClient(sent)
	}
	switch {
	case p.letGo.Load():
		return nil
	case err != nil:
		return p.fail(err)
	}
	p.d.closeConnection(p.c)
	return nil
}

// awaitClient goes on, after the peer's FIN, until the client has sent enough as well or the connection fails.
func (p *pump) awaitClient(sent <-chan error) error {
	ended := make(chan error, 1)
	go func() { ended <- p.c.conn.AwaitEnd() }() // ends with the connection, at the latest with the call
	select {
	case err := <-sent:
		return err
	case err := <-ended:
		if err != nil {
			return err
		}
	}
	// It ended in order: Shutdown had closed the client's direction. The client's own word is still to come.
	return <-sent
}

// fail ends the connection, and gives the call the reason.
func (p *pump) fail(err error) error {
	_ = p.c.conn.Abort() // fails when it has ended already
	if refused := p.refused.Load(); refused != nil {
		p.d.end(p.c, unix.ECONNABORTED)
		return refused
	}
	if ctxErr := p.stream.Context().Err(); ctxErr != nil {
		p.d.end(p.c, unix.ECONNABORTED)
		return failed("stream", connectionName(p.c.id), ctxErr)
	}
	if errors.Is(err, net.ErrClosed) {
		// Another call closed or aborted it; that call has said how.
		err = unix.ECONNABORTED
	}
	p.d.end(p.c, err)
	return failed("stream", connectionName(p.c.id), err).with("remote", p.c.remote.String())
}

// fromClient moves the client's data into the connection. It returns nil when the client has said its last word.
func (p *pump) fromClient() error {
	var in streamIn
	for {
		err := p.stream.RecvMsg(&in)
		switch {
		case errors.Is(err, io.EOF):
			return ignoreEnded(p.c.conn.CloseWrite())
		case err != nil:
			return err
		case in.payload != nil:
			err = p.write(&in)
		default:
			err = p.control(&in.request)
		}
		if err != nil || p.letGo.Load() {
			return err
		}
	}
}

// control obeys a message that is no data message of the usual form.
func (p *pump) control(request *starfishv1.StreamRequest) error {
	switch m := request.GetMessage().(type) {
	case *starfishv1.StreamRequest_Data:
		_, err := p.c.conn.Write(m.Data)
		return p.unsent(err)
	case *starfishv1.StreamRequest_Close:
		p.letGo.Store(true)
		p.d.closeConnection(p.c)
		return nil
	default:
		return p.refuse(invalid("stream", "a message that is neither data nor close after the first"))
	}
}

// refuse ends the stream for what the client did.
func (p *pump) refuse(why *failure) error {
	p.refused.Store(why)
	_ = p.c.conn.Abort() // gets toClient out of its Read
	return why
}

// unsent says what follows from the error of a Write, if it is one.
func (p *pump) unsent(err error) error {
	switch {
	case err == nil:
		return nil
	case errnoOf(err) == unix.EPIPE:
		// Shutdown has closed this direction. Read would wait for the peer, who knows nothing of it.
		return p.refuse(failed("stream", connectionName(p.c.id), err))
	}
	// The connection has ended. Read tells why, after what was received before; a client that receives only when it has
	// sent everything must get to that.
	var in streamIn
	for p.stream.RecvMsg(&in) == nil {
		in.payload.Free()
	}
	return err
}

// write moves the payload of one message into the connection.
func (p *pump) write(in *streamIn) error {
	defer in.payload.Free()
	skip := in.skip
	for _, buffer := range in.payload {
		data := buffer.ReadOnlyData()
		n := min(skip, len(data))
		skip -= n
		if data = data[n:]; len(data) == 0 {
			continue
		}
		if _, err := p.c.conn.Write(data); err != nil {
			return p.unsent(err)
		}
	}
	return nil
}

// toClient moves the connection's data to the client. It returns nil after the peer's FIN.
func (p *pump) toClient() error {
	size := minStreamRead
	for {
		buffer := streamBuffers.Get(size)
		n, err := p.c.conn.Read(*buffer)
		if n > 0 {
			if sendErr := p.send(buffer, n); sendErr != nil {
				return sendErr
			}
			size = nextRead(size, n)
		} else {
			streamBuffers.Put(buffer)
		}
		if errors.Is(err, io.EOF) {
			return p.stream.Send(&starfishv1.StreamResponse{Message: &starfishv1.StreamResponse_Eof{Eof: &starfishv1.StreamEof{}}})
		}
		if err != nil {
			return err
		}
	}
}

// send gives the first n bytes of a buffer to gRPC.
func (p *pump) send(buffer *[]byte, n int) error {
	*buffer = (*buffer)[:n]
	return p.stream.SendMsg(&streamOut{payload: mem.NewBuffer(buffer, streamBuffers)})
}

// nextRead grows the buffer when the last one was filled, and shrinks it when most of it was not needed.
func nextRead(size, n int) int {
	switch {
	case n == size:
		return min(size*4, maxStreamRead)
	case n < size/4:
		return max(size/4, minStreamRead)
	}
	return size
}

// ignoreEnded drops the error of a half-close that found the connection ended: Read tells the reason.
func ignoreEnded(err error) error {
	switch errnoOf(err) {
	case unix.ENOTCONN, unix.EPIPE, unix.EBADF:
		return nil
	}
	return err
}
