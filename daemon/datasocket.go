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

	// maxHandshakes bounds the data sockets that have not presented their token yet. Above it, accepting waits.
	maxHandshakes = 256
)

// offers are the tokens that are out.
type offers struct {
	mu      sync.Mutex
	byToken map[token]*offer
	users   map[uint32]int // how many each user has
	closed  bool
}

func newOffers() *offers {
	return &offers{byToken: make(map[token]*offer), users: make(map[uint32]int)}
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
	slots := make(chan struct{}, maxHandshakes)
	for {
		socket, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// Out of descriptors, most likely: without a pause this would spin until one is free.
			d.log.Warn("cannot accept a data socket", zap.Error(err))
			time.Sleep(10 * time.Millisecond)
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			d.handshake(socket)
		}()
	}
}

// handshake reads the token and gives the socket to the connection. A socket without a good token is closed: there is
// no way to say more on it.
func (d *Daemon) handshake(socket *net.UnixConn) {
	defer func() { _ = socket.Close() }() // the stack has its own descriptor by then
	client, err := peerOf(socket)
	if err != nil {
		d.log.Warn("data socket without credentials", zap.Error(err))
		return
	}
	var t token
	_ = socket.SetReadDeadline(time.Now().Add(tokenTimeout))
	// Not a byte more than the token: what follows is the connection's.
	if _, err := io.ReadFull(socket, t[:]); err != nil {
		d.counters.tokensRejected.Add(1)
		d.log.Debug("data socket without token", zap.Uint32("uid", client.uid), zap.Error(err))
		return
	}
	pending := d.offers.claim(t, client)
	if pending == nil {
		d.counters.tokensRejected.Add(1)
		d.log.Info("data socket with a wrong, used or expired token", zap.Uint32("uid", client.uid), zap.Uint32("pid", client.pid))
		return
	}
	if err := d.attach(pending.conn, socket); err != nil {
		d.log.Debug("cannot attach a data socket", zap.Uint64("connection", pending.conn.id), zap.Error(err))
		d.abort(pending.conn)
	}
}

// claim takes the offer, if it was made to the user who came for it. Another user's try leaves it in place.
func (o *offers) claim(t token, client peer) *offer {
	o.mu.Lock()
	pending := o.byToken[t]
	o.mu.Unlock()
	if pending == nil || pending.conn.owner.peer.uid != client.uid {
		return nil
	}
	return o.take(t)
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
