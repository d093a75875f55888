package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// synRecord is a passive handshake in progress: SYN-RECEIVED in a fraction of a connection's memory.
type synRecord struct {
	tuple    tuple
	listener *listener // closed once it is gone
	iss, irs seqnum.Value
	options  wire.Options // the peer's, of which TSVal is kept up to date as TS.Recent
	window   uint16       // the peer's, of its SYN
	offered  uint16       // our window, of the SYN-ACK
	sentAt   Time
	retryAt  Time
	ecn      synECN
	conn     *conn           // by TCP Fast Open, which is there already; nil otherwise
	retries  uint8           // SYN-ACKs sent again by timeout
	waiting  link[synRecord] // in synTable.waiting, until the handshake ends
	owed     link[synRecord] // in synTable.owed
}

// synTable holds the handshakes in progress. Records of one retry level wait equally long, so that a queue for each
// level keeps them in the order of their deadlines.
type synTable struct {
	byTuple map[tuple]*synRecord
	waiting [maxSynLevel + 1]list[synRecord]
	owed    list[synRecord] // a SYN-ACK is owed
}

// maxSynLevel bounds the retry levels: a timeout never grows beyond 2^7 times the first.
const maxSynLevel = 7

func (t *synTable) init()                    { t.byTuple = make(map[tuple]*synRecord) }
func (t *synTable) get(key tuple) *synRecord { return t.byTuple[key] }

func (t *synTable) remove(r *synRecord) {
	r.waiting.leave()
	r.owed.leave()
	r.listener.synCount--
	if r.conn != nil {
		r.listener.fastOpens--
	}
	delete(t.byTuple, r.tuple)
}

// forget drops the handshakes of a listener that closes, but for those beside connections that the user has. The peer's
// next segment is answered by RST.
func (t *synTable) forget(l *listener) {
	if l.synCount == 0 {
		return
	}
	for _, r := range t.byTuple {
		if r.listener == l && r.conn == nil {
			t.remove(r)
		}
	}
}

// deadline returns when expireSyns has something to do.
func (t *synTable) deadline() Time {
	next := Never
	for level := range t.waiting {
		if r := t.waiting[level].front(); r != nil {
			next = min(next, r.retryAt)
		}
	}
	return next
}

// await starts a record's timer for its SYN-ACK.
func (s *Stack) await(r *synRecord, now Time) {
	level := min(r.retries, maxSynLevel)
	r.retryAt = now.Add(min(s.cfg.Defaults.InitialRTO<<level, s.cfg.Defaults.MaxRTO))
	r.waiting.leave()
	s.syns.waiting[level].push(&r.waiting, r)
}

// oweSynAck queues a record's SYN-ACK.
func (s *Stack) oweSynAck(r *synRecord) {
	if !r.owed.linked() {
		s.syns.owed.push(&r.owed, r)
	}
}

// expireSyns sends SYN-ACKs again whose time is up, or gives up.
func (s *Stack) expireSyns(now Time) {
	for level := range s.syns.waiting {
		waiting := &s.syns.waiting[level]
		for r := waiting.front(); r != nil && r.retryAt <= now; r = waiting.front() {
			if int(r.retries) >= r.listener.opt.SynAckRetries {
				s.giveUp(r, now)
				continue
			}
			r.retries++
			s.stats.SynRetransmits++
			s.await(r, now)
			s.oweSynAck(r)
		}
	}
}

// giveUp ends a handshake whose peer has never answered, and the connection beside it.
func (s *Stack) giveUp(r *synRecord, now Time) {
	s.stats.AttemptFails++
	if r.conn == nil {
		s.syns.remove(r)
		return
	}
	s.stats.FastOpenPassiveFails++
	s.resetConn(r.conn, now, ErrTimeout)
}

// pollSynAck builds a SYN-ACK that is owed.
func (s *Stack) pollSynAck(now Time, t *Transmit) bool {
	r := s.syns.owed.front()
	if r == nil {
		return false
	}
	r.owed.leave()
	if r.sentAt == 0 {
		r.sentAt = now
	}
	opt := r.listener.opt
	seg := wire.Segment{
		SrcPort: r.tuple.localPort, DstPort: r.tuple.remotePort,
		Seq: r.iss, Ack: r.irs.Add(1), Flags: wire.SYN | wire.ACK | r.ecn.synAckFlags(r.retries),
		Window:  r.offered,
		Options: s.synAckOptions(r.listener.opt, &r.tuple, &r.options, now),
	}
	r.ecn.putAccECN(&seg.Options, s.cfg.AccECNOption)
	if r.conn != nil {
		seg.Ack, seg.Window = r.conn.fastOpenWindow()
		s.acknowledged(r.conn)
		r.conn.ecn.restrict(&r.ecn)
	}
	s.finish(t, &r.tuple, &seg, opt.TTL, opt.TrafficClass, s.flowLabel(&r.tuple, r.retries))
	return true
}

// synAckOptions are the options of the answer to a SYN with the peer's.
func (s *Stack) synAckOptions(opt *Options, t *tuple, peer *wire.Options, now Time) wire.Options {
	o := s.synOptions(opt, t.local.Is4(), s.cfg.MTU)
	// RFC 7323 §2.2, §3.2 and RFC 2018 §2: an option is sent in a SYN-ACK only if it came in the SYN.
	o.Set &= peer.Set | wire.OptMSS
	if o.Set.Has(wire.OptTimestamps) {
		o.TSVal, o.TSEcr = s.tsNow(now, t), peer.TSVal
	}
	s.addFastOpenCookie(&o, opt, t, peer)
	return o
}

// synOptions are the options of our SYN, all that the user has not switched off.
func (s *Stack) synOptions(opt *Options, v4 bool, mtu int) wire.Options {
	o := wire.Options{Set: wire.OptMSS, MSS: uint16(opt.announcedMSS(!v4, mtu)), WindowScale: s.recvScale(opt)}
	if !opt.NoSACK {
		o.Set |= wire.OptSACKPermitted
	}
	if !opt.NoTimestamps {
		o.Set |= wire.OptTimestamps
	}
	if !opt.NoWindowScale {
		o.Set |= wire.OptWindowScale
	}
	return o
}

// tsNow is the timestamp clock towards a peer before there is a connection.
func (s *Stack) tsNow(now Time, t *tuple) uint32 {
	return uint32(now/Time(time.Millisecond)) + s.isn.tsOffset(t.local, t.remote)
}

// arrivesListen is RFC 9293 §3.10.7.2.
func (s *Stack) arrivesListen(l *listener, now Time, seg *segment) {
	switch {
	case seg.Flags.Has(wire.RST): // "First, check for a RST: An incoming RST segment should be ignored."
		return
	case seg.Flags.Has(wire.ACK): // "Second, check for an ACK: … <SEQ=SEG.ACK><CTL=RST>"
		if !s.acceptCookie(l, now, seg) {
			s.resetFor(now, seg)
		}
		return
	case !seg.Flags.Has(wire.SYN): // "Fourth, other data or control … drop the segment"
		return
	}
	// "Third, check for a SYN". A FIN beside it is nonsense that scanners send; Linux drops it too.
	if seg.isSynFin() && s.cfg.Choices.SynFin != SynFinTaken {
		s.stats.drop(DropSynFin)
		return
	}
	if l.accept.len() >= l.backlog {
		l.overflows++
		s.stats.ListenOverflows++
		s.stats.drop(DropAcceptQueueFull)
		return
	}
	full := l.synCount >= s.cfg.Limits.SynQueue
	switch cookies := s.cfg.SynCookies; {
	case cookies == SynCookiesAlways || full && cookies == SynCookiesAuto:
		s.sendCookie(l, now, seg)
		return
	case full:
		s.stats.drop(DropSynQueueFull)
		return
	}
	t := seg.tuple()
	r := &synRecord{
		tuple: t, listener: l, irs: seg.Seq, options: seg.Options, window: seg.Window, ecn: l.opt.ecnAnswer(seg),
		iss:     s.initialSequence(now, t, l.opt),
		offered: uint16(s.openingWindow(l.opt, l.opt.announcedMSS(!t.local.Is4(), s.cfg.MTU))),
	}
	// "Any other control or text-bearing segment … should be queued for processing later": data in a SYN is left to
	// the peer to send again, as the window check of SYN-RECEIVED would have it anyway.
	if !s.fastOpen(r, now, seg) {
		s.addHandshake(r, now)
	}
}

// addHandshake begins a handshake.
func (s *Stack) addHandshake(r *synRecord, now Time) {
	s.syns.byTuple[r.tuple] = r
	r.listener.synCount++
	s.await(r, now)
	s.oweSynAck(r)
}

// arrivesSynReceived is RFC 9293 §3.10.7.4 for a passive open in SYN-RECEIVED.
func (s *Stack) arrivesSynReceived(r *synRecord, now Time, seg *segment) {
	if seg.Flags.Has(wire.SYN) && !seg.Flags.Has(wire.ACK) && seg.Seq == r.irs {
		r.options.TSVal = seg.Options.TSVal
		if !r.ecn.again(r.listener.opt, seg) {
			s.refuse(r)
			return
		}
		s.oweSynAck(r) // the peer's SYN again: our answer was lost
		return
	}
	rcvNxt := r.irs.Add(1)
	// "First, check sequence number".
	if !acceptable(rcvNxt, seqnum.Size(r.offered), seg) {
		if !seg.Flags.Has(wire.RST) {
			s.ackFromSynReceived(r, now)
		}
		s.stats.drop(DropOutsideWindow)
		return
	}
	switch {
	case seg.Flags.Has(wire.RST):
		// "Second, check the RST bit": RFC 5961 §3.2 wants the exact sequence number. "If this connection was initiated
		// with a passive OPEN … then return this connection to LISTEN state".
		if seg.Seq != rcvNxt && !s.cfg.Choices.ResetInWindow {
			s.stats.drop(DropBlindReset)
			s.ackFromSynReceived(r, now)
			return
		}
		s.syns.remove(r)
		s.stats.AttemptFails++
	case seg.Flags.Has(wire.SYN):
		// "Fourth, check the SYN bit: … return this connection to the LISTEN state and return". RFC 5961 §4 rather
		// asks for a challenge, which protects this handshake from a blind SYN.
		s.stats.drop(DropSynInWindow)
		s.ackFromSynReceived(r, now)
	case !seg.Flags.Has(wire.ACK):
		s.stats.drop(DropNoAck)
	case seg.Ack != r.iss.Add(1):
		// "Fifth, check the ACK field: … if the segment acknowledgment is not acceptable, form a reset segment".
		s.resetFor(now, seg)
	default:
		s.promote(r, now, seg)
	}
}

// ackFromSynReceived answers a segment that is not acceptable, with what SYN-RECEIVED would acknowledge.
func (s *Stack) ackFromSynReceived(r *synRecord, now Time) {
	if !s.strangers.take(now, perSecond(s.cfg.Limits.ResetsPerSec)) {
		s.stats.drop(DropResetRateLimit)
		return
	}
	opt := r.listener.opt
	window := r.offered
	if r.options.Set.Has(wire.OptWindowScale) && !opt.NoWindowScale {
		window >>= s.recvScale(opt) // RFC 7323 §2.2: only the window of a SYN is not scaled
	}
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, reply{
		tuple: r.tuple, seq: r.iss.Add(1), ack: r.irs.Add(1), flags: wire.ACK | r.ecn.ackFlags(),
		window: window, ttl: opt.TTL, trafficClass: opt.TrafficClass,
		// RFC 7323 §3.2: once negotiated, every segment but RST MUST carry timestamps.
		options: timestamps(r.options.Set.Has(wire.OptTimestamps) && !opt.NoTimestamps, s.tsNow(now, &r.tuple), r.options.TSVal),
	})
}

// refuse ends a handshake by RST, whether the peer has our SYN-ACK or not.
func (s *Stack) refuse(r *synRecord) {
	s.syns.remove(r)
	s.stats.AttemptFails++
	opt := r.listener.opt
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, reply{
		tuple: r.tuple, seq: r.iss.Add(1), ack: r.irs.Add(1), flags: wire.RST | wire.ACK, ttl: opt.TTL, trafficClass: opt.TrafficClass,
	})
	s.stats.OutRsts++
}

// promote turns a handshake into a connection when its ACK has come, and goes on with what else that segment holds.
func (s *Stack) promote(r *synRecord, now Time, seg *segment) {
	if c := s.accepted(r, now, seg); c != nil {
		s.syns.remove(r)
		s.arrives(c, now, seg)
	}
}

// accepted makes the connection of a handshake that is over, and returns nil when there is no room for it.
func (s *Stack) accepted(r *synRecord, now Time, seg *segment) *conn {
	l := r.listener
	if l.accept.len() >= l.backlog {
		// The ACK is ignored as if it had been lost: the SYN-ACK is sent again, and the peer tries again. Linux does
		// the same unless tcp_abort_on_overflow is set.
		l.overflows++
		s.stats.ListenOverflows++
		s.stats.drop(DropAcceptQueueFull)
		return nil
	}
	c := s.newConn(now, r.tuple, l.opt)
	if c == nil {
		return nil
	}
	c.listener = l
	c.waiting = true
	c.synRetries = r.retries
	c.setISS(r.iss)
	c.rcv.adv = c.rcv.nxt.Add(seqnum.Size(r.offered))
	c.setIRS(r.irs)
	c.negotiate(now, &r.options)
	s.useECN(c, r.ecn.feedback, !r.ecn.plain)
	c.snd.una, c.snd.nxt, c.snd.limitedUntil = r.iss.Add(1), r.iss.Add(1), r.iss.Add(1)
	if r.retries == 0 && r.sentAt != 0 {
		c.rtt.sample(now, now.Sub(r.sentAt), 1)
	}
	s.establish(c, now, &seg.Segment)
	s.heedHandshakeAck(c, now, seg)
	s.stats.PassiveOpens++
	l.accepted++
	l.accept.push(c)
	s.announce(l)
	return c
}
