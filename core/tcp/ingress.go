package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// segment is one arriving segment, or super-segment, with its payload.
type segment struct {
	wire.Segment
	local, remote wire.Addr
	payload       payload
	mark          wire.ECN
	size          int // payload of each segment on the wire
	count         int // segments on the wire
}

// isSynFin reports whether a segment begins and ends a connection at once, as only those of scanners do.
func (g *segment) isSynFin() bool { return g.Flags.Has(wire.SYN | wire.FIN) }

func (g *segment) tuple() tuple {
	return tuple{local: g.local, remote: g.remote, localPort: g.DstPort, remotePort: g.SrcPort}
}

// length is SEG.LEN: SYN and FIN occupy sequence space too (RFC 9293 §3.4).
func (g *segment) length() seqnum.Size {
	n := seqnum.Size(g.payload.len())
	if g.Flags.Has(wire.SYN) {
		n++
	}
	if g.Flags.Has(wire.FIN) {
		n++
	}
	return n
}

// payload is data in up to two pieces, which are views: the packet owns the references.
type payload struct{ head, body zbuf.Slice }

func (p *payload) len() int { return p.head.Len() + p.body.Len() }

// trimFront drops n bytes at the front.
func (p *payload) trimFront(n int) {
	k := min(n, p.head.Len())
	p.head = p.head.Sub(k, p.head.Len())
	p.body = p.body.Sub(n-k, p.body.Len())
}

// truncate keeps n bytes.
func (p *payload) truncate(n int) {
	k := min(n, p.head.Len())
	p.head = p.head.Sub(0, k)
	p.body = p.body.Sub(0, min(n-k, p.body.Len()))
}

// HandlePacket takes in one packet, whose references pass to the Stack. now is the time at which it was read.
// A packet that is no good is dropped and counted in Stats.
func (s *Stack) HandlePacket(now Time, p Packet) {
	s.begin(now)
	s.handlePacket(now, &p)
	p.Head.Release()
	p.Body.Release()
}

func (s *Stack) handlePacket(now Time, p *Packet) {
	var ip wire.IP
	if problem := wire.ParseIPSplit(p.Head.Bytes(), p.Body.Len(), &ip); problem != wire.None {
		s.stats.problem(problem)
		return
	}
	switch {
	case !s.owns(ip.Dst):
		s.stats.drop(DropNotOurs)
		return
	case ip.Src.IsUnspecified():
		s.stats.drop(DropBadSource)
		return
	case ip.IsFragment():
		s.stats.drop(DropFragment)
		return
	}
	switch ip.Protocol {
	case wire.TCP:
		s.handleTCP(now, p, &ip)
	case wire.ICMP, wire.ICMPv6:
		s.handleICMP(now, p, &ip)
	default:
		s.stats.drop(DropUnknownProtocol)
	}
}

func (s *Stack) handleTCP(now Time, p *Packet, ip *wire.IP) {
	head := p.Head.Sub(ip.HeaderLen, min(ip.TotalLen, p.Head.Len()))
	body := p.Body.Sub(0, min(max(ip.TotalLen-p.Head.Len(), 0), p.Body.Len()))
	seg := segment{local: ip.Dst, remote: ip.Src, mark: ip.ECN()}
	if problem := wire.ParseSegment(head.Bytes(), &seg.Segment); problem != wire.None {
		s.stats.problem(problem)
		return
	}
	if !p.Trusted && !wire.ChecksumOK(ip.Src, ip.Dst, wire.TCP, head.Bytes(), body.Bytes()) {
		s.stats.InErrs++
		s.stats.InCsumErrors++
		s.stats.drop(DropBadTransportChecksum)
		return
	}
	seg.payload = payload{head: head.Sub(seg.HeaderLen, head.Len()), body: body}
	seg.size, seg.count = seg.payload.len(), 1
	if p.SegmentSize > 0 && seg.size > p.SegmentSize {
		seg.size = p.SegmentSize
		seg.count = (seg.payload.len() + seg.size - 1) / seg.size
	}
	s.stats.InSegs += uint64(seg.count)
	if seg.mark == wire.CE {
		s.stats.InCEPkts += uint64(seg.count)
	}
	if s.cfg.Choices.refuses(&seg) {
		s.stats.drop(DropSynFin)
		return
	}
	s.dispatch(now, &seg)
}

// dispatch finds what a segment is for: RFC 9293 §3.10.7, before the state is known.
func (s *Stack) dispatch(now Time, seg *segment) {
	t := seg.tuple()
	if c := s.conns.byTuple[t]; c != nil {
		s.arrives(c, now, seg)
		return
	}
	if w := s.timeWait.get(t); w != nil {
		s.arrivesTimeWait(w, now, seg)
		return
	}
	if r := s.syns.get(t); r != nil {
		s.arrivesSynReceived(r, now, seg)
		return
	}
	if l := s.listeners.match(Endpoint{seg.local, seg.DstPort}); l != nil {
		s.arrivesListen(l, now, seg)
		return
	}
	// RFC 9293 §3.10.7.1, CLOSED: "all data in the incoming segment is discarded".
	s.resetFor(now, seg)
}

// perSecond is n events a second, a tenth of them at once.
func perSecond(n int) rateLimit {
	return rateLimit{interval: time.Second / time.Duration(n), burst: max(n/10, 1)}
}
