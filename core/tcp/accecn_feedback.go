package tcp

import (
	"github.com/MUCZ/Starfish/core/wire"
)

// This file is about what a sender of data makes of Accurate ECN: the count of marked packets in ACKs, which goes around at eight,
// and the counts of bytes in the option beside it.

// accOptionUse says what is made of the options that come (RFC 9768 §3.2.3.2).
type accOptionUse uint8

const (
	accOptionAbsent  accOptionUse = iota // none came in the handshake, and none since
	accOptionRead                        // they are counted by
	accOptionIgnored                     // the first one was cleared on its way
)

// accReceiver is what Accurate ECN remembers about the feedback that comes.
type accReceiver struct {
	delivered [4]uint64 // bytes of ours that came, by codepoint: s.e0b, s.e1b and s.ceb, less where they start
	use       accOptionUse
	average   uint16 // packets that an ACK is for, times averageUnit; 0 before the first
	// Since the last option:
	packets uint16 // acknowledged, up to maxSinceOption
	marks   bool   // counted in ACE
}

const (
	// averageUnit is the precision of the average, averageWeight the part of it that one ACK makes.
	averageUnit   = 16
	averageWeight = 8
	// rareAcks is the average from which on the counter of packets goes around as a rule and not because ACKs are missing:
	// RFC 9768 §A.2.1 says "well below 8".
	rareAcks       = 4 * averageUnit
	maxSinceOption = 1000
)

// accProgress is what an ACK acknowledges.
type accProgress struct {
	packets int  // data packets acknowledged or SACKed for the first time
	exact   bool // that is their number, not an estimate from bytes
	newer   bool // the ACK has a later timestamp than any before
	mss     int
}

// first takes the option, or its absence, in what ends the handshake. §3.2.3.2.3: without one it is taken to be lost on its way
// until one comes; §3.2.3.2.4: with a zero where a counter never starts, something clears it.
func (a *accReceiver) first(o *wire.Options) {
	if !o.Set.Has(wire.OptAccECN) {
		return
	}
	a.use = accOptionRead
	for _, mark := range [...]wire.ECN{wire.ECT0, wire.ECT1} {
		if o.AccECN.Has(mark) && o.AccECN.Bytes[mark] == 0 {
			a.use = accOptionIgnored
		}
	}
}

// read takes the counters of an option (§3.2.3.1), and returns by how much that of marked bytes has moved. One that is left off
// has not. It reports false when there is no option to go by.
//
// "The minimum positive increment" of a counter that went back is sixteen megabytes. As a receiver tells every four (§3.2.3.3),
// more than eight are rather an ACK that was overtaken, and count for nothing.
func (a *accReceiver) read(o *wire.Options) (marked int, ok bool) {
	if !o.Set.Has(wire.OptAccECN) || a.use == accOptionIgnored {
		return 0, false
	}
	if a.use == accOptionAbsent {
		if a.first(o); a.use == accOptionIgnored {
			return 0, false
		}
	}
	order := o.AccECN.Order()
	for _, mark := range order[:o.AccECN.Fields] {
		step := uint32(uint64(o.AccECN.Bytes[mark])-a.delivered[mark]-accInitial[mark]) % wire.AccECNModulus
		if step >= wire.AccECNModulus/2 {
			continue
		}
		a.delivered[mark] += uint64(step)
		if mark == wire.CE {
			marked = int(step)
		}
	}
	return marked, true
}

// note counts the packets of an ACK.
func (a *accReceiver) note(packets int) {
	if packets == 0 {
		return
	}
	packets = min(packets, maxSinceOption)
	a.packets = uint16(min(int(a.packets)+packets, maxSinceOption))
	switch sample := packets * averageUnit; {
	case a.average == 0:
		a.average = uint16(sample)
	default:
		a.average = uint16(int(a.average) + (sample-int(a.average))/averageWeight)
	}
}

// told takes the feedback of an ACK, and reports whether it tells of marks. old says that a later ACK came before: then it says
// nothing (§3.2.2.2). By §A.1 one that acknowledges nothing new has been superseded, too, unless its timestamp is new.
func (e *ecnState) told(seg *segment, p accProgress, old bool) bool {
	a := &e.acc
	a.sender.acknowledged(seg)
	if a.skip {
		a.skip = false
		return false
	}
	if a.deaf || old || seg.Flags.Has(wire.SYN) {
		return false
	}
	ace := aceOf(seg.Flags)
	if !a.checked {
		a.checked = true
		if ace == 0 {
			// §3.2.2.4: the first counter can't be zero. The peer is not in this mode, or something clears the field.
			e.capable, a.deaf = false, true
			return false
		}
	}
	if p.packets == 0 && !p.newer {
		return false
	}
	r := &a.receiver
	r.note(p.packets)
	bytes, ok := r.read(&seg.Options)
	marks := int(ace-a.peers) & aceMask
	// §3.2.3.2.5: bytes that came marked in no marked packet are no feedback but damage, if the counter has not gone around.
	damaged := bytes > 0 && marks == 0 && !r.marks && p.exact && r.packets <= aceMask
	if damaged {
		e.capable = false
	}
	marks = r.marksOf(marks, bytes, ok, &p)
	if r.marks = !ok && (r.marks || marks > 0); ok {
		r.packets = 0
	}
	a.peers = ace
	a.delivered += uint32(marks)
	return marks > 0 || damaged
}

// marksOf is how many marked packets an ACK tells of, whose counter has moved by marks. §3.2.2.5.2: it may have gone around
// between two ACKs, and the "safest likely case" is the most that the packets allow. Bytes decide that where an option tells
// them (§A.2.2), and where none does whether ACKs for so many packets are the exception (§A.2.1).
func (a *accReceiver) marksOf(marks, bytes int, known bool, p *accProgress) int {
	safest := marks
	if p.packets > marks {
		safest = p.packets - (p.packets-marks)&aceMask
	}
	switch {
	case safest == marks:
	case !known:
		if a.average >= rareAcks {
			return marks
		}
	case bytes <= marks*p.mss:
		// As marks is below eight, the bytes come to less than half a segment for each of the safest number, too: with a safety
		// factor of two, §A.2.2's second test always holds.
		return marks
	}
	return safest
}

// accProgress is what an ACK of seg has acknowledged of c's data.
func (c *conn) accProgress(seg *segment, a *acked) accProgress {
	return accProgress{
		packets: a.packets, exact: !a.estimated && c.sent.sacked == 0 && !seg.Options.Set.Has(wire.OptSACK), mss: c.mss,
		newer: c.timestampsOn && seg.Options.Set.Has(wire.OptTimestamps) && int32(seg.Options.TSVal-c.rcv.tsRecent) > 0,
	}
}

// countPackets adds the packets of a record that is acknowledged for the first time.
func (a *acked) countPackets(r *record, n, mss int) {
	size := int(r.segment)
	if size == 0 {
		a.estimated, size = true, mss
	}
	a.packets += int(wireSegments(n, size))
}
