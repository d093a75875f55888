package tcp

import (
	"fmt"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// The Accurate ECN option (RFC 9768 §3.2.3) tells how many bytes of payload came with each ECN codepoint, beside the count of
// packets in the ACE field. This file is about what a receiver of data sends.

// AccECNOption says when connections with Accurate ECN send its option. What comes is read in any case.
type AccECNOption uint8

// The values of AccECNOption. Linux's tcp_ecn_option has other numbers for similar choices: 1, 2 and 0.
const (
	AccECNOptionNeeded AccECNOption = iota // in the handshake, and with what acknowledges a counter that has moved
	AccECNOptionAlways                     // with every segment that has room for all counters, too
	AccECNOptionNever
	numAccECNOption
)

var accECNOptionNames = [numAccECNOption]string{
	AccECNOptionNeeded: "needed", AccECNOptionAlways: "always", AccECNOptionNever: "never",
}

// String returns needed, always or never.
func (o AccECNOption) String() string {
	if o < numAccECNOption {
		return accECNOptionNames[o]
	}
	return fmt.Sprintf("AccECNOption(%d)", uint8(o))
}

// MarshalText writes what UnmarshalText reads.
func (o AccECNOption) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads needed, always or never.
func (o *AccECNOption) UnmarshalText(text []byte) error {
	for i, name := range accECNOptionNames {
		if string(text) == name {
			*o = AccECNOption(i)
			return nil
		}
	}
	return fmt.Errorf("%w: AccECN option %q: use needed, always or never", ErrInvalid, text)
}

// accInitial is where the counters of bytes start, by codepoint (§3.2.1): those that a middlebox clears show.
var accInitial = [4]uint64{wire.ECT0: 1, wire.ECT1: 1}

// codepoints is a set of ECN codepoints.
type codepoints uint8

const allCodepoints = codepoints(1<<wire.ECT0 | 1<<wire.ECT1 | 1<<wire.CE)

func (s codepoints) has(mark wire.ECN) bool { return s&(1<<mark) != 0 }

// accSender is what Accurate ECN remembers about the options that it sends.
type accSender struct {
	received [4]uint64  // bytes of payload that came, by codepoint: r.e0b, r.e1b and r.ceb, less where they start
	moved    codepoints // counters that have moved since the last option told of them
	ever     codepoints // counters that have moved at all
	always   bool       // AccECNOptionAlways
	off      bool       // the path does not let it through, or the user does not want it
	answered bool       // a SYN-ACK has been sent
	greeting bool       // the first data has yet to carry the option (§3.2.3.2.1)
	proven   bool       // data with the option has arrived
	// [from, to) is the first data that was sent with the option, while trying.
	trying   bool
	from, to seqnum.Value
	// Data that came again after its acknowledgment, and options sent since.
	again       seqnum.Value // where the last began
	streak      uint8        // how many in a row
	told        uint8        // options, up to maxTold
	synAckAgain bool         // a SYN-ACK came again
}

const (
	// maxStreak is how often in a row data may come again, and maxTold how many options are sent between two of these at most:
	// where more got through, or may have, the path does not block them.
	maxStreak = 3
	maxTold   = 16
)

// count takes the payload of a segment that arrived (§3.2).
func (a *accSender) count(seg *segment) {
	if n := seg.payload.len(); n > 0 && seg.mark != wire.NotECT {
		a.received[seg.mark] += uint64(n)
		a.moved |= 1 << seg.mark
		a.ever |= 1 << seg.mark
	}
}

// choose returns the shortest option that tells the counters in want, and what it takes in a header (§3.2.3: "the Data Receiver
// can use whichever order is more efficient"). Where both orders are as short it is Linux's. Two counters take no more than one,
// with the padding.
func (a *accSender) choose(want codepoints) (o wire.AccECN, length int) {
	o.Fields = wire.MaxAccECNFields + 1
	for _, first := range [...]bool{true, false} {
		try := wire.AccECN{ECT1First: first, Fields: 2}
		if order := try.Order(); want.has(order[2]) {
			try.Fields = 3
		}
		if try.Fields < o.Fields {
			o = try
		}
	}
	for i, mark := range o.Order() {
		if i < int(o.Fields) {
			o.Bytes[mark] = uint32((a.received[mark] + accInitial[mark]) % wire.AccECNModulus)
		}
	}
	return o, wire.AccECNLen(int(o.Fields))
}

// put adds the option to those of a segment when it is due (§3.2.3.3, the recommended simple scheme): a counter has moved since
// the last one. It tells all counters that ever moved, or if there is no room those that have moved since. opens is a segment by
// which the path is tried. blocks are the SACK blocks that wait; two of them go before the option.
func (a *accSender) put(o *wire.Options, opens bool, blocks int) {
	want, need := a.ever, a.moved
	switch {
	case a.off:
		return
	case a.always || opens:
		want = allCodepoints
	case need == 0:
		return
	}
	room := wire.MaxOptionsLen - o.WireLen()
	if blocks > 0 {
		room -= wire.SACKLen(min(blocks, 2))
	}
	option, length := a.choose(want)
	if length > room && need != 0 {
		option, length = a.choose(need)
	}
	if length <= room {
		o.Set |= wire.OptAccECN
		o.AccECN = option
	}
}

// putAccECN adds the option where one is due to a segment of a synchronized connection.
func (e *ecnState) putAccECN(o *wire.Options, data bool, blocks int) {
	if e.accurate() {
		e.acc.sender.put(o, data && e.acc.sender.greeting || !data && e.acc.handshake != 0, blocks)
	}
}

// sent notes that a segment has left with n bytes of new or old data.
func (e *ecnState) sent(seg *wire.Segment, n int) {
	if !e.accurate() || !seg.Options.Set.Has(wire.OptAccECN) {
		return
	}
	a := &e.acc.sender
	a.told = min(a.told+1, maxTold+1)
	order := seg.Options.AccECN.Order()
	for _, mark := range order[:seg.Options.AccECN.Fields] {
		a.moved &^= 1 << mark
	}
	a.greeting = a.greeting && n == 0
	end := seg.Seq.Add(seqnum.Size(n))
	if seg.Flags.Has(wire.FIN) {
		end = end.Add(1)
	}
	switch {
	case a.proven || end == seg.Seq:
	case !a.trying:
		a.trying, a.from, a.to = true, seg.Seq, end
	case a.to == seg.Seq:
		a.to = end
	}
}

// acknowledged notes what an ACK says of the first data that was sent with the option: when any of it has arrived, the path
// lets it through.
func (a *accSender) acknowledged(seg *segment) {
	if !a.trying {
		return
	}
	arrived := a.from.Less(seg.Ack)
	for _, b := range seg.Options.SACK[:seg.Options.SACKBlocks] {
		arrived = arrived || seg.Ack.LessEq(b.Start) && b.Start.Less(a.to) && a.from.Less(b.End)
	}
	if arrived {
		a.trying, a.proven = false, true
	}
}

// lost notes that data is deemed lost. §3.2.3.2.2: when the first data that was sent with the option is lost, the sender "SHOULD
// fall back to no AccECN Option on the retransmission".
func (e *ecnState) lost(start seqnum.Value) {
	if !e.accurate() || !e.acc.sender.trying {
		return
	}
	if a := &e.acc.sender; a.from.LessEq(start) && start.Less(a.to) {
		a.trying, a.off = false, true
	}
}

// reappeared notes data that was acknowledged before. §3.2.3.2.2: a host that sends little but ACKs may find that these are lost
// for their option when "the acknowledged data always reappears as a retransmission". One byte may be a keep-alive probe.
func (e *ecnState) reappeared(seg *segment) {
	if !e.accurate() || seg.length() <= 1 && !seg.Flags.Has(wire.FIN) {
		return
	}
	a := &e.acc.sender
	if a.proven || a.off {
		return
	}
	twice := a.streak > 0 && a.again == seg.Seq
	if a.streak++; a.told > maxTold {
		a.streak = 1
	}
	a.again, a.told = seg.Seq, 0
	a.off = twice || a.streak >= maxStreak
}

// repeatedSynAck notes a SYN-ACK that came again: the ACKs of the ones before are lost. The first may have been lost for other
// reasons.
func (a *accSender) repeatedSynAck() {
	a.off = a.off || a.synAckAgain
	a.synAckAgain = true
}

// putSynAckOption adds the option to a SYN-ACK, with as many of the counters as fit (§3.2.3.2.1).
func putSynAckOption(o *wire.Options) {
	o.Set |= wire.OptAccECN
	o.AccECN, _ = new(accSender).choose(allCodepoints)
}

// putAccECN adds the option to the first SYN-ACK of a passive open. §3.2.3.2.2: one that is sent again, because it timed out or
// because the SYN came again, goes without: something on the path may drop what has it.
func (a *synECN) putAccECN(o *wire.Options, when AccECNOption) {
	if a.feedback == ECNFeedbackAccurate && !a.answered && when != AccECNOptionNever {
		putSynAckOption(o)
	}
	a.answered = true
}

// putSynAckOption is the same for a simultaneous open.
func (e *ecnState) putSynAckOption(o *wire.Options) {
	if e.accurate() && !e.acc.sender.off && !e.acc.sender.answered {
		putSynAckOption(o)
		e.acc.sender.answered = true
	}
}
