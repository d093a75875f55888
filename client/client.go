package client

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

const (
	// streamWindow bounds the bytes of one connection that wait in this process for a reader. Setting it switches the
	// estimator of gRPC off, which starts at 64 KiB and measures round trips that mean nothing on a unix socket; and
	// 4 MiB is the daemon's own default receive buffer.
	streamWindow = 4 << 20
	// sessionWindow bounds the same for all connections together. It must be set along with streamWindow, or it stays
	// at 64 KiB and every stream with it.
	sessionWindow = 16 << 20
	// socketBuffer is how much gRPC reads or writes by one system call: several HTTP/2 frames of 16 KiB.
	socketBuffer = 128 << 10
	// connectLimit bounds an attempt to connect: much on a unix socket, for machines that are very busy.
	connectLimit = 10 * time.Second
	// reconnectLimit bounds the second attempt after the daemon was not reached at first.
	reconnectLimit = 2 * time.Second
	// flushLimit bounds how long Close waits for closed connections whose bytes are still on their way.
	flushLimit = 10 * time.Second
)

// Client is a session with a daemon: one gRPC connection, dialled when it is first needed and again when the daemon
// was restarted. Connections and listeners opened through it end with it.
type Client struct {
	socket string
	cc     *grpc.ClientConn
	api    starfishv1.StarfishClient

	sessions  atomic.Uint64         // connections to the daemon so far: ids are good within one only
	dialError atomic.Pointer[error] // of the last attempt to connect; nil if it succeeded
	noSockets atomic.Bool           // data sockets were found to be out of reach

	mu       sync.Mutex
	closed   bool
	flushing map[*grpcStream]struct{} // closed by the user and not yet by the daemon
	flushed  *sync.Cond               // flushing became smaller
}

// New returns a client of the daemon behind the socket; an empty path means what SocketPath says. It does not connect
// yet: the first call does.
func New(socket string) (*Client, error) {
	c := &Client{socket: SocketPath(socket), flushing: make(map[*grpcStream]struct{})}
	c.flushed = sync.NewCond(&c.mu)
	cc, err := grpc.NewClient("passthrough:///starfishd",
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the socket's permissions and peer credentials do it
		grpc.WithContextDialer(c.connect),
		grpc.WithPerRPCCredentials(sessionGuard{c}),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(sessionWindow),
		grpc.WithReadBufferSize(socketBuffer),
		grpc.WithWriteBufferSize(socketBuffer),
		grpc.WithIdleTimeout(0), // an idle disconnect would end the session and abort what uses data sockets
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 2, MaxDelay: 30 * time.Second},
			MinConnectTimeout: connectLimit,
		}),
	)
	if err != nil {
		return nil, err
	}
	c.cc = cc
	c.api = starfishv1.NewStarfishClient(cc)
	return c, nil
}

// Socket returns the path of the daemon's control socket.
func (c *Client) Socket() string { return c.socket }

// Close ends the session. Connections that are still open are aborted, listeners closed; what was written to
// connections closed before is still handed to the daemon, which delivers it.
func (c *Client) Close() error {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	limit := time.AfterFunc(flushLimit, c.giveUpFlushing)
	for len(c.flushing) > 0 {
		c.flushed.Wait()
	}
	limit.Stop()
	c.mu.Unlock()
	if already {
		return net.ErrClosed
	}
	return c.cc.Close()
}

func (c *Client) giveUpFlushing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.flushing)
	c.flushed.Broadcast()
}

func (c *Client) flushBegins(s *grpcStream) {
	c.mu.Lock()
	c.flushing[s] = struct{}{}
	c.mu.Unlock()
}

func (c *Client) flushEnds(s *grpcStream) {
	c.mu.Lock()
	delete(c.flushing, s)
	c.flushed.Broadcast()
	c.mu.Unlock()
}

// connect is gRPC's dialer. It keeps the error, which gRPC would give away as text only.
func (c *Client) connect(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.socket)
	if err != nil {
		c.dialError.Store(&err)
		return nil, err
	}
	c.sessions.Add(1)
	c.dialError.Store(nil)
	return conn, nil
}

// notSent returns why there was no connection to send an RPC on, if err is its failure and that was the reason.
func (c *Client) notSent(err error) error {
	if status.Code(err) != codes.Unavailable {
		return nil
	}
	if dialError := c.dialError.Load(); dialError != nil {
		return *dialError
	}
	return nil
}

// call makes an RPC and turns its error into this package's. An RPC that was never sent, since the daemon was away, is
// made again if the daemon is back: gRPC itself would wait for its next attempt to connect, or fail until then.
func (c *Client) call(ctx context.Context, rpc func(ctx context.Context) error) error {
	err := rpc(ctx)
	if err == nil {
		return nil
	}
	if c.notSent(err) != nil {
		if err := c.reconnect(ctx); err != nil {
			return err
		}
		err = rpc(ctx)
	}
	return c.failure(ctx, err)
}

// failure is fromStatus for errors that may also mean a daemon out of reach or a call that its context ended.
func (c *Client) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if c.isClosed() {
		return net.ErrClosed
	}
	if c.lost(ctx) {
		return &lostError{c.socket}
	}
	if dialError := c.notSent(err); dialError != nil {
		return c.unreachable(dialError)
	}
	converted := fromStatus(err)
	var reported *Error
	if ctx.Err() != nil && !errors.As(converted, &reported) {
		return fromContext(ctx)
	}
	if status.Code(err) == codes.Unavailable && !errors.As(converted, &reported) {
		return &lostError{c.socket}
	}
	return converted
}

func (c *Client) unreachable(err error) error { return &UnreachableError{Socket: c.socket, Err: err} }

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// reconnect returns nil when the session is up.
func (c *Client) reconnect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reconnectLimit)
	defer cancel()
	probe, err := new(net.Dialer).DialContext(ctx, "unix", c.socket)
	if err != nil {
		return c.unreachable(err)
	}
	_ = probe.Close() // it only asked whether somebody listens
	c.cc.ResetConnectBackoff()
	c.cc.Connect()
	for state := c.cc.GetState(); state != connectivity.Ready; state = c.cc.GetState() {
		if state == connectivity.Shutdown {
			return net.ErrClosed
		}
		if !c.cc.WaitForStateChange(ctx, state) {
			return c.unreachable(ctx.Err())
		}
	}
	return nil
}
