package wire

import "encoding/binary"

// ICMP message types (RFC 792, RFC 4443).
const (
	ICMPEchoReply            = 0
	ICMPUnreachable          = 3
	ICMPSourceQuench         = 4
	ICMPRedirect             = 5
	ICMPEchoRequest          = 8
	ICMPTimeExceeded         = 11
	ICMPParameterProblem     = 12
	ICMPv6Unreachable        = 1
	ICMPv6PacketTooBig       = 2
	ICMPv6TimeExceeded       = 3
	ICMPv6ParameterProblem   = 4
	ICMPv6EchoRequest        = 128
	ICMPv6EchoReply          = 129
	icmpv6FirstInformational = 128 // RFC 4443 §2.1: error messages have types below
)

// ICMPMessage is one validated ICMP message of either family.
type ICMPMessage struct {
	Type, Code uint8
	Rest       uint32 // bytes 4 to 8: identifier and sequence number, MTU, pointer, by type
	Body       []byte // what follows, in place
}

// ParseICMP parses the upper layer b of a packet whose network header is ip, and verifies the checksum. It wants the
// message whole and in one piece; bytes of b behind the packet's end are left alone.
func ParseICMP(ip *IP, b []byte, m *ICMPMessage) Problem {
	if ip.Protocol != icmpOf(ip.Src) {
		return NotICMP
	}
	n := ip.PayloadLen()
	if n < ICMPHeaderLen || n > len(b) {
		return Truncated
	}
	b = b[:n]
	if ^Fold(Sum(icmpInitialSum(ip.Src, ip.Dst, n), b)) != 0 {
		return BadChecksum
	}
	*m = ICMPMessage{Type: b[0], Code: b[1], Rest: binary.BigEndian.Uint32(b[4:]), Body: b[ICMPHeaderLen:]}
	return None
}

// icmpOf is the ICMP protocol of a's family.
func icmpOf(a Addr) Protocol {
	if a.Is4() {
		return ICMP
	}
	return ICMPv6
}

// icmpInitialSum begins a message's checksum: ICMPv6 has a pseudo-header (RFC 4443 §2.3), ICMP has none.
func icmpInitialSum(src, dst Addr, length int) uint32 {
	if src.Is4() {
		return 0
	}
	return PseudoHeaderSum(src, dst, ICMPv6, length)
}

// putICMP completes the packet in dst whose ICMP message of n bytes, its header's first eight bytes excepted, is in
// place behind the network header. It returns the packet's length.
func putICMP(dst []byte, ip *IP, typ, code uint8, rest uint32, n int) int {
	headerLen := PutIP(dst, ip, n)
	b := dst[headerLen : headerLen+n]
	b[0], b[1] = typ, code
	binary.BigEndian.PutUint16(b[ICMPChecksumOffset:], 0)
	binary.BigEndian.PutUint32(b[4:], rest)
	binary.BigEndian.PutUint16(b[ICMPChecksumOffset:], ^Fold(Sum(icmpInitialSum(ip.Src, ip.Dst, n), b)))
	return headerLen + n
}

// networkHeaderLen is the length of the header that PutIP writes for a's family.
func networkHeaderLen(a Addr) int {
	if a.Is4() {
		return IPv4HeaderLen
	}
	return IPv6HeaderLen
}

// PutEchoReply writes into dst the whole packet that answers the echo request icmp, which ParseICMP accepted and which
// came with the header ip, and returns its length. It returns 0 where there is nothing to answer: another message, a
// request to or from a group (RFC 1122 §3.2.2.6 leaves those to us, and answers to them amplify attacks), or a dst that
// is too short.
func PutEchoReply(dst []byte, ip *IP, icmp []byte) int {
	request, reply := byte(ICMPEchoRequest), byte(ICMPEchoReply)
	if !ip.Src.Is4() {
		request, reply = ICMPv6EchoRequest, ICMPv6EchoReply
	}
	headerLen := networkHeaderLen(ip.Src)
	if len(icmp) < ICMPHeaderLen || icmp[0] != request || icmp[1] != 0 || headerLen+len(icmp) > min(len(dst), MaxPacketLen) {
		return 0
	}
	if !isUnicast(ip.Src) || !isUnicast(ip.Dst) {
		return 0
	}
	header := replyHeader(ip.Dst, ip.Src)
	header.TrafficClass = ip.TrafficClass &^ 3 // RFC 1349 §5.1: the request's type of service, ECN not among it
	copy(dst[headerLen:], icmp)
	return putICMP(dst, &header, reply, 0, binary.BigEndian.Uint32(icmp[4:]), len(icmp))
}

// replyHeader is the network header of our ICMP messages. They are atomic datagrams, so that the ID is of no use
// (RFC 6864 §4.1).
func replyHeader(src, dst Addr) IP {
	return IP{Src: src, Dst: dst, Protocol: icmpOf(src), TTL: DefaultTTL, DontFragment: true}
}

func isUnicast(a Addr) bool { return !a.IsUnspecified() && !a.IsMulticast() && !a.IsBroadcast() }
