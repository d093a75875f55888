package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// newConn makes a connection in CLOSED and enters it in the tuple table.
func (s *Stack) newConn(now Time, t tuple, opt *Options) *conn {
	c := s.conns.take()
	if c == nil {
		s.stats.drop(DropTooManyConnections)
		return nil
	}
	c.released = false
	c.tuple = t
	c.opt = opt
	c.opened = now
	c.inFlows = true
	s.conns.byTuple[t] = c
	c.pathMTU = uint16(s.cfg.MTU)
	c.tsOffset = s.isn.tsOffset(t.local, t.remote)
	c.flowLabel = s.flowLabel(&c.tuple, 0)
	c.rcv.scale = s.recvScale(opt)
	c.rcv.buffer = int32(s.startRecvBuffer(opt))
	c.rcv.adv = c.rcv.nxt.Add(s.openingWindow(opt, c.announcedMSS()))
	c.rcv.epoch = s.budget.epoch - uint32(len(s.budget.promised)) // long ago
	c.rcv.quickAcks = uint8(max(s.cfg.QuickAcks, 0))
	return c
}

// initialSequence chooses ISS.
func (s *Stack) initialSequence(now Time, t tuple, opt *Options) seqnum.Value {
	if opt.FixedISN != nil {
		return seqnum.Value(*opt.FixedISN)
	}
	return s.isn.isn(now, t)
}

// setISS sets the send variables before anything is sent.
func (c *conn) setISS(iss seqnum.Value) {
	c.snd.iss, c.snd.una, c.snd.nxt, c.snd.limitedUntil, c.snd.small = iss, iss, iss, iss, iss
}

// setIRS sets the receive variables from the peer's SYN. The window is the one of our SYN: until now nxt is 0, and adv its
// size.
func (c *conn) setIRS(irs seqnum.Value) {
	window := c.rcvWindow()
	c.rcv.irs = irs
	c.rcv.nxt = irs.Add(1)
	c.rcv.adv = c.rcv.nxt.Add(window)
	c.rcv.lastAck, c.rcv.ackedUpTo, c.rcv.up = c.rcv.nxt, c.rcv.nxt, c.rcv.nxt
}

// negotiate settles the options from what the peer's SYN carried and what we would send.
func (c *conn) negotiate(now Time, o *wire.Options) {
	c.timestampsOn = o.Set.Has(wire.OptTimestamps) && !c.opt.NoTimestamps
	c.sackOn = o.Set.Has(wire.OptSACKPermitted) && !c.opt.NoSACK
	c.windowScaleOn = o.Set.Has(wire.OptWindowScale) && !c.opt.NoWindowScale
	if c.timestampsOn {
		c.rcv.tsRecent, c.rcv.tsAt = o.TSVal, now
	}
	if c.windowScaleOn {
		c.snd.scale = o.WindowScale
	} else {
		c.rcv.scale, c.snd.scale = 0, 0
	}
	c.peerMSS = defaultMSS(c.v6())
	if o.Set.Has(wire.OptMSS) {
		c.peerMSS = max(o.MSS, minSegment)
	}
	c.updateMSS()
}

// defaultMSS is assumed when the peer's SYN names none (RFC 9293 §3.7.1, MUST-15).
func defaultMSS(v6 bool) uint16 {
	if v6 {
		return 1220
	}
	return 536
}

// fixedHeaders is the length of network and TCP header without options.
func fixedHeaders(v6 bool) int {
	if v6 {
		return 40 + 20
	}
	return 20 + 20
}

// announcedMSS is what our SYN says: the link's MTU less fixed headers, options not taken off (RFC 9293 §3.7.1, MUST-67).
func (c *conn) announcedMSS() int {
	return c.opt.announcedMSS(c.v6(), int(c.pathMTU))
}

func (o *Options) announcedMSS(v6 bool, mtu int) int {
	mss := mtu - fixedHeaders(v6)
	if o.MaxSegment > 0 {
		mss = min(mss, o.MaxSegment)
	}
	return mss
}

// updateMSS derives Eff.snd.MSS (RFC 9293 §3.7.1, MUST-16): the options that every segment carries are taken off.
func (c *conn) updateMSS() {
	mss := min(c.announcedMSS(), int(c.peerMSS))
	if c.timestampsOn {
		mss -= timestampsLen
	}
	c.mss = max(mss, minSegment-timestampsLen)
}

// timestampsLen is the timestamps option with its padding (RFC 7323 appendix A).
const timestampsLen = 12

// establish enters ESTABLISHED: the peer's ACK of our SYN came, with this window.
func (s *Stack) establish(c *conn, now Time, seg *wire.Segment) {
	c.disarm(timerRetransmit)
	c.disarm(timerUser)
	c.backoff = 0
	c.setState(StateEstablished)
	c.snd.wnd = seqnum.Size(seg.Window)
	if !seg.Flags.Has(wire.SYN) {
		c.snd.wnd <<= c.snd.scale
	}
	c.snd.maxWnd = c.snd.wnd
	c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
	c.snd.progressAt, c.snd.idleSince, c.rcv.lastAt = now, now, now
	if c.rtt.srtt == 0 && c.synRetries > 0 {
		c.rtt.synLost = true // RFC 6298 §5.7
	}
	c.cc = newCongestionControl(c.opt.Congestion, s.probeSeed(c))
	window := initialWindow(c.mss, s.cfg.InitialWindow)
	if c.synRetries > 0 {
		window = c.mss // RFC 6928 §2: after a lost SYN or SYN-ACK, RFC 5681's loss window
	}
	c.cc.init(now, c.mss, window)
	c.rack.fack = c.snd.una
	s.armKeepAlive(c, now)
	s.settle(c, true)
	s.stats.CurrEstab++
}

// enterTimeWait hands the wire's side of c to a small record; what is left is what the user has not read yet.
func (s *Stack) enterTimeWait(c *conn, now Time) {
	c.setState(StateTimeWait)
	s.stats.CurrEstab--
	w := s.addTimeWait(c, now)
	if c.ackNow {
		s.ackTimeWait(w, now)
	}
	s.leaveWire(c)
	s.maybeFree(c)
}

// leaveWire takes c off everything that packets and timers reach.
func (s *Stack) leaveWire(c *conn) {
	s.disarmAll(c)
	if c.fastOpening {
		s.endFastOpen(c)
	}
	if c.orphan {
		c.orphan = false
		s.stats.Orphans--
	}
	if c.inFlows {
		delete(s.conns.byTuple, c.tuple)
		c.inFlows = false
	}
	c.sent.clear(&s.records)
	s.dropUndo(c)
	s.dropSearch(c)
	c.sendq.Clear()
	s.dropReassembly(c)
	s.dropTuning(c)
	s.settle(c, false)
	c.ackNow, c.probeNow, c.synNow = false, false, false
}

// closeConn ends c without a word to the peer. err is nil after a normal close.
func (s *Stack) closeConn(c *conn, _ Time, err error) {
	if synchronized.has(c.state) && c.state != StateTimeWait {
		s.stats.CurrEstab--
	}
	if c.state != StateTimeWait {
		s.leaveWire(c)
	}
	c.setState(StateClosed)
	if c.err == nil {
		c.err = err
	}
	s.post(c, EventClosed|EventReadable|EventWritable)
	s.maybeFree(c)
}

// resetConn ends c and tells the peer by RST where RFC 9293 §3.10.5 says so: not if the peer can't know the connection, nor
// once both have sent their FIN. A FIN of ours that is only queued does not count.
func (s *Stack) resetConn(c *conn, now Time, err error) {
	if owesReset.has(c.state) || bothClose.has(c.state) && !c.finSent {
		s.pushReset(c, now)
	}
	if c.state == StateSynReceived || c.state == StateSynSent {
		s.stats.AttemptFails++
	} else if c.state == StateEstablished || c.state == StateCloseWait {
		s.stats.EstabResets++
	}
	s.closeConn(c, now, err)
}

// pushReset sends the peer an RST.
func (s *Stack) pushReset(c *conn, now Time) {
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, reply{
		tuple: c.tuple, seq: c.snd.nxt, ack: c.rcv.nxt, flags: wire.RST | wire.ACK,
		ttl: c.opt.TTL, trafficClass: c.opt.TrafficClass,
		options: timestamps(c.timestampsOn, c.tsNow(now), c.rcv.tsRecent), // RFC 7323 §3.2: "SHOULD be sent in an <RST>"
	})
	s.stats.OutRsts++
}

// maybeFree returns the slot of a connection that neither user nor wire needs, once it is in no queue.
func (s *Stack) maybeFree(c *conn) {
	if !c.released || c.queued.inTransmit || c.queued.inEvent {
		return
	}
	if c.state == StateTimeWait {
		s.timeWait.detach(c)
		c.setState(StateClosed)
	}
	if c.state != StateClosed {
		return
	}
	c.recvq.Clear()
	s.dropECN(c)
	c.rcv.unconsumed = 0
	s.settle(c, false)
	s.conns.give(c)
}
