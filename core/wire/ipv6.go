package wire

import "encoding/binary"

// IPv6 extension headers that are walked (RFC 8200 §4). Every other value is taken as the upper layer, so that AH, ESP
// and the like reach nobody here.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
)

// maxExtensionHeaders bounds the walk. RFC 8200 §4.1 recommends each at most once, destination options twice: five.
const maxExtensionHeaders = 8

func parseIPv6(b []byte, ip *IP) Problem {
	if len(b) < IPv6HeaderLen {
		return Truncated
	}
	word := binary.BigEndian.Uint32(b)
	ip.Src = addr16(b[8:])
	ip.Dst = addr16(b[24:])
	ip.HeaderLen = IPv6HeaderLen
	ip.TotalLen = IPv6HeaderLen + int(binary.BigEndian.Uint16(b[4:]))
	ip.Protocol = Protocol(b[6])
	ip.TTL = b[7]
	ip.TrafficClass = uint8(word >> 20)
	ip.FlowLabel = word & 0xfffff
	ip.ID, ip.DontFragment, ip.MoreFragments, ip.FragmentOffset = 0, false, false, 0
	// RFC 4291 §2.5.5.2 maps IPv4 for programs, not for packets. Taken from a packet it would pass for IPv4.
	if ip.Src.Is4() || ip.Dst.Is4() {
		return BadAddress
	}
	switch ip.Protocol {
	case extHopByHop, extRouting, extFragment, extDestination:
		return walkExtensions(b, ip)
	default:
		return None
	}
}

// walkExtensions moves ip.HeaderLen and ip.Protocol past the extension headers.
func walkExtensions(b []byte, ip *IP) Problem {
	for n := 0; ; n++ {
		var problem Problem
		length := 0
		switch rest := b[ip.HeaderLen:]; ip.Protocol {
		case extHopByHop:
			// RFC 8200 §4.1: "the Hop-by-Hop Options header … is restricted to appear immediately after an IPv6
			// header only."
			if n != 0 {
				return BadExtensionHeader
			}
			length, problem = optionsHeader(rest)
		case extDestination:
			length, problem = optionsHeader(rest)
		case extRouting:
			length, problem = routingHeader(rest)
		case extFragment:
			length, problem = fragmentHeader(rest, ip)
		default:
			return None
		}
		if problem != None {
			return problem
		}
		if n == maxExtensionHeaders {
			return BadExtensionHeader
		}
		ip.Protocol = Protocol(b[ip.HeaderLen])
		ip.HeaderLen += length
		if ip.IsFragment() { // what follows is a part of something
			if ip.Protocol == extFragment {
				return BadExtensionHeader
			}
			return None
		}
	}
}

// extensionLen returns the length of the extension header at the front of b.
func extensionLen(b []byte) (int, Problem) {
	if len(b) < 8 {
		return 0, Truncated
	}
	n := 8 + int(b[1])*8
	if n > len(b) {
		return 0, Truncated
	}
	return n, None
}

// optionsHeader checks a hop-by-hop or destination options header (RFC 8200 §4.2). No option means anything to us: each
// is skipped or, as its two highest bits ask, the packet is discarded.
func optionsHeader(b []byte) (int, Problem) {
	n, problem := extensionLen(b)
	if problem != None {
		return 0, problem
	}
	for options := b[2:n]; len(options) > 0; {
		const pad1 = 0
		if options[0] == pad1 {
			options = options[1:]
			continue
		}
		if len(options) < 2 || 2+int(options[1]) > len(options) {
			return 0, BadExtensionHeader
		}
		if options[0]>>6 != 0 {
			return 0, BadOption
		}
		options = options[2+int(options[1]):]
	}
	return n, None
}

// routingHeader accepts a route that has been travelled to its end. RFC 8200 §4.4: an unknown routing type is ignored
// when no segments are left, else the packet is discarded; the types with a meaning for hosts are deprecated (RFC 5095).
func routingHeader(b []byte) (int, Problem) {
	n, problem := extensionLen(b)
	if problem == None && b[3] != 0 {
		problem = SourceRouted
	}
	return n, problem
}

// fragmentHeader reads a fragment header (RFC 8200 §4.5). One with offset 0 and no more to come is an atomic fragment
// and the packet is whole (RFC 6946).
func fragmentHeader(b []byte, ip *IP) (int, Problem) {
	const length = 8
	if len(b) < length {
		return 0, Truncated
	}
	word := binary.BigEndian.Uint16(b[2:])
	ip.FragmentOffset = int(word &^ 7)
	ip.MoreFragments = word&1 != 0
	ip.ID = binary.BigEndian.Uint32(b[4:])
	return length, None
}

func putIPv6(b []byte, ip *IP, payloadLen int) int {
	if payloadLen < 0 || payloadLen > MaxPacketLen {
		panic("wire: payload of an IPv6 packet to build exceeds its length field")
	}
	if ip.IsFragment() {
		panic("wire: an IPv6 fragment takes an extension header, which is not written")
	}
	b = b[:IPv6HeaderLen]
	binary.BigEndian.PutUint32(b, 6<<28|uint32(ip.TrafficClass)<<20|ip.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(b[4:], uint16(payloadLen))
	b[6] = byte(ip.Protocol)
	b[7] = ip.TTL
	ip.Src.put16(b[8:])
	ip.Dst.put16(b[24:])
	return IPv6HeaderLen
}
