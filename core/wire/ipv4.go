package wire

import "encoding/binary"

// Bits of the fragmentation word (RFC 791 §3.1).
const (
	ipv4DontFragment  = 0x4000
	ipv4MoreFragments = 0x2000
	ipv4OffsetMask    = 0x1fff
)

func parseIPv4(b []byte, ip *IP) Problem {
	if len(b) < IPv4HeaderLen {
		return Truncated
	}
	headerLen := int(b[0]&0xf) * 4
	if headerLen < IPv4HeaderLen {
		return BadHeaderLen
	}
	if headerLen > len(b) {
		return Truncated
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	ip.Src = addr4(b[12:])
	ip.Dst = addr4(b[16:])
	ip.HeaderLen = headerLen
	ip.TotalLen = int(binary.BigEndian.Uint16(b[2:]))
	ip.Protocol = Protocol(b[9])
	ip.TTL = b[8]
	ip.TrafficClass = b[1]
	ip.FlowLabel = 0
	ip.ID = uint32(binary.BigEndian.Uint16(b[4:]))
	ip.DontFragment = fragment&ipv4DontFragment != 0
	ip.MoreFragments = fragment&ipv4MoreFragments != 0
	ip.FragmentOffset = int(fragment&ipv4OffsetMask) * 8
	return None
}

// checkIPv4 looks at what only a packet on its way to us is held to: RFC 1122 §3.2.1.2 wants the checksum verified.
func checkIPv4(b []byte, ip *IP) Problem {
	if Fold(Sum(0, b[:ip.HeaderLen])) != 0xffff {
		return BadChecksum
	}
	if ip.HeaderLen > IPv4HeaderLen {
		return checkIPv4Options(b[IPv4HeaderLen:ip.HeaderLen])
	}
	return None
}

// IPv4 option types (RFC 791 §3.1).
const (
	ipv4OptEnd               = 0
	ipv4OptNop               = 1
	ipv4OptLooseSourceRoute  = 131
	ipv4OptStrictSourceRoute = 137
)

// checkIPv4Options rejects source routes. RFC 9293 MUST-53 would have replies take the route back; RFC 7126 §4.3.5 and
// §4.4.5 advise to drop such packets by default, since the option lets a stranger pose as any address, and hosts do.
// Every other option is ignored (RFC 9293 MUST-50), and so is what follows a malformed one.
func checkIPv4Options(b []byte) Problem {
	for len(b) > 0 {
		switch b[0] {
		case ipv4OptEnd:
			return None
		case ipv4OptNop:
			b = b[1:]
			continue
		case ipv4OptLooseSourceRoute, ipv4OptStrictSourceRoute:
			return BadOption
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return None
		}
		b = b[b[1]:]
	}
	return None
}

func putIPv4(b []byte, ip *IP, payloadLen int) int {
	total := IPv4HeaderLen + payloadLen
	if payloadLen < 0 || total > MaxPacketLen {
		panic("wire: payload of an IPv4 packet to build exceeds its length field")
	}
	fragment := uint16(ip.FragmentOffset/8) & ipv4OffsetMask
	if ip.DontFragment {
		fragment |= ipv4DontFragment
	}
	if ip.MoreFragments {
		fragment |= ipv4MoreFragments
	}
	b = b[:IPv4HeaderLen]
	b[0] = 4<<4 | IPv4HeaderLen/4
	b[1] = ip.TrafficClass
	binary.BigEndian.PutUint16(b[2:], uint16(total))
	binary.BigEndian.PutUint16(b[4:], uint16(ip.ID))
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8] = ip.TTL
	b[9] = byte(ip.Protocol)
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint32(b[12:], uint32(ip.Src.lo))
	binary.BigEndian.PutUint32(b[16:], uint32(ip.Dst.lo))
	binary.BigEndian.PutUint16(b[10:], ^Fold(Sum(0, b)))
	return IPv4HeaderLen
}
