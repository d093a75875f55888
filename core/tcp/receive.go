package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// segmentText is the seventh step: the segment's data. It reports whether processing goes on.
func (s *Stack) segmentText(c *conn, now Time, seg *segment) bool {
	if seg.payload.len() == 0 {
		return true
	}
	if !receivesData.has(c.state) {
		return true // "This should not occur since a FIN has been received": ignored
	}
	if c.released && c.rcv.nxt.Less(seg.Seq.Add(seqnum.Size(seg.payload.len()))) {
		// RFC 9293 §3.6.1 and RFC 2525 §2.17: data that nobody can receive any more is answered by RST.
		s.stats.AbortsOnData++
		s.resetConn(c, now, ErrAborted)
		return false
	}
	s.trim(c, seg)
	if seg.payload.len() == 0 {
		return true
	}
	c.rcv.mss = max(c.rcv.mss, uint16(min(seg.size, maxUnscaled)))
	if seg.Seq != c.rcv.nxt {
		s.outOfOrder(c, seg)
		return true
	}
	s.inOrder(c, now, seg)
	return true
}

// trim cuts a segment to the receive window: "segments may be trimmed to fit" (RFC 9293 §3.10.7.4).
func (s *Stack) trim(c *conn, seg *segment) {
	if seg.Seq.Less(c.rcv.nxt) {
		old := min(int(seg.Seq.Size(c.rcv.nxt)), seg.payload.len())
		c.noteOld(seg)
		seg.payload.trimFront(old)
		seg.Seq = seg.Seq.Add(seqnum.Size(old))
		c.ackNow = true
		s.wantTransmit(c)
	}
	if room := int(seg.Seq.Size(c.rcv.adv)); seg.payload.len() > room {
		seg.payload.truncate(room)
		seg.Flags &^= wire.FIN
		c.ackNow = true
		s.wantTransmit(c)
	}
}

// inOrder takes data at RCV.NXT.
func (s *Stack) inOrder(c *conn, now Time, seg *segment) {
	n := seg.payload.len()
	hadGap := c.ooo != nil
	before := c.rcv.nxt
	s.keep(c, &seg.payload)
	c.rcv.nxt = c.rcv.nxt.Add(seqnum.Size(n))
	if hadGap {
		c.noteOverlap()
		s.pullReassembly(c)
	}
	s.stats.InOctets += uint64(before.Size(c.rcv.nxt))
	s.discardUnwanted(c)
	s.measureRecv(c, now, seg)
	s.settle(c, true)
	if !c.recvShut {
		s.post(c, EventReadable)
	}
	// RFC 5681 §4.2: "a receiver … SHOULD send an immediate ACK when the incoming segment fills in all or part of a gap".
	s.scheduleAck(c, now, seg, hadGap)
}

// keep puts a payload at the end of the receive queue.
func (s *Stack) keep(c *conn, p *payload) {
	before := c.recvq.Len()
	c.recvq.PushView(s.cfg.Pool, p.head)
	c.recvq.PushView(s.cfg.Pool, p.body)
	c.rcv.unconsumed += c.recvq.Len() - before
}

func (s *Stack) pullReassembly(c *conn) {
	before := c.recvq.Len()
	c.rcv.nxt = c.ooo.pull(&s.reassembly, c.rcv.nxt, &c.recvq)
	c.rcv.unconsumed += c.recvq.Len() - before
	if len(c.ooo.runs) == 0 {
		s.dropReassembly(c)
	}
}

// discardUnwanted drops what came after the user shut the receiving side.
func (s *Stack) discardUnwanted(c *conn) {
	if c.recvShut {
		c.rcv.unconsumed -= c.recvq.Len()
		c.recvq.Clear()
		s.settle(c, false)
	}
}

// outOfOrder keeps data ahead of RCV.NXT and asks for what is missing. RFC 5681 §4.2: "A TCP receiver SHOULD send an
// immediate duplicate ACK when an out-of-order segment arrives".
func (s *Stack) outOfOrder(c *conn, seg *segment) {
	c.stat.reordered += uint32(seg.count)
	s.stats.OFOQueue += uint64(seg.count)
	seq := seg.Seq
	if !s.recvMemoryLeft() {
		s.stats.drop(DropNoMemory)
		s.dupAck(c)
		return
	}
	if c.ooo == nil {
		c.ooo = s.reassembly.queues.get()
	}
	fresh, room := false, true
	for _, part := range [...]zbuf.Slice{seg.payload.head, seg.payload.body} {
		f, r := c.ooo.insert(&s.reassembly, seq, part)
		fresh, room = fresh || f, room && r
		seq = seq.Add(seqnum.Size(part.Len()))
	}
	if !room {
		s.stats.drop(DropReassemblyFull)
	}
	if !fresh && room {
		c.noteDuplicate(seg, seg.Seq.Add(seqnum.Size(seg.payload.len())))
	}
	c.ooo.report(seg.Seq)
	s.settle(c, true)
	s.dupAck(c)
}

// noteOld notes the part of a segment that lies before RCV.NXT as a duplicate. What lies ahead was dropped, and must not
// be reported as held.
func (c *conn) noteOld(seg *segment) {
	if end := seqnum.Min(seg.Seq.Add(seqnum.Size(seg.payload.len())), c.rcv.nxt); seg.Seq.Less(end) {
		c.noteDuplicate(seg, end)
	}
}

// noteDuplicate remembers a duplicate, up to end, for D-SACK (RFC 2883 §4): the next ACK reports its sequence numbers
// first.
func (c *conn) noteDuplicate(seg *segment, end seqnum.Value) {
	c.stat.duplicates += uint32(seg.count)
	if c.sackOn {
		c.rcv.dsack = wire.SACKBlock{Start: seg.Seq, End: end}
	}
}

// noteOverlap notes what of the data in order was held already, up to the first hole behind it. RFC 2883 §4.2 reports the
// duplicate part of a segment as it reports whole ones, and "at most one D-SACK block" at a time.
func (c *conn) noteOverlap() {
	first := c.ooo.runs[0]
	if !c.sackOn || c.rcv.nxt.LessEq(first.start) || c.rcv.dsack != (wire.SACKBlock{}) {
		return
	}
	c.rcv.dsack = wire.SACKBlock{Start: first.start, End: seqnum.Min(first.end(), c.rcv.nxt)}
}

// scheduleAck decides when data that came in order is acknowledged. RFC 9293 §3.8.6.3: "an ACK SHOULD be generated for
// at least every second full-sized segment" (SHLD-19) within 500 ms (MUST-40). The second need not be full: a sender
// whose data ends in a short segment has two in flight, so that its tail loss probe does not allow for a delayed ACK. A
// super-segment is acknowledged once, as Linux does for what GRO joined.
func (s *Stack) scheduleAck(c *conn, now Time, seg *segment, gapFilled bool) {
	pending := int(c.rcv.ackedUpTo.Size(c.rcv.nxt))
	switch {
	case gapFilled, c.opt.QuickAck, seg.Flags.Has(wire.FIN), pending > int(c.rcv.mss):
		c.ackNow = true
	case c.rcv.quickAcks > 0:
		c.rcv.quickAcks--
		c.ackNow = true
	}
	if c.ackNow {
		s.wantTransmit(c)
		return
	}
	if !c.timers.on(timerDelayedAck) {
		s.stats.DelayedAcks++
		s.arm(c, timerDelayedAck, now.Add(s.cfg.DelayedAck))
	}
}

// dupAck acknowledges at once what is in order so far.
func (s *Stack) dupAck(c *conn) {
	c.ackNow = true
	s.stats.DupAcksSent++
	s.wantTransmit(c)
}

// challengeAck is RFC 5961's answer to what might be an attack, at the connection's own bounded rate (§7): a limit that
// connections share would tell an attacker about others (CVE-2016-5696).
func (s *Stack) challengeAck(c *conn, now Time) {
	if !c.challenge.take(now, perSecond(s.cfg.Limits.ChallengeAcks)) {
		return
	}
	c.stat.challengeAcks++
	s.stats.ChallengeAcks++
	c.ackNow = true
	s.wantTransmit(c)
}
