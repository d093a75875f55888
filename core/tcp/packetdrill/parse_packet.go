package packetdrill

import (
	"strconv"
	"strings"

	"github.com/MUCZ/Starfish/core/wire"
)

var marks = map[string]Mark{
	"noecn": MarkNotECT, "ect0": MarkECT0, "ect1": MarkECT1, "ect01": MarkECT01, "ce": MarkCE, "nocheck": MarkNone,
}

// packet reads `< …` or `> …`.
func (p *parser) packet() (*Packet, error) {
	pk := &Packet{Out: p.accept(">")}
	if !pk.Out {
		p.accept("<")
	}
	quoted, err := p.networkPart(pk)
	if err != nil {
		return nil, err
	}
	switch word := p.peekWord(); word {
	case "icmp", "icmpv6":
		if pk.ICMP, err = p.icmp(); err == nil && quoted != nil {
			sub := parser{scanner: *quoted}
			pk.ICMP.Seq, pk.ICMP.Len, err = sub.sequence()
		}
	case "udp", "udplite", "sctp":
		err = failf(Unsupported, p.line(), "%s packets: the engine is TCP", word)
	case "ipv4", "ipv6", "gre", "mpls", "psp":
		err = failf(Unsupported, p.line(), "%s encapsulation: the engine speaks TCP over IP only", word)
	default:
		if err = p.ports(pk); err == nil {
			pk.Segment, err = p.segment()
		}
	}
	return pk, err
}

// networkPart reads what stands in brackets before the segment: ECN codepoint, time to live, type of service, flow
// label; and before an ICMP message the sequence numbers that it quotes.
func (p *parser) networkPart(pk *Packet) (quoted *scanner, err error) {
	for {
		closing := "]"
		if p.accept("(") {
			closing = ")"
		} else if !p.accept("[") {
			return quoted, nil
		}
		start := p.pos
		if isDigit(p.peek()) {
			if _, err := p.until(closing); err != nil {
				return nil, err
			}
			quoted = &scanner{src: p.src, pos: start}
			continue
		}
		text, err := p.until(closing)
		if err != nil {
			return nil, err
		}
		for _, part := range strings.Split(text, ",") {
			if err := p.networkField(pk, strings.Fields(part)); err != nil {
				return nil, err
			}
		}
	}
}

func (p *parser) networkField(pk *Packet, words []string) error {
	if len(words) == 1 {
		if mark, ok := marks[words[0]]; ok {
			pk.Mark = mark
			return nil
		}
	}
	if len(words) != 2 {
		return failf(Unsupported, p.line(), "[%s] before a packet", strings.Join(words, " "))
	}
	bits := 8
	if words[0] == "flowlabel" {
		bits = 20
	}
	n, err := strconv.ParseUint(words[1], 0, bits)
	if err != nil {
		return p.errorf("%q is no %s", words[1], words[0])
	}
	switch words[0] {
	case "ttl":
		pk.TTL = int(n)
	case "tos":
		pk.HasTOS, pk.TOS = true, uint8(n)
	case "flowlabel":
		pk.FlowLabel = int(n)
	default:
		return failf(Unsupported, p.line(), "[%s] before a packet", strings.Join(words, " "))
	}
	return nil
}

// ports reads the ports that may stand before the flags: `5000 > 80`.
func (p *parser) ports(pk *Packet) error {
	start := p.pos
	src := p.number()
	if src == "" || !p.accept(">") {
		p.pos = start
		return nil
	}
	dst := p.number()
	p.accept(":")
	var err1, err2 error
	pk.SrcPort, err1 = strconv.Atoi(src)
	pk.DstPort, err2 = strconv.Atoi(dst)
	if err1 != nil || err2 != nil || pk.SrcPort > 65535 || pk.DstPort > 65535 {
		return p.errorf("%s > %s are no ports", src, dst)
	}
	return nil
}

func (p *parser) segment() (*Segment, error) {
	seg := &Segment{}
	if err := p.flags(seg); err != nil {
		return nil, err
	}
	var err error
	if seg.AnySeq = p.accept("..."); seg.AnySeq {
		if seg.Len, err = p.length(); err != nil {
			return nil, err
		}
	} else if isDigit(p.peek()) {
		if seg.Seq, seg.Len, err = p.sequence(); err != nil {
			return nil, err
		}
	}
	for {
		switch p.peekWord() {
		case "ack":
			p.word()
			seg.HasAck = true
			if seg.AnyAck = p.accept("*"); !seg.AnyAck {
				seg.Ack, err = p.uint32()
			}
		case "win":
			p.word()
			if seg.HasWindow = !p.accept("*"); seg.HasWindow {
				seg.Window, err = p.uint16()
			}
		case "urg":
			p.word()
			seg.Urgent, err = p.uint16()
		default:
			if p.peek() != '<' {
				return seg, nil
			}
			return seg, p.options(seg)
		}
		if err != nil {
			return nil, err
		}
	}
}

// flags reads the control bits: S, F, R, P, . (ACK), U, E, W, A or N (AE), a digit for the three bits of Accurate ECN's
// counter, and - for none.
func (p *parser) flags(seg *Segment) error {
	p.space()
	start := p.pos
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) < 0 {
		switch c := p.src[p.pos]; c {
		case 'S':
			seg.Flags |= wire.SYN
		case 'F':
			seg.Flags |= wire.FIN
		case 'R':
			seg.Flags |= wire.RST
		case 'P':
			seg.Flags |= wire.PSH
		case '.':
			seg.Flags |= wire.ACK
		case 'U':
			seg.Flags |= wire.URG
		case 'E':
			seg.Flags |= wire.ECE
		case 'W':
			seg.Flags |= wire.CWR
		case 'A', 'N':
			seg.Flags |= wire.AE
		case '-':
		case '0', '1', '2', '3', '4', '5', '6', '7':
			counter := c - '0'
			for bit, flag := range []wire.Flags{wire.ECE, wire.CWR, wire.AE} {
				if counter>>bit&1 != 0 {
					seg.Flags |= flag
				}
			}
		default:
			return p.errorf("%q is no TCP flag", c)
		}
		p.pos++
	}
	if p.pos == start {
		return p.errorf("want TCP flags")
	}
	return nil
}

// sequence reads first:end(length).
func (p *parser) sequence() (first uint32, length int, err error) {
	if first, err = p.uint32(); err != nil {
		return 0, 0, err
	}
	end, hasEnd := first, p.accept(":")
	if hasEnd {
		if end, err = p.uint32(); err != nil {
			return 0, 0, err
		}
	}
	if !p.accept("(") {
		if end-first > 65535 {
			return 0, 0, p.errorf("%d:%d is more than a segment holds", first, end)
		}
		return first, int(end - first), nil
	}
	n, err := p.uint16()
	if err != nil {
		return 0, 0, err
	}
	if err := p.expect(")"); err != nil {
		return 0, 0, err
	}
	if hasEnd && end-first != uint32(n) {
		return 0, 0, p.errorf("%d:%d are not %d bytes", first, end, n)
	}
	return first, int(n), nil
}

// length reads (length).
func (p *parser) length() (int, error) {
	if err := p.expect("("); err != nil {
		return 0, err
	}
	n, err := p.uint16()
	if err != nil {
		return 0, err
	}
	return int(n), p.expect(")")
}

func (p *parser) uint32() (uint32, error) {
	text := p.number()
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, p.errorf("want a number of 32 bits, not %q", text+p.excerpt())
	}
	return uint32(n), nil
}

func (p *parser) uint16() (uint16, error) {
	n, err := p.uint32()
	if err == nil && n > 65535 {
		return 0, p.errorf("%d does not fit in 16 bits", n)
	}
	return uint16(n), err
}
