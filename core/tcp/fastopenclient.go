package tcp

import (
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
}

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

// attachSynData puts the cookie of a listener and the first data into our first SYN (§4.2.1), or asks for a cookie. A SYN
// that is sent again goes without both: some middlebox may have dropped it because of them (§4.1.3.1).
func (s *Stack) attachSynData(c *conn, t *Transmit, seg *wire.Segment) {
	if !c.opt.FastOpen || c.synRetries > 0 || c.state != StateSynSent {
		return
	}
	seg.Options.Set |= wire.OptFastOpen
	e := s.fastOpenCookies.entries[cookieKey{c.tuple.local, c.tuple.remote}]
	if e.len == 0 {
		return
	}
	seg.Options.FastOpenLen, seg.Options.FastOpenCookie = e.len, e.cookie
	room := min(int(e.mss), c.announcedMSS()) - seg.Options.WireLen()
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
func (s *Stack) synAcked(c *conn, ack seqnum.Value, o *wire.Options) {
	c.snd.una, c.snd.nxt = ack, ack
	got := int(c.snd.iss.Add(1).Size(ack))
	c.sendq.Skip(got)
	c.stat.bytesAcked += uint64(got)
	c.fastOpened = got > 0
	if got < int(c.snd.synData) {
		s.stats.FastOpenActiveFails++
	}
	c.snd.synData = 0
	if c.opt.FastOpen && o.Set.Has(wire.OptFastOpen) && o.FastOpenLen > 0 {
		s.fastOpenCookies.put(cookieKey{c.tuple.local, c.tuple.remote},
			cookieEntry{cookie: o.FastOpenCookie, len: o.FastOpenLen, mss: c.peerMSS}, s.cfg.Limits.FastOpenCookies)
	}
}
