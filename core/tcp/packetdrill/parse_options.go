package packetdrill

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// Kinds of TCP options.
const (
	kindEOL        = 0
	kindNOP        = 1
	kindMSS        = 2
	kindWScale     = 3
	kindSACKOK     = 4
	kindSACK       = 5
	kindTimestamps = 8
	kindFastOpen   = 34
	kindAccECN0    = 172 // ECT(0) first (RFC 9768 §3.2.3)
	kindAccECN1    = 174 // ECT(1) first
	kindExperiment = 254
)

// cookieLen is the length of a Fast Open cookie that the script calls by a name: what RFC 7413 §4.1.2 recommends and all
// known systems use.
const cookieLen = 8

// ownCookie is what Linux's scripts call the cookie that a listener of ours gives.
const ownCookie = "TFO_COOKIE"

// maxOptions is what a TCP header holds.
const maxOptions = 40

// options reads `<mss 1460,nop,…>` or `<...>`.
func (p *parser) options(seg *Segment) error {
	if err := p.expect("<"); err != nil {
		return err
	}
	text, err := p.until(">")
	if err != nil {
		return err
	}
	if text = strings.TrimSpace(text); text == "..." {
		seg.AnyOptions = true
		return nil
	}
	length := 0
	for _, item := range strings.Split(text, ",") {
		words := strings.Fields(item)
		if len(words) == 0 {
			if text == "" {
				break
			}
			return p.errorf("empty TCP option in <%s>", text)
		}
		o, err := p.option(words)
		if err != nil {
			return err
		}
		seg.Options = append(seg.Options, o)
		length += len(o.bytes())
	}
	if length > maxOptions {
		return p.errorf("<%s> are %d bytes, a header holds %d", text, length, maxOptions)
	}
	return nil
}

func (p *parser) option(words []string) (Option, error) {
	switch name, args := words[0], words[1:]; {
	case name == "eol" && len(args) == 0:
		return Option{Kind: kindEOL}, nil
	case name == "nop" && len(args) == 0:
		return Option{Kind: kindNOP}, nil
	case name == "mss" && len(args) == 1:
		n, err := p.optionValue(args[0], 16)
		return Option{Kind: kindMSS, Body: binary.BigEndian.AppendUint16(nil, uint16(n))}, err
	case name == "wscale" && len(args) == 1:
		n, err := p.optionValue(args[0], 8)
		return Option{Kind: kindWScale, Body: []byte{byte(n)}}, err
	case name == "sackOK" && len(args) == 0:
		return Option{Kind: kindSACKOK}, nil
	case name == "sack" && len(args) > 0:
		return p.sackOption(args)
	case name == "TS" && len(args) == 4 && args[0] == "val" && args[2] == "ecr":
		return p.timestampOption(args[1], args[3])
	case name == "FO" && len(args) <= 1:
		return p.cookieOption(kindFastOpen, nil, args)
	case name == "FOEXP" && len(args) <= 1:
		return p.cookieOption(kindExperiment, []byte{0xf9, 0x89}, args) // RFC 7413's experiment before it had a kind
	case name == "ECN" && len(args)%2 == 0 && len(args) <= 6:
		return p.accECNOption(args)
	case name == "md5":
		return Option{}, failf(Unsupported, p.line(), "TCP option md5: the engine signs no segments (RFC 2385)")
	case strings.HasPrefix(name, "mp_") || name == "dss" || name == "add_address" || name == "add_addr":
		return Option{}, failf(Unsupported, p.line(), "TCP option %s: the engine speaks no Multipath TCP", name)
	default:
		return Option{}, failf(Unsupported, p.line(), "TCP option %q", strings.Join(words, " "))
	}
}

// timestampOption reads the values of TS, either of which may be left open: "...".
func (p *parser) timestampOption(val, ecr string) (Option, error) {
	o := Option{Kind: kindTimestamps, AnyVal: val == "...", AnyEcr: ecr == "..."}
	for _, text := range []string{val, ecr} {
		var n uint64
		if text != "..." {
			var err error
			if n, err = p.optionValue(text, 32); err != nil {
				return o, err
			}
		}
		o.Body = binary.BigEndian.AppendUint32(o.Body, uint32(n))
	}
	return o, nil
}

// accECNOption reads the counters of Accurate ECN, whose order says which of the two kinds it is (RFC 9768 §3.2.3).
func (p *parser) accECNOption(args []string) (Option, error) {
	o := Option{Kind: kindAccECN0}
	if len(args) > 0 && args[0] == "e1b" {
		o.Kind = kindAccECN1
	}
	order := map[byte][]string{kindAccECN0: {"e0b", "ceb", "e1b"}, kindAccECN1: {"e1b", "ceb", "e0b"}}[o.Kind]
	for i := 0; i < len(args); i += 2 {
		if args[i] != order[i/2] {
			return o, p.errorf("the counters of ECN are %s", strings.Join(order, ", "))
		}
		n, err := p.optionValue(args[i+1], 24)
		if err != nil {
			return o, err
		}
		o.Body = append(o.Body, byte(n>>16), byte(n>>8), byte(n))
	}
	return o, nil
}

func (p *parser) optionValue(text string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(text, 0, bits)
	if err != nil {
		return 0, p.errorf("%q is no number of %d bits", text, bits)
	}
	return n, nil
}

func (p *parser) sackOption(blocks []string) (Option, error) {
	o := Option{Kind: kindSACK}
	for _, block := range blocks {
		first, end, _ := strings.Cut(block, ":")
		for _, text := range []string{first, end} {
			n, err := p.optionValue(text, 32)
			if err != nil {
				return o, err
			}
			o.Body = binary.BigEndian.AppendUint32(o.Body, uint32(n))
		}
	}
	return o, nil
}

func (p *parser) cookieOption(kind byte, body []byte, args []string) (Option, error) {
	if len(args) == 0 || args[0] == "cookie" {
		return Option{Kind: kind, Body: body}, nil
	}
	text := args[0]
	if value, ok := p.defines[text]; ok && text != ownCookie {
		text = value
	}
	cookie, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil && strings.ToUpper(text) == text && !isDigit(text[0]) {
		return Option{Kind: kind, Body: append(body, make([]byte, cookieLen)...), Symbol: text}, nil
	}
	if err != nil {
		return Option{}, p.errorf("%q is no cookie in hexadecimal", text)
	}
	return Option{Kind: kind, Body: append(body, cookie...)}, nil
}

// bytes returns the option as it is on the wire.
func (o *Option) bytes() []byte {
	if o.Kind == kindEOL || o.Kind == kindNOP {
		return []byte{o.Kind}
	}
	return append([]byte{o.Kind, byte(2 + len(o.Body))}, o.Body...)
}

// splitOptions takes the options of a header apart, as far as they are well-formed.
func splitOptions(b []byte) []Option {
	var options []Option
	for len(b) > 0 {
		if b[0] == kindEOL || b[0] == kindNOP {
			options = append(options, Option{Kind: b[0]})
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return options
		}
		options = append(options, Option{Kind: b[0], Body: b[2:b[1]]})
		b = b[b[1]:]
	}
	return options
}

// String writes the option in the language.
func (o *Option) String() string {
	number := func(i int) string { return strconv.FormatUint(uint64(binary.BigEndian.Uint32(o.Body[i:])), 10) }
	switch {
	case o.Kind == kindEOL:
		return "eol"
	case o.Kind == kindNOP:
		return "nop"
	case o.Kind == kindMSS && len(o.Body) == 2:
		return "mss " + strconv.Itoa(int(binary.BigEndian.Uint16(o.Body)))
	case o.Kind == kindWScale && len(o.Body) == 1:
		return "wscale " + strconv.Itoa(int(o.Body[0]))
	case o.Kind == kindSACKOK && len(o.Body) == 0:
		return "sackOK"
	case o.Kind == kindSACK && len(o.Body)%8 == 0:
		text := "sack"
		for i := 0; i < len(o.Body); i += 8 {
			text += " " + number(i) + ":" + number(i+4)
		}
		return text
	case o.Kind == kindTimestamps && len(o.Body) == 8:
		return "TS val " + number(0) + " ecr " + number(4)
	case (o.Kind == kindAccECN0 || o.Kind == kindAccECN1) && len(o.Body)%3 == 0 && len(o.Body) <= 9:
		return o.accECNText()
	case o.Symbol != "":
		return "FO " + o.Symbol
	case o.Kind == kindFastOpen:
		return strings.TrimSpace("FO " + hex.EncodeToString(o.Body))
	default:
		return "kind " + strconv.Itoa(int(o.Kind)) + " " + hex.EncodeToString(o.Body)
	}
}

func (o *Option) accECNText() string {
	order := []string{"e0b", "ceb", "e1b"}
	if o.Kind == kindAccECN1 {
		order = []string{"e1b", "ceb", "e0b"}
	}
	text := "ECN"
	for i := 0; i < len(o.Body); i += 3 {
		n := int(o.Body[i])<<16 | int(o.Body[i+1])<<8 | int(o.Body[i+2])
		text += " " + order[i/3] + " " + strconv.Itoa(n)
	}
	return text
}
