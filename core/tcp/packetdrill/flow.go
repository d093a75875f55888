package packetdrill

import (
	"encoding/binary"
	"slices"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// flow is one connection of a script and the difference between the script's numbers and the engine's. In segments with
// SYN a script writes sequence numbers as they are, in all others relative to the SYNs: 1 is the first byte. The peer's
// are the script's own; ours begin wherever the engine says.
type flow struct {
	local, remote tcp.Endpoint
	known         bool         // offset is
	restarted     bool         // the next SYN that leaves begins anew
	offset        seqnum.Size  // from the script's sequence numbers to the engine's
	ourSyn        uint32       // the script's number of our SYN
	peerSyn       uint32       // and of the peer's
	peerKnown     bool         // peerSyn is
	nextSyn       uint32       // of the peer's last SYN
	offered       []Option     // by the peer's last SYN
	peerFin       seqnum.Value // behind the peer's FIN
	synSent       bool         // we began it
	sentTo        seqnum.Value // behind all data that left
	finEnd        seqnum.Value // behind our FIN, in the engine's numbers
	stamps        map[uint32]uint32
	stampFirst    [2]uint32 // the script's and the engine's first timestamp
}

// learn takes the difference from a SYN that leaves.
func (f *flow) learn(script uint32, live seqnum.Value, flags wire.Flags) {
	if flags.Has(wire.ACK) && (f.restarted || !f.peerKnown) {
		f.peerSyn, f.peerKnown = f.nextSyn, true
	}
	if !f.known || f.restarted {
		f.offset, f.known, f.restarted = seqnum.Value(script).Size(live), true, false
		f.ourSyn = script
		f.stamps = nil
		f.sentTo = live
	}
}

// learnPeer notes the number of a SYN of the peer's. It counts at once if it answers ours, and else when we take it for the
// beginning of a connection.
func (f *flow) learnPeer(s *Segment) {
	if !s.Flags.Has(wire.SYN) {
		return
	}
	f.offered = s.Options
	if f.nextSyn = s.Seq; f.known && !f.peerKnown {
		f.peerSyn, f.peerKnown = s.Seq, true
	}
}

// toLive is the engine's number for one of ours that a script has in a segment with these flags.
func (f *flow) toLive(script uint32, flags wire.Flags) seqnum.Value {
	if !flags.Has(wire.SYN) {
		script += f.ourSyn
	}
	return seqnum.Value(script).Add(f.offset)
}

func (f *flow) toScript(live seqnum.Value, flags wire.Flags) uint32 {
	script := uint32(live.Sub(f.offset))
	if !flags.Has(wire.SYN) {
		script -= f.ourSyn
	}
	return script
}

// peerBase is what a script leaves out of the peer's numbers in a segment with these flags.
func (f *flow) peerBase(flags wire.Flags) uint32 {
	if flags.Has(wire.SYN) {
		return 0
	}
	return f.peerSyn
}

// learnStamp notes which of the engine's timestamps stands for one of the script's.
func (f *flow) learnStamp(script, live uint32) {
	if f.stamps == nil {
		f.stamps = map[uint32]uint32{}
		f.stampFirst = [2]uint32{script, live}
	}
	f.stamps[script] = live
}

// liveStamp is the engine's timestamp for one that the script lets the peer echo.
func (f *flow) liveStamp(script uint32) uint32 {
	if live, ok := f.stamps[script]; ok {
		return live
	}
	if f.stamps == nil {
		return script
	}
	return script - f.stampFirst[0] + f.stampFirst[1]
}

// inbound makes the packet that a script's segment stands for.
func (f *flow) inbound(p *Packet, cookies map[string][]byte) []byte {
	s := p.Segment
	f.learnPeer(s)
	seg := wire.Segment{
		SrcPort: f.remote.Port, DstPort: f.local.Port, Seq: seqnum.Value(s.Seq + f.peerBase(s.Flags)), Flags: s.Flags, Window: s.Window,
		Urgent: s.Urgent,
	}
	if s.Flags.Has(wire.FIN) {
		f.peerFin = seg.Seq.Add(seqnum.Size(s.Len) + 1)
	}
	if s.HasAck {
		seg.Ack = f.toLive(s.Ack, s.Flags)
	}
	if !s.HasWindow {
		seg.Window = 65535
	}
	var options []byte
	for _, o := range s.Options {
		if o.Symbol != "" {
			if cookie, ok := cookies[o.Symbol]; ok { // else it is as wrong as any
				o.Body = append(slices.Clone(o.Body[:len(o.Body)-cookieLen]), cookie...)
			}
		}
		if s.HasAck || o.Kind != kindTimestamps {
			o = f.rewrite(o, s.Flags)
		}
		options = append(options, o.bytes()...)
	}
	ip := wire.IP{Src: f.remote.Addr, Dst: f.local.Addr, Protocol: wire.TCP, TTL: 255, DontFragment: true}
	if p.TTL != 0 {
		ip.TTL = uint8(p.TTL)
	}
	ip.TrafficClass = map[Mark]uint8{
		MarkECT0: uint8(wire.ECT0), MarkECT01: uint8(wire.ECT0), MarkECT1: uint8(wire.ECT1), MarkCE: uint8(wire.CE),
	}[p.Mark]
	if p.HasTOS {
		ip.TrafficClass |= p.TOS
	}
	return buildTCP(&ip, &seg, options, s.Len)
}

// rewrite returns a peer's option with our numbers in it.
func (f *flow) rewrite(o Option, flags wire.Flags) Option {
	b := append([]byte(nil), o.Body...)
	switch {
	case o.Kind == kindSACK:
		for i := 0; i+4 <= len(b); i += 4 {
			binary.BigEndian.PutUint32(b[i:], uint32(f.toLive(binary.BigEndian.Uint32(b[i:]), flags)))
		}
	case o.Kind == kindTimestamps && len(b) == 8:
		binary.BigEndian.PutUint32(b[4:], f.liveStamp(binary.BigEndian.Uint32(b[4:])))
	}
	return Option{Kind: o.Kind, Body: b}
}

// inboundICMP makes the error that a router sends about a segment of ours.
func (f *flow) inboundICMP(m *ICMP) []byte {
	quoted := make([]byte, wire.MaxHeaderLen)
	ip := wire.IP{Src: f.local.Addr, Dst: f.remote.Addr, Protocol: wire.TCP, TTL: 64, DontFragment: true}
	n := wire.PutIP(quoted, &ip, wire.TCPHeaderLen+m.Len)
	seg := wire.Segment{SrcPort: f.local.Port, DstPort: f.remote.Port, Seq: f.toLive(m.Seq, wire.ACK), Flags: wire.ACK}
	n += wire.PutSegment(quoted[n:], &seg)

	outer := wire.IP{Src: f.remote.Addr, Dst: f.local.Addr, Protocol: wire.ICMP, TTL: 64}
	if m.V6 {
		outer.Protocol = wire.ICMPv6
	}
	b := make([]byte, wire.IPv6HeaderLen+wire.ICMPHeaderLen+n)
	start := wire.PutIP(b, &outer, wire.ICMPHeaderLen+n)
	b = b[:start+wire.ICMPHeaderLen+n]
	message := b[start:]
	message[0], message[1] = m.Type, m.Code
	binary.BigEndian.PutUint32(message[4:], m.MTU)
	copy(message[wire.ICMPHeaderLen:], quoted[:n])
	var sum uint32
	if m.V6 {
		sum = wire.PseudoHeaderSum(outer.Src, outer.Dst, wire.ICMPv6, len(message))
	}
	putChecksum(message, wire.ICMPChecksumOffset, sum)
	return b
}
