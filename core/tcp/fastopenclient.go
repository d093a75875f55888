package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// TCP Fast Open, RFC 7413, at the end that connects: the cookies that listeners gave, and the data that go with a SYN.

// cookieKey is a pair of addresses: a cookie is good for all ports of a listener's address (§4.1.3), from one of ours.
type cookieKey struct{ local, remote wire.Addr }

// cookieEntry is what §4.1.3 wants remembered.
type cookieEntry struct {
	cookie [16]byte
	len    uint8
	mss    uint16
	rest   Time // until when nothing of Fast Open is sent
}

// fastOpenRest is how long a listener's refusal is remembered: §4.1.3.1 "the client SHOULD disable Fast Open on the specific
// path … at least temporarily". FreeBSD takes as long.
const fastOpenRest = 15 * time.Minute

// cookieCache holds the cookies of listeners; the oldest goes first at the limit.
type cookieCache struct {
	entries map[cookieKey]cookieEntry
	order   fifo[cookieKey]
}

func (f *cookieCache) put(key cookieKey, e cookieEntry, limit int) {
	if _, ok := f.entries[key]; !ok {
		for f.order.len() >= limit {
			delete(f.entries, f.order.pop())
		}
		if f.entries == nil {
			f.entries = make(map[cookieKey]cookieEntry)
		}
		f.order.push(key)
	}
	f.entries[key] = e
}

// spoil leaves an entry without its cookie: the next SYN asks for one, and carries no data.
func (f *cookieCache) spoil(key cookieKey) {
	if e, ok := f.entries[key]; ok {
		e.len = 0
		f.entries[key] = e
	}
}

// HasFastOpenCookie reports whether a connection with Options.FastOpen between these addresses would send data with its SYN.
func (s *Stack) HasFastOpenCookie(local, remote wire.Addr) bool {
	return s.fastOpenCookies.entries[cookieKey{local, remote}].len > 0
}

// FastOpenRoom is how many bytes a connection with these options would send with its SYN: 0 without a cookie.
func (s *Stack) FastOpenRoom(local, remote wire.Addr, o *Options) int {
	e := s.fastOpenCookies.entries[cookieKey{local, remote}]
	if e.len == 0 {
		return 0
	}
	return e.room(o.announcedMSS(!local.Is4(), s.cfg.MTU))
}

// room is what fits in a SYN beside as many options as there may be: which ones a middlebox adds is not known.
func (e *cookieEntry) room(announced int) int {
	return max(min(int(e.mss), announced)-maxOptionsLen, 0)
}

// maxOptionsLen is what a TCP header holds (RFC 9293 §3.1).
const maxOptionsLen = 40

// attachSynData puts the cookie of a listener and the first data into our first SYN (§4.2.1), or asks for a cookie. A SYN
// that is sent again goes without both: some middlebox may have dropped it because of them (§4.1.3.1).
func (s *Stack) attachSynData(c *conn, now Time, t *Transmit, seg *wire.Segment) {
	if !c.opt.FastOpen || c.synRetries > 0 || c.state != StateSynSent {
		return
	}
	e := s.fastOpenCookies.entries[cookieKey{c.tuple.local, c.tuple.remote}]
	if now < e.rest {
		return
	}
	seg.Options.Set |= wire.OptFastOpen
	if e.len == 0 {
		return
	}
	seg.Options.FastOpenLen, seg.Options.FastOpenCookie = e.len, e.cookie
	room := e.room(c.announcedMSS())
	if n := min(c.sendq.Len(), room); n > 0 {
		fin := false
		c.snd.synData = uint16(s.attach(c, t, c.snd.iss.Add(1), n, n, &fin))
		c.stat.bytesSent += uint64(c.snd.synData)
		s.stats.OutOctets += uint64(c.snd.synData)
	}
	s.stats.FastOpenActive++
}

// acksSyn reports whether an ACK covers our SYN, and at most the data that went with it.
func (c *conn) acksSyn(ack seqnum.Value) bool {
	return ack.In(c.snd.iss.Add(1), c.snd.iss.Add(1).Add(seqnum.Size(c.snd.synData)+1))
}

// synAcked takes the answer to a SYN: the listener's cookie, and how much of the data has arrived. The rest is sent again
// at once, as if for the first time (§4.2.1).
func (s *Stack) synAcked(c *conn, now Time, ack seqnum.Value, o *wire.Options) {
	c.snd.una, c.snd.nxt = ack, ack
	got, sent := int(c.snd.iss.Add(1).Size(ack)), int(c.snd.synData)
	c.sendq.Skip(got)
	c.stat.bytesAcked += uint64(got)
	if got < sent {
		s.stats.FastOpenActiveFails++
	}
	c.fastOpened = got > 0 && got == sent
	c.snd.synData = 0
	if c.opt.FastOpen {
		s.learnFastOpen(c, now, o, sent > 0 && got == 0)
	}
}

// learnFastOpen remembers what a listener said to a SYN with Fast Open: its cookie, its MSS, or its refusal. §4.1.3.1: "The
// client MUST cache negative responses … Negative responses include the server not acknowledging the data in the SYN".
func (s *Stack) learnFastOpen(c *conn, now Time, o *wire.Options, refused bool) {
	key := cookieKey{c.tuple.local, c.tuple.remote}
	e, known := s.fastOpenCookies.entries[key]
	asked := e.len == 0 && c.synRetries == 0 && now >= e.rest
	switch {
	case o.Set.Has(wire.OptFastOpen) && o.FastOpenLen > 0:
		e.cookie, e.len, e.rest = o.FastOpenCookie, o.FastOpenLen, 0
	case refused, asked && s.cfg.Choices.FastOpenAskedOnce:
		e.len, e.rest = 0, now.Add(fastOpenRest)
	case !known:
		return
	}
	e.mss = c.peerMSS
	s.fastOpenCookies.put(key, e, s.cfg.Limits.FastOpenCookies)
}
