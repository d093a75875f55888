package packetdrill

import (
	"bytes"
	"slices"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// matched notes what a packet that left tells about its connection.
func (f *flow) matched(got *sentPacket) {
	if got.seg.Flags.Has(wire.FIN) {
		f.finEnd = got.seg.Seq.Add(seqnum.Size(got.payload) + 1)
	}
	if end := got.seg.Seq.Add(seqnum.Size(got.payload)); got.payload > 0 && (f.sentTo == 0 || f.sentTo.Less(end)) {
		f.sentTo = end
	}
}

// leeway returns what a script wants of a packet without that in which its system uses a leeway of the RFCs that the
// engine does not use, where what is left still shows what the script is about.
func (s *settings) leeway(f *flow, want *Packet, got *sentPacket) *Packet {
	switch s.dialect {
	case DialectFreeBSD:
		return want.withoutRepeatedFIN(f, got).withoutUnoffered(f).withoutCWR(f, got)
	case DialectLinux:
		return want.withDSACK(f, got)
	case DialectByScript, DialectOwn:
	}
	return want
}

// longestDelay is how long the systems whose scripts we know let an ACK wait at most.
const longestDelay = 200 * time.Millisecond

// acknowledgedSooner says whether an ACK of the peer's FIN may leave before its time: Linux lets it wait for company, as
// any ACK may, and the engine has nothing to wait for. RFC 9293 §3.8.6.3 has a latest time only.
func (s *settings) acknowledgedSooner(f *flow, want *Packet, got *sentPacket) bool {
	return s.dialect == DialectLinux && want.Segment.Flags == wire.ACK && got.payload == 0 && f.peerFin != 0 && got.seg.Ack == f.peerFin
}

// withoutRepeatedFIN makes of a FIN that is sent again with an ACK that ACK alone: FreeBSD sends both in CLOSING, where
// RFC 9293 §3.10.7.4 wants the ACK, and leaves the FIN to its timer.
func (p *Packet) withoutRepeatedFIN(f *flow, got *sentPacket) *Packet {
	seg := p.Segment
	if !seg.Flags.Has(wire.FIN) || seg.Len != 0 || got.seg.Flags != wire.ACK || got.payload != 0 ||
		got.seg.Seq != f.finEnd || f.toLive(seg.Seq, seg.Flags).Add(1) != f.finEnd {
		return p
	}
	q, s := *p, *seg
	s.Flags &^= wire.FIN
	s.Seq++
	q.Segment = &s
	return &q
}

// withoutUnoffered leaves out of the SYN,ACK of a simultaneous open what the peer's SYN has not offered: FreeBSD repeats its
// own SYN's options, by which nothing is agreed on. RFC 7323 §2.2 and §3.2 allow them only behind an offer.
func (p *Packet) withoutUnoffered(f *flow) *Packet {
	seg := p.Segment
	if !seg.Flags.Has(wire.SYN|wire.ACK) || !f.synSent {
		return p
	}
	q, s := *p, *seg
	s.Options = slices.DeleteFunc(slices.Clone(seg.Options), func(o Option) bool {
		return (o.Kind == kindWScale || o.Kind == kindTimestamps || o.Kind == kindSACKOK) &&
			!slices.ContainsFunc(f.offered, func(x Option) bool { return x.Kind == o.Kind })
	})
	q.Segment = &s
	return &q
}

// withoutCWR leaves CWR out of what is wanted of a retransmission: FreeBSD says there that it has slowed down, and
// RFC 3168 §6.1.2 wants it said on new data.
func (p *Packet) withoutCWR(f *flow, got *sentPacket) *Packet {
	seg := p.Segment
	if !seg.Flags.Has(wire.CWR) || seg.Len == 0 || !got.seg.Seq.Less(f.sentTo) {
		return p
	}
	q, s := *p, *seg
	s.Flags &^= wire.CWR
	q.Segment = &s
	return &q
}

// withDSACK adds the D-SACK that left where the script wants no SACK at all: Linux sends none when the duplicate carries a
// FIN, and RFC 2883 §4 has a receiver that does.
func (p *Packet) withDSACK(f *flow, got *sentPacket) *Packet {
	seg := p.Segment
	if seg.AnyOptions || slices.ContainsFunc(seg.Options, func(o Option) bool { return o.Kind == kindSACK }) {
		return p
	}
	o := got.seg.Options
	if o.SACKBlocks != 1 || got.seg.Ack.Less(o.SACK[0].End) {
		return p
	}
	q, s := *p, *seg
	s.Options = splitOptions(bytes.Clone(got.options))
	shiftBack := f.peerBase(got.seg.Flags)
	s.Options = shiftSACK(s.Options, -shiftBack)
	q.Segment = &s
	return &q
}
