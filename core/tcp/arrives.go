package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// arrives is RFC 9293 §3.10.7, SEGMENT ARRIVES, for a connection that exists. The checks stand in the RFC's order.
func (s *Stack) arrives(c *conn, now Time, seg *segment) {
	c.stat.segmentsReceived += uint64(seg.count)
	if c.state == StateSynSent {
		s.arrivesSynSent(c, now, seg)
		return
	}
	c.rcv.lastAt = now
	c.keepAliveSent = 0
	if c.fastOpening && s.fastOpenAgain(c, now, seg) {
		return
	}
	if !s.checkSequence(c, now, seg) {
		return
	}
	switch {
	case seg.Flags.Has(wire.RST):
		s.checkReset(c, now, seg)
		return
	case seg.Flags.Has(wire.SYN):
		s.checkSyn(c, now, seg)
		return
	case !seg.Flags.Has(wire.ACK):
		// "Fifth, check the ACK field. If the ACK bit is off, drop the segment and return."
		s.stats.drop(DropNoAck)
		return
	}
	if c.fastOpening {
		s.heedHandshakeAck(c, now, seg)
	}
	if !s.checkAck(c, now, seg) {
		return
	}
	c.keepTimestamp(now, seg)
	if c.fastOpening {
		s.fastOpened(c, now)
	}
	s.checkUrgent(c, seg)
	s.noteMark(c, seg)
	if !s.segmentText(c, now, seg) {
		return
	}
	s.checkFin(c, now, seg)
}

// arrivesSynSent is RFC 9293 §3.10.7.3.
func (s *Stack) arrivesSynSent(c *conn, now Time, seg *segment) {
	// "First, check the ACK bit": acceptable when SND.UNA < SEG.ACK =< SND.NXT.
	ackOK := seg.Flags.Has(wire.ACK)
	if ackOK && !c.acksSyn(seg.Ack) {
		s.resetFor(now, seg)
		return
	}
	// "Second, check the RST bit". RFC 5961 §3.2 adds nothing here: the ACK was checked.
	if seg.Flags.Has(wire.RST) {
		if ackOK {
			s.stats.AttemptFails++
			s.closeConn(c, now, ErrRefused)
		}
		return
	}
	// "Fourth, check the SYN bit".
	if !seg.Flags.Has(wire.SYN) {
		return
	}
	c.setIRS(seg.Seq)
	c.negotiate(now, &seg.Options)
	s.settleECN(c, seg)
	if !ackOK {
		s.simultaneousOpen(c, now, seg)
		return
	}
	s.synAcked(c, now, seg.Ack, &seg.Options)
	if c.synRetries == 0 {
		c.rtt.sample(now, now.Sub(c.opened), 1)
	} else if c.timestampsOn && seg.Options.TSEcr != 0 {
		s.sampleTimestamp(c, now, seg.Options.TSEcr)
	}
	s.establish(c, now, &seg.Segment)
	if c.ecn.synMarked(seg) {
		c.cc.onCongestion(now, c.cc.cwnd())
	}
	c.synNow = false
	c.ackNow = true
	s.wantTransmit(c)
	s.post(c, EventEstablished|EventWritable)
	// "If there are other controls or text in the segment, then continue processing at the sixth step".
	seg.Seq = seg.Seq.Add(1)
	seg.Flags &^= wire.SYN
	if s.segmentText(c, now, seg) {
		s.checkFin(c, now, seg)
	}
}

// simultaneousOpen enters SYN-RECEIVED from SYN-SENT (RFC 9293 §3.5, figure 8).
func (s *Stack) simultaneousOpen(c *conn, now Time, seg *segment) {
	c.setState(StateSynReceived)
	c.snd.wnd = seqnum.Size(seg.Window)
	c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
	c.synNow = true // now with ACK
	s.arm(c, timerRetransmit, now.Add(s.rto(c)))
	s.wantTransmit(c)
}

// acceptable is the test of RFC 9293 §3.10.7.4, first check, over the four cases of segment and window length.
func acceptable(nxt seqnum.Value, wnd seqnum.Size, seg *segment) bool {
	length := seg.length()
	switch {
	case length == 0 && wnd == 0:
		return seg.Seq == nxt
	case length == 0:
		return seg.Seq.InWindow(nxt, wnd)
	case wnd == 0:
		return false
	default:
		return seg.Seq.InWindow(nxt, wnd) || seg.Seq.Add(length-1).InWindow(nxt, wnd)
	}
}

// checkSequence is the first check, after PAWS (RFC 7323 §5.3 R1–R3).
func (s *Stack) checkSequence(c *conn, now Time, seg *segment) bool {
	if !s.checkTimestamp(c, now, seg) {
		return false
	}
	if acceptable(c.rcv.nxt, c.rcvWindow(), seg) {
		return true
	}
	if c.state == StateSynReceived && seg.Flags.Has(wire.SYN|wire.ACK) && seg.Seq == c.rcv.irs && seg.Ack == c.snd.nxt {
		// The SYN,ACK of a simultaneous open repeats the peer's SYN, which came before: RFC 9293 §3.5 figure 8, line
		// 6. Its ACK is what we wait for.
		c.ecn.confirm(seg)
		s.synReceivedAck(c, now, seg)
		return false
	}
	// "special allowance should be made to accept valid ACKs, URGs, and RSTs" when the window is zero.
	if c.rcvWindow() == 0 && seg.Seq == c.rcv.nxt {
		return s.zeroWindowArrival(c, seg)
	}
	if seg.Flags.Has(wire.RST) {
		s.stats.drop(DropOutsideWindow)
		return false
	}
	c.noteOld(seg)
	// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply". Text that came before is the
	// common case of a lost ACK. What has no text is answered at a bounded rate: two ends that disagree about sequence
	// numbers would acknowledge each other's acknowledgments for ever.
	s.stats.drop(DropOutsideWindow)
	if seg.Flags.Has(wire.SYN) || seg.length() == 0 {
		c.ecn.synAckAgain(seg)
		s.challengeAck(c, now)
	} else {
		c.ecn.reappeared(seg)
		s.dupAck(c)
	}
	return false
}

// zeroWindowArrival takes what may be taken of a segment at RCV.NXT while the window is closed: not its text and FIN.
func (s *Stack) zeroWindowArrival(c *conn, seg *segment) bool {
	if seg.length() > 0 {
		s.noteMark(c, seg) // RFC 3168 §6.1.6: a marked window probe counts
		seg.mark = wire.NotECT
		c.ackNow = true // a window probe is answered (RFC 9293 §3.8.6.1)
		s.wantTransmit(c)
		seg.payload.truncate(0)
		seg.Flags &^= wire.FIN
	}
	return true
}

// checkTimestamp is PAWS (RFC 7323 §5.3). A segment without the option is accepted although §3.2 says that it "SHOULD" be
// dropped: middleboxes and some peers strip it, and dropping would stall the connection.
func (s *Stack) checkTimestamp(c *conn, now Time, seg *segment) bool {
	if c.freshTimestamp(now, seg) || seg.Flags.Has(wire.RST) {
		return true
	}
	s.stats.drop(DropPAWS)
	c.noteOld(seg)
	s.dupAck(c)
	return false
}

// freshTimestamp says that seg is no older than the latest by its timestamp, as far as it tells. §5.5: one that is 24
// days old proves nothing.
func (c *conn) freshTimestamp(now Time, seg *segment) bool {
	return !c.timestampsOn || !seg.Options.Set.Has(wire.OptTimestamps) ||
		int32(seg.Options.TSVal-c.rcv.tsRecent) >= 0 || now.Sub(c.rcv.tsAt) >= pawsIdle
}

// keepTimestamp keeps TS.Recent, RFC 7323 §4.3 (2): "If: SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent then
// SEG.TSval is copied to TS.Recent". It comes after the check of the ACK field, later than in the RFC's order: a segment
// that RFC 5961 §5.2 discards as a blind attacker's must not make PAWS discard the peer's.
func (c *conn) keepTimestamp(now Time, seg *segment) {
	if c.timestampsOn && seg.Options.Set.Has(wire.OptTimestamps) && c.freshTimestamp(now, seg) && seg.Seq.LessEq(c.rcv.lastAck) {
		c.rcv.tsRecent, c.rcv.tsAt = seg.Options.TSVal, now
	}
}

// pawsIdle is the time after which a timestamp clock of 1 ms has gone half around.
const pawsIdle = 24 * 24 * time.Hour

// checkReset is the second check, with RFC 5961 §3.2: only the exact sequence number resets.
func (s *Stack) checkReset(c *conn, now Time, seg *segment) {
	if seg.Seq != c.rcv.nxt && !s.cfg.Choices.ResetInWindow {
		s.stats.drop(DropBlindReset)
		s.challengeAck(c, now)
		return
	}
	err := ErrReset
	switch c.state {
	case StateSynReceived:
		// "If this connection was initiated with an active OPEN … then the connection was refused".
		s.stats.AttemptFails++
		err = ErrRefused
	case StateEstablished, StateCloseWait:
		s.stats.EstabResets++
	case StateClosing, StateLastAck:
		if c.sendq.Len() == 0 {
			err = nil // all was said: the peer has our data and sent its FIN
		}
	default: // FIN-WAIT: "connection reset"
	}
	s.closeConn(c, now, err)
}

// checkSyn is the fourth check, as RFC 5961 §4.2 has it: a challenge, whatever the sequence number. By RFC 793 a SYN in the
// window "is an error, send a reset" from any synchronized state.
func (s *Stack) checkSyn(c *conn, now Time, _ *segment) {
	if s.cfg.Choices.SynInWindow {
		s.pushReset(c, now)
		s.closeConn(c, now, ErrReset)
		return
	}
	s.stats.drop(DropSynInWindow)
	s.challengeAck(c, now)
}

// checkAck is the fifth check. It reports whether processing goes on.
func (s *Stack) checkAck(c *conn, now Time, seg *segment) bool {
	if c.state == StateSynReceived && !s.synReceivedAck(c, now, seg) {
		return false
	}
	// RFC 5961 §5.2: "The ACK value is considered acceptable only if it is in the range of
	// ((SND.UNA - MAX.SND.WND) <= SEG.ACK <= SND.NXT)".
	if c.snd.nxt.Less(seg.Ack) {
		// "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment, and return."
		s.stats.drop(DropUnacceptableAck)
		s.challengeAck(c, now)
		return false
	}
	if seg.Ack.Less(c.snd.una.Sub(c.snd.maxWnd)) {
		s.stats.drop(DropUnacceptableAck)
		s.challengeAck(c, now)
		return false
	}
	s.acknowledge(c, now, seg)
	if c.finSent && c.snd.una == c.snd.nxt && c.snd.una == c.finSeq().Add(1) {
		return s.finAcknowledged(c, now)
	}
	return true
}

// synReceivedAck is the fifth check in SYN-RECEIVED: "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state".
func (s *Stack) synReceivedAck(c *conn, now Time, seg *segment) bool {
	if !c.acksSyn(seg.Ack) {
		s.resetFor(now, seg)
		return false
	}
	s.synAcked(c, now, seg.Ack, &seg.Options)
	c.synNow = false
	s.establish(c, now, &seg.Segment)
	s.heedHandshakeAck(c, now, seg)
	s.post(c, EventEstablished|EventWritable)
	if c.released {
		s.queueFin(c) // RFC 9293 §3.10.4, CLOSE in SYN-RECEIVED: "queue for processing after entering ESTABLISHED state"
	}
	if seg.Flags.Has(wire.SYN) {
		c.ackNow = true
	}
	s.wantTransmit(c)
	return true
}

// finAcknowledged moves on when the peer has our FIN. It reports whether processing goes on.
func (s *Stack) finAcknowledged(c *conn, now Time) bool {
	switch c.state {
	case StateFinWait1:
		c.setState(StateFinWait2)
		c.disarm(timerRetransmit)
		c.disarm(timerUser)
		if c.released {
			s.arm(c, timerOrphan, now.Add(s.cfg.FinWait2))
		}
	case StateClosing:
		s.enterTimeWait(c, now)
		return false
	case StateLastAck:
		s.closeConn(c, now, nil)
		return false
	default: // FIN-WAIT-2: acknowledged before
	}
	return true
}

// checkUrgent is the sixth step. Urgent data stays in line (RFC 6093 §2.2, as SO_OOBINLINE); the user is told that it is
// there (MUST-32).
func (s *Stack) checkUrgent(c *conn, seg *segment) {
	if !seg.Flags.Has(wire.URG) || !receivesData.has(c.state) {
		return
	}
	// RFC 9293 §3.8.5 (MUST-62): the pointer names the first byte behind urgent data. Older peers name the last one
	// (RFC 6093 §2.1); as all of it stays in line, that makes no difference to what the user reads.
	up := seg.Seq.Add(seqnum.Size(seg.Urgent))
	if c.rcv.nxt.Less(up) && (!c.urgent || c.rcv.up.Less(up)) {
		c.rcv.up = up
		c.urgent = true
		s.post(c, EventUrgent)
	}
}

// finArrived says whether the peer's FIN is at RCV.NXT, that of the segment or one that was held behind a gap: "Segments
// with higher beginning sequence numbers SHOULD be held for later processing" (RFC 9293 §3.10.7.4, SHLD-31).
func (c *conn) finArrived(seg *segment) bool {
	if seg.Flags.Has(wire.FIN) {
		fin := seg.Seq.Add(seqnum.Size(seg.payload.len()))
		if fin == c.rcv.nxt {
			return true
		}
		if c.rcv.nxt.Less(fin) && fin.Less(c.rcv.adv) {
			c.rcv.finAt, c.rcv.finHeld = fin, true
		}
	}
	if c.rcv.finHeld && c.rcv.finAt.Less(c.rcv.nxt) {
		c.rcv.finHeld = false // there were data behind it: the peer contradicts itself, and the data count
	}
	return c.rcv.finHeld && c.rcv.finAt == c.rcv.nxt
}

// checkFin is the eighth step.
func (s *Stack) checkFin(c *conn, now Time, seg *segment) {
	if !receivesData.has(c.state) || !c.finArrived(seg) {
		if receivesData.has(c.state) && seg.Flags.Has(wire.FIN) && seg.payload.len() == 0 && c.rcv.nxt.Less(seg.Seq) {
			s.dupAck(c) // RFC 5681 §4.2, as for text ahead of a gap
		}
		return
	}
	c.rcv.nxt = c.rcv.nxt.Add(1)
	c.rcv.adv = seqnum.Max(c.rcv.adv, c.rcv.nxt)
	c.finReceived = true
	c.ackNow = true
	s.dropReassembly(c)
	s.wantTransmit(c)
	s.post(c, EventReadable)
	switch c.state {
	case StateEstablished:
		c.setState(StateCloseWait)
	case StateFinWait1:
		// Had our FIN been acknowledged by this segment, the fifth check would have left FIN-WAIT-1.
		c.setState(StateClosing)
	default: // FIN-WAIT-2
		s.enterTimeWait(c, now)
	}
}
