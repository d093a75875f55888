package wire

// ECN is the two low bits of the IPv4 type of service and the IPv6 traffic class (RFC 3168 §5).
type ECN uint8

// The ECN codepoints.
const (
	NotECT ECN = 0
	ECT1   ECN = 1
	ECT0   ECN = 2
	CE     ECN = 3
)

// IP is the validated network header of one packet, IPv4 or IPv6.
type IP struct {
	Src, Dst       Addr
	HeaderLen      int // bytes before the upper layer, IPv4 options and IPv6 extension headers included
	TotalLen       int // bytes of the packet by its own length field; the buffer may be longer, never shorter
	Protocol       Protocol
	TTL            uint8
	TrafficClass   uint8  // DSCP and ECN
	FlowLabel      uint32 // IPv6 only
	ID             uint32 // of a fragment; IPv4's has 16 bits and stands in every packet
	DontFragment   bool   // IPv4 only
	MoreFragments  bool
	FragmentOffset int // bytes
}

// ECN returns the packet's ECN codepoint.
func (ip *IP) ECN() ECN { return ECN(ip.TrafficClass & 3) }

// PayloadLen is the length of the upper layer, its header included.
func (ip *IP) PayloadLen() int { return ip.TotalLen - ip.HeaderLen }

// IsFragment reports whether the packet is a part of a larger one. Only a fragment at offset 0 begins with the upper
// layer's header.
func (ip *IP) IsFragment() bool { return ip.MoreFragments || ip.FragmentOffset != 0 }

// ParseIP parses the network header of the packet in b. It verifies the IPv4 header's checksum, and walks IPv6 extension
// headers up to that of a fragment. A packet may be a super-segment of up to 65,535 bytes.
func ParseIP(b []byte, ip *IP) Problem { return ParseIPSplit(b, 0, ip) }

// ParseIPSplit is ParseIP for a packet whose headers are in head and of which bodyLen more bytes are elsewhere.
func ParseIPSplit(head []byte, bodyLen int, ip *IP) Problem {
	if problem := parseIPHeader(head, ip); problem != None {
		return problem
	}
	if ip.Src.Is4() {
		if problem := checkIPv4(head, ip); problem != None {
			return problem
		}
	}
	switch {
	case ip.TotalLen < ip.HeaderLen:
		return BadLength
	case ip.TotalLen > len(head)+bodyLen:
		return Truncated
	case ip.Src.IsMulticast() || ip.Src.IsBroadcast(): // RFC 1122 §3.2.1.3, RFC 4291 §2.7
		return BadAddress
	case ip.IsFragment():
		return checkFragment(ip)
	}
	return None
}

// parseIPHeader parses the header alone, without a look at what a router may have changed or cut: it serves packets
// that came to be quoted in ICMP errors as well.
func parseIPHeader(b []byte, ip *IP) Problem {
	if len(b) == 0 {
		return Truncated
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b, ip)
	case 6:
		return parseIPv6(b, ip)
	}
	return BadVersion
}

// checkFragment rejects fragments that can't be part of a packet: all but the last carry a multiple of 8 bytes
// (RFC 791 §3.2, RFC 8200 §4.5), and the whole must fit in a length field.
func checkFragment(ip *IP) Problem {
	n := ip.PayloadLen()
	if n == 0 || ip.MoreFragments && n%8 != 0 || ip.FragmentOffset+n > MaxPacketLen {
		return BadFragment
	}
	return None
}

// PutIP writes the network header for an upper layer of payloadLen bytes into b and returns its length: 20 bytes with
// their checksum when the addresses are IPv4, 40 when they are IPv6. HeaderLen and TotalLen of ip are not looked at;
// IPv6 is written without extension headers, so that a fragment can't be.
func PutIP(b []byte, ip *IP, payloadLen int) int {
	if ip.Src.Is4() != ip.Dst.Is4() {
		panic("wire: addresses of a packet to build are of different families")
	}
	if ip.Src.Is4() {
		return putIPv4(b, ip, payloadLen)
	}
	return putIPv6(b, ip, payloadLen)
}
