package wire

import "strconv"

// Problem is the reason why bytes were not accepted. Callers keep a counter for each: [NumProblems]uint64.
type Problem uint8

// The problems.
const (
	None               Problem = iota // accepted
	Truncated                         // the buffer ends before the header, or before the length that the header claims
	BadVersion                        // neither IPv4 nor IPv6
	BadHeaderLen                      // a header length below the minimum, or beyond the packet
	BadLength                         // a total length that its own header doesn't fit in
	BadChecksum                       // the network header's or the ICMP message's
	BadAddress                        // an address that no packet may carry in that place
	BadOption                         // an IPv4 source route, or an IPv6 option that asks for discard
	BadExtensionHeader                // an IPv6 extension header out of order, too long, or one too many
	SourceRouted                      // an IPv6 routing header with segments left
	BadFragment                       // a fragment that can't be part of any packet
	NotICMP                           // not the ICMP of the packet's address family
	NotTCP                            // an ICMP error about something other than the start of a TCP segment
	IgnoredType                       // an ICMP message that is no error, or one to be ignored

	NumProblems = iota
)

var problemNames = [NumProblems]string{
	None:               "none",
	Truncated:          "truncated",
	BadVersion:         "bad version",
	BadHeaderLen:       "bad header length",
	BadLength:          "bad length",
	BadChecksum:        "bad checksum",
	BadAddress:         "bad address",
	BadOption:          "bad option",
	BadExtensionHeader: "bad extension header",
	SourceRouted:       "source routed",
	BadFragment:        "bad fragment",
	NotICMP:            "not ICMP",
	NotTCP:             "not TCP",
	IgnoredType:        "ignored ICMP type",
}

// String names the problem in words, for counters and logs.
func (p Problem) String() string {
	if int(p) < len(problemNames) {
		return problemNames[p]
	}
	return "problem " + strconv.Itoa(int(p))
}
