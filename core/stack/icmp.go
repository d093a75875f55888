package stack

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Echo replies per second and shard, and how many may come in one burst: enough for a flood ping to look right, too few
// to be of use to somebody who wants us to send.
const (
	echoRate  = 10_000
	echoBurst = 1_000
)

// icmpResponder limits the echo replies.
type icmpResponder struct {
	tokens int
	filled tcp.Time
}

func (r *icmpResponder) refill(now tcp.Time) {
	const perToken = tcp.Time(time.Second / echoRate)
	n := (now - r.filled) / perToken
	if r.filled == 0 || n >= echoBurst {
		r.tokens, r.filled = echoBurst, now
		return
	}
	r.tokens = min(echoBurst, r.tokens+int(n))
	r.filled += n * perToken
}

func (r *icmpResponder) allow(now tcp.Time) bool {
	r.refill(now)
	if r.tokens == 0 {
		return false
	}
	r.tokens--
	return true
}

// receiveICMP answers echo requests. All else is the engine's: it knows the connections that errors are about.
func (s *shard) receiveICMP(p *tun.Packet) {
	if !s.joinBody(p) {
		s.counters.dropNoBuffers++
		p.Release()
		return
	}
	var ip wire.IP
	head := p.Head.Bytes()
	if wire.ParseIP(head, &ip) != wire.None {
		s.counters.dropMalformed++
		p.Release()
		return
	}
	if !s.owns(ip.Dst) {
		s.counters.dropICMP++
		p.Release()
		return
	}
	message := head[ip.HeaderLen:ip.TotalLen]
	if isEcho(&ip, message) {
		s.answerEcho(&ip, message)
		p.Release()
		return
	}
	s.forward(s.errorOwner(&ip, message), p)
}

func (s *shard) owns(a wire.Addr) bool { return s.stack.owned.has(a) }

func isEcho(ip *wire.IP, message []byte) bool {
	if len(message) == 0 {
		return false
	}
	if ip.Src.Is4() {
		return message[0] == wire.ICMPEchoRequest
	}
	return message[0] == wire.ICMPv6EchoRequest
}

// joinBody brings a packet into one piece. It reports false when there is no buffer for that.
func (s *shard) joinBody(p *tun.Packet) bool {
	if p.Body.Len() == 0 {
		return true
	}
	whole, ok := s.stack.cfg.Pool.Get(p.Len())
	if !ok {
		return false
	}
	n := copy(whole.Bytes(), p.Head.Bytes())
	copy(whole.Bytes()[n:], p.Body.Bytes())
	meta := p.Meta
	p.Release()
	*p = tun.Packet{Head: whole, Meta: meta}
	return true
}

// answerEcho sends the reply to an echo request, or counts why not.
func (s *shard) answerEcho(ip *wire.IP, message []byte) {
	var m wire.ICMPMessage
	if wire.ParseICMP(ip, message, &m) != wire.None {
		s.counters.dropMalformed++
		return
	}
	if s.out.blocked() || s.owns(ip.Src) || !s.icmp.allow(s.now) {
		s.counters.dropICMP++
		return
	}
	reply, ok := s.stack.cfg.Pool.Get(wire.IPv6HeaderLen + len(message))
	if !ok {
		s.counters.dropNoBuffers++
		return
	}
	defer reply.Release()
	n := wire.PutEchoReply(reply.Bytes(), ip, message)
	if n == 0 || s.queue.Write(reply.Bytes()[:n], nil, tun.Meta{IPv6: !ip.Src.Is4()}) != nil {
		s.counters.dropICMP++
		return
	}
	s.counters.echoReplies++
	s.countOut(reply.Bytes()[:n], nil)
}

// errorOwner returns the shard of the flow that an ICMP error is about.
func (s *shard) errorOwner(ip *wire.IP, message []byte) *shard {
	if len(s.stack.shards) == 1 {
		return s
	}
	var e wire.ICMPError
	if wire.ParseICMPError(ip, message, &e) != wire.None {
		return s
	}
	return s.stack.shardOf(tcp.Endpoint{Addr: e.Src, Port: e.SrcPort}, tcp.Endpoint{Addr: e.Dst, Port: e.DstPort})
}

// countOut counts a packet that the device took, and shows it to the tap.
func (s *shard) countOut(header []byte, payload []zbuf.Slice) {
	n := len(header)
	for _, piece := range payload {
		n += piece.Len()
	}
	s.counters.packetsOut++
	s.counters.bytesOut += uint64(n)
	if tap := s.stack.tap.Load(); tap != nil {
		(*tap)(Tapped{Direction: Out, Time: s.now, Shard: s.index, Header: header, Payload: payload})
	}
}
