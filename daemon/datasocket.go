package daemon

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const (
	// dataSocketBuffer is the bytes that a data socket holds in each direction. Between a client and a shard that
	// take turns on the processors it has to hold what passes in one turn: some milliseconds at 10 Gbit/s.
	dataSocketBuffer = 4 << 20

	// tokenTimeout bounds the wait for the token once a data socket is connected: clients send it at once.
	tokenTimeout = 5 * time.Second

	// spareHandshakes is how many data sockets of a user may wait for their token beyond the tokens that the user
	// has: with sockets that never present one, nobody gets further than that.
	spareHandshakes = 64

	// acceptPause is the wait after accepting has failed, most likely because there are no descriptors left.
	acceptPause = 100 * time.Millisecond
)

// offers are the tokens that are out.
type offers struct {
	mu      sync.Mutex
	byToken map[token]*offer
	users   map[uint32]offerUse
	closed  bool
}

// offerUse counts a user's tokens, and data sockets that have not presented theirs.
type offerUse struct{ tokens, handshakes int }

func newOffers() *offers {
	return &offers{byToken: make(map[token]*offer), users: make(map[uint32]offerUse)}
}

// count changes a user's counts. The lock must be held.
func (o *offers) count(uid uint32, tokens, handshakes int) {
	use := o.users[uid]
	use.tokens += tokens
	use.handshakes += handshakes
	if use == (offerUse{}) {
		delete(o.users, uid)
		return
	}
	o.users[uid] = use
}

// beginHandshake counts a data socket that has to present its token, unless the user has no token for it. Claim ends it.
func (o *offers) beginHandshake(uid uint32) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if use := o.users[uid]; o.closed || use.handshakes >= use.tokens+spareHandshakes {
		return false
	}
	o.count(uid, 0, 1)
	return true
}

// dataSocket names the socket that carries a connection's bytes. Its descriptor belongs to the stack, which closes it
// when it likes; the cookie tells whether the number still means the same socket.
type dataSocket struct {
	fd     int
	cookie uint64
}

// hungUp reports whether the client has closed the socket, or the stack has.
func (s dataSocket) hungUp() bool {
	events := []unix.PollFd{{Fd: int32(s.fd)}}
	if _, err := unix.Poll(events, 0); err != nil {
		return false
	}
	// The cookie is read last: a number that was reused while we looked shows another one.
	cookie, err := unix.GetsockoptUint64(s.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil || cookie != s.cookie {
		return true
	}
	return events[0].Revents&unix.POLLHUP != 0
}

// serveData accepts data sockets until the listener is closed.
func (d *Daemon) serveData(l *net.UnixListener) error {
	for {
		socket, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			d.log.Warn("cannot accept a data socket", zap.Error(err))
			time.Sleep(acceptPause)
			continue
		}
		client, err := peerOf(socket)
		if err != nil || !d.offers.beginHandshake(client.uid) {
			d.refuseData(socket, client, "no token is out", err)
			continue
		}
		go d.handshake(socket, client)
	}
}

// handshake reads the token and gives the socket to the connection.
func (d *Daemon) handshake(socket *net.UnixConn, client peer) {
	var t token
	_ = socket.SetReadDeadline(time.Now().Add(tokenTimeout))
	// Not a byte more than the token: what follows is the connection's.
	_, err := io.ReadFull(socket, t[:])
	pending := d.offers.claim(t, client)
	if pending == nil {
		d.refuseData(socket, client, "the token is missing, wrong, used or expired", err)
		return
	}
	defer func() { _ = socket.Close() }() // the stack has its own descriptor by then
	if err := d.attach(pending.conn, socket); err != nil {
		d.log.Warn("cannot attach a data socket", zap.Uint64("connection", pending.conn.id), zap.Error(err))
		d.abort(pending.conn)
	}
}

// refuseData closes a data socket: there is no way to say more on it.
func (d *Daemon) refuseData(socket *net.UnixConn, client peer, why string, err error) {
	d.counters.tokensRejected.Add(1)
	d.log.Info("data socket refused: "+why, zap.Uint32("uid", client.uid), zap.Uint32("pid", client.pid), zap.Error(err))
	_ = socket.Close()
}

// claim ends a handshake and takes the offer, if it was made to the user who came for it. Another user's try leaves it in
// place.
func (o *offers) claim(t token, client peer) *offer {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count(client.uid, 0, -1)
	pending := o.byToken[t]
	if pending == nil || pending.conn.owner.peer.uid != client.uid {
		return nil
	}
	o.remove(t, pending)
	return pending
}

// attach gives the connection's bytes to the socket.
func (d *Daemon) attach(c *connection, socket *net.UnixConn) error {
	fd, err := ownDescriptor(socket)
	if err != nil {
		return err
	}
	setBuffers(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	c.mu.Lock()
	c.edge, c.socket = edgeDataSocket, dataSocket{fd: fd, cookie: cookie}
	c.mu.Unlock()
	ended := func(err error) {
		if !errors.Is(err, net.ErrClosed) { // whoever closed or aborted it tells how it ended
			d.end(c, err)
		}
	}
	if err := c.conn.Attach(fd, ended); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	d.counters.dataSockets.Add(1)
	return nil
}

// ownDescriptor returns a descriptor of the socket that Go's poller doesn't know. It is non-blocking: that is a
// property of the socket, not of the number.
func ownDescriptor(socket *net.UnixConn) (int, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(n uintptr) {
		fd, dupErr = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	return fd, dupErr
}

// setBuffers asks for large buffers, above the system's limit if the daemon may. Less than asked for is no error.
func setBuffers(fd int) {
	for _, option := range []struct{ forced, plain int }{
		{unix.SO_SNDBUFFORCE, unix.SO_SNDBUF},
		{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF},
	} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, option.forced, dataSocketBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option.plain, dataSocketBuffer)
		}
	}
}
