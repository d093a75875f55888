package tcp

import (
	"fmt"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// SynCookies says when a SYN is answered without remembering it (RFC 4987 §3.6): the SYN-ACK's sequence number is a
// cookie, and the ACK that brings it back makes the connection.
type SynCookies uint8

// When a listener sends cookies.
const (
	SynCookiesAuto   SynCookies = iota // while its SYN queue is full
	SynCookiesOff                      // never: a full SYN queue drops SYNs
	SynCookiesAlways                   // for every SYN
	numSynCookies
)

var synCookiesNames = [numSynCookies]string{SynCookiesAuto: "auto", SynCookiesOff: "off", SynCookiesAlways: "always"}

// String returns auto, off or always.
func (c SynCookies) String() string {
	if c < numSynCookies {
		return synCookiesNames[c]
	}
	return fmt.Sprintf("SynCookies(%d)", uint8(c))
}

// MarshalText writes what UnmarshalText reads.
func (c SynCookies) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads auto, off or always.
func (c *SynCookies) UnmarshalText(text []byte) error {
	for i, name := range synCookiesNames {
		if string(text) == name {
			*c = SynCookies(i)
			return nil
		}
	}
	return fmt.Errorf("%w: SYN cookies %q: use auto, off or always", ErrInvalid, text)
}

// A cookie is two hashes, one of the tuple and what follows, and one of the peer's initial sequence number too, with two
// bits of a counter and three of an index into cookieMSS. The whole is shifted by another hash of the tuple, so that it looks as
// any initial sequence number does.
//
// The second hash alone is what a segment fails by that came ahead of the handshake's ACK. It must not be answered by RST,
// or a network that reorders would end connections that are about to be; nor may it make the connection, whose first data
// would be missing, so that this hash has as many bits as Linux's. The first one has few: it only tells which of the
// strangers that come while cookies are on their way are sure to be strangers. The others are not answered.
const (
	cookieIRSBits    = 24
	cookieTupleBits  = 3
	cookieIndexBits  = 3
	cookieIRSMask    = 1<<cookieIRSBits - 1
	cookieTupleMask  = 1<<cookieTupleBits - 1
	cookieIndexMask  = 1<<cookieIndexBits - 1
	cookieCountMask  = 3
	cookieIndexShift = cookieTupleBits
	cookieCountShift = cookieIndexShift + cookieIndexBits
	cookieIRSShift   = 32 - cookieIRSBits
	// cookiePeriod is the time between two values of the counter, and cookieAge how far behind it may be: a cookie is good
	// for two periods at least, which leaves an ACK that was lost the time to be sent again.
	cookiePeriod = Time(64 * time.Second)
	cookieAge    = 2
)

// cookieFit says how an ACK fits the cookies that were sent.
type cookieFit uint8

const (
	cookieStranger cookieFit = iota // it is none of ours, or too old
	cookieEarly                     // its sequence number is not the first: the segment before it is still to come
	cookieGood
)

// cookieMSS are the segment sizes that a cookie can say: the least, the defaults of RFC 9293 §3.7.1 (MUST-15), and what
// links with tunnels, PPPoE, Ethernet and jumbo frames make for both families.
var cookieMSS = [cookieIndexMask + 1]uint16{minSegment, 536, 1220, 1360, 1400, 1440, 1460, 8940}

// cookieIndex is the largest size that a peer's segments may have.
func cookieIndex(mss uint16) uint32 {
	i := len(cookieMSS) - 1
	for i > 0 && cookieMSS[i] > mss {
		i--
	}
	return uint32(i)
}

// cookie returns the initial sequence number that answers a SYN.
func (g *isnGenerator) cookie(now Time, t *tuple, irs seqnum.Value, mss uint16) seqnum.Value {
	count, index := uint64(now/cookiePeriod), cookieIndex(mss)
	hash, shift := g.cookieHashes(t, count, index)
	v := g.cookieIRS(hash, irs)<<cookieIRSShift | uint32(count&cookieCountMask)<<cookieCountShift | index<<cookieIndexShift |
		uint32(hash)&cookieTupleMask
	return seqnum.Value(v + shift)
}

// openCookie returns what a cookie that came back says about the peer's segments, and how it fits.
func (g *isnGenerator) openCookie(now Time, t *tuple, irs, iss seqnum.Value) (mss uint16, fit cookieFit) {
	_, shift := g.cookieHashes(t, 0, 0)
	v := uint32(iss) - shift
	count := uint64(now / cookiePeriod)
	age := (count - uint64(v>>cookieCountShift)) & cookieCountMask
	index := v >> cookieIndexShift & cookieIndexMask
	hash, _ := g.cookieHashes(t, count-age, index)
	switch {
	case age > cookieAge || v&cookieTupleMask != uint32(hash)&cookieTupleMask:
		return 0, cookieStranger
	case v>>cookieIRSShift != g.cookieIRS(hash, irs):
		return 0, cookieEarly
	default:
		return cookieMSS[index], cookieGood
	}
}

// cookieHashes are the hash of a tuple with a counter and an index, and that of the tuple alone.
func (g *isnGenerator) cookieHashes(t *tuple, count uint64, index uint32) (hash uint64, shift uint32) {
	whole := hashTuple(g.key, t, hashCookie)
	return sipHash(g.key, whole, uint64(index), count, hashCookie), uint32(whole)
}

// cookieIRS is the hash of the peer's initial sequence number with that of all else.
func (g *isnGenerator) cookieIRS(hash uint64, irs seqnum.Value) uint32 {
	return uint32(sipHash(g.key, hash, uint64(irs), hashCookieIRS)) & cookieIRSMask
}

// The lowest bits of the timestamp in the SYN-ACK keep what else the peer's SYN said, as in Linux: its echo brings them
// back. Without timestamps, window scale, SACK and ECN are not agreed on.
const (
	cookieTSBits  = 6
	cookieTSMask  = 1<<cookieTSBits - 1
	cookieNoScale = 15     // in the lowest four bits, in place of a window scale
	cookieSACK    = 1 << 4 // SACK permitted
	cookieECN     = 1 << 5 // ECN agreed to
	maxScale      = 14     // RFC 7323 §2.3
)

// cookieTimestamp makes room for the peer's options in a timestamp clock. It falls behind rather than runs ahead of the
// timestamps that the connection will send.
func cookieTimestamp(clock uint32, peer *wire.Options, ecn ECNFeedback) uint32 {
	bits := uint32(cookieNoScale)
	if peer.Set.Has(wire.OptWindowScale) {
		bits = uint32(peer.WindowScale)
	}
	if peer.Set.Has(wire.OptSACKPermitted) {
		bits |= cookieSACK
	}
	if ecn == ECNFeedbackClassic {
		bits |= cookieECN
	}
	ts := clock&^cookieTSMask | bits
	if int32(ts-clock) > 0 {
		ts -= cookieTSMask + 1
	}
	return ts
}

// cookieOptions are the options of a peer's SYN and what was agreed to about ECN, as far as its ACK brings them back.
func cookieOptions(mss uint16, ack *wire.Options, tsOffset uint32) (o wire.Options, ecn ECNFeedback) {
	o = wire.Options{Set: wire.OptMSS, MSS: mss}
	if !ack.Set.Has(wire.OptTimestamps) {
		return o, ECNFeedbackNone
	}
	o.Set |= wire.OptTimestamps
	o.TSVal = ack.TSVal
	bits := ack.TSEcr - tsOffset
	if scale := bits & cookieNoScale; scale <= maxScale {
		o.Set |= wire.OptWindowScale
		o.WindowScale = uint8(scale)
	}
	if bits&cookieSACK != 0 {
		o.Set |= wire.OptSACKPermitted
	}
	if bits&cookieECN != 0 {
		ecn = ECNFeedbackClassic
	}
	return o, ecn
}

// sendCookie answers a SYN by a SYN-ACK that holds all that its ACK needs to bring back.
func (s *Stack) sendCookie(l *listener, now Time, seg *segment) {
	t := seg.tuple()
	mss := defaultMSS(!t.local.Is4())
	if seg.Options.Set.Has(wire.OptMSS) {
		mss = seg.Options.MSS
	}
	peer := seg.Options
	if !peer.Set.Has(wire.OptTimestamps) || l.opt.NoTimestamps {
		peer.Set = wire.OptMSS
	}
	r := reply{
		tuple: t, seq: s.isn.cookie(now, &t, seg.Seq, mss), ack: seg.Seq.Add(1), flags: wire.SYN | wire.ACK,
		window: s.cookieWindow(l.opt), options: s.synAckOptions(l.opt, &t, &peer, now),
		ttl: l.opt.TTL, trafficClass: l.opt.TrafficClass,
	}
	if r.options.Set.Has(wire.OptTimestamps) {
		offset := s.isn.tsOffset(t.local, t.remote)
		ecn := l.opt.classicAnswer(seg)
		r.flags |= ecn.synAckFlags(0)
		r.options.TSVal = cookieTimestamp(r.options.TSVal-offset, &peer, ecn.feedback) + offset
	}
	l.cookiesUntil = now + (cookieAge+1)*cookiePeriod
	s.stats.SynCookiesSent++
	s.replies.push(&s.stats, s.cfg.Limits.DroppedReplies, r)
}

// cookieWindow is the window of a SYN-ACK with a cookie: nothing keeps what it was, so that it must not depend on how much
// memory there is.
func (s *Stack) cookieWindow(o *Options) uint16 {
	return uint16(min(s.startRecvBuffer(o), maxUnscaled))
}

// acceptCookie makes a connection of an ACK that brings back a cookie. It reports false for an ACK that knows none, and
// never looks for cookies when none can be on its way, so that nobody can guess one then.
//
// While the accept queue is full the ACK is dropped, as that of a handshake with a record is. The peer holds the connection
// for established, and what it sends next carries the cookie again; if it has nothing to say, nobody will tell it.
func (s *Stack) acceptCookie(l *listener, now Time, seg *segment) bool {
	if now >= l.cookiesUntil || seg.Flags.Has(wire.SYN) {
		return false
	}
	t := seg.tuple()
	iss, irs := seg.Ack.Sub(1), seg.Seq.Sub(1)
	mss, fit := s.isn.openCookie(now, &t, irs, iss)
	switch fit {
	case cookieStranger:
		s.stats.SynCookiesFailed++
		return false
	case cookieEarly:
		s.stats.drop(DropEarly)
		return true
	case cookieGood:
	}
	s.stats.SynCookiesReceived++
	r := synRecord{tuple: t, listener: l, iss: iss, irs: irs, offered: s.cookieWindow(l.opt)}
	r.options, r.ecn.feedback = cookieOptions(mss, &seg.Options, s.isn.tsOffset(t.local, t.remote))
	if l.opt.ECN.agrees() == ECNFeedbackNone {
		r.ecn.feedback = ECNFeedbackNone // the peer says what we never did
	}
	if c := s.accepted(&r, now, seg); c != nil {
		s.arrives(c, now, seg)
	}
	return true
}
