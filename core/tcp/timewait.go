package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// timeWait is a connection in TIME-WAIT: what is needed to acknowledge the peer's FIN again (RFC 9293 §3.4.2).
type timeWait struct {
	tuple        tuple
	sndNxt       seqnum.Value
	rcvNxt       seqnum.Value
	tsRecent     uint32
	tsOffset     uint32
	expires      Time
	user         *conn          // whose handle the user still holds; nil otherwise
	place        link[timeWait] // in timeWaitTable.order
	window       uint16
	echo         wire.Flags // ECN feedback
	tsOn         bool
	ttl          uint8
	trafficClass uint8
}

// timeWaitTable holds the records, in the order in which they expire: all wait equally long.
type timeWaitTable struct {
	byTuple map[tuple]*timeWait
	order   list[timeWait]
}

func (t *timeWaitTable) init()                   { t.byTuple = make(map[tuple]*timeWait) }
func (t *timeWaitTable) get(key tuple) *timeWait { return t.byTuple[key] }

// wait starts the time of a record, or starts it again.
func (t *timeWaitTable) wait(w *timeWait, expires Time) {
	w.expires = expires
	w.place.leave()
	t.order.push(&w.place, w)
}

func (t *timeWaitTable) deadline() Time {
	if w := t.order.front(); w != nil {
		return w.expires
	}
	return Never
}

// detach forgets the user of c's record.
func (t *timeWaitTable) detach(c *conn) {
	if w := t.byTuple[c.tuple]; w != nil && w.user == c {
		w.user = nil
	}
}

// addTimeWait makes the record of c. At the limit the oldest record goes early.
func (s *Stack) addTimeWait(c *conn, now Time) *timeWait {
	if len(s.timeWait.byTuple) >= s.cfg.Limits.TimeWait {
		s.stats.TimeWaitOverflows++
		s.endTimeWait(s.timeWait.order.front(), now)
	}
	w := &timeWait{
		echo: c.ecn.echoFlags(), tuple: c.tuple, sndNxt: c.snd.nxt, rcvNxt: c.rcv.nxt, user: c,
		tsOn: c.timestampsOn, tsRecent: c.rcv.tsRecent, tsOffset: c.tsOffset,
		window: uint16(min(c.rcvWindow()>>c.rcv.scale, maxUnscaled)), ttl: c.opt.TTL, trafficClass: c.opt.TrafficClass,
	}
	s.timeWait.byTuple[c.tuple] = w
	s.timeWait.wait(w, now.Add(s.cfg.TimeWait))
	s.stats.TimeWaited++
	return w
}

// endTimeWait drops a record. A user who still holds the handle sees CLOSED.
func (s *Stack) endTimeWait(w *timeWait, now Time) {
	w.place.leave()
	delete(s.timeWait.byTuple, w.tuple)
	if c := w.user; c != nil {
		w.user = nil
		s.closeConn(c, now, nil)
	}
}

func (s *Stack) expireTimeWait(now Time) {
	for w := s.timeWait.order.front(); w != nil && w.expires <= now; w = s.timeWait.order.front() {
		s.endTimeWait(w, now)
	}
}

// ackTimeWait acknowledges the peer's FIN.
func (s *Stack) ackTimeWait(w *timeWait, now Time) {
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, reply{
		tuple: w.tuple, seq: w.sndNxt, ack: w.rcvNxt, flags: wire.ACK | w.echo, window: w.window,
		options: timestamps(w.tsOn, uint32(now/Time(time.Millisecond))+w.tsOffset, w.tsRecent),
		ttl:     w.ttl, trafficClass: w.trafficClass,
	})
}

// resetTimeWait answers a SYN as RFC 793 had it (Choices.SynInWindow).
func (s *Stack) resetTimeWait(w *timeWait, now Time) {
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, reply{
		tuple: w.tuple, seq: w.sndNxt, ack: w.rcvNxt, flags: wire.RST | wire.ACK, ttl: w.ttl, trafficClass: w.trafficClass,
	})
	s.stats.OutRsts++
	s.endTimeWait(w, now)
}

// arrivesTimeWait is RFC 9293 §3.10.7.4 for TIME-WAIT.
func (s *Stack) arrivesTimeWait(w *timeWait, now Time, seg *segment) {
	if seg.Flags.Has(wire.RST) {
		// RFC 1337 §3 warns of RSTs that cut TIME-WAIT short; RFC 5961 §3.2's exact match keeps old and blind ones out.
		if seg.Seq == w.rcvNxt && !s.cfg.Choices.TimeWaitUnreset {
			s.endTimeWait(w, now)
		}
		return
	}
	if seg.Flags.Has(wire.SYN) && s.cfg.Choices.SynInWindow && acceptable(w.rcvNxt, seqnum.Size(w.window), seg) {
		s.resetTimeWait(w, now)
		return
	}
	if seg.Flags.Has(wire.SYN) && !seg.Flags.Has(wire.ACK) && s.reopens(w, seg) {
		if l := s.listeners.match(Endpoint{seg.local, seg.DstPort}); l != nil {
			s.endTimeWait(w, now)
			s.arrivesListen(l, now, seg)
			if r := s.syns.get(w.tuple); r != nil {
				r.iss = w.beyond(r.iss)
			}
			s.stats.TimeWaitReused++
			return
		}
	}
	if w.tsOn && seg.Options.Set.Has(wire.OptTimestamps) && int32(seg.Options.TSVal-w.tsRecent) < 0 {
		s.stats.drop(DropPAWS)
		s.ackTimeWait(w, now)
		return
	}
	// "The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it, and restart
	// the 2 MSL timeout." Anything else that occupies sequence space is old, and acknowledged as such.
	if seg.length() == 0 {
		if !acceptable(w.rcvNxt, seqnum.Size(w.window), seg) {
			s.ackTimeWait(w, now)
		}
		return
	}
	if seg.Flags.Has(wire.FIN) {
		s.timeWait.wait(w, now.Add(s.cfg.TimeWait))
	}
	s.ackTimeWait(w, now)
}

// reopens reports whether a SYN may open a new incarnation of the connection: RFC 9293 §3.10.7.4 MAY-2 and RFC 6191 §2
// allow it when it can't be an old duplicate. Its timestamp decides that, and where there is none or it is the last one
// seen, a sequence number beyond all that was used.
func (s *Stack) reopens(w *timeWait, seg *segment) bool {
	if s.cfg.Choices.TimeWaitUnopened {
		return false
	}
	if w.tsOn && seg.Options.Set.Has(wire.OptTimestamps) && seg.Options.TSVal != w.tsRecent {
		return int32(seg.Options.TSVal-w.tsRecent) > 0
	}
	return w.rcvNxt.Less(seg.Seq)
}

// mayReuse reports whether a connection that we open may take the tuple of a record: with timestamps, which go on from
// the old connection's, old segments are told from new ones (RFC 6191 §3, RFC 7323 §5.3), once a second has passed since
// the last one. That second is Linux's too: the slowest timestamp clock that RFC 7323 §5.4 allows the peer has ticked in it.
// A peer that is still in LAST-ACK challenges the SYN, and takes the one after our RST.
func (s *Stack) mayReuse(w *timeWait, opt *Options, now Time) bool {
	return w.tsOn && !opt.NoTimestamps && now.Sub(w.expires) > timeWaitRest-s.cfg.TimeWait
}

const timeWaitRest = time.Second

// beyond returns the initial sequence number of the next incarnation, MAY-2 (1): "larger than the largest sequence number it
// used on the previous connection incarnation". After a fast transfer the clock that drives them is behind; Linux takes
// the same distance.
func (w *timeWait) beyond(iss seqnum.Value) seqnum.Value {
	return seqnum.Max(iss, w.sndNxt.Add(maxUnscaled+2))
}
