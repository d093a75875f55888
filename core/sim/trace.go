package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
)

// trace keeps the last lines of what happened.
type trace struct {
	lines []string
	next  int // where the oldest line is, once lines is full
	keep  int
}

func (t *trace) add(line string) {
	if len(t.lines) < t.keep {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[t.next] = line
	t.next = (t.next + 1) % t.keep
}

// String returns the lines, oldest first.
func (t *trace) String() string {
	return strings.Join(t.lines[t.next:], "\n") + "\n" + strings.Join(t.lines[:t.next], "\n")
}

// Trace keeps the last lines of what happens from now on, for TraceText. It costs time: a run that went wrong is played
// again with it.
func (n *Network) Trace(lines int) { n.trace = &trace{keep: lines} }

// TraceText returns the kept lines.
func (n *Network) TraceText() string {
	if n.trace == nil {
		return ""
	}
	return n.trace.String()
}

// tracef adds a line to the trace, if there is one.
func (n *Network) tracef(format string, args ...any) {
	if n.trace != nil {
		n.trace.add(fmt.Sprintf("%14v ", time.Duration(n.now)) + fmt.Sprintf(format, args...))
	}
}

// describe writes a packet the way tcpdump does, with absolute sequence numbers.
func describe(data []byte) string {
	var ip wire.IP
	if problem := wire.ParseIP(data, &ip); problem != wire.None {
		return fmt.Sprintf("%d bytes: %v", len(data), problem)
	}
	if ip.Protocol == wire.ICMP || ip.Protocol == wire.ICMPv6 {
		var e wire.ICMPError
		if problem := wire.ParseICMPError(&ip, data[ip.HeaderLen:ip.TotalLen], &e); problem != wire.None {
			return fmt.Sprintf("ICMP: %v", problem)
		}
		return fmt.Sprintf("ICMP %v mtu %d about port %d > %d seq %d", e.Kind, e.MTU, e.SrcPort, e.DstPort, e.Seq)
	}
	var s wire.Segment
	if problem := wire.ParseSegment(data[ip.HeaderLen:ip.TotalLen], &s); problem != wire.None {
		return fmt.Sprintf("%d bytes of protocol %d: %v", len(data), ip.Protocol, problem)
	}
	return describeSegment(&s, ip.PayloadLen()-s.HeaderLen)
}

func describeSegment(s *wire.Segment, payload int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d>%d %v seq %d:%d(%d)", s.SrcPort, s.DstPort, s.Flags, s.Seq, s.Seq+seqOf(payload), payload)
	if s.Flags.Has(wire.ACK) {
		fmt.Fprintf(&b, " ack %d", s.Ack)
	}
	fmt.Fprintf(&b, " win %d", s.Window)
	o := &s.Options
	if o.Set.Has(wire.OptMSS) {
		fmt.Fprintf(&b, " mss %d", o.MSS)
	}
	if o.Set.Has(wire.OptWindowScale) {
		fmt.Fprintf(&b, " wscale %d", o.WindowScale)
	}
	if o.Set.Has(wire.OptSACKPermitted) {
		b.WriteString(" sackOK")
	}
	if o.Set.Has(wire.OptTimestamps) {
		fmt.Fprintf(&b, " ts %d:%d", o.TSVal, o.TSEcr)
	}
	for _, block := range o.SACK[:o.SACKBlocks] {
		fmt.Fprintf(&b, " sack %d:%d", block.Start, block.End)
	}
	return b.String()
}
