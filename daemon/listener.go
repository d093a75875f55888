package daemon

import (
	"context"
	"net/netip"

	"golang.org/x/sys/unix"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/core/tcp"
)

// listener is a passive open that a session owns.
type listener struct {
	entry
	local   netip.AddrPort
	backlog int
	options tcp.Options // of what it accepts
	stack   *stack.Listener
}

func (l *listener) proto() *starfishv1.Listener {
	p := &starfishv1.Listener{Id: l.id, Local: endpointProto(l.local), Backlog: uint32(l.backlog), Owner: l.owner.owner()}
	if st, err := l.stack.Status(); err == nil {
		p.Backlog, p.AcceptQueue, p.SynQueue = uint32(st.Backlog), uint32(st.AcceptQueue), uint32(st.SynQueue)
		p.Accepted, p.Overflows = st.Accepted, st.Overflows
	}
	return p
}

func (d *Daemon) closeListener(l *listener) {
	if d.registry.removeListener(l) {
		_ = l.stack.Close() // fails only when it is closed already
	}
}

// maxBacklog bounds what a client may ask for; each place is a connection that nobody has to pay for yet.
const maxBacklog = 65_535

// Listen implements the API.
func (d *Daemon) Listen(ctx context.Context, request *starfishv1.ListenRequest) (*starfishv1.ListenResponse, error) {
	s, err := d.admit(ctx, "listen")
	if err != nil {
		return nil, err
	}
	local, err := listenEndpoint(request.GetLocal())
	if err != nil {
		return nil, err
	}
	if request.GetBacklog() > maxBacklog {
		return nil, invalid("listen", "backlog %d is above %d", request.GetBacklog(), maxBacklog)
	}
	options, err := overlay("listen", d.defaults(), request.GetOptions())
	if err != nil {
		return nil, err
	}
	if err := d.registry.reserveListener(s); err != nil {
		return nil, err
	}
	opened, err := d.network.ListenTCP(local, int(request.GetBacklog()), &options)
	if err != nil {
		d.registry.unreserveListener(s)
		return nil, d.explainLocal(failed("listen", local.String(), err), local.Addr())
	}
	l := &listener{local: addrPort(opened.Addr()), entry: entry{owner: s}, backlog: int(request.GetBacklog()), options: options, stack: opened}
	if !d.registry.addListener(l) {
		_ = opened.Close()
		return nil, sessionOver("listen")
	}
	return &starfishv1.ListenResponse{Listener: l.proto()}, nil
}

// Accept implements the API.
func (d *Daemon) Accept(ctx context.Context, request *starfishv1.AcceptRequest) (*starfishv1.AcceptResponse, error) {
	s, err := d.admit(ctx, "accept")
	if err != nil {
		return nil, err
	}
	c, err := d.accept(ctx, s, request.GetListenerId(), wayOf(request.GetAttach()))
	if err != nil {
		return nil, err
	}
	socket, err := d.firstOffer("accept", c, request.GetAttach())
	if err != nil {
		return nil, err
	}
	return &starfishv1.AcceptResponse{Connection: c.proto(), DataSocket: socket}, nil
}

// accept takes one connection from a listener and gives it to the session that asks.
func (d *Daemon) accept(ctx context.Context, s *session, listenerID uint64, way edge) (*connection, error) {
	l, err := d.findListener("accept", s, listenerID)
	if err != nil {
		return nil, err
	}
	if err := d.registry.beginAccept(s); err != nil {
		return nil, err
	}
	defer d.registry.endAccept(s)
	if err := d.registry.reserveConnection("accept", s); err != nil {
		return nil, err
	}
	conn, err := l.stack.AcceptContext(ctx)
	if err != nil {
		d.registry.unreserveConnection(s)
		return nil, failed("accept", l.local.String(), err)
	}
	return d.adopt(ctx, "accept", newConnection(s, conn, l.options, l.id, way))
}

// adopt gives a connection that was just opened to its session. If the call that opened it was given up meanwhile, nobody
// will hear of the connection, so it is aborted.
func (d *Daemon) adopt(ctx context.Context, op string, c *connection) (*connection, error) {
	if !d.registry.addConnection(c) {
		_ = c.conn.Abort()
		return nil, sessionOver(op)
	}
	if err := ctx.Err(); err != nil {
		d.abort(c)
		return nil, failed(op, c.remote.String(), err)
	}
	return c, nil
}

// sessionOver answers a call whose session ended meanwhile. Nobody will read it.
func sessionOver(op string) error {
	return &failure{op: op, errno: unix.ECANCELED, detail: "the session has ended"}
}
