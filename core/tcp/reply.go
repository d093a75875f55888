package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// reply is a segment without data that no connection stands behind: an RST, an ACK from TIME-WAIT or a SYN cookie.
type reply struct {
	tuple        tuple
	seq, ack     seqnum.Value
	flags        wire.Flags
	window       uint16
	options      wire.Options
	ttl          uint8
	trafficClass uint8
}

// timestamps are the options of a reply that has agreed on them, and none else.
func timestamps(on bool, val, ecr uint32) (o wire.Options) {
	if on {
		o.Set, o.TSVal, o.TSEcr = wire.OptTimestamps, val, ecr
	}
	return o
}

// replyQueue is a bounded first-in, first-out queue.
type replyQueue struct{ fifo[reply] }

// push queues r, or drops and counts it at the limit: the peer will ask again.
func (q *replyQueue) push(stats *Stats, limit int, r reply) {
	if q.len() >= limit {
		stats.drop(DropReplyQueueFull)
		return
	}
	q.fifo.push(r)
}

// pollReply builds what is owed to strangers, handshakes and TIME-WAIT.
func (s *Stack) pollReply(now Time, t *Transmit) bool {
	if s.replies.len() == 0 {
		return s.pollSynAck(now, t)
	}
	r := s.replies.pop()
	seg := wire.Segment{
		SrcPort: r.tuple.localPort, DstPort: r.tuple.remotePort,
		Seq: r.seq, Ack: r.ack, Flags: r.flags, Window: r.window, Options: r.options,
	}
	s.finish(t, &r.tuple, &seg, r.ttl, r.trafficClass, s.flowLabel(&r.tuple, 0))
	return true
}

// resetFor answers a segment that matches nothing by RST (RFC 9293 §3.10.7.1), at a bounded rate.
func (s *Stack) resetFor(now Time, seg *segment) {
	if seg.Flags.Has(wire.RST) {
		return
	}
	if !s.strangers.take(now, perSecond(s.cfg.Limits.ResetsPerSec)) {
		s.stats.drop(DropResetRateLimit)
		return
	}
	r := reply{tuple: seg.tuple(), flags: wire.RST, ttl: s.cfg.Defaults.TTL}
	if seg.Flags.Has(wire.ACK) {
		r.seq = seg.Ack // "<SEQ=SEG.ACK><CTL=RST>"
	} else {
		r.ack = seg.Seq.Add(seg.length()) // "<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>"
		r.flags |= wire.ACK
	}
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, r)
	s.stats.OutRsts++
}
