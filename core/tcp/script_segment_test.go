package tcp_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// A segment in a script is one line, in tcpdump's spirit:
//
//	FLAGS SEQ[:END] [ack N] [win N] [urg N] [<options>]
//
//	S 0 win 65535 <mss 1460,sackOK,ws 7>
//	. 1 ack 1
//	P. 1:101 ack 1
//
// FLAGS are S, F, R, P, U, E, W and "." for ACK. Sequence numbers count from the initial sequence number of the side
// they belong to, so that the SYN is 0 and the first byte 1; "=N" is an absolute number. The options are mss N, ws N, sackOK,
// ts VAL:ECR and sack A:B. In a timestamp "*" is any value, and "?" is the last that our side has sent.
type line struct {
	text    string
	flags   wire.Flags
	seq     number
	length  int
	ack     number
	hasAck  bool
	win     int // -1: not said
	urg     int // -1: not said
	options []string
	hasOpts bool
}

// number is a sequence number as a script has it.
type number struct {
	n        uint32
	absolute bool
}

func (n number) value(isn seqnum.Value) seqnum.Value {
	if n.absolute {
		return seqnum.Value(n.n)
	}
	return isn + seqnum.Value(n.n)
}

const flagLetters = "FSRP.UEW" // in the order of the bits

func parseLine(text string) (line, error) {
	l := line{text: text, win: -1, urg: -1}
	if at := strings.IndexByte(text, '<'); at >= 0 {
		inner, ok := strings.CutSuffix(strings.TrimSpace(text[at+1:]), ">")
		if !ok {
			return l, fmt.Errorf("%q: options without an end", text)
		}
		l.hasOpts = true
		for _, o := range strings.Split(inner, ",") {
			if o = strings.TrimSpace(o); o != "" {
				l.options = append(l.options, o)
			}
		}
		text = text[:at]
	}
	words := strings.Fields(text)
	if len(words) < 2 {
		return l, fmt.Errorf("%q: want FLAGS SEQ …", text)
	}
	for _, c := range words[0] {
		bit := strings.IndexRune(flagLetters, c)
		if bit < 0 && c != '-' {
			return l, fmt.Errorf("%q: unknown flag %q", text, c)
		}
		if bit >= 0 {
			l.flags |= 1 << bit
		}
	}
	if err := l.parseSequence(words[1]); err != nil {
		return l, fmt.Errorf("%q: %w", text, err)
	}
	return l, l.parseFields(words[2:])
}

func (l *line) parseSequence(word string) error {
	from, to, ranged := strings.Cut(word, ":")
	var err error
	if l.seq, err = parseNumber(from); err != nil || !ranged {
		return err
	}
	end, err := parseNumber(to)
	l.length = int(end.n - l.seq.n)
	return err
}

func (l *line) parseFields(words []string) error {
	for ; len(words) >= 2; words = words[2:] {
		n, err := parseNumber(words[1])
		if err != nil {
			return err
		}
		switch words[0] {
		case "ack":
			l.ack, l.hasAck = n, true
		case "win":
			l.win = int(n.n)
		case "urg":
			l.urg = int(n.n)
		default:
			return fmt.Errorf("%q: unknown field %q", l.text, words[0])
		}
	}
	if len(words) != 0 {
		return fmt.Errorf("%q: field %q has no value", l.text, words[0])
	}
	return nil
}

func parseNumber(word string) (number, error) {
	digits, absolute := strings.CutPrefix(word, "=")
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return number{uint32(n), absolute}, nil
	}
	return number{}, fmt.Errorf("%q is no number", word)
}

// wireOptions are the options to send. last is our side's last timestamp.
func (l *line) wireOptions(irs, iss seqnum.Value, last uint32) (wire.Options, error) {
	var o wire.Options
	for _, text := range l.options {
		name, value, _ := strings.Cut(text, " ")
		a, b, _ := strings.Cut(value, ":")
		x, _ := strconv.ParseUint(a, 10, 32)
		y, _ := strconv.ParseUint(b, 10, 32)
		switch name {
		case "mss":
			o.Set, o.MSS = o.Set|wire.OptMSS, uint16(x)
		case "ws":
			o.Set, o.WindowScale = o.Set|wire.OptWindowScale, uint8(x)
		case "sackOK":
			o.Set |= wire.OptSACKPermitted
		case "ts":
			o.Set, o.TSVal, o.TSEcr = o.Set|wire.OptTimestamps, uint32(x), uint32(y)
			if b == "?" {
				o.TSEcr = last
			}
		case "sack": // of what our side has sent
			o.Set |= wire.OptSACK
			o.SACK[o.SACKBlocks] = wire.SACKBlock{Start: iss + seqnum.Value(x), End: iss + seqnum.Value(y)}
			o.SACKBlocks++
		default:
			return o, fmt.Errorf("%q: unknown option", text)
		}
	}
	return o, nil
}

// sent is a segment of our side, as it left.
type sent struct {
	ip      wire.IP
	tcp     wire.Segment
	payload []byte
}

// String writes the segment as a script has it. iss is our side's initial sequence number, irs the peer's.
func (s *sent) format(iss, irs seqnum.Value) string {
	var b strings.Builder
	for bit, c := range flagLetters {
		if s.tcp.Flags&(1<<bit) != 0 {
			b.WriteRune(c)
		}
	}
	if s.tcp.Flags == 0 {
		b.WriteByte('-')
	}
	fmt.Fprintf(&b, " %d", int32(s.tcp.Seq-iss))
	if n := len(s.payload); n > 0 {
		fmt.Fprintf(&b, ":%d", int32(s.tcp.Seq-iss)+int32(n))
	}
	if s.tcp.Flags.Has(wire.ACK) {
		fmt.Fprintf(&b, " ack %d", int32(s.tcp.Ack-irs))
	}
	fmt.Fprintf(&b, " win %d", s.tcp.Window)
	if s.tcp.Flags.Has(wire.URG) {
		fmt.Fprintf(&b, " urg %d", s.tcp.Urgent)
	}
	fmt.Fprintf(&b, " <%s>", strings.Join(formatOptions(&s.tcp.Options, irs), ","))
	return b.String()
}

// formatOptions lists options in the order in which a script has them. SACK blocks count from the peer's numbers.
func formatOptions(o *wire.Options, irs seqnum.Value) []string {
	var list []string
	if o.Set.Has(wire.OptMSS) {
		list = append(list, fmt.Sprintf("mss %d", o.MSS))
	}
	if o.Set.Has(wire.OptSACKPermitted) {
		list = append(list, "sackOK")
	}
	if o.Set.Has(wire.OptTimestamps) {
		list = append(list, fmt.Sprintf("ts %d:%d", o.TSVal, o.TSEcr))
	}
	if o.Set.Has(wire.OptWindowScale) {
		list = append(list, fmt.Sprintf("ws %d", o.WindowScale))
	}
	for _, b := range o.SACK[:o.SACKBlocks] {
		list = append(list, fmt.Sprintf("sack %d:%d", int32(b.Start-irs), int32(b.End-irs)))
	}
	return list
}

// matches reports whether a segment is what a line says. Window, urgent pointer and options count only where the line
// has them.
func (l *line) matches(s *sent, iss, irs seqnum.Value) bool {
	switch {
	case s.tcp.Flags != l.flags, s.tcp.Seq != l.seq.value(iss), len(s.payload) != l.length:
		return false
	case l.flags.Has(wire.ACK) != l.hasAck, l.hasAck && s.tcp.Ack != l.ack.value(irs):
		return false
	case l.win >= 0 && int(s.tcp.Window) != l.win, l.urg >= 0 && int(s.tcp.Urgent) != l.urg:
		return false
	}
	return !l.hasOpts || optionsMatch(l.options, formatOptions(&s.tcp.Options, irs))
}

func optionsMatch(want, got []string) bool {
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		if w == got[i] {
			continue
		}
		wantTS, ok := strings.CutPrefix(w, "ts *")
		gotTS, okGot := strings.CutPrefix(got[i], "ts ")
		if !ok || !okGot {
			return false
		}
		if _, ecr, _ := strings.Cut(gotTS, ":"); wantTS != ":"+ecr && wantTS != ":*" {
			return false
		}
	}
	return true
}
