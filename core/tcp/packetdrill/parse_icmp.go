package packetdrill

import (
	"strconv"
	"strings"

	"github.com/MUCZ/Starfish/core/wire"
)

// icmpNames are the messages by name, and the codes of those that have some.
var icmpNames = map[bool]map[string]icmpName{
	false: {
		"unreachable": {wire.ICMPUnreachable, map[string]uint8{
			"net_unreachable": 0, "host_unreachable": 1, "protocol_unreachable": 2, "port_unreachable": 3, "frag_needed": 4,
			"source_route_failed": 5, "net_unreachable_for_type_of_service": 11, "host_unreachable_for_type_of_service": 12, "net_unknown": 6, "host_unknown": 7, "source_host_isolated": 8, "net_prohibited": 9,
			"host_prohibited": 10, "net_unreachable_for_tos": 11, "host_unreachable_for_tos": 12, "packet_filtered": 13,
			"host_precedence_violation": 14, "precedence_violation": 14, "precedence_cutoff": 15, "comm_prohibited": 13, "proto_unreachable": 2,
		}},
		"source_quench":        {wire.ICMPSourceQuench, nil},
		"echo_reply":           {0, nil},
		"redirect":             {5, nil},
		"echo_request":         {8, nil},
		"timestamp_request":    {13, nil},
		"timestamp_reply":      {14, nil},
		"information_request":  {15, nil},
		"information_reply":    {16, nil},
		"address_mask_request": {17, nil},
		"address_mask_reply":   {18, nil},
		"time_exceeded": {wire.ICMPTimeExceeded, map[string]uint8{
			"exc_ttl": 0, "exc_fragtime": 1, "exceeded_ttl": 0, "exceeded_frag_time": 1, "ttl_exceeded_in_transit": 0, "frag_reass_exceeded": 1,
		}},
		"parameter_problem": {wire.ICMPParameterProblem, map[string]uint8{
			"header_field": 0, "pointer_indicates_error": 0, "missing_option": 1, "missing_required_option": 1, "bad_length": 2,
		}},
	},
	true: {
		"unreachable": {wire.ICMPv6Unreachable, map[string]uint8{
			"no_route": 0, "admin_prohibited": 1, "not_neighbour": 2, "beyond_scope": 2, "address_unreachable": 3, "port_unreachable": 4,
		}},
		"packet_too_big": {wire.ICMPv6PacketTooBig, nil},
		"echo_request":   {128, nil},
		"echo_reply":     {129, nil},
		"time_exceeded": {wire.ICMPv6TimeExceeded, map[string]uint8{
			"exc_hopcount": 0, "exc_fragtime": 1, "exceeded_hop_limit": 0, "exceeded_frag_time": 1,
			"hop_limit_exceeded_in_transit": 0, "ttl_exceeded_in_transit": 0, "frag_reass_exceeded": 1,
		}},
		"parameter_problem": {wire.ICMPv6ParameterProblem, map[string]uint8{
			"header_field": 0, "unknown_next_header": 1, "unknown_option": 2,
		}},
	},
}

type icmpName struct {
	kind  uint8
	codes map[string]uint8
}

// icmp reads `icmp unreachable frag_needed mtu 1200 [1:1461(1460)]`.
func (p *parser) icmp() (*ICMP, error) {
	m := &ICMP{V6: p.word() == "icmpv6" || p.v6}
	name := p.word()
	known, ok := icmpNames[m.V6][name]
	if n, isNumber := numbered(name, "type_"); isNumber {
		known, ok = icmpName{kind: n}, true
	}
	if !ok {
		return nil, failf(Unsupported, p.line(), "ICMP message %q", name)
	}
	m.Type = known.kind
	for {
		word := p.peekWord()
		code, isCode := known.codes[word]
		if n, isNumber := numbered(word, "code_"); isNumber {
			code, isCode = n, true
		}
		switch {
		case isCode:
			p.word()
			m.Code = code
		case word == "mtu":
			p.word()
			mtu, err := p.uint32()
			if err != nil {
				return nil, err
			}
			m.MTU = mtu
		case word == "code":
			p.word()
			text := p.number()
			n, err := strconv.ParseUint(text, 0, 8)
			if err != nil {
				return nil, p.errorf("%q is no ICMP code", text)
			}
			m.Code = uint8(n)
		case p.peek() == '[':
			return m, p.quoted(m)
		default:
			return m, nil
		}
	}
}

// numbered reads a type or a code without a name: type_8, code_0.
func numbered(word, prefix string) (uint8, bool) {
	text, ok := strings.CutPrefix(word, prefix)
	n, err := strconv.ParseUint(text, 10, 8)
	return uint8(n), ok && err == nil
}

// quoted reads the sequence numbers of the segment that an ICMP error is about.
func (p *parser) quoted(m *ICMP) (err error) {
	p.accept("[")
	if m.Seq, m.Len, err = p.sequence(); err != nil {
		return err
	}
	return p.expect("]")
}
