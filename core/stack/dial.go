package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Dial connects to an address such as "10.0.0.1:80" or "example.org:https". Network is tcp, tcp4 or tcp6. As with package
// net, small writes are sent at once.
func (s *Stack) Dial(network, address string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, address)
}

// netOptions are those that Dial and Listen begin with. Package net switches Nagle's algorithm off, and its users count
// on that.
var netOptions = tcp.Options{NoDelay: true}

// DialContext is Dial for as long as ctx lives. A name's addresses are tried one after the other.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	remotes, err := s.resolveRemote(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first error
	for _, remote := range remotes {
		c, err := s.DialTCP(ctx, netip.AddrPort{}, remote, &netOptions)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// DialTCP connects to remote from local, whose address may be invalid or unspecified for the Stack to choose one, and
// whose port may be 0 for one that is free. Opt may be nil.
func (s *Stack) DialTCP(ctx context.Context, local, remote netip.AddrPort, opt *tcp.Options) (*Conn, error) {
	return s.dialTCP(ctx, local, remote, opt, nil)
}

// DialFastOpen is DialTCP by TCP Fast Open (RFC 7413), with the first data: they go with the SYN if the listener has given a
// cookie before, and follow the handshake if not. Either way it returns once the connection is established. A SYN that the
// network doubles may deliver its data twice.
func (s *Stack) DialFastOpen(ctx context.Context, local, remote netip.AddrPort, opt *tcp.Options, data []byte) (*Conn, error) {
	var o tcp.Options
	if opt != nil {
		o = *opt
	}
	o.FastOpen = true
	return s.dialTCP(ctx, local, remote, &o, data)
}

func (s *Stack) dialTCP(ctx context.Context, local, remote netip.AddrPort, opt *tcp.Options, data []byte) (*Conn, error) {
	var c *Conn
	var first zbuf.Chain
	err := tcp.ErrNoBuffers
	if s.memory.forUser(len(data)) && first.Append(s.memory.pool, data) == len(data) {
		c, err = s.dial(ctx, local, remote, opt, &first)
	}
	first.Clear()
	if err != nil {
		e := &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(remote), Err: userError(err)}
		if local.Addr().IsValid() {
			e.Source = net.TCPAddrFromAddrPort(local)
		}
		return nil, e
	}
	return c, nil
}

func (s *Stack) dial(ctx context.Context, from, to netip.AddrPort, opt *tcp.Options, first *zbuf.Chain) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, contextError(err)
	}
	local, remote := tcp.EndpointFrom(from), tcp.EndpointFrom(to)
	if !to.Addr().IsValid() || to.Port() == 0 {
		return nil, tcp.ErrInvalid
	}
	if !from.Addr().IsValid() || from.Addr().IsUnspecified() {
		source, ok := s.owned.source(remote.Addr)
		if !ok {
			return nil, tcp.ErrNetUnreachable
		}
		local.Addr = source
	}
	if s.cfg.Device == nil && !s.owned.has(remote.Addr) {
		return nil, tcp.ErrNetUnreachable
	}
	if local.Port != 0 {
		return s.shardOf(local, remote).dial(ctx, local, remote, opt, first)
	}
	// Each shard has its own part of the ports.
	var c *Conn
	err := tcp.ErrNoPorts
	for range s.shards {
		turn := s.nextShard.Add(1) % uint32(len(s.shards))
		if c, err = s.shards[turn].dial(ctx, local, remote, opt, first); !errors.Is(err, tcp.ErrNoPorts) {
			break
		}
	}
	return c, err
}

// dial opens a connection of this shard, with the first data of its user if there are any, and waits for the end of the
// handshake.
func (s *shard) dial(ctx context.Context, local, remote tcp.Endpoint, opt *tcp.Options, first *zbuf.Chain) (*Conn, error) {
	var c *Conn
	var failed error
	opening := make(chan error, 1)
	err := s.call(func(s *shard) {
		id, err := s.engine.Connect(s.now, local, remote, opt)
		if err != nil {
			failed = err
			return
		}
		if c, _, failed = s.newConn(id); failed == nil {
			c.opening = opening
			first.MoveTo(&c.tx, first.Len())
			(*userEdge)(c).send(s)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	select {
	case err = <-opening:
	case <-ctx.Done():
		err = contextError(ctx.Err())
		_ = s.call(c.giveUp) // an error says that the Stack is closed, and c with it
	case <-s.done:
		err = net.ErrClosed
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// giveUp ends a connection that nobody waits for any more, established or not.
func (c *Conn) giveUp(s *shard) {
	if s.conn(c.id) != c {
		return // it failed by itself
	}
	c.opening = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	(*userEdge)(c).abort(s)
}
