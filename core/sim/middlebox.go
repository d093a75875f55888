package sim

import "github.com/MUCZ/Starfish/core/wire"

// Middlebox is what a box on the path does to segments with the Accurate ECN option, which it does not know.
type Middlebox uint8

// The kinds of boxes that RFC 9768 §3.2.3.2 guards against.
const (
	MiddleboxNone   Middlebox = iota
	MiddleboxStrips           // the option is overwritten by padding
	MiddleboxClears           // its counters are set to zero
	MiddleboxDrops            // the segment is dropped
)

// Kinds of TCP options.
const (
	optionEnd     = 0
	optionNop     = 1
	optionAccECN0 = 172
	optionAccECN1 = 174
)

// pass lets a packet through the box, and reports false when it is dropped.
func (m Middlebox) pass(p *packet) bool {
	if m == MiddleboxNone {
		return true
	}
	option := accECNOption(p)
	if option == nil {
		return true
	}
	switch m {
	case MiddleboxDrops:
		return false
	case MiddleboxStrips:
		for i := range option {
			option[i] = optionNop
		}
	default:
		clear(option[2:])
	}
	if !p.trusted {
		finishChecksum(p.data, transportStart(p.data))
	}
	return true
}

// accECNOption finds the option in a packet, and returns nil where there is none.
func accECNOption(p *packet) []byte {
	var v parsed
	if !v.parse(p) || !v.tcp.Options.Set.Has(wire.OptAccECN) {
		return nil
	}
	b := p.data[v.ip.HeaderLen+wire.TCPHeaderLen : v.ip.HeaderLen+v.tcp.HeaderLen]
	for len(b) > 1 && b[0] != optionEnd {
		switch b[0] {
		case optionNop:
			b = b[1:]
		case optionAccECN0, optionAccECN1:
			return b[:b[1]]
		default:
			b = b[b[1]:]
		}
	}
	return nil
}
