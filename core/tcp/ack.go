package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// acked collects what one ACK says, while the scoreboard is walked.
type acked struct {
	bytes     int  // delivered by this ACK, each byte once
	sacked    bool // SACK told something new
	original  bool // of what this ACK covers first something was deemed lost and never sent again
	hasEcho   bool // the segment echoes a timestamp
	dsacked   int  // bytes that D-SACK reports
	echo      uint32
	resent    bool // of what this ACK covers first something was retransmitted: the rest may have waited for it
	firstSent Time // of the oldest record without retransmission that this ACK covers first; 0 when there is none
	rate      rateSample
	packets   int           // data packets delivered by this ACK
	estimated bool          // packets is no more than an estimate
	rtt       time.Duration // of what this ACK covers first; 0 when that tells none
}

// take accounts for a record that is acknowledged or SACKed for the first time.
func (a *acked) take(c *conn, now Time, r *record) {
	n := int(r.size())
	a.bytes += n
	a.countPackets(r, n, c.mss)
	c.rate.onAcked(now, &r.stamp, r.sentAt, n, &a.rate)
	a.original = a.original || r.flags&(recLost|recRetransmitted) == recLost
	staleEcho := a.hasEcho && int32(a.echo-c.tsNow(r.sentAt)) < 0
	c.rack.delivered(now, r, c.rtt.min(), staleEcho)
	if r.has(recRetransmitted) { // RFC 6298 §3, Karn's algorithm
		a.resent = true
	} else if a.firstSent == 0 || r.sentAt < a.firstSent {
		a.firstSent = r.sentAt
	}
}

// acknowledge processes an acceptable ACK: RFC 9293 §3.10.7.4, fifth check, ESTABLISHED, with RFC 5681, 6675 and 7323.
func (s *Stack) acknowledge(c *conn, now Time, seg *segment) {
	priorUna, priorPipe, priorFlight := c.snd.una, c.pipe(), c.flight()
	a := acked{hasEcho: c.timestampsOn && seg.Options.Set.Has(wire.OptTimestamps), echo: seg.Options.TSEcr}
	if c.snd.una.Less(seg.Ack) {
		s.advanceUna(c, now, seg.Ack, &a)
	}
	s.applySACK(c, now, seg, &a)
	duplicate := s.isDuplicateAck(c, seg, priorUna)
	s.updateSendWindow(c, now, seg, priorUna)
	s.sampleRTT(c, now, seg, &a, priorUna)
	c.rate.generate(&a.rate, c.rtt.min())
	if rate := a.rate.rate(); rate > 0 && (!a.rate.appLimited || rate > c.stat.deliveryRate) {
		c.stat.deliveryRate = rate
	}
	congested := c.ecn != nil && c.ecn.echoes(seg, c.accProgress(seg, &a), seg.Ack.Less(priorUna))
	s.recover(c, now, &ackEvent{
		acked: &a, duplicate: duplicate, advanced: priorUna != c.snd.una, priorUna: priorUna, priorPipe: priorPipe,
		congested: congested,
	})
	s.heedECN(c, now, congested, priorFlight)
	s.afterAck(c, now, priorUna)
}

// pipe is RFC 6675's estimate of the bytes in the network. Without SACK, each duplicate ACK stands for a segment that
// has left it (RFC 5681 §3.2 step 4).
func (c *conn) pipe() int {
	pipe := c.sent.pipe(c.snd.una, c.snd.nxt)
	if c.recovery.dupAcks > 0 && !c.sackOn {
		pipe = max(pipe-int(c.recovery.dupAcks)*c.mss, 0)
	}
	return pipe
}

// applySACK marks what the peer's SACK blocks report (RFC 2018 §5). Blocks that can't be are ignored.
func (s *Stack) applySACK(c *conn, now Time, seg *segment, a *acked) {
	if !c.sackOn || !seg.Options.Set.Has(wire.OptSACK) {
		return
	}
	blocks := seg.Options.SACK[:seg.Options.SACKBlocks]
	if c.noteDSACK(seg.Ack, blocks, a) {
		blocks = blocks[1:]
	}
	var sorted [wire.MaxSACKBlocks]wire.SACKBlock
	for _, b := range sortBlocks(sorted[:0], blocks) {
		if !b.Start.Less(b.End) || b.Start.Less(c.snd.una) || c.snd.nxt.Less(b.End) {
			continue
		}
		if c.sent.len() >= s.cfg.Limits.SentSegments {
			return // no room to cut records finer: what stays unmarked is sent again at worst
		}
		start, end := c.sent.boundary(b.Start, true), c.sent.boundary(b.End, false)
		if !start.Less(end) {
			continue
		}
		c.sent.sack(&s.records, start, end, func(r *record) {
			a.sacked = true
			a.take(c, now, r)
		})
	}
}

// sortBlocks appends blocks to dst, the lowest first. One ACK may tell of several blocks that are new, where the receiver puts
// ACKs off or some are lost; the most recent comes first (RFC 2018 §4), and the others are below it although nothing has
// overtaken them (RFC 8985 §6.2 step 3).
func sortBlocks(dst, blocks []wire.SACKBlock) []wire.SACKBlock {
	for _, b := range blocks {
		dst = append(dst, b)
		for i := len(dst) - 1; i > 0 && dst[i].Start.Less(dst[i-1].Start); i-- {
			dst[i], dst[i-1] = dst[i-1], dst[i]
		}
	}
	return dst
}

// noteDSACK reports whether the first block is a D-SACK (RFC 2883 §4): it lies below the cumulative acknowledgment, or
// inside the second block.
func (c *conn) noteDSACK(ack seqnum.Value, blocks []wire.SACKBlock, a *acked) bool {
	if len(blocks) == 0 {
		return false
	}
	b := blocks[0]
	if !b.Start.Less(b.End) || c.snd.nxt.Less(b.End) || b.Start.Less(ack.Sub(c.snd.maxWnd)) {
		return false
	}
	inside := len(blocks) > 1 && blocks[1].Start.LessEq(b.Start) && b.End.LessEq(blocks[1].End)
	if !b.End.LessEq(ack) && !inside {
		return false
	}
	a.dsacked = int(b.Start.Size(b.End))
	if c.undo != nil && c.undo.una.LessEq(b.Start) {
		c.undo.resent -= a.dsacked
	}
	return true
}

// advanceUna moves SND.UNA forward and gives up what is acknowledged.
func (s *Stack) advanceUna(c *conn, now Time, ack seqnum.Value, a *acked) {
	c.sent.ack(&s.records, ack, func(r *record) {
		if !r.has(recSacked) {
			a.take(c, now, r)
		}
	})
	data := int(c.snd.una.Size(ack))
	if c.finSent && ack == c.finSeq().Add(1) {
		data-- // the FIN
	}
	c.sendq.Skip(data)
	c.stat.bytesAcked += uint64(data)
	c.snd.una = ack
	c.backoff = 0
	c.snd.progressAt = now
}

// isDuplicateAck is RFC 5681 §2's definition, or with SACK the arrival of new SACK information (RFC 6675 §2).
func (s *Stack) isDuplicateAck(c *conn, seg *segment, priorUna seqnum.Value) bool {
	return seg.Ack == priorUna && c.outstanding() && seg.length() == 0 &&
		seqnum.Size(seg.Window)<<c.snd.scale == c.snd.wnd
}

// updateSendWindow is RFC 9293 §3.10.7.4: "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND".
// As in Linux an ACK that advances SND.UNA counts as well, whatever its sequence number: the edge is SND.UNA+SND.WND, and
// would move beyond what the peer ever promised if only one of them changed.
func (s *Stack) updateSendWindow(c *conn, now Time, seg *segment, priorUna seqnum.Value) {
	if seg.Ack.Less(c.snd.una) {
		return
	}
	newer := c.snd.wl1.Less(seg.Seq) || c.snd.wl1 == seg.Seq && c.snd.wl2.LessEq(seg.Ack)
	if c.snd.una == priorUna && !newer {
		return
	}
	wnd := seqnum.Size(seg.Window)
	if !seg.Flags.Has(wire.SYN) {
		wnd <<= c.snd.scale
	}
	if wnd > 0 && c.snd.wnd == 0 {
		c.backoff = 0
	}
	c.snd.wnd = wnd
	c.snd.maxWnd = max(c.snd.maxWnd, wnd)
	c.snd.wl1, c.snd.wl2 = seg.Seq, seg.Ack
	c.probed = false
	if wnd == 0 && !c.released {
		// RFC 9293 §3.8.6.1: "the connection must stay open as long as the receiving TCP endpoint … acknowledges the probes"
		// (MUST-37). For an orphan there is no user to give up, so the user timeout still counts.
		c.snd.progressAt = now
	}
}

// sampleRTT takes the round-trip time from the records, or from the timestamp echo when all were retransmitted: an
// echo tells which transmission it answers (RFC 7323 §4.1).
func (s *Stack) sampleRTT(c *conn, now Time, seg *segment, a *acked, priorUna seqnum.Value) {
	switch {
	case a.firstSent != 0 && !a.resent:
		a.rtt = max(now.Sub(a.firstSent), 1) // both stamps may come from one reading of the clock
		c.rtt.sample(now, a.rtt, expectedSamples(c.flight()+a.bytes, a.bytes, c.mss))
	case a.bytes > 0 && c.timestampsOn && seg.Options.Set.Has(wire.OptTimestamps) && priorUna != c.snd.una:
		s.sampleTimestamp(c, now, seg.Options.TSEcr)
	}
}

// sampleTimestamp takes a sample from an echoed timestamp, to the millisecond.
func (s *Stack) sampleTimestamp(c *conn, now Time, echo uint32) {
	if age := int32(c.tsNow(now) - echo); age >= 0 && time.Duration(age)*time.Millisecond < maxRTO {
		c.rtt.sample(now, max(time.Duration(age)*time.Millisecond, time.Millisecond), 1)
	}
}

// afterAck restarts timers and tells the user what an ACK has changed.
func (s *Stack) afterAck(c *conn, now Time, priorUna seqnum.Value) {
	if c.snd.una != priorUna {
		// Marks that are passed stay beside SND.UNA: half the sequence space behind, they would seem to lie ahead.
		c.snd.limitedUntil = seqnum.Max(c.snd.limitedUntil, c.snd.una)
		c.snd.small = seqnum.Max(c.snd.small, c.snd.una)
		if c.outstanding() {
			// RFC 6298 §5.3: "When an ACK is received that acknowledges new data, restart the retransmission timer".
			s.arm(c, timerRetransmit, now.Add(s.rto(c)))
		} else {
			c.disarm(timerRetransmit) // §5.2
			c.disarm(timerUser)
		}
		s.offerSpace(c)
		if c.sendq.Len() == 0 {
			s.post(c, EventSent)
		}
	}
	if c.snd.una != priorUna || c.sent.sacked > 0 {
		s.armProbe(c, now)
	}
	if c.snd.wnd > 0 {
		c.disarm(timerPersist)
	}
	if c.hasUnsent() || c.sent.lost > 0 {
		s.wantTransmit(c)
	}
}

// finPending reports whether our FIN is queued and not sent.
func (c *conn) finPending() bool { return finQueued.has(c.state) && !c.finSent }

// hasUnsent reports whether data or a FIN waits to be sent for the first time.
func (c *conn) hasUnsent() bool { return c.finPending() || c.unsent() > 0 }
