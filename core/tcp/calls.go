package tcp

import (
	"io"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Connect opens actively (RFC 9293 §3.10.1) from an owned local address. Local port 0 lets the stack choose by RFC 6056,
// among those that nobody listens at and that are not the remote endpoint itself. A user who names the remote endpoint as
// the local one gets a connection with itself, by a simultaneous open, as from a kernel.
// EventEstablished or EventClosed tells how it went.
func (s *Stack) Connect(now Time, local, remote Endpoint, opt *Options) (ConnID, error) {
	s.begin(now)
	merged, err := s.mergeOptions(opt)
	if err != nil {
		return 0, err
	}
	switch {
	case !s.owns(local.Addr):
		return 0, ErrAddrNotOwned
	case remote.Addr.IsUnspecified() || remote.Addr.IsMulticast() || remote.Addr.IsBroadcast():
		return 0, ErrNetUnreachable
	case remote.Addr.IsLoopback() && !s.owns(remote.Addr):
		// RFC 1122 §3.2.1.3(g), RFC 4291 §2.5.3: loopback addresses must not appear outside a host. They would vanish on
		// the device, and the open with them for as long as it may last.
		return 0, ErrNetUnreachable
	case remote.Port == 0 || remote.Addr.Is4() != local.Addr.Is4():
		return 0, ErrInvalid
	case s.conns.used >= s.conns.limit:
		return 0, ErrTooMany
	}
	t := tuple{local: local.Addr, remote: remote.Addr, localPort: local.Port, remotePort: remote.Port}
	if t.localPort == 0 {
		port, ok := s.ports.pick(t.local, t.remote, t.remotePort, func(port uint16) bool {
			t.localPort = port
			return !s.mine(t) || s.tupleInUse(t, merged, now) || t.localEndpoint() == remote || s.listeners.match(t.localEndpoint()) != nil
		})
		if !ok {
			return 0, ErrNoPorts
		}
		t.localPort = port
	} else if s.tupleInUse(t, merged, now) {
		return 0, ErrAddrInUse
	}
	iss := s.initialSequence(now, t, merged)
	if w := s.timeWait.get(t); w != nil {
		iss = w.beyond(iss)
		s.stats.TimeWaitReused++
		s.endTimeWait(w, now)
	}
	c := s.newConn(now, t, merged)
	c.setISS(iss)
	c.snd.nxt = c.snd.iss.Add(1)
	c.setState(StateSynSent)
	c.synNow = true
	s.stats.ActiveOpens++
	s.arm(c, timerUser, now.Add(c.opt.ConnectTimeout))
	s.wantTransmit(c)
	return c.id(), nil
}

// mine reports whether a flow belongs to this shard.
func (s *Stack) mine(t tuple) bool {
	return s.cfg.Shards == 1 || FlowHash(t.localEndpoint(), t.remoteEndpoint())%uint32(s.cfg.Shards) == uint32(s.cfg.Shard)
}

// tupleInUse reports whether a new connection can't have this tuple. A user may name the port of a wildcard listener,
// as simultaneous opens through a NAT need: the connection is found first.
func (s *Stack) tupleInUse(t tuple, opt *Options, now Time) bool {
	if w := s.timeWait.get(t); w != nil && !s.mayReuse(w, opt, now) {
		return true
	}
	return s.conns.byTuple[t] != nil || s.syns.get(t) != nil || s.listeners.byEndpoint[t.localEndpoint()] != nil
}

// mergeOptions completes what a user asks for with the stack's defaults.
func (s *Stack) mergeOptions(opt *Options) (*Options, error) {
	if opt == nil {
		return &s.cfg.Defaults, nil
	}
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	merged := opt.withDefaults(&s.cfg.Defaults)
	return &merged, nil
}

// user finds the connection behind a handle, and why it ended if it has.
func (s *Stack) user(id ConnID) (*conn, error) {
	c := s.conns.get(id)
	if c == nil {
		return nil, ErrNotFound
	}
	return c, nil
}

// Send moves as much from the front of data to the send queue as the buffer takes, by reference, and returns how much
// (RFC 9293 §3.10.2). When that is less than there is, EventWritable follows once there is room. Data wait for EventEstablished
// but with Options.FastOpen: what is sent right after Connect goes with the SYN, if the listener has given a cookie before.
func (s *Stack) Send(now Time, id ConnID, data *zbuf.Chain) (int, error) {
	s.begin(now)
	c, err := s.user(id)
	switch {
	case err != nil:
		return 0, err
	case c.opening() && !c.opt.FastOpen:
		return 0, ErrNotConnected
	case finQueued.has(c.state):
		return 0, ErrShutdown
	case !maySendData.has(c.state) && !c.opening():
		return 0, c.endReason(ErrClosed)
	}
	n := data.MoveTo(&c.sendq, s.sendSpace(c))
	c.sendWaiting = data.Len() > 0
	if n > 0 {
		s.wantTransmit(c)
	}
	return n, nil
}

// opening reports whether the handshake of a connection that we opened is still going on.
func (c *conn) opening() bool { return c.state == StateSynSent || c.state == StateSynReceived }

// endReason is the error of a call on a connection that has ended.
func (c *conn) endReason(otherwise error) error {
	if c.err != nil {
		return c.err
	}
	return otherwise
}

// SendSpace returns how many bytes Send takes now.
func (s *Stack) SendSpace(id ConnID) int {
	c := s.conns.get(id)
	if c == nil || !maySendData.has(c.state) && !(c.opening() && c.opt.FastOpen) {
		return 0
	}
	return s.sendSpace(c)
}

// BufferSizes returns the sizes of a connection's buffers at present, as far as memory is granted: they change, unless the
// user has fixed them.
func (s *Stack) BufferSizes(id ConnID) (recv, send int) {
	c := s.conns.get(id)
	if c == nil {
		return 0, 0
	}
	return s.recvLimit(c), s.sendBuffer(c)
}

// Receive moves up to limit bytes that came in order to dst, by reference (RFC 9293 §3.10.3). It fails with ErrWouldBlock
// when there is none yet, with io.EOF behind the peer's FIN, and else with the reason why the connection ended. The receive
// window opens by Consumed, not by Receive.
func (s *Stack) Receive(id ConnID, dst *zbuf.Chain, limit int) (int, error) {
	c, err := s.user(id)
	if err != nil {
		return 0, err
	}
	if c.recvq.Len() > 0 {
		n := c.recvq.MoveTo(dst, limit)
		c.urgent = c.urgent && c.readUpTo().Less(c.rcv.up)
		return n, nil
	}
	switch {
	case c.finReceived || c.recvShut:
		return 0, io.EOF
	case c.state == StateSynSent || c.state == StateSynReceived:
		return 0, ErrNotConnected
	case c.state == StateClosed:
		return 0, c.endReason(io.EOF)
	default:
		return 0, ErrWouldBlock
	}
}

// readUpTo is the sequence number of the next byte that Receive gives.
func (c *conn) readUpTo() seqnum.Value {
	next := c.rcv.nxt.Sub(seqnum.Size(c.recvq.Len()))
	if c.finReceived {
		next--
	}
	return next
}

// Consumed says that the user is done with n bytes that Receive gave: the receive window opens by as much.
func (s *Stack) Consumed(now Time, id ConnID, n int) {
	s.begin(now)
	c := s.conns.get(id)
	if c == nil {
		return
	}
	c.rcv.unconsumed = max(c.rcv.unconsumed-n, c.recvq.Len())
	s.tuneRecv(c, now)
	s.settle(c, false)
	s.updateWindow(c)
}

// CloseWrite sends a FIN behind what is queued: the user has no more data to send, and goes on receiving
// (RFC 9293 §3.6, half-close).
func (s *Stack) CloseWrite(now Time, id ConnID) error {
	s.begin(now)
	c, err := s.user(id)
	switch {
	case err != nil:
		return err
	case c.state == StateSynSent || c.state == StateSynReceived:
		return ErrNotConnected
	case finQueued.has(c.state):
		return nil
	case !maySendData.has(c.state):
		return c.endReason(ErrClosed)
	}
	s.queueFin(c)
	return nil
}

// queueFin is RFC 9293 §3.10.4 for states in which data may still be sent.
func (s *Stack) queueFin(c *conn) {
	if c.state == StateCloseWait {
		c.setState(StateLastAck)
	} else {
		c.setState(StateFinWait1)
	}
	s.wantTransmit(c)
}

// CloseRead discards what comes from now on, and what was not received yet. The peer isn't told, as with kernel sockets.
func (s *Stack) CloseRead(now Time, id ConnID) error {
	s.begin(now)
	c, err := s.user(id)
	if err != nil {
		return err
	}
	c.recvShut = true
	s.discardUnwanted(c)
	s.updateWindow(c)
	s.post(c, EventReadable)
	return nil
}

// Close lets go of a connection. What is queued is still delivered, then a FIN is sent; from SYN-RECEIVED, once the peer
// has acknowledged our SYN. With received data unread, the peer gets an RST instead, so that it knows (RFC 9293 §3.10.4,
// RFC 2525 §2.17); so it does when Options.Linger is negative and when there are too many orphans. The handle is stale
// afterwards.
func (s *Stack) Close(now Time, id ConnID) error {
	s.begin(now)
	c, err := s.user(id)
	if err != nil {
		return err
	}
	c.released = true
	switch c.state {
	case StateSynSent: // "Delete the TCB"
		s.closeConn(c, now, ErrAborted)
		return nil
	case StateClosed, StateTimeWait:
		s.maybeFree(c)
		return nil
	default: // the peer is to be told
	}
	switch {
	case c.rcv.unconsumed > 0 && !c.recvShut:
		s.stats.AbortsOnClose++
		s.resetConn(c, now, ErrAborted)
	case c.opt.Linger < 0:
		s.resetConn(c, now, ErrAborted)
	case s.stats.Orphans >= uint64(s.cfg.Limits.Orphans):
		s.stats.AbortsOnOrphans++
		s.resetConn(c, now, ErrAborted)
	default:
		s.orphan(c, now)
	}
	return nil
}

// Abort ends a connection at once: the peer gets an RST (RFC 9293 §3.10.5). The handle is stale afterwards. It also
// ends what its user has closed and what still sends, by the handle that Connections gives; what waits for Accept
// belongs to its listener.
func (s *Stack) Abort(now Time, id ConnID) error {
	s.begin(now)
	c := s.conns.find(id)
	if c == nil || c.waiting {
		return ErrNotFound
	}
	s.abort(c, now)
	return nil
}

func (s *Stack) abort(c *conn, now Time) {
	c.released, c.waiting = true, false
	if c.state == StateClosed || c.state == StateTimeWait {
		s.maybeFree(c)
		return
	}
	s.resetConn(c, now, ErrAborted)
}

// SetOptions changes options of a connection. Those that a SYN has settled (buffers' window scale, SACK, timestamps,
// window scale, ECN, initial sequence number) don't change any more.
func (s *Stack) SetOptions(now Time, id ConnID, o *Options) error {
	s.begin(now)
	if err := o.Validate(); err != nil {
		return err
	}
	c, err := s.user(id)
	if err != nil {
		return err
	}
	settled := c.opt
	opt := o.withDefaults(settled)
	// Switches are set as they are: false means off here, not unset.
	opt.NoDelay, opt.QuickAck, opt.Cork, opt.NoPacing = o.NoDelay, o.QuickAck, o.Cork, o.NoPacing
	opt.NoMTUProbing = o.NoMTUProbing
	opt.NoTimestamps, opt.NoSACK, opt.NoWindowScale = settled.NoTimestamps, settled.NoSACK, settled.NoWindowScale
	opt.ECN, opt.FixedISN, opt.FastOpen = settled.ECN, settled.FixedISN, settled.FastOpen
	c.opt = &opt
	if c.cc != nil && c.opt.Congestion != settled.Congestion {
		s.switchCongestionControl(c, now)
	}
	if c.state >= StateEstablished && c.state != StateTimeWait {
		if opt.RecvBuffer > 0 {
			opt.RecvBuffer = max(opt.RecvBuffer, 1<<c.rcv.scale) // less can't be announced any more
			c.rcv.buffer = int32(opt.RecvBuffer)
			s.dropTuning(c)
		}
		c.updateMSS()
		c.cc.onMSS(c.mss)
		c.disarm(timerKeepAlive)
		s.armKeepAlive(c, now)
		if opt.RecvBuffer != settled.RecvBuffer {
			s.updateWindow(c)
		}
		s.wantTransmit(c)
	}
	return nil
}

// switchCongestionControl goes on from the windows that the old one leaves.
func (s *Stack) switchCongestionControl(c *conn, now Time) {
	old := c.cc.save()
	c.cc = newCongestionControl(c.opt.Congestion, s.probeSeed(c))
	c.cc.init(now, c.mss, old.cwnd)
	if old.ssthresh < maxCwnd {
		c.cc.onLoss(now, old.cwnd)
		c.cc.onRecoveryExit(now)
	}
}
