package fragment

import "github.com/MUCZ/Starfish/core/wire"

// ecnSeen is the set of ECN codepoints that a packet's fragments carried.
type ecnSeen uint8

func (e *ecnSeen) note(c wire.ECN)         { *e |= 1 << c }
func (e ecnSeen) has(c wire.ECN) bool      { return e&(1<<c) != 0 }
func (e ecnSeen) only(c wire.ECN) bool     { return e == 1<<c }
func (e ecnSeen) among(a, b wire.ECN) bool { return e&^(1<<a|1<<b) == 0 }

// joined is the whole packet's codepoint (RFC 3168 §5.3): congestion experienced by any fragment is experienced by the
// packet, unless a fragment was not ECN-capable, and then the packet must be dropped, as it would have been.
func (e ecnSeen) joined() (c wire.ECN, ok bool) {
	switch {
	case e.has(wire.CE):
		return wire.CE, !e.has(wire.NotECT)
	case e.only(wire.ECT0):
		return wire.ECT0, true
	case e.only(wire.ECT1):
		return wire.ECT1, true
	case e.among(wire.ECT0, wire.ECT1):
		return wire.ECT0, true
	default:
		return wire.NotECT, true
	}
}
