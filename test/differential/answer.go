package differential

import (
	"fmt"
	"strings"

	"github.com/MUCZ/Starfish/core/wire"
)

// answer is a segment of a subject, reduced to what is compared: flags without PSH and ECN's, sequence numbers from the
// initial ones, the range of its payload, whether its window is zero, and the kinds of its options.
type answer struct {
	flags      wire.Flags
	seq        int32
	ack        int32
	length     int
	zeroWindow bool
	options    wire.OptionSet
}

const comparedFlags = wire.FIN | wire.SYN | wire.RST | wire.ACK | wire.URG

// readAnswer takes a packet of the subject in. It reports false for what is no TCP segment of the lane.
func (p *peer) readAnswer(packet []byte, step Step) (answer, bool) {
	var ip wire.IP
	if wire.ParseIP(packet, &ip) != wire.None || ip.Protocol != wire.TCP {
		return answer{}, false
	}
	segment := packet[ip.HeaderLen:ip.TotalLen]
	var seg wire.Segment
	if wire.ParseSegment(segment, &seg) != wire.None || seg.DstPort != p.remote.Port || ip.Dst != p.remote.Addr {
		return answer{}, false
	}
	if p.sentAgain(&seg, step) {
		return answer{}, false
	}
	length := len(segment) - seg.HeaderLen
	p.take(&seg, length)
	a := answer{flags: seg.Flags & comparedFlags, seq: int32(seg.Seq - p.rcv.iss), length: length, options: seg.Options.Set}
	if a.flags.Has(wire.ACK) {
		a.ack = int32(seg.Ack - peerISS)
	}
	if !a.flags.Has(wire.RST) {
		a.zeroWindow = seg.Window == 0
	}
	if a.flags.Has(wire.RST) && seg.Seq == 0 {
		a.seq = 0 // RFC 9293 §3.10.7.1: an RST to what has no ACK begins at zero, whatever the initial sequence number
	}
	return a, true
}

// sentAgain says whether a SYN or SYN-ACK is there by the doing of a timer: no segment provokes a second SYN, and only a
// SYN a second SYN-ACK, of a passive open.
func (p *peer) sentAgain(seg *wire.Segment, step Step) bool {
	if !seg.Flags.Has(wire.SYN) || !p.rcv.known || seg.Seq != p.rcv.iss {
		return false
	}
	if !seg.Flags.Has(wire.ACK) {
		return true
	}
	again := p.synAcked && (!step.hasSYN() || p.active)
	p.synAcked = true
	return again
}

func (a answer) end() int32 {
	end := a.seq + int32(a.length)
	if a.flags.Has(wire.FIN) {
		end++
	}
	return end
}

// precedes says whether b goes on where a ends, so that both might have been one: how bytes are cut into segments is for
// the sender to choose.
func (a answer) precedes(b answer) bool {
	const alone = wire.SYN | wire.RST | wire.FIN
	return a.flags&alone == 0 && b.flags&(wire.SYN|wire.RST) == 0 && a.length > 0 && b.end() > b.seq && b.seq == a.end() && b.ack == a.ack
}

// join puts segments together that follow each other.
func join(answers []answer) []answer {
	var joined []answer
	for _, b := range answers {
		if n := len(joined); n > 0 && joined[n-1].precedes(b) {
			joined[n-1].length += b.length
			joined[n-1].flags |= b.flags
			continue
		}
		joined = append(joined, b)
	}
	return joined
}

var optionNames = []struct {
	kind wire.OptionSet
	name string
}{
	{wire.OptMSS, "mss"},
	{wire.OptWindowScale, "ws"},
	{wire.OptSACKPermitted, "sackOK"},
	{wire.OptSACK, "sack"},
	{wire.OptTimestamps, "ts"},
	{wire.OptFastOpen, "fo"},
}

var flagNames = []struct {
	flag wire.Flags
	name string
}{{wire.SYN, "S"}, {wire.FIN, "F"}, {wire.RST, "R"}, {wire.URG, "U"}, {wire.ACK, "."}}

func (a answer) String() string {
	var b strings.Builder
	for _, f := range flagNames {
		if a.flags.Has(f.flag) {
			b.WriteString(f.name)
		}
	}
	fmt.Fprintf(&b, " %d", a.seq)
	if a.length > 0 {
		fmt.Fprintf(&b, ":%d", a.seq+int32(a.length))
	}
	if a.flags.Has(wire.ACK) {
		fmt.Fprintf(&b, " ack %d", a.ack)
	}
	if a.zeroWindow {
		b.WriteString(" win 0")
	}
	var kinds []string
	for _, o := range optionNames {
		if a.options.Has(o.kind) {
			kinds = append(kinds, o.name)
		}
	}
	if len(kinds) > 0 {
		fmt.Fprintf(&b, " <%s>", strings.Join(kinds, ","))
	}
	return b.String()
}
