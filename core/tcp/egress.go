package tcp

import "github.com/MUCZ/Starfish/core/wire"

// finish writes the headers of a segment whose payload is in t.
func (s *Stack) finish(t *Transmit, tu *tuple, seg *wire.Segment, ttl, trafficClass uint8, label uint32) {
	ip := wire.IP{
		Src: tu.local, Dst: tu.remote, Protocol: wire.TCP, TTL: ttl, TrafficClass: trafficClass,
		DontFragment: true, // path MTU discovery (RFC 1191 §3); the ID of an atomic packet is 0 (RFC 6864 §4.1)
		FlowLabel:    label,
	}
	tcpLen := wire.TCPHeaderLen + seg.Options.WireLen()
	start := wire.PutIP(t.header[:], &ip, tcpLen+t.PayloadLen)
	wire.PutSegment(t.header[start:], seg)
	t.Header = t.header[:start+tcpLen]
	t.TransportStart = start
	t.Src, t.Dst = tu.local, tu.remote
	t.CWR = seg.Flags.Has(wire.CWR)
	t.ChecksumPartial = s.cfg.ChecksumOffload
	t.putChecksum()
}

// putChecksum fills the checksum field, with the pseudo-header's part alone if the link does the rest.
func (t *Transmit) putChecksum() {
	segment := t.Header[t.TransportStart:]
	sum := wire.PseudoHeaderSum(t.Src, t.Dst, wire.TCP, len(segment)+t.PayloadLen)
	field := segment[wire.TCPChecksumOffset:]
	if t.ChecksumPartial {
		putUint16(field, wire.Fold(sum))
		return
	}
	var summer wire.Summer
	summer.AddSum(sum)
	summer.Add(segment)
	for _, piece := range t.Payload {
		summer.Add(piece.Bytes())
	}
	putUint16(field, ^wire.Fold(summer.Sum()))
}

func putUint16(b []byte, v uint16) { b[0], b[1] = byte(v>>8), byte(v) }
