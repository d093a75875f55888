package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// ListenConfig says how to listen. The zero ListenConfig is ready to use.
type ListenConfig struct {
	// Client is the session that owns the listener. Nil means the process's own for Socket.
	Client *Client
	// Socket is the daemon's control socket; empty means what SocketPath says. It counts only without a Client.
	Socket string
	// Backlog bounds the connections that wait for Accept; zero means the daemon's default.
	Backlog int
	// Options of the connections that are accepted.
	Options Options
	// Transport is the way that the bytes take.
	Transport Transport
}

// Listen listens on ADDR:PORT of the daemon's stack, through the process's own session with the daemon behind the
// default socket. See ListenConfig.Listen.
func Listen(network, address string) (net.Listener, error) {
	return (&ListenConfig{}).Listen(context.Background(), network, address)
}

// Listen listens on "tcp", "tcp4" or "tcp6". An empty address means every address of the stack, port 0 one that the
// daemon chooses. The listener that it returns is a *Listener.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	local, err := listenAddr(ctx, network, address)
	if err != nil {
		return nil, opError("listen", network, nil, nil, err)
	}
	l, err := lc.listen(ctx, network, local)
	if err != nil {
		return nil, opError("listen", network, nil, net.TCPAddrFromAddrPort(local), err)
	}
	return l, nil
}

// listenAddr resolves where to listen. An empty host is the unspecified address of the network's family.
func listenAddr(ctx context.Context, network, address string) (netip.AddrPort, error) {
	if err := checkNetwork(network); err != nil {
		return netip.AddrPort{}, err
	}
	addrs, port, err := resolve(ctx, network, address)
	switch {
	case err != nil:
		return netip.AddrPort{}, err
	case len(addrs) > 0:
		return netip.AddrPortFrom(addrs[0], port), nil
	case network == "tcp4":
		return netip.AddrPortFrom(netip.IPv4Unspecified(), port), nil
	default:
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port), nil
	}
}

func (lc *ListenConfig) listen(ctx context.Context, network string, local netip.AddrPort) (*Listener, error) {
	client, err := lc.Client.orShared(lc.Socket)
	if err != nil {
		return nil, err
	}
	options, err := lc.Options.proto()
	if err != nil {
		return nil, err
	}
	if lc.Backlog < 0 || int64(lc.Backlog) > math.MaxUint32 {
		return nil, fmt.Errorf("backlog %d is out of range", lc.Backlog)
	}
	var response *starfishv1.ListenResponse
	err = client.call(ctx, func(ctx context.Context) (err error) {
		response, err = client.api.Listen(ctx, &starfishv1.ListenRequest{
			Local: endpoint(local), Backlog: uint32(lc.Backlog), Options: options,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return newListener(client, network, response.GetListener(), lc.Transport), nil
}

// Listener is a passive open of the daemon's stack. It is a net.Listener.
type Listener struct {
	client    *Client
	session   uint64 // of the client, in which the id is good
	network   string
	id        uint64
	addr      *net.TCPAddr
	transport Transport

	closed    chan struct{}
	closeOnce sync.Once
	deadline  *deadline
	accepted  chan accepted // what the Accept RPCs bring

	mu      sync.Mutex
	waiting int // calls of Accept that wait
	asking  int // Accept RPCs whose answer nobody has taken yet
}

type accepted struct {
	conn *Conn
	err  error
}

var _ net.Listener = (*Listener)(nil)

func newListener(c *Client, network string, info *starfishv1.Listener, t Transport) *Listener {
	return &Listener{
		client:    c,
		session:   c.sessions.Load(),
		network:   network,
		id:        info.GetId(),
		addr:      tcpAddr(info.GetLocal()),
		transport: t,
		closed:    make(chan struct{}),
		deadline:  newDeadline(),
		accepted:  make(chan accepted),
	}
}

// ID returns the daemon's number of the listener, as starfishctl ss shows it.
func (l *Listener) ID() uint64 { return l.id }

// Addr returns where it listens, a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return l.addr }

// SetDeadline sets the time after which Accept returns os.ErrDeadlineExceeded; zero means never.
func (l *Listener) SetDeadline(t time.Time) error {
	if isClosed(l.closed) {
		return l.opError("set", net.ErrClosed)
	}
	l.deadline.set(t)
	return nil
}

// Accept waits for a connection. The connection that it returns is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	conn, err := l.AcceptContext(context.Background())
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// AcceptContext waits for a connection until the context ends.
//
// An RPC that is given up may have taken a connection already, which would be lost. So an RPC outlives the call that
// made it: the next call takes what it brings.
func (l *Listener) AcceptContext(ctx context.Context) (*Conn, error) {
	switch {
	case isClosed(l.closed):
		return nil, l.opError("accept", net.ErrClosed)
	case isClosed(l.deadline.done()):
		return nil, l.opError("accept", os.ErrDeadlineExceeded)
	}
	l.enter()
	defer l.leave()
	select {
	case got := <-l.accepted:
		l.mu.Lock()
		l.asking--
		l.mu.Unlock()
		return got.conn, l.opError("accept", got.err)
	case <-l.closed:
		return nil, l.opError("accept", net.ErrClosed)
	case <-l.deadline.done():
		return nil, l.opError("accept", os.ErrDeadlineExceeded)
	case <-ctx.Done():
		return nil, l.opError("accept", fromContext(ctx))
	}
}

// enter makes an RPC if there are fewer than callers: at most as many are under way as ever waited at a time.
func (l *Listener) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting++
	if l.asking < l.waiting {
		l.asking++
		go l.ask()
	}
}

func (l *Listener) leave() {
	l.mu.Lock()
	l.waiting--
	l.mu.Unlock()
}

// ask takes one connection from the daemon and hands it to whoever calls Accept.
func (l *Listener) ask() {
	conn, err := l.acceptOne()
	select {
	case l.accepted <- accepted{conn, err}:
	case <-l.closed:
		if conn != nil {
			_ = conn.Abort() // as what waits in the backlog of a listener that is closed
		}
	}
}

func (l *Listener) acceptOne() (*Conn, error) {
	// It ends with the listener: the daemon answers when that is closed.
	ctx := l.client.inSession(context.Background(), l.session)
	request := &starfishv1.AcceptRequest{ListenerId: l.id}
	if l.client.resolveTransport(l.transport) == GRPCStream {
		return l.client.streamConn(ctx, &starfishv1.StreamOpen{From: &starfishv1.StreamOpen_Accept{Accept: request}})
	}
	request.Attach = true
	var response *starfishv1.AcceptResponse
	err := l.client.call(ctx, func(ctx context.Context) (err error) {
		response, err = l.client.api.Accept(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.client.attach(ctx, response.GetConnection(), response.GetDataSocket(), l.transport)
}

func (l *Listener) opError(op string, err error) error {
	if hasErrno(err, syscall.EBADF) {
		err = net.ErrClosed // closed by another session, or by the daemon
	}
	return opError(op, l.network, nil, l.addr, err)
}

// Close stops listening: Accept returns net.ErrClosed. Connections that were accepted live on.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.closeOnce.Do(func() {
		close(l.closed)
		ctx, cancel := context.WithTimeout(context.Background(), reconnectLimit)
		defer cancel()
		err = l.client.CloseListener(l.client.inSession(ctx, l.session), l.id)
		var lost *lostError
		if hasErrno(err, syscall.EBADF) || errors.As(err, &lost) {
			err = nil // it is closed
		}
	})
	return opError("close", l.network, nil, l.addr, err)
}
