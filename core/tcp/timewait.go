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
	user         *conn // whose handle the user still holds; nil otherwise
	window       uint16
	tsOn         bool
	gone         bool
	ttl          uint8
	trafficClass uint8
}

// timeWaitTable holds the records, in the order in which they expire. One whose time was restarted stands twice in the
// order: the earlier place is passed over.
type timeWaitTable struct {
	byTuple map[tuple]*timeWait
	order   []timeWaitPlace
	head    int
}

type timeWaitPlace struct {
	record *timeWait
	when   Time
}

func (t *timeWaitTable) init()                   { t.byTuple = make(map[tuple]*timeWait) }
func (t *timeWaitTable) get(key tuple) *timeWait { return t.byTuple[key] }

// append notes when w expires.
func (t *timeWaitTable) append(w *timeWait) {
	if t.head > 0 && t.head >= len(t.order)/2 && len(t.order) == cap(t.order) {
		n := copy(t.order, t.order[t.head:])
		clear(t.order[n:])
		t.order, t.head = t.order[:n], 0
	}
	t.order = append(t.order, timeWaitPlace{w, w.expires})
}

// first returns the record that expires next, nil when there is none.
func (t *timeWaitTable) first() *timeWait {
	for t.head < len(t.order) {
		place := &t.order[t.head]
		if !place.record.gone && place.when == place.record.expires {
			return place.record
		}
		*place = timeWaitPlace{}
		t.head++
	}
	t.order, t.head = t.order[:0], 0
	return nil
}

func (t *timeWaitTable) deadline() Time {
	if w := t.first(); w != nil {
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
		s.endTimeWait(s.timeWait.first(), now)
	}
	w := &timeWait{
		tuple: c.tuple, sndNxt: c.snd.nxt, rcvNxt: c.rcv.nxt, expires: now.Add(s.cfg.TimeWait), user: c,
		tsOn: c.timestampsOn, tsRecent: c.rcv.tsRecent, tsOffset: c.tsOffset,
		window: uint16(min(c.rcvWindow()>>c.rcv.scale, maxUnscaled)), ttl: c.opt.TTL, trafficClass: c.opt.TrafficClass,
	}
	s.timeWait.byTuple[c.tuple] = w
	s.timeWait.append(w)
	s.stats.TimeWaited++
	return w
}

// endTimeWait drops a record. A user who still holds the handle sees CLOSED.
func (s *Stack) endTimeWait(w *timeWait, now Time) {
	w.gone = true
	delete(s.timeWait.byTuple, w.tuple)
	if c := w.user; c != nil {
		w.user = nil
		s.closeConn(c, now, nil)
	}
}

func (s *Stack) expireTimeWait(now Time) {
	for w := s.timeWait.first(); w != nil && w.expires <= now; w = s.timeWait.first() {
		s.endTimeWait(w, now)
	}
}

// ackTimeWait acknowledges the peer's FIN.
func (s *Stack) ackTimeWait(w *timeWait, now Time) {
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, reply{
		tuple: w.tuple, seq: w.sndNxt, ack: w.rcvNxt, flags: wire.ACK, window: w.window, tsOn: w.tsOn,
		tsVal: uint32(now/Time(time.Millisecond)) + w.tsOffset, tsEcr: w.tsRecent, ttl: w.ttl, trafficClass: w.trafficClass,
	})
}

// arrivesTimeWait is RFC 9293 §3.10.7.4 for TIME-WAIT.
func (s *Stack) arrivesTimeWait(w *timeWait, now Time, seg *segment) {
	if seg.Flags.Has(wire.RST) {
		// RFC 1337 §3 warns of RSTs that cut TIME-WAIT short; RFC 5961 §3.2's exact match keeps old and blind ones out.
		if seg.Seq == w.rcvNxt {
			s.endTimeWait(w, now)
		}
		return
	}
	if seg.Flags.Has(wire.SYN) && !seg.Flags.Has(wire.ACK) && s.reopens(w, seg) {
		if l := s.listeners.match(Endpoint{seg.local, seg.DstPort}); l != nil {
			s.endTimeWait(w, now)
			s.arrivesListen(l, now, seg)
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
		w.expires = now.Add(s.cfg.TimeWait)
		s.timeWait.append(w)
	}
	s.ackTimeWait(w, now)
}

// reopens reports whether a SYN may open a new incarnation of the connection: RFC 9293 §3.10.7.4 MAY-2 and RFC 6191 §2
// allow it when it can't be an old duplicate, by its timestamp or by a sequence number beyond all that was used.
func (s *Stack) reopens(w *timeWait, seg *segment) bool {
	if w.tsOn && seg.Options.Set.Has(wire.OptTimestamps) {
		return int32(seg.Options.TSVal-w.tsRecent) > 0 || w.rcvNxt.Less(seg.Seq)
	}
	return w.rcvNxt.Less(seg.Seq)
}
