// Package wire turns bytes into validated values and back: IPv4, IPv6, TCP and ICMP headers, TCP options and the
// Internet checksum, whole or partial.
//
// Bytes are parsed once, at the edge; what a parser accepted needs no second look. Parsers return a Problem, which
// the caller counts, and never allocate. A value that a parser was given is overwritten whole on success and undefined
// after a Problem.
//
// Builders write into the caller's buffer and return the bytes written. Headers are written with their own checksum
// where they have one (IPv4, ICMP); the TCP checksum is left to the caller, who knows whether a device completes it.
package wire

// Lengths of headers in bytes.
const (
	IPv4HeaderLen   = 20 // without options
	IPv6HeaderLen   = 40 // without extension headers
	TCPHeaderLen    = 20 // without options
	MaxTCPHeaderLen = 60
	ICMPHeaderLen   = 8

	// MaxHeaderLen is the longest header that PutIP and PutSegment write together.
	MaxHeaderLen = IPv6HeaderLen + MaxTCPHeaderLen
)

// Offsets of checksum fields in their headers, in bytes.
const (
	TCPChecksumOffset  = 16
	ICMPChecksumOffset = 2
)

// MaxPacketLen is what a 16-bit length field holds.
const MaxPacketLen = 65_535

// DefaultTTL is the time to live that RFC 1122 §3.2.1.7 leaves to configuration; 64 is IANA's recommendation.
const DefaultTTL = 64

// Protocol is an IP protocol number.
type Protocol uint8

// Protocols that the stack speaks.
const (
	ICMP   Protocol = 1
	TCP    Protocol = 6
	ICMPv6 Protocol = 58
)
