package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// Dialer opens connections as net.Dialer does. The zero Dialer is ready to use.
type Dialer struct {
	// Client is the session to open connections through. Nil means the process's own for Socket, which lives as long
	// as the process.
	Client *Client
	// Socket is the daemon's control socket; empty means what SocketPath says. It counts only without a Client.
	Socket string
	// LocalAddr is where connections start from. A zero address or port leaves the choice to the daemon.
	LocalAddr netip.AddrPort
	// Options of the connections.
	Options Options
	// Transport is the way that the bytes take.
	Transport Transport
	// Timeout bounds a dial with all its addresses; zero means no bound but the context's and Options.ConnectTimeout.
	Timeout time.Duration
}

// Dial connects to HOST:PORT. See DialContext.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to HOST:PORT on "tcp", "tcp4" or "tcp6". It resolves names here, and tries the addresses of a
// name one after the other. The connection that it returns is a *Conn.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dialAny(ctx, network, address, nil)
}

// DialFastOpen is DialContext by TCP Fast Open (RFC 7413), with the first data to be sent, 64 KiB at most: they go with the
// SYN if the listener has given a cookie before, and follow the handshake if not, so that they save a round trip. It returns
// once the connection is established. A SYN that the network doubles may deliver its data twice, and so may a name that has
// several addresses: the data must be such that this does no harm.
func (d *Dialer) DialFastOpen(ctx context.Context, network, address string, data []byte) (net.Conn, error) {
	fast := *d
	fast.Options.FastOpen = true
	return fast.dialAny(ctx, network, address, data)
}

// dialAny tries the addresses of a name, with the first data for each.
func (d *Dialer) dialAny(ctx context.Context, network, address string, data []byte) (net.Conn, error) {
	if err := checkNetwork(network); err != nil {
		return nil, opError("dial", network, nil, nil, err)
	}
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	addrs, port, err := resolve(ctx, network, address)
	if err == nil && len(addrs) == 0 {
		err = &net.AddrError{Err: "missing host: the daemon's addresses are not this host's", Addr: address}
	}
	if err != nil {
		return nil, opError("dial", network, nil, nil, err)
	}
	addrs = d.reachable(addrs)
	var first error
	for i, addr := range addrs {
		conn, err := d.dialShare(ctx, network, netip.AddrPortFrom(addr, port), len(addrs)-i, data)
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		var unreachable *UnreachableError
		if ctx.Err() != nil || errors.As(err, &unreachable) {
			break
		}
	}
	return nil, first
}

// DialTCP connects to an address. It is DialContext without a resolver.
func (d *Dialer) DialTCP(ctx context.Context, remote netip.AddrPort) (*Conn, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	return d.dial(ctx, "tcp", remote, nil)
}

// reachable leaves out what the local address can't talk to, as long as something is left.
func (d *Dialer) reachable(addrs []netip.Addr) []netip.Addr {
	local := d.LocalAddr.Addr().Unmap()
	if !local.IsValid() {
		return addrs
	}
	var same []netip.Addr
	for _, addr := range addrs {
		if addr.Is4() == local.Is4() {
			same = append(same, addr)
		}
	}
	if len(same) == 0 {
		return addrs // the daemon's error says it best
	}
	return same
}

// dialShare dials one of several addresses within its share of the time that is left, so that a silent address leaves
// time for the next one.
func (d *Dialer) dialShare(ctx context.Context, network string, remote netip.AddrPort, left int, data []byte) (*Conn, error) {
	deadline, ok := ctx.Deadline()
	if ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return d.dial(ctx, network, remote, data)
}

func (d *Dialer) dial(ctx context.Context, network string, remote netip.AddrPort, data []byte) (*Conn, error) {
	conn, err := d.open(ctx, remote, data)
	if err != nil {
		var source net.Addr
		if d.LocalAddr.Addr().IsValid() {
			source = net.TCPAddrFromAddrPort(d.LocalAddr)
		}
		return nil, opError("dial", network, source, net.TCPAddrFromAddrPort(remote), err)
	}
	return conn, nil
}

func (d *Dialer) open(ctx context.Context, remote netip.AddrPort, data []byte) (*Conn, error) {
	client, err := d.Client.orShared(d.Socket)
	if err != nil {
		return nil, err
	}
	options, err := d.Options.proto()
	if err != nil {
		return nil, err
	}
	request := &starfishv1.ConnectRequest{Remote: endpoint(remote), Local: endpoint(d.LocalAddr), Options: options, FastOpenData: data}
	if deadline, ok := ctx.Deadline(); ok {
		request.Timeout = durationpb.New(max(time.Until(deadline), time.Millisecond))
	}
	if client.resolveTransport(d.Transport) == GRPCStream {
		return client.streamConn(ctx, &starfishv1.StreamOpen{From: &starfishv1.StreamOpen_Connect{Connect: request}})
	}
	request.Attach = true
	var response *starfishv1.ConnectResponse
	err = client.call(ctx, func(ctx context.Context) (err error) {
		response, err = client.api.Connect(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return client.attach(ctx, response.GetConnection(), response.GetDataSocket(), d.Transport)
}
