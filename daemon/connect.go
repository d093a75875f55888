package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/core/tcp"
)

// admit begins every call that opens something: it returns the session, unless the daemon is stopping.
func (d *Daemon) admit(ctx context.Context, op string) (*session, error) {
	if d.stopping.Load() {
		return nil, &failure{op: op, errno: unix.ESHUTDOWN, detail: "starfishd is stopping"}
	}
	return sessionOf(ctx)
}

// Connect implements the API.
func (d *Daemon) Connect(ctx context.Context, request *starfishv1.ConnectRequest) (*starfishv1.ConnectResponse, error) {
	s, err := d.admit(ctx, "connect")
	if err != nil {
		return nil, err
	}
	c, err := d.connect(ctx, s, request, wayOf(request.GetAttach()))
	if err != nil {
		return nil, err
	}
	socket, err := d.firstOffer("connect", c, request.GetAttach())
	if err != nil {
		return nil, err
	}
	return &starfishv1.ConnectResponse{Connection: c.proto(), DataSocket: socket}, nil
}

// connect opens a connection and gives it to the session.
func (d *Daemon) connect(ctx context.Context, s *session, request *starfishv1.ConnectRequest, way edge) (*connection, error) {
	remote, local, err := connectEndpoints(request.GetRemote(), request.GetLocal())
	if err != nil {
		return nil, err
	}
	options, err := overlay("connect", d.defaults(), request.GetOptions())
	if err != nil {
		return nil, err
	}
	if request.Timeout != nil {
		timeout := request.GetTimeout().AsDuration()
		if err := request.GetTimeout().CheckValid(); err != nil || timeout <= 0 {
			return nil, invalid("connect", "timeout %v is not above zero", timeout)
		}
		if options.ConnectTimeout == 0 || timeout < options.ConnectTimeout {
			options.ConnectTimeout = max(timeout, time.Millisecond) // the engine's least
		}
	}
	data := request.GetFastOpenData()
	if len(data) > maxFastOpenData {
		return nil, invalid("connect", "fast_open_data has %d bytes, %d are allowed", len(data), maxFastOpenData)
	}
	if err := d.registry.reserveConnection("connect", s); err != nil {
		return nil, err
	}
	conn, err := d.dial(ctx, local, remote, &options, data)
	if err != nil {
		d.registry.unreserveConnection(s)
		f := failed("connect", remote.String(), err).with("remote", remote.String())
		return nil, d.explainLocal(d.explainLoopback(f, remote.Addr()), local.Addr())
	}
	return d.adopt(ctx, "connect", newConnection(s, conn, options, 0, way))
}

// maxFastOpenData bounds what Connect takes to send. A SYN carries less.
const maxFastOpenData = 64 << 10

// dial opens a connection, by Fast Open if there are data to send with it.
func (d *Daemon) dial(ctx context.Context, local, remote netip.AddrPort, options *tcp.Options, data []byte) (*stack.Conn, error) {
	if len(data) > 0 {
		return d.network.DialFastOpen(ctx, local, remote, options, data)
	}
	return d.network.DialTCP(ctx, local, remote, options)
}

// explainLoopback says where the kernel is reached instead of on its loopback, which no packet from outside reaches.
func (d *Daemon) explainLoopback(f *failure, remote netip.Addr) *failure {
	if f.errno != unix.ENETUNREACH || !remote.Unmap().IsLoopback() {
		return f
	}
	f.detail = "network is unreachable: " + remote.String() + " is the kernel's own loopback"
	for _, a := range d.network.kernel {
		if a.Is4() == remote.Unmap().Is4() {
			f.detail += "; the kernel's side of " + d.network.device.Name() + " is " + a.String()
		}
	}
	return f
}

// explainLocal says which addresses there are when the one that was asked for is none of them.
func (d *Daemon) explainLocal(f *failure, local netip.Addr) *failure {
	if f.errno != unix.EADDRNOTAVAIL {
		return f
	}
	const what = "cannot assign requested address: "
	switch {
	case !local.IsValid() || local.IsUnspecified() || d.network.Owns(local):
		f.detail = what + "every ephemeral port is taken"
	case slices.Contains(d.network.kernel, local):
		f.detail = what + local.String() + " belongs to the kernel's side of " + d.network.device.Name()
	default:
		f.detail = what + local.String() + " is none of the stack's, which owns " + ownedList(d.network.prefixes)
	}
	return f.with("local", local.String())
}
