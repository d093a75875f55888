package packetdrill

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// format writes a packet that left as the script would.
func (f *flow) format(p *sentPacket, window bool) string {
	var b strings.Builder
	b.WriteString(flagText(p.seg.Flags))
	first := f.toScript(p.seg.Seq)
	fmt.Fprintf(&b, " %d:%d(%d)", first, first+uint32(p.payload), p.payload)
	if p.seg.Flags.Has(wire.ACK) {
		fmt.Fprintf(&b, " ack %d", uint32(p.seg.Ack))
	}
	if window {
		fmt.Fprintf(&b, " win %d", p.seg.Window)
	}
	if p.seg.Flags.Has(wire.URG) {
		fmt.Fprintf(&b, " urg %d", p.seg.Urgent)
	}
	if len(p.options) > 0 {
		b.WriteString(" " + optionsText(splitOptions(p.options)))
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
func (f *flow) compare(want *Packet, got *sentPacket, ignorePush bool) string {
	s := want.Segment
	wantFlags, gotFlags := s.Flags, got.seg.Flags
	if ignorePush {
		wantFlags, gotFlags = wantFlags&^wire.PSH, gotFlags&^wire.PSH
	}
	first := f.toLive(s.Seq)
	switch {
	case wantFlags != gotFlags:
		return "flags"
	case first != got.seg.Seq:
		return "sequence number"
	case s.Len != got.payload:
		return "length"
	case s.HasAck && !s.AnyAck && seqnum.Value(s.Ack) != got.seg.Ack:
		return "acknowledgment number"
	case s.HasWindow && s.Window != got.seg.Window:
		return "window"
	case s.Urgent != got.seg.Urgent:
		return "urgent pointer"
	case want.TTL != 0 && want.TTL != int(got.ip.TTL):
		return "time to live"
	case !markMatches(want.Mark, got.ip.ECN()):
		return "ECN codepoint"
	case !s.AnyOptions && !sameOptions(s.Options, got.options):
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

// sameOptions compares options byte by byte, the values of our timestamps left out: those are the engine's to choose.
func sameOptions(want []Option, got []byte) bool {
	var b []byte
	var stamps []int // where the values are
	for i := range want {
		if want[i].Kind == kindTimestamps {
			stamps = append(stamps, len(b)+2)
		}
		b = append(b, want[i].bytes()...)
	}
	for len(b)%4 != 0 {
		b = append(b, kindEOL)
	}
	got = bytes.Clone(got)
	for _, i := range stamps {
		if i+4 <= len(got) {
			copy(got[i:i+4], b[i:i+4])
		}
	}
	return bytes.Equal(b, got)
}

// checkStamp compares the value of a timestamp that left with the script's, or learns what it stands for.
func (f *flow) checkStamp(want *Packet, got *sentPacket, tick, tolerance time.Duration) string {
	if !got.seg.Options.Set.Has(wire.OptTimestamps) {
		return ""
	}
	for _, o := range want.Segment.Options {
		if o.Kind != kindTimestamps || len(o.Body) != 8 {
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
