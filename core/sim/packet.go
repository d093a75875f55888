package sim

import (
	"encoding/binary"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// packet is an IP packet under way: all its bytes, with complete checksums unless it is trusted.
type packet struct {
	data        []byte
	segmentSize int  // payload of each segment when this is a super-segment, else 0
	trusted     bool // its transport checksum was verified, or is left to nobody
	corrupt     bool // damaged under way: what joins segments leaves it alone
}

func (p *packet) seen() Seen {
	return Seen{Data: p.data, SegmentSize: p.segmentSize, Unchecked: p.trusted}
}

// Offsets in a TCP header.
const (
	seqOffset   = 4
	flagsOffset = 13
)

// Flags in the low byte of a TCP header that cutting and joining treat apart from the others.
const (
	lastOnly  = byte(wire.FIN | wire.PSH)
	firstOnly = byte(wire.CWR)
)

// whole returns the bytes of t as one packet, in buf.
func whole(t *tcp.Transmit, buf []byte) packet {
	b := append(buf[:0], t.Header...)
	for _, s := range t.Payload {
		b = append(b, s.Bytes()...)
	}
	return packet{data: b, segmentSize: t.SegmentSize, trusted: t.ChecksumPartial}
}

// cut gives the segments of a super-segment to emit, one packet each, as a network card does that segments for its
// host: PSH and FIN on the last only, CWR on the first only, consecutive IPv4 identifiers, every checksum complete.
// A packet that is none passes as it is, with its checksum completed. The buffers come from alloc.
func cut(p packet, transport int, alloc func(int) []byte, emit func(packet)) {
	headerLen := transport + int(p.data[transport+12]>>4)*4
	header, payload := p.data[:headerLen], p.data[headerLen:]
	if p.segmentSize == 0 || len(payload) <= p.segmentSize {
		if p.trusted {
			finishChecksum(p.data, transport)
		}
		emit(packet{data: p.data})
		return
	}
	for n := 0; len(payload) > 0; n++ {
		size := min(p.segmentSize, len(payload))
		b := append(alloc(headerLen + size)[:0], header...)
		b = append(b, payload[:size]...)
		payload = payload[size:]
		tcpHeader := b[transport:]
		seq := binary.BigEndian.Uint32(tcpHeader[seqOffset:])
		binary.BigEndian.PutUint32(tcpHeader[seqOffset:], seq+uint32(n*p.segmentSize))
		if n > 0 {
			tcpHeader[flagsOffset] &^= firstOnly
		}
		if len(payload) > 0 {
			tcpHeader[flagsOffset] &^= lastOnly
		}
		setLength(b, n)
		finishChecksum(b, transport)
		emit(packet{data: b})
	}
}

// setLength writes the length of the IP packet b into its header, and for IPv4 adds n to the identifier.
func setLength(b []byte, n int) {
	if b[0]>>4 == 6 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6HeaderLen))
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], binary.BigEndian.Uint16(b[4:])+uint16(n))
	header := b[:int(b[0]&0xf)*4]
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], ^wire.Fold(wire.Sum(0, header)))
}

// transportStart is where the TCP header begins in an IP packet that a stack has built: without extension headers.
func transportStart(b []byte) int {
	if b[0]>>4 == 6 {
		return wire.IPv6HeaderLen
	}
	return int(b[0]&0xf) * 4
}

// finishChecksum computes the TCP checksum of the IP packet b.
func finishChecksum(b []byte, transport int) {
	var ip wire.IP
	if problem := wire.ParseIP(b, &ip); problem != wire.None {
		panic("sim: the stack made a packet with a bad network header: " + problem.String())
	}
	segment := b[transport:]
	field := segment[wire.TCPChecksumOffset:]
	binary.BigEndian.PutUint16(field, 0)
	sum := wire.PseudoHeaderSum(ip.Src, ip.Dst, wire.TCP, len(segment))
	binary.BigEndian.PutUint16(field, ^wire.Fold(wire.Sum(sum, segment)))
}

// join merges neighbours in list that are consecutive segments of one flow into super-segments, as a host's receive
// offload does, and returns the shorter list. It verifies checksums, for nobody does after it.
func join(list []packet) []packet {
	out := list[:0]
	for _, p := range list {
		if len(out) > 0 && joinInto(&out[len(out)-1], p) {
			continue
		}
		out = append(out, p)
	}
	return out
}

// parsed is the view of a packet that joining works on.
type parsed struct {
	ip      wire.IP
	tcp     wire.Segment
	payload int
}

// parse reads the headers of an intact TCP packet.
func (v *parsed) parse(p *packet) bool {
	if p.corrupt || wire.ParseIP(p.data, &v.ip) != wire.None || v.ip.Protocol != wire.TCP || v.ip.IsFragment() {
		return false
	}
	if wire.ParseSegment(p.data[v.ip.HeaderLen:], &v.tcp) != wire.None {
		return false
	}
	v.payload = v.ip.PayloadLen() - v.tcp.HeaderLen
	return v.payload >= 0 && v.ip.TotalLen == len(p.data)
}

// joinInto appends q to p if it continues it.
func joinInto(p *packet, q packet) bool {
	var a, b parsed
	if q.segmentSize != 0 || !a.parse(p) || !b.parse(&q) || a.payload == 0 || b.payload == 0 {
		return false
	}
	size := p.segmentSize
	if size == 0 {
		size = a.payload
	}
	const allowed = wire.ACK | wire.PSH | wire.FIN
	switch {
	case a.ip.Src != b.ip.Src || a.ip.Dst != b.ip.Dst || a.tcp.SrcPort != b.tcp.SrcPort || a.tcp.DstPort != b.tcp.DstPort:
		return false
	case a.tcp.Flags != wire.ACK || b.tcp.Flags&^allowed != 0 || !b.tcp.Flags.Has(wire.ACK):
		return false
	case a.payload%size != 0 || b.payload > size || len(p.data)+b.payload > wire.MaxPacketLen:
		return false
	case a.tcp.Seq+seqOf(a.payload) != b.tcp.Seq || a.tcp.Ack != b.tcp.Ack || a.tcp.Window != b.tcp.Window:
		return false
	case a.tcp.Options != b.tcp.Options || a.ip.TrafficClass != b.ip.TrafficClass:
		return false
	}
	if !checksumOK(p, &a.ip) || !checksumOK(&q, &b.ip) {
		return false
	}
	p.data = append(p.data, q.data[b.ip.HeaderLen+b.tcp.HeaderLen:]...)
	p.data[a.ip.HeaderLen+flagsOffset] |= byte(b.tcp.Flags) & lastOnly
	p.segmentSize, p.trusted = size, true
	setLength(p.data, 0)
	return true
}

func checksumOK(p *packet, ip *wire.IP) bool {
	return p.trusted || wire.ChecksumOK(ip.Src, ip.Dst, wire.TCP, p.data[ip.HeaderLen:ip.TotalLen], nil)
}
