package wire

import (
	"encoding/binary"
	"strings"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// Flags are the control bits of a TCP header.
type Flags uint16

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE // RFC 9768, formerly NS

	flagsMask = AE<<1 - 1
)

// Has reports whether all bits of x are set.
func (f Flags) Has(x Flags) bool { return f&x == x }

var flagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"}

// String lists the bits by name: "SYN|ACK".
func (f Flags) String() string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "|")
}

// Segment is the validated header of one TCP segment.
type Segment struct {
	SrcPort, DstPort uint16
	Seq, Ack         seqnum.Value
	Flags            Flags
	Window           uint16 // as on the wire, not scaled
	Urgent           uint16
	HeaderLen        int // bytes, options included
	Options          Options
}

// ParseSegment parses the TCP header at the front of b; of the payload b may hold any part. The checksum is not
// verified: see ChecksumOK. Which segments may carry which flags and options is the engine's to judge.
func ParseSegment(b []byte, s *Segment) Problem {
	if len(b) < TCPHeaderLen {
		return Truncated
	}
	word := binary.BigEndian.Uint16(b[12:])
	headerLen := int(word>>12) * 4
	if headerLen < TCPHeaderLen || headerLen > len(b) {
		return BadHeaderLen
	}
	s.SrcPort = binary.BigEndian.Uint16(b)
	s.DstPort = binary.BigEndian.Uint16(b[2:])
	s.Seq = seqnum.Value(binary.BigEndian.Uint32(b[4:]))
	s.Ack = seqnum.Value(binary.BigEndian.Uint32(b[8:]))
	s.Flags = Flags(word) & flagsMask // RFC 9293 §3.1: the reserved bits "must be ignored in received segments"
	s.Window = binary.BigEndian.Uint16(b[14:])
	s.Urgent = binary.BigEndian.Uint16(b[18:])
	s.HeaderLen = headerLen
	s.Options.parse(b[TCPHeaderLen:headerLen])
	return None
}

// PutSegment writes the TCP header with its options into b and returns its length. The checksum field is zero.
// HeaderLen of s is not looked at.
func PutSegment(b []byte, s *Segment) int {
	n := TCPHeaderLen + s.Options.put(b[TCPHeaderLen:])
	b = b[:TCPHeaderLen]
	binary.BigEndian.PutUint16(b, s.SrcPort)
	binary.BigEndian.PutUint16(b[2:], s.DstPort)
	binary.BigEndian.PutUint32(b[4:], uint32(s.Seq))
	binary.BigEndian.PutUint32(b[8:], uint32(s.Ack))
	binary.BigEndian.PutUint16(b[12:], uint16(n/4)<<12|uint16(s.Flags&flagsMask))
	binary.BigEndian.PutUint16(b[14:], s.Window)
	binary.BigEndian.PutUint16(b[16:], 0)
	binary.BigEndian.PutUint16(b[18:], s.Urgent)
	return n
}
