package tcp

import (
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Packet is one packet that came in: an IP packet or, when SegmentSize is set, a super-segment of several.
type Packet struct {
	Head zbuf.Slice // begins with the network header and holds all headers
	Body zbuf.Slice // the rest of the payload when it does not fit in Head; may be zero
	// SegmentSize is the payload of each TCP segment that was joined into this packet; 0 when it is a single one.
	SegmentSize int
	// Trusted says that the transport checksum was verified below, or never computed because the packet did not
	// cross a wire.
	Trusted bool
}

// Release gives up the packet's buffers.
func (p *Packet) Release() {
	p.Head.Release()
	p.Body.Release()
	*p = Packet{}
}

// MaxHeaderLen is the longest header that Transmit holds: IPv6 and TCP with a full set of options.
const MaxHeaderLen = 40 + 60

// Transmit is one segment or super-segment to send.
type Transmit struct {
	// Header is the network and transport header, in place, valid until the next PollTransmit.
	Header []byte
	// Payload are views of the send queue without references of their own, valid until the next call into the
	// Stack. Who keeps them longer retains them.
	Payload []zbuf.Slice
	// PayloadLen is the sum of Payload's lengths.
	PayloadLen int
	// SegmentSize is the payload of each segment when this is a super-segment, else 0.
	SegmentSize int
	// TransportStart is the offset of the TCP header in Header; the checksum field is wire.TCPChecksumOffset
	// bytes behind it.
	TransportStart int
	// ChecksumPartial says that the checksum field holds the pseudo-header's sum only, for a device to complete.
	ChecksumPartial bool
	// CWR says that the segment carries the flag: a device that cuts super-segments must set it on the first only.
	CWR bool
	// Src and Dst are the packet's addresses.
	Src, Dst wire.Addr

	header [MaxHeaderLen]byte
	views  [maxPieces]zbuf.Slice
}

// maxPieces bounds the payload pieces of one segment: a device's writev takes 1,024 at most, and 64 KiB in pieces
// smaller than this allows (the smallest blocks of a pool) are not worth one call.
const maxPieces = 260
