package wire

import (
	"encoding/binary"
	"strconv"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// ErrorKind is what an ICMP error says, the same for both families.
type ErrorKind uint8

// The kinds. RFC 9293 §3.9.2.2 calls protocol and port unreachable hard, the others soft.
const (
	NetUnreachable ErrorKind = iota + 1
	HostUnreachable
	ProtocolUnreachable
	PortUnreachable
	AdminProhibited
	PacketTooBig // IPv4: fragmentation needed and DF set
	TimeExceeded
	ParameterProblem

	numErrorKinds
)

var errorKindNames = [numErrorKinds]string{
	NetUnreachable:      "network unreachable",
	HostUnreachable:     "host unreachable",
	ProtocolUnreachable: "protocol unreachable",
	PortUnreachable:     "port unreachable",
	AdminProhibited:     "administratively prohibited",
	PacketTooBig:        "packet too big",
	TimeExceeded:        "time exceeded",
	ParameterProblem:    "parameter problem",
}

// String names the kind in words.
func (k ErrorKind) String() string {
	if k > 0 && int(k) < len(errorKindNames) {
		return errorKindNames[k]
	}
	return "error kind " + strconv.Itoa(int(k))
}

// ICMPError is an ICMP error about a TCP segment. The quoted segment was sent by us, if the message is honest: RFC 5927
// §4 says what to check.
type ICMPError struct {
	Kind             ErrorKind
	MTU              int  // of PacketTooBig; IPv4 routers from before RFC 1191 leave it 0
	Src, Dst         Addr // of the quoted packet: Src is ours
	SrcPort, DstPort uint16
	Seq              seqnum.Value
}

// ParseICMPError parses the upper layer b of a packet whose network header is ip as an ICMP error about a TCP segment.
// Messages that are none, and those that must not be acted upon, are IgnoredType.
func ParseICMPError(ip *IP, b []byte, e *ICMPError) Problem {
	var m ICMPMessage
	if problem := ParseICMP(ip, b, &m); problem != None {
		return problem
	}
	kind, mtu := classify4(&m)
	if !ip.Src.Is4() {
		kind, mtu = classify6(&m)
	}
	if kind == 0 {
		return IgnoredType
	}
	*e = ICMPError{Kind: kind, MTU: mtu}
	return e.parseQuote(m.Body, ip.Src.Is4())
}

// parseQuote reads the start of the packet that the error quotes. Only eight bytes of its upper layer are sure to be
// there (RFC 792), and routers have changed the fields of its header by then, so that neither its length nor its
// checksum means anything.
func (e *ICMPError) parseQuote(b []byte, is4 bool) Problem {
	var quoted IP
	if problem := parseIPHeader(b, &quoted); problem != None {
		return problem
	}
	if quoted.Src.Is4() != is4 {
		return BadVersion
	}
	if quoted.Protocol != TCP || quoted.FragmentOffset != 0 {
		return NotTCP
	}
	b = b[quoted.HeaderLen:]
	if len(b) < 8 {
		return Truncated
	}
	e.Src, e.Dst = quoted.Src, quoted.Dst
	e.SrcPort = binary.BigEndian.Uint16(b)
	e.DstPort = binary.BigEndian.Uint16(b[2:])
	e.Seq = seqnum.Value(binary.BigEndian.Uint32(b[4:]))
	return None
}

// unreachable4 gives a kind to the codes of IPv4's destination unreachable (RFC 792, RFC 1122 §3.2.2.1, RFC 1812
// §5.2.7.1).
var unreachable4 = [...]ErrorKind{
	0:  NetUnreachable,
	1:  HostUnreachable,
	2:  ProtocolUnreachable,
	3:  PortUnreachable,
	4:  PacketTooBig,
	5:  HostUnreachable, // source route failed: RFC 1122 §4.2.3.9 puts it beside 0 and 1
	6:  NetUnreachable,
	7:  HostUnreachable,
	8:  HostUnreachable,
	9:  AdminProhibited,
	10: AdminProhibited,
	11: NetUnreachable,
	12: HostUnreachable,
	13: AdminProhibited,
	14: AdminProhibited,
	15: AdminProhibited,
}

// unreachable6 gives a kind to the codes of IPv6's (RFC 4443 §3.1).
var unreachable6 = [...]ErrorKind{
	0: NetUnreachable,
	1: AdminProhibited,
	2: HostUnreachable,
	3: HostUnreachable,
	4: PortUnreachable,
	5: AdminProhibited,
	6: AdminProhibited,
}

// classify4 returns the kind of an IPv4 message, 0 when it is to be ignored. Source quench is: RFC 6633 §4.
func classify4(m *ICMPMessage) (kind ErrorKind, mtu int) {
	switch m.Type {
	case ICMPUnreachable:
		if int(m.Code) >= len(unreachable4) {
			return 0, 0
		}
		kind = unreachable4[m.Code]
		if kind == PacketTooBig {
			mtu = int(m.Rest & 0xffff) // RFC 1191 §4
		}
		return kind, mtu
	case ICMPTimeExceeded:
		return TimeExceeded, 0
	case ICMPParameterProblem:
		return ParameterProblem, 0
	}
	return 0, 0
}

// classify6 returns the kind of an IPv6 message, 0 when it is to be ignored.
func classify6(m *ICMPMessage) (kind ErrorKind, mtu int) {
	switch m.Type {
	case ICMPv6Unreachable:
		if int(m.Code) >= len(unreachable6) {
			return 0, 0
		}
		return unreachable6[m.Code], 0
	case ICMPv6PacketTooBig:
		return PacketTooBig, int(m.Rest)
	case ICMPv6TimeExceeded:
		return TimeExceeded, 0
	case ICMPv6ParameterProblem:
		// RFC 4443 §3.4: code 1 is "unrecognized Next Header type encountered": nobody speaks TCP there.
		if m.Code == 1 {
			return ProtocolUnreachable, 0
		}
		return ParameterProblem, 0
	}
	return 0, 0
}

// typeAndCode is how PutICMPError writes a kind.
type typeAndCode struct{ typ, code uint8 }

var errorTypes4 = [numErrorKinds]typeAndCode{
	NetUnreachable:      {ICMPUnreachable, 0},
	HostUnreachable:     {ICMPUnreachable, 1},
	ProtocolUnreachable: {ICMPUnreachable, 2},
	PortUnreachable:     {ICMPUnreachable, 3},
	AdminProhibited:     {ICMPUnreachable, 13},
	PacketTooBig:        {ICMPUnreachable, 4},
	TimeExceeded:        {ICMPTimeExceeded, 0},
	ParameterProblem:    {ICMPParameterProblem, 0},
}

var errorTypes6 = [numErrorKinds]typeAndCode{
	NetUnreachable:      {ICMPv6Unreachable, 0},
	HostUnreachable:     {ICMPv6Unreachable, 3},
	ProtocolUnreachable: {ICMPv6ParameterProblem, 1},
	PortUnreachable:     {ICMPv6Unreachable, 4},
	AdminProhibited:     {ICMPv6Unreachable, 1},
	PacketTooBig:        {ICMPv6PacketTooBig, 0},
	TimeExceeded:        {ICMPv6TimeExceeded, 0},
	ParameterProblem:    {ICMPv6ParameterProblem, 0},
}

// Largest ICMP errors, network header included.
const (
	maxICMPError4 = 576  // RFC 1812 §4.3.2.3: as much of the original as fits in this
	maxICMPError6 = 1280 // RFC 4443 §2.4(c): the minimum MTU
)

// PutICMPError writes into dst the whole packet with which from tells the sender of packet that it met with kind, and
// returns its length. Mtu is for PacketTooBig. It returns 0 where no error may be sent (RFC 1122 §3.2.2, RFC 4443
// §2.4(e): about ICMP errors, later fragments, and packets to or from groups), or when dst can't hold one.
func PutICMPError(dst []byte, from Addr, kind ErrorKind, mtu int, packet []byte) int {
	if kind == 0 || kind >= numErrorKinds {
		panic("wire: ICMP error to build is of no kind")
	}
	var original IP
	if parseIPHeader(packet, &original) != None || !mayReport(&original, packet) || original.Src.Is4() != from.Is4() {
		return 0
	}
	what, limit, rest := errorTypes6[kind], maxICMPError6, uint32(0)
	if from.Is4() {
		what, limit = errorTypes4[kind], maxICMPError4
	}
	if kind == PacketTooBig {
		rest = uint32(mtu)
		if from.Is4() {
			rest = uint32(min(mtu, 0xffff))
		}
	}
	headers := networkHeaderLen(from) + ICMPHeaderLen
	quoted := min(len(packet), original.TotalLen, limit-headers)
	if len(dst) < headers+quoted {
		return 0
	}
	copy(dst[headers:], packet[:quoted])
	header := replyHeader(from, original.Src)
	return putICMP(dst, &header, what.typ, what.code, rest, ICMPHeaderLen+quoted)
}

// mayReport reports whether a packet may be answered by an ICMP error.
func mayReport(ip *IP, packet []byte) bool {
	if ip.FragmentOffset != 0 || !isUnicast(ip.Src) || !isUnicast(ip.Dst) || ip.TotalLen < ip.HeaderLen {
		return false
	}
	if ip.Protocol != icmpOf(ip.Src) {
		return true
	}
	return ip.HeaderLen < len(packet) && !isICMPErrorType(packet[ip.HeaderLen], ip.Src.Is4())
}

func isICMPErrorType(typ uint8, is4 bool) bool {
	if !is4 {
		return typ < icmpv6FirstInformational
	}
	switch typ {
	case ICMPUnreachable, ICMPSourceQuench, ICMPRedirect, ICMPTimeExceeded, ICMPParameterProblem:
		return true
	}
	return false
}
