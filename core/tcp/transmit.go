package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// build is the one segment builder. It is tried speculatively: what it says is the only truth about whether c has
// something to send now.
func (s *Stack) build(c *conn, now Time, t *Transmit) bool {
	switch {
	case c.synNow:
		return s.buildSyn(c, now, t)
	case c.state == StateSynSent:
		return false
	case c.ackNow && c.ecn.owesHandshake():
		return s.buildAck(c, now, t)
	case c.state != StateSynReceived && s.buildData(c, now, t):
		return true
	case c.probeNow:
		return s.buildProbe(c, now, t)
	case c.ackNow:
		return s.buildAck(c, now, t)
	}
	return false
}

// buildAck builds a pure ACK.
func (s *Stack) buildAck(c *conn, now Time, t *Transmit) bool {
	seg := s.segmentAt(c, now, c.snd.nxt, wire.ACK, false)
	if !seg.Options.Set.Has(wire.OptSACK) {
		seg.Flags = c.ecn.pureAckFlags(seg.Flags)
	}
	s.send(c, now, t, &seg, wire.NotECT)
	return true
}

func (t *Transmit) reset() {
	t.Payload, t.PayloadLen, t.SegmentSize, t.CWR = t.views[:0], 0, 0, false
}

// buildSyn builds our SYN, or the SYN,ACK of a simultaneous open.
func (s *Stack) buildSyn(c *conn, now Time, t *Transmit) bool {
	c.synNow = false
	seg := wire.Segment{
		SrcPort: c.tuple.localPort, DstPort: c.tuple.remotePort, Seq: c.snd.iss, Flags: wire.SYN | c.ecnSynFlags(),
		Window:  uint16(c.rcvWindow()),
		Options: s.synOptions(c.opt, !c.v6(), int(c.pathMTU)),
	}
	seg.Options.TSVal = c.tsNow(now)
	if c.state == StateSynReceived {
		seg.Flags |= wire.ACK
		seg.Ack = c.rcv.nxt
		if !c.timestampsOn {
			seg.Options.Set &^= wire.OptTimestamps
		}
		if !c.sackOn {
			seg.Options.Set &^= wire.OptSACKPermitted
		}
		if !c.windowScaleOn {
			seg.Options.Set &^= wire.OptWindowScale
		}
		seg.Options.TSEcr = c.rcv.tsRecent
		c.ecn.putSynAckOption(&seg.Options)
		s.acknowledged(c)
	}
	s.attachSynData(c, now, t, &seg)
	if !c.timers.on(timerRetransmit) {
		s.arm(c, timerRetransmit, now.Add(s.rto(c)))
	}
	s.count(c, 0, 1)
	s.finish(t, &c.tuple, &seg, c.opt.TTL, c.opt.TrafficClass, c.flowLabel)
	return true
}

// buildData builds a retransmission or new data, whatever is due first.
func (s *Stack) buildData(c *conn, now Time, t *Transmit) bool {
	lost := c.sent.nextLost()
	if lost < 0 && !c.hasUnsent() && !c.tlp.owed {
		return false
	}
	if c.tlp.owed {
		if s.buildLossProbe(c, now, t) {
			return true
		}
	}
	if c.snd.pacedUntil > now {
		s.arm(c, timerPacing, c.snd.pacedUntil)
		return false
	}
	switch {
	case lost < 0:
		return c.hasUnsent() && (s.buildMTUProbe(c, now, t) || s.buildNew(c, now, t))
	case c.recovery.frto == frtoNew && c.hasUnsent() && c.usable() > 0:
		return c.recovery.frtoRoom > 0 && s.buildNew(c, now, t)
	default:
		return s.buildRetransmission(c, lost, now, t)
	}
}

// burst is the most payload of one super-segment now, in whole segments.
func (s *Stack) burst(c *conn, mss int) int {
	offload := s.cfg.SegmentationOffload4
	if c.v6() {
		offload = s.cfg.SegmentationOffload6
	}
	if !offload || c.ecn.splits() {
		return mss
	}
	most := c.quantum(mss)
	return max(most-most%mss, mss)
}

// maxPacket is the most that an IP length field can say.
const maxPacket = 65_535

// buildRetransmission sends lost record i again, as far as the window allows (RFC 6675 §5 NextSeg rule 1).
func (s *Stack) buildRetransmission(c *conn, i int, now Time, t *Transmit) bool {
	r := c.sent.at(i)
	if r.has(recLost) {
		c.ecn.lost(r.start) // ahead of the segment's size, which depends on the options that are left
	}
	mss := c.segmentSize()
	room := c.window() - c.pipe()
	limit := min(s.burst(c, mss), max(room-room%mss, 0))
	if limit == 0 && c.pipe() > 0 {
		c.snd.limitedUntil = c.snd.nxt
		return false
	}
	limit = max(limit, mss)
	if edge := c.snd.una.Add(c.snd.wnd); edge.Less(r.end) {
		// The peer took its window back. What it left is used, and if that is nothing, one byte at SND.UNA probes it
		// (RFC 9293 §3.8.6, MUST-34 and SHLD-16).
		if edge.LessEq(r.start) && r.start != c.snd.una {
			return false
		}
		limit = min(limit, max(int(c.snd.una.Size(edge))-int(c.snd.una.Size(r.start)), 1))
	}
	s.transmitAgain(c, i, limit, mss, now, t)
	return true
}

// transmitAgain sends up to limit bytes of record i again.
func (s *Stack) transmitAgain(c *conn, i, limit, mss int, now Time, t *Transmit) {
	r := c.sent.at(i)
	fin := c.finSent && r.end == c.snd.nxt
	n := int(r.size())
	if fin {
		n--
	}
	if n > limit {
		n, fin = limit, false
	}
	n = s.attach(c, t, r.start, n, mss, &fin)
	end := r.start.Add(seqnum.Size(n))
	if fin {
		end = end.Add(1)
	}
	if end != r.end {
		c.sent.split(&s.records, i, end)
	}
	seg := s.dataSegment(c, now, c.sent.at(i).start, fin, t)
	if c.undo != nil && !c.undo.ended {
		c.undo.retransmitted(int(c.sent.at(i).size()), c.tsNow(now))
		c.undo.prr.sent(n)
	}
	// One reading of the clock may serve a whole batch of ACKs. RACK orders what has one time by sequence number, so a
	// retransmission is later by a nanosecond than what was sent before it.
	c.sent.resent(i, mss, c.stampData(max(now, c.snd.idleSince+1)), c.rate.onSent(now, c.pipe(), n, c.lost))
	c.stat.bytesRetrans += uint64(n)
	segments := wireSegments(n, mss)
	c.stat.retransmitted += segments
	s.stats.RetransSegs += segments
	s.afterData(c, now, n)
	if i == 0 && c.recovery.phase == phaseRecovery {
		// As in Linux. The timer has run since the last new acknowledgement, a round trip for nothing: what is sent again now
		// deserves its whole time, or many losses in one window end in a timeout while recovery is mending them.
		s.arm(c, timerRetransmit, now.Add(c.rto()))
	}
	s.send(c, now, t, &seg, wire.NotECT)
}

// attach puts n bytes of the send queue from seq on into t, fewer when they lie in too many pieces, and returns how many.
func (s *Stack) attach(c *conn, t *Transmit, seq seqnum.Value, n, mss int, fin *bool) int {
	if n == 0 {
		return 0
	}
	t.Payload = c.sendq.Views(t.views[:0], c.position(seq), n)
	if len(t.Payload) > maxPieces {
		t.Payload = t.Payload[:maxPieces]
		n = 0
		for _, v := range t.Payload {
			n += v.Len()
		}
		if n > mss {
			n -= n % mss
		}
		t.Payload = c.sendq.Views(t.views[:0], c.position(seq), n)
		*fin = false
	}
	t.PayloadLen = n
	if n > mss {
		t.SegmentSize = mss
	}
	return n
}

// buildNew sends data, or our FIN, for the first time.
func (s *Stack) buildNew(c *conn, now Time, t *Transmit) bool {
	if c.sent.len() >= s.cfg.Limits.SentSegments {
		return false // ACKs will make room
	}
	mss := c.segmentSize()
	n, ok := s.sendable(c, mss)
	if !ok {
		s.awaitWindow(c, now)
		return false
	}
	// RFC 9293 §3.10.4: the FIN goes with the last data, if the window has room for it.
	if n == 0 && !c.finFits(0) {
		s.awaitWindow(c, now)
		return false
	}
	s.transmitNew(c, now, t, n, mss)
	return true
}

// transmitNew sends n bytes for the first time, and our FIN behind them if it is queued and fits.
func (s *Stack) transmitNew(c *conn, now Time, t *Transmit, n, mss int) {
	fin := c.finFits(n)
	if !c.outstanding() {
		s.leaveIdle(c, now)
	}
	n = s.attach(c, t, c.snd.nxt, n, mss, &fin)
	seg := s.dataSegment(c, now, c.snd.nxt, fin, t)
	start, pipe := c.snd.nxt, c.pipe()
	c.snd.nxt = start.Add(seqnum.Size(n))
	if fin {
		c.snd.nxt = c.snd.nxt.Add(1)
		c.finSent = true
	}
	if n%mss != 0 {
		c.snd.small = c.snd.nxt
	}
	c.sent.push(&s.records, record{
		start: start, end: c.snd.nxt, segment: uint16(mss), sentAt: c.stampData(now), stamp: c.rate.onSent(now, pipe, n, c.lost),
	})
	c.forcePartial = false
	if c.undo != nil {
		c.undo.prr.sent(n)
	}
	c.recovery.frtoRoom -= n
	s.noteLimit(c)
	s.afterData(c, now, n)
	s.armProbe(c, now)
	s.offerSpace(c)
	mark, flags := c.ecn.markNew(n)
	seg.Flags |= flags
	s.send(c, now, t, &seg, mark)
}

// finFits reports whether our FIN goes behind n bytes: it is queued, nothing else is, and the window has room for it.
func (c *conn) finFits(n int) bool { return c.finPending() && n == c.unsent() && int(c.usable()) > n }

// usable is the part of the peer's window that is free: U of RFC 9293 §3.8.6.2.1.
func (c *conn) usable() seqnum.Size {
	edge := c.snd.una.Add(c.snd.wnd)
	if edge.LessEq(c.snd.nxt) {
		return 0
	}
	return c.snd.nxt.Size(edge)
}

// sendable returns how much new data may go in one super-segment now: what is queued, the peer's window, the congestion
// window, silly window avoidance (RFC 9293 §3.8.6.2.1) and Nagle's algorithm (§3.7.4) allow. It reports false when nothing
// may, not even a FIN.
func (s *Stack) sendable(c *conn, mss int) (int, bool) {
	queued := c.unsent()
	n := min(queued, int(c.usable()), s.burst(c, mss))
	if queued > 0 && n == 0 {
		return 0, false
	}
	room := c.window() - c.pipe()
	if want := max(min(n, mss), 1); room < want {
		c.snd.limitedUntil = c.snd.nxt
		return 0, false
	}
	if n > room {
		n = room - room%mss
	}
	if tail := n % mss; tail != 0 && !s.mayBePartial(c, n, queued, mss) {
		n -= tail
		if n == 0 {
			return 0, false
		}
	}
	return n, true
}

// mayBePartial reports whether the last of n bytes may be a segment that is not full.
func (s *Stack) mayBePartial(c *conn, n, queued, mss int) bool {
	if c.forcePartial || c.finPending() && n == queued {
		return true
	}
	if n < queued {
		// Only the window cuts here: condition (3), at least half of the largest window that the peer ever offered.
		return !c.outstanding() && n < mss && n >= int(c.snd.maxWnd)/2
	}
	if c.opt.Cork && (s.sendSpace(c) > 0 || c.outstanding()) {
		return false // with a full buffer and no ACK to come, no full segment can come about
	}
	// Condition (2): all that is queued goes. Nagle's algorithm holds a partial segment back while another partial one is
	// outstanding, in Minshall's variant as in Linux: full ones don't count, so that the tail of a large write does not wait
	// for a delayed ACK.
	return c.opt.NoDelay || !c.snd.una.Less(c.snd.small)
}

// awaitWindow keeps a connection alive that has data and may not send any, while nothing outstanding would bring an ACK.
func (s *Stack) awaitWindow(c *conn, now Time) {
	if c.outstanding() || !c.hasUnsent() || c.opt.Cork && c.snd.wnd > 0 {
		return
	}
	if !c.timers.on(timerPersist) {
		s.arm(c, timerPersist, now.Add(max(s.rto(c), minPersist)))
	}
	s.watchProgress(c, now)
}

// watchProgress starts the user timeout.
func (s *Stack) watchProgress(c *conn, now Time) {
	if !c.timers.on(timerUser) {
		c.snd.progressAt = now
		s.arm(c, timerUser, now.Add(c.opt.UserTimeout))
	}
}

// leaveIdle is called before data goes out while nothing is outstanding.
func (s *Stack) leaveIdle(c *conn, now Time) {
	c.cc.onIdle(now, now.Sub(c.snd.idleSince), s.rto(c))
	c.snd.progressAt = now
}

// noteLimit tells congestion control, when the ACK comes, whether the window was in use (RFC 7661 §4.5.3), and the
// rate sampler whether it was not.
func (s *Stack) noteLimit(c *conn) {
	pipe, cwnd := c.pipe(), c.cc.cwnd()
	inUse := pipe
	if cwnd < c.cc.ssthresh() {
		inUse *= 2 // slow start doubles each round trip: half of the window in use justifies it
	}
	if inUse+c.mss > cwnd {
		c.snd.limitedUntil = c.snd.nxt
	} else if c.unsent() == 0 {
		c.rate.markAppLimited(pipe)
	}
}

// stampData returns the time of a transmission, which is never before the last one's.
func (c *conn) stampData(now Time) Time {
	c.snd.idleSince = max(now, c.snd.idleSince)
	return c.snd.idleSince
}

// afterData starts timers after data went out, and has it paced.
func (s *Stack) afterData(c *conn, now Time, n int) {
	if !c.timers.on(timerRetransmit) {
		s.arm(c, timerRetransmit, now.Add(s.rto(c))) // RFC 6298 §5.1
	}
	c.disarm(timerPersist)
	s.watchProgress(c, now)
	c.stat.bytesSent += uint64(n)
	s.stats.OutOctets += uint64(n)
	c.pace(now, n)
}

// buildProbe builds a segment that carries nothing new and asks for an ACK: SEQ=SND.NXT-1, which the peer has received
// (RFC 9293 §3.8.4). It serves keep-alive and, as in Linux, a closed window: a byte beyond the window, as §3.8.6.1 has it,
// would have to be taken back if it is not accepted.
func (s *Stack) buildProbe(c *conn, now Time, t *Transmit) bool {
	c.probeNow = false
	seg := s.segmentAt(c, now, c.snd.una.Sub(1), wire.ACK, false)
	s.send(c, now, t, &seg, wire.NotECT)
	return true
}

// dataSegment is the header of a segment with data or a FIN.
func (s *Stack) dataSegment(c *conn, now Time, seq seqnum.Value, fin bool, t *Transmit) wire.Segment {
	flags := wire.ACK
	if fin {
		flags |= wire.FIN
	}
	if t.PayloadLen > 0 && seq.Add(seqnum.Size(t.PayloadLen)) == c.finSeq() {
		flags |= wire.PSH // RFC 9293 §3.9.1, MUST-61: the last of what is queued
	}
	seg := s.segmentAt(c, now, seq, flags, t.PayloadLen > 0)
	if t.PayloadLen > 0 && c.optionLen() == 0 {
		seg.Options.Set &= wire.OptTimestamps
		seg.Options.SACKBlocks = 0
	}
	return seg
}

// segmentAt is the header of any segment of a synchronized connection, with data or without.
func (s *Stack) segmentAt(c *conn, now Time, seq seqnum.Value, flags wire.Flags, data bool) wire.Segment {
	seg := wire.Segment{
		SrcPort: c.tuple.localPort, DstPort: c.tuple.remotePort, Seq: seq, Ack: c.rcv.nxt,
		Flags:  flags | c.ecn.echoFlags(),
		Window: s.announceWindow(c),
	}
	if c.timestampsOn {
		seg.Options.Set = wire.OptTimestamps
		seg.Options.TSVal, seg.Options.TSEcr = c.tsNow(now), c.rcv.tsRecent
	}
	c.putOptions(&seg.Options, data)
	return seg
}

// send completes a segment of a synchronized connection, with an ECN codepoint, and notes that it carried the ACK that was owed.
func (s *Stack) send(c *conn, now Time, t *Transmit, seg *wire.Segment, mark wire.ECN) {
	if c.rcv.dsack != (wire.SACKBlock{}) && seg.Options.Set.Has(wire.OptSACK) {
		c.rcv.dsack = wire.SACKBlock{}
		s.stats.DSACKsSent++
	}
	c.ecn.sent(seg, t.PayloadLen)
	s.acknowledged(c)
	size := t.SegmentSize
	if size == 0 {
		size = max(t.PayloadLen, 1)
	}
	s.count(c, now, wireSegments(t.PayloadLen, size))
	s.finish(t, &c.tuple, seg, c.opt.TTL, c.opt.TrafficClass|uint8(mark), c.flowLabel)
}

// acknowledged notes that a segment with ACK=RCV.NXT leaves.
func (s *Stack) acknowledged(c *conn) {
	c.ackNow = false
	c.rcv.lastAck, c.rcv.ackedUpTo = c.rcv.nxt, c.rcv.nxt
	c.ecn.acknowledged()
	c.disarm(timerDelayedAck)
}

func (s *Stack) count(c *conn, now Time, segments uint64) {
	c.stat.segmentsSent += segments
	s.stats.OutSegs += segments
	c.lastSent = now
}

// wireSegments is how many segments carry n bytes of payload; none still takes one.
func wireSegments(n, size int) uint64 { return uint64(max((n+size-1)/size, 1)) }
