package daemon

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/core/tcp"
)

// summary is what is known of a connection as long as anyone can ask for it.
type summary struct {
	entry
	local, remote netip.AddrPort
	listenerID    uint64 // 0 after an active open
	opened        time.Time
}

func (s *summary) proto() *starfishv1.Connection {
	return &starfishv1.Connection{
		Id:         s.id,
		Local:      endpointProto(s.local),
		Remote:     endpointProto(s.remote),
		ListenerId: s.listenerID,
		Owner:      s.owner.owner(),
		OpenTime:   timestamppb.New(s.opened),
	}
}

// connection is a TCP connection that a session owns.
type connection struct {
	summary
	conn *stack.Conn

	mu      sync.Mutex
	options tcp.Options // as they were last set, for SetOptions to change some of
	edge    edge
	socket  dataSocket // with edgeDataSocket
}

// edge is the way that a connection's bytes take. It is chosen once, except that a data socket that nobody connected
// is given up again.
type edge uint8

const (
	edgeNone edge = iota
	edgeStream
	edgePending // a token is out for a data socket
	edgeDataSocket
)

var edgeWords = [...]string{
	edgeStream:     "it has a stream already",
	edgePending:    "it waits for its data socket already",
	edgeDataSocket: "it has a data socket already",
}

// wayOf is the way of the bytes of a connection that Connect or Accept opens.
func wayOf(attach bool) edge {
	if attach {
		return edgePending
	}
	return edgeNone
}

// newConnection makes a connection whose bytes have their way from the start, if the call that opened it wants them.
func newConnection(owner *session, conn *stack.Conn, options tcp.Options, listenerID uint64, way edge) *connection {
	return &connection{
		summary: summary{
			entry:      entry{owner: owner},
			local:      addrPort(conn.LocalAddr()),
			remote:     addrPort(conn.RemoteAddr()),
			listenerID: listenerID,
			opened:     time.Now(),
		},
		conn:    conn,
		options: options,
		edge:    way,
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// claim takes the connection's bytes for one way.
func (c *connection) claim(op string, way edge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.edge != edgeNone {
		return &failure{op: op, subject: connectionName(c.id), errno: unix.EALREADY, detail: edgeWords[c.edge]}
	}
	c.edge = way
	return nil
}

// transport tells the API which way the bytes take.
func (c *connection) transport() starfishv1.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.edge {
	case edgeStream:
		return starfishv1.Transport_TRANSPORT_STREAM
	case edgePending, edgeDataSocket:
		return starfishv1.Transport_TRANSPORT_DATA_SOCKET
	default:
		return starfishv1.Transport_TRANSPORT_UNSPECIFIED
	}
}

// closedByClient reports whether the connection's data socket was closed by the client, so that the connection
// finishes by itself.
func (c *connection) closedByClient() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.edge == edgeDataSocket && c.socket.hungUp()
}

// proto describes the connection right after opening: nothing is asked of its shard.
func (c *connection) proto() *starfishv1.Connection {
	p := c.summary.proto()
	p.State = starfishv1.ConnectionState_CONNECTION_STATE_ESTABLISHED
	p.Transport = c.transport()
	return p
}

// closeConnection lets a connection go: it finishes in the background.
func (d *Daemon) closeConnection(c *connection) {
	_ = c.conn.Close() // fails only when it has ended already
	d.end(c, nil)
}

// abort ends a connection with a reset.
func (d *Daemon) abort(c *connection) {
	_ = c.conn.Abort() // fails only when it has ended already
	d.end(c, tcp.ErrAborted)
}

// end takes a connection off the books, with the reason why it ended. The first reason counts. It may be called by a
// shard, and doesn't wait.
func (d *Daemon) end(c *connection, err error) {
	d.registry.endConnection(c, endingOf(err, time.Now()))
}
