package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// TCP Fast Open, RFC 7413, at the listening end. A SYN that brings the cookie which an earlier connection was given makes a
// connection at once, with the data in it. Its SYN-ACK is sent, and sent again, by the record of a handshake beside it,
// which goes when the first ACK has come.

// fastOpenCookieLen is in bytes (§4.1.1: 4 to 16, even). A forger needs 2^64 tries for one address.
const fastOpenCookieLen = 8

// fastOpenCookie is the option that proves that a peer receives what is sent to its address (§4.1.2): a keyed function of both
// addresses, so that nothing is remembered.
func (s *Stack) fastOpenCookie(t *tuple) (o wire.Options) {
	addresses := tuple{local: t.local, remote: t.remote}
	o.Set = wire.OptFastOpen
	o.FastOpenLen = fastOpenCookieLen
	putUint64(o.FastOpenCookie[:], hashTuple(s.isn.key, &addresses, hashFastOpen))
	return o
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

// knowsFastOpenCookie reports whether a SYN brings our cookie.
func (s *Stack) knowsFastOpenCookie(t *tuple, o *wire.Options) bool {
	want := s.fastOpenCookie(t)
	return o.Set.Has(wire.OptFastOpen) && o.FastOpenLen == want.FastOpenLen && o.FastOpenCookie == want.FastOpenCookie
}

// addFastOpenCookie gives a cookie to a peer that asks for one, or whose own is not good any more (§4.2.1, §4.2.2).
func (s *Stack) addFastOpenCookie(o *wire.Options, opt *Options, t *tuple, peer *wire.Options) {
	if !opt.FastOpen || !peer.Set.Has(wire.OptFastOpen) || s.knowsFastOpenCookie(t, peer) {
		return
	}
	c := s.fastOpenCookie(t)
	o.Set |= wire.OptFastOpen
	o.FastOpenLen, o.FastOpenCookie, o.FastOpenTrial = c.FastOpenLen, c.FastOpenCookie, peer.FastOpenTrial
}

// FastOpenCookie is the cookie that peers at remote get from listeners at local, for those who hand it out by another way.
func (s *Stack) FastOpenCookie(local, remote wire.Addr) []byte {
	o := s.fastOpenCookie(&tuple{local: local, remote: remote})
	return o.FastOpenCookie[:o.FastOpenLen]
}

// fastOpen makes a connection of a SYN with a good cookie (§4.2.2). It reports false for every other SYN, which then is the
// beginning of a handshake as any: its data come again.
func (s *Stack) fastOpen(r *synRecord, now Time, seg *segment) bool {
	l := r.listener
	unproven := s.cfg.Choices.FastOpenUnproven && seg.payload.len() > 0
	if !l.opt.FastOpen || !seg.Options.Set.Has(wire.OptFastOpen) && !unproven {
		return false
	}
	if !unproven && !s.knowsFastOpenCookie(&r.tuple, &seg.Options) {
		if seg.Options.FastOpenLen == 0 {
			s.stats.FastOpenCookieRequests++
		} else {
			s.stats.FastOpenPassiveFails++
		}
		return false
	}
	if l.fastOpens >= s.cfg.Limits.FastOpenQueue {
		s.stats.FastOpenOverflows++ // §5.1: a flood with a stolen cookie costs no more than this
		return false
	}
	c := s.accepted(r, now, seg)
	if c == nil {
		return true // dropped and counted
	}
	s.stats.FastOpenPassive++
	c.snd.wl2 = r.iss
	c.fastOpening = true
	r.conn = c
	l.fastOpens++
	s.addHandshake(r, now)
	seg.Seq = seg.Seq.Add(1)
	seg.Flags &^= wire.SYN
	c.fastOpened = seg.payload.len() > 0
	s.segmentText(c, now, seg)
	return true
}

// fastOpenAgain answers the SYN of such a connection when it comes again: our SYN-ACK was lost.
func (s *Stack) fastOpenAgain(c *conn, now Time, seg *segment) bool {
	if !seg.Flags.Has(wire.SYN) || seg.Flags.Has(wire.ACK) || seg.Seq != c.rcv.irs {
		return false
	}
	if r := s.syns.get(c.tuple); r.ecn.again(c.opt, seg) {
		s.oweSynAck(r)
	} else {
		s.resetConn(c, now, ErrAborted)
	}
	return true
}

// endFastOpen lets go of the handshake beside a connection: its ACK came, or the connection has ended.
func (s *Stack) endFastOpen(c *conn) *synRecord {
	c.fastOpening = false
	r := s.syns.get(c.tuple)
	s.syns.remove(r)
	return r
}

// fastOpened takes the first ACK of such a connection.
func (s *Stack) fastOpened(c *conn, now Time) {
	r := s.endFastOpen(c)
	if r.retries == 0 && r.sentAt != 0 && c.rtt.srtt == 0 {
		c.rtt.sample(now, now.Sub(r.sentAt), 1)
	}
}

// fastOpenWindow is what the SYN-ACK of such a connection acknowledges and announces: never more than was announced before.
func (c *conn) fastOpenWindow() (ack seqnum.Value, window uint16) {
	return c.rcv.nxt, uint16(min(c.rcv.nxt.Size(c.rcv.adv), maxUnscaled))
}
