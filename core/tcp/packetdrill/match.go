package packetdrill

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// format writes a packet that left as the script would.
func (f *flow) format(p *sentPacket, window bool) string {
	var b strings.Builder
	b.WriteString(flagText(p.seg.Flags))
	first, base := f.toScript(p.seg.Seq, p.seg.Flags), f.peerBase(p.seg.Flags)
	fmt.Fprintf(&b, " %d:%d(%d)", first, first+uint32(p.payload), p.payload)
	if p.seg.Flags.Has(wire.ACK) {
		fmt.Fprintf(&b, " ack %d", uint32(p.seg.Ack)-base)
	}
	if window {
		fmt.Fprintf(&b, " win %d", p.seg.Window)
	}
	if p.seg.Flags.Has(wire.URG) {
		fmt.Fprintf(&b, " urg %d", p.seg.Urgent)
	}
	if len(p.options) > 0 {
		b.WriteString(" " + optionsText(shiftSACK(splitOptions(p.options), -base)))
	}
	return b.String()
}

func optionsText(options []Option) string {
	texts := make([]string, len(options))
	for i := range options {
		texts[i] = options[i].String()
	}
	return "<" + strings.Join(texts, ",") + ">"
}

// shiftSACK adds base to the sequence numbers in SACK options.
func shiftSACK(options []Option, base uint32) []Option {
	if base == 0 {
		return options
	}
	options = slices.Clone(options)
	for i := range options {
		o := &options[i]
		if o.Kind != kindSACK {
			continue
		}
		o.Body = bytes.Clone(o.Body)
		for j := 0; j+4 <= len(o.Body); j += 4 {
			binary.BigEndian.PutUint32(o.Body[j:], binary.BigEndian.Uint32(o.Body[j:])+base)
		}
	}
	return options
}

func flagText(flags wire.Flags) string {
	var b strings.Builder
	for _, l := range []struct {
		flag wire.Flags
		char byte
	}{
		{wire.SYN, 'S'},
		{wire.FIN, 'F'},
		{wire.RST, 'R'},
		{wire.PSH, 'P'},
		{wire.ACK, '.'},
		{wire.URG, 'U'},
		{wire.ECE, 'E'},
		{wire.CWR, 'W'},
		{wire.AE, 'A'},
	} {
		if flags.Has(l.flag) {
			b.WriteByte(l.char)
		}
	}
	if b.Len() == 0 {
		return "-"
	}
	return b.String()
}

// compare says in what a packet that left differs from the one that the script wants, or "".
func (r *runner) compare(f *flow, want *Packet, got *sentPacket) string {
	s := want.Segment
	wantFlags, gotFlags := s.Flags, got.seg.Flags
	if r.set.anyPush {
		wantFlags, gotFlags = wantFlags&^wire.PSH, gotFlags&^wire.PSH
	}
	first, base := f.toLive(s.Seq, s.Flags), f.peerBase(s.Flags)
	switch {
	case wantFlags != gotFlags:
		return "flags"
	case !s.AnySeq && first != got.seg.Seq:
		return "sequence number"
	case s.Len != got.payload:
		return "length"
	case s.HasAck && !s.AnyAck && seqnum.Value(s.Ack+base) != got.seg.Ack:
		return "acknowledgment number"
	case s.HasWindow && s.Window != got.seg.Window && !r.set.windowLags(s.Window, got.seg.Window, r.statusOf(f)):
		return "window"
	case s.Urgent != got.seg.Urgent:
		return "urgent pointer"
	case want.TTL != 0 && want.TTL != int(got.ip.TTL):
		return "time to live"
	case want.HasTOS && want.TOS != got.ip.TrafficClass:
		return "type of service"
	case want.FlowLabel != 0 && uint32(want.FlowLabel) != got.ip.FlowLabel:
		return "flow label"
	case !markMatches(want.Mark, got.ip.ECN()) && !r.marksControl(f, want.Mark, got):
		return "ECN codepoint"
	case !s.AnyOptions && !r.sameOptions(shiftSACK(s.Options, base), got.options):
		return "options"
	}
	return ""
}

func markMatches(want Mark, got wire.ECN) bool {
	switch want {
	case MarkNotECT:
		return got == wire.NotECT
	case MarkECT0:
		return got == wire.ECT0
	case MarkECT1:
		return got == wire.ECT1
	case MarkECT01:
		return got == wire.ECT0 || got == wire.ECT1
	case MarkCE:
		return got == wire.CE
	default:
		return true
	}
}

// marksControl says whether a packet without an ECN codepoint may stand for the one that a script wants: nothing that it carries is
// new.
func (r *runner) marksControl(f *flow, want Mark, got *sentPacket) bool {
	return r.set.markedControl && want == MarkECT0 && got.ip.ECN() == wire.NotECT &&
		(got.payload == 0 || got.seg.Seq.Less(f.sentTo)) && r.statusOf(f).ECN == tcp.ECNFeedbackAccurate
}

// sameOptions compares options, where the dialect says so without their order and padding. The values of our timestamps
// are left out: those are the engine's to choose; so are Fast Open cookies that the script has a name for, which are
// learned here.
func (r *runner) sameOptions(want []Option, left []byte) bool {
	got := splitOptions(left)
	if r.set.anyOrder {
		want, got = unpadded(want), unpadded(got)
	} else {
		want = padded(want)
	}
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		w, g := &want[i], &got[i]
		if w.Kind != g.Kind || len(w.Body) != len(g.Body) {
			return false
		}
		from, to := 0, len(w.Body)
		switch {
		case w.Kind == kindTimestamps && to == 8 && w.AnyEcr:
			continue
		case w.Kind == kindTimestamps && to == 8:
			from = 4
		case w.Symbol != "":
			given := g.Body[to-cookieLen:]
			if known, ok := r.cookies[w.Symbol]; ok && !bytes.Equal(known, given) {
				return false
			}
			r.cookies[w.Symbol] = bytes.Clone(given)
			to -= cookieLen
		}
		if !bytes.Equal(w.Body[from:to], g.Body[from:to]) {
			return false
		}
	}
	return true
}

// padded fills options up to a whole number of words, as a header does.
func padded(options []Option) []Option {
	length := 0
	for i := range options {
		length += len(options[i].bytes())
	}
	options = slices.Clip(options)
	for ; length%4 != 0; length++ {
		options = append(options, Option{Kind: kindEOL})
	}
	return options
}

// unpadded sorts options by kind, without NOP and EOL.
func unpadded(options []Option) []Option {
	options = slices.DeleteFunc(slices.Clone(options), func(o Option) bool { return o.Kind <= kindNOP })
	slices.SortStableFunc(options, func(a, b Option) int { return int(a.Kind) - int(b.Kind) })
	return options
}

// checkStamp compares the value of a timestamp that left with the script's, or learns what it stands for.
func (f *flow) checkStamp(want *Packet, got *sentPacket, tick, tolerance time.Duration) string {
	if !got.seg.Options.Set.Has(wire.OptTimestamps) {
		return ""
	}
	for _, o := range want.Segment.Options {
		if o.Kind != kindTimestamps || len(o.Body) != 8 || o.AnyVal {
			continue
		}
		script, live := binary.BigEndian.Uint32(o.Body), got.seg.Options.TSVal
		if tick != 0 && f.stamps != nil {
			off := time.Duration(int32(live-f.stampFirst[1]-(script-f.stampFirst[0]))) * tick
			if off.Abs() > tolerance+tick {
				return fmt.Sprintf("timestamp, which is %v off,", off)
			}
		}
		f.learnStamp(script, live)
	}
	return ""
}
