package tcp

import (
	"fmt"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// ECN selects what a connection does about Explicit Congestion Notification. The zero value is unset.
type ECN uint8

// The values of ECN. Linux's tcp_ecn has other numbers for the same choices: 0, 2, 1, 3, 5 and 4.
const (
	ECNOff            ECN = 1 + iota // neither ask for it nor agree to it
	ECNAccept                        // agree when the peer asks
	ECNOn                            // ask for it, too (RFC 3168)
	ECNAccurate                      // ask for Accurate ECN, and agree to either (RFC 9768)
	ECNAcceptAccurate                // agree when the peer asks, to either
	ECNOnAccurate                    // ask for RFC 3168's, and agree to either
	numECN
)

var ecnNames = [numECN]string{
	ECNOff: "off", ECNAccept: "accept", ECNOn: "on", ECNAccurate: "accurate", ECNAcceptAccurate: "accept-accurate",
	ECNOnAccurate: "on-accurate",
}

// asks is the feedback that a SYN asks for.
func (e ECN) asks() ECNFeedback {
	switch e {
	case ECNOn, ECNOnAccurate:
		return ECNFeedbackClassic
	case ECNAccurate:
		return ECNFeedbackAccurate
	default:
		return ECNFeedbackNone
	}
}

// agrees is the most accurate feedback that is agreed to.
func (e ECN) agrees() ECNFeedback {
	switch e {
	case ECNAccept, ECNOn:
		return ECNFeedbackClassic
	case ECNAccurate, ECNAcceptAccurate, ECNOnAccurate:
		return ECNFeedbackAccurate
	default:
		return ECNFeedbackNone
	}
}

func (e ECN) String() string {
	if e == 0 || e >= numECN {
		return fmt.Sprintf("ECN %d", uint8(e))
	}
	return ecnNames[e]
}

// MarshalText writes what UnmarshalText reads.
func (e ECN) MarshalText() ([]byte, error) {
	if e == 0 {
		return nil, nil
	}
	return []byte(e.String()), nil
}

// UnmarshalText reads a name; the empty text leaves ECN unset.
func (e *ECN) UnmarshalText(text []byte) (err error) {
	*e = 0
	if len(text) > 0 {
		*e, err = ParseECN(string(text))
	}
	return err
}

// ParseECN returns the ECN that String calls name.
func ParseECN(name string) (ECN, error) {
	for e := ECNOff; e < numECN; e++ {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("%w: unknown ECN %q: want one of %v", ErrInvalid, name, ecnNames[ECNOff:])
}

// ECNFeedback is how the receivers of a connection tell the senders about congestion.
type ECNFeedback uint8

// The kinds of feedback that a handshake can settle.
const (
	ECNFeedbackNone     ECNFeedback = iota
	ECNFeedbackClassic              // ECE until CWR (RFC 3168)
	ECNFeedbackAccurate             // a count of marked packets (RFC 9768)
)

func (f ECNFeedback) String() string {
	return [...]string{"none", "classic", "accurate"}[f]
}

// ecnState is a connection's part in ECN, of both of its directions. The methods take nil for a connection without ECN.
type ecnState struct {
	feedback   ECNFeedback
	capable    bool // new data is sent with ECT(0)
	seen       bool // a packet with an ECN codepoint came
	echo       bool // receiver: ECE is sent until CWR comes (RFC 3168 §6.1.3)
	cwrOwed    bool // sender: CWR is due with the next new data (§6.1.2)
	reduced    bool // the window was reduced, and point is not yet passed
	point      seqnum.Value
	received   uint32   // segments that came with CE
	reductions uint32   // because of what the peer echoed
	synMark    wire.ECN // simultaneous open: of the peer's SYN
	acc        accECN
}

func (e *ecnState) accurate() bool { return e != nil && e.feedback == ECNFeedbackAccurate }

// asksECN reports whether a SYN is an ECN-setup SYN (RFC 3168 §6.1.1). AE beside it asks for Accurate ECN, and is ignored by
// those who don't know it (RFC 9768 §3.1.2).
func asksECN(flags wire.Flags) bool { return flags.Has(wire.ECE | wire.CWR) }

// grantsECN reports whether a SYN-ACK is an ECN-setup SYN-ACK (RFC 3168 §6.1.1). One that has CWR as well reflects what it
// answers, as broken hosts do (§6.1.1.2).
func grantsECN(flags wire.Flags) bool { return flags&(wire.ECE|wire.CWR) == wire.ECE }

// synECN is what a passive open has agreed to.
type synECN struct {
	feedback ECNFeedback
	mark     wire.ECN // of the last SYN
	plain    bool     // a SYN without ECN came, or a SYN-ACK without went: neither end may use ECT
	answered bool     // a SYN-ACK has been sent
}

// ecnAnswer is what a passive open agrees to with its first SYN. A SYN that asks for classic ECN and carries an ECN codepoint
// itself has crossed a network that rewrites the field (RFC 3168 §6.1.1: "A host MUST NOT set ECT on SYN"), and marks from
// there mean nothing: Linux refuses as well. RFC 9768 §3.1.3: a combination of flags without a meaning asks for Accurate ECN.
func (o *Options) ecnAnswer(seg *segment) (a synECN) {
	a.mark = seg.mark
	ace := aceOf(seg.Flags)
	switch {
	case o.ECN.agrees() == ECNFeedbackAccurate && ace != 0 && ace != aceClassic:
		a.feedback = ECNFeedbackAccurate
	default:
		a = o.classicAnswer(seg)
	}
	return a
}

// classicAnswer agrees to no more than classic ECN.
func (o *Options) classicAnswer(seg *segment) (a synECN) {
	a.mark = seg.mark
	if o.ECN.agrees() != ECNFeedbackNone && asksECN(seg.Flags) && seg.mark == wire.NotECT {
		a.feedback = ECNFeedbackClassic
	}
	return a
}

// again takes a SYN that came again, and reports whether the connection can go on. RFC 9768 §3.1.5: a host "MUST reset the
// connection" when both kinds of feedback are asked for. RFC 3168 §6.1.1 and RFC 9768 §3.1.5: once a SYN without ECN has
// come, nothing is sent as ECT.
func (a *synECN) again(o *Options, seg *segment) bool {
	a.mark = seg.mark
	switch ace := aceOf(seg.Flags); {
	case ace == 0:
		a.plain = true
	case a.feedback == ECNFeedbackAccurate && ace == aceClassic,
		a.feedback == ECNFeedbackClassic && ace != aceClassic && o.ECN.agrees() == ECNFeedbackAccurate:
		return false
	case !asksECN(seg.Flags) && a.feedback == ECNFeedbackClassic:
		a.plain = true
	}
	return true
}

// synAckFlags are the ECN flags of a SYN-ACK that was sent retries times before. RFC 9768 §3.2.3.2.2: the second repetition goes
// without, in case something on the path drops what has them.
func (a *synECN) synAckFlags(retries uint8) wire.Flags {
	switch {
	case a.feedback == ECNFeedbackAccurate:
		if retries >= 2 {
			a.plain = true
			return 0
		}
		return aceFlags(aceEcho(a.mark))
	case a.feedback == ECNFeedbackClassic && !a.plain:
		return wire.ECE
	default:
		return 0
	}
}

// ackFlags are the ECN flags of an ACK from SYN-RECEIVED.
func (a *synECN) ackFlags() wire.Flags {
	if a.feedback == ECNFeedbackAccurate {
		return aceFlags(aceInitial)
	}
	return 0
}

// asksForECN reports whether our next SYN asks for ECN. RFC 3168 §6.1.1.1: a host that gets no answer to one "MAY resend the
// SYN and any subsequent SYN retransmissions with CWR and ECE cleared": something on the path may drop what has them.
// RFC 9768 §3.1.4.1 tries once more before.
func (c *conn) asksForECN() bool {
	asks := c.opt.ECN.asks()
	return asks == ECNFeedbackClassic && c.synRetries == 0 || asks == ECNFeedbackAccurate && c.synRetries <= 1
}

// ecnSynFlags are the ECN flags of our SYN, or of the SYN-ACK of a simultaneous open.
func (c *conn) ecnSynFlags() wire.Flags {
	switch {
	case c.state == StateSynReceived && c.ecn != nil:
		a := synECN{feedback: c.ecn.feedback, mark: c.ecn.synMark}
		return a.synAckFlags(0)
	case c.state == StateSynSent && c.asksForECN() && c.opt.ECN.asks() == ECNFeedbackAccurate:
		return ecnFlags
	case c.state == StateSynSent && c.asksForECN():
		return wire.CWR | wire.ECE
	}
	return 0
}

// settleECN takes the peer's SYN or SYN-ACK in SYN-SENT. RFC 3168 §6.1.1: a host that has sent a SYN without ECN as well
// "MUST NOT set ECT", but obeys marks if the one with ECN was agreed to.
func (s *Stack) settleECN(c *conn, seg *segment) {
	switch {
	case c.opt.ECN.asks() == ECNFeedbackNone:
	case !seg.Flags.Has(wire.ACK):
		if !c.asksForECN() {
			return
		}
		// RFC 9768 §3.1.2: a simultaneous open enters the mode that "it would have entered had it been a responding host".
		a := c.opt.ecnAnswer(seg)
		s.useECN(c, a.feedback, true)
		if c.ecn != nil {
			c.ecn.synMark = a.mark
		}
	case c.opt.ECN.asks() == ECNFeedbackAccurate:
		s.settleAccurate(c, seg)
	case grantsECN(seg.Flags):
		s.useECN(c, ECNFeedbackClassic, c.asksForECN())
	}
}

// settleAccurate takes the SYN-ACK after we have asked for Accurate ECN (RFC 9768 table 2, and §3.1.3 for what is reserved).
func (s *Stack) settleAccurate(c *conn, seg *segment) {
	switch ace := aceOf(seg.Flags); ace {
	case 0, aceAsk: // the peer knows no ECN, or reflects what it was sent
	case aceClassicAnswer:
		s.useECN(c, ECNFeedbackClassic, c.asksForECN())
	default:
		// §3.2.2.3: after a change of the field "the Client is advised to send non-ECN-capable packets".
		s.useECN(c, ECNFeedbackAccurate, !aceMangled(ace))
		c.ecn.acc.answered(seg)
	}
}

// useECN begins ECN on a connection whose handshake has settled on it. capable says whether new data may be marked.
func (s *Stack) useECN(c *conn, f ECNFeedback, capable bool) {
	if f != ECNFeedbackNone {
		c.ecn = s.ecns.get()
		*c.ecn = ecnState{feedback: f, capable: capable, acc: accECN{ours: aceInitial, peers: aceInitial}}
		a := &c.ecn.acc.sender
		a.off, a.always = s.cfg.AccECNOption == AccECNOptionNever, s.cfg.AccECNOption == AccECNOptionAlways
	}
}

func (s *Stack) dropECN(c *conn) {
	if c.ecn != nil {
		s.ecns.put(c.ecn)
		c.ecn = nil
	}
}

// confirm takes the SYN-ACK of a simultaneous open. RFC 3168 §6.1.1: a host that has received one without ECN "SHOULD NOT
// set ECT on data packets".
func (e *ecnState) confirm(seg *segment) {
	if e != nil && (e.accurate() && aceOf(seg.Flags) == 0 || !e.accurate() && !grantsECN(seg.Flags)) {
		e.capable = false
	}
}

// noteMark takes what an acceptable segment says about congestion on its way.
func (s *Stack) noteMark(c *conn, seg *segment) {
	if c.ecn.arrived(seg, c.rcv.ackedUpTo != c.rcv.nxt) {
		c.ackNow = true
		s.wantTransmit(c)
	}
}

// arrived takes the ECN codepoint and the CWR flag of an acceptable segment. Pure ACKs and segments outside of the window
// don't count (RFC 3168 §6.1.4, §6.1.5). It reports whether an ACK is due at once: the first echo should not wait, and
// whoever sends CWR may be down to a window of one segment.
func (e *ecnState) arrived(seg *segment, unacked bool) (ackNow bool) {
	if e == nil || seg.payload.len() == 0 && e.feedback == ECNFeedbackClassic {
		return false
	}
	e.seen = e.seen || seg.mark != wire.NotECT
	if e.feedback == ECNFeedbackAccurate {
		if seg.mark == wire.CE {
			e.received += uint32(seg.count)
		}
		return e.acc.arrived(seg, unacked)
	}
	// The flag comes first: a segment with CWR and CE tells of congestion after the reduction.
	if seg.Flags.Has(wire.CWR) {
		e.echo, ackNow = false, true
	}
	if seg.mark == wire.CE {
		e.received += uint32(seg.count)
		ackNow = ackNow || !e.echo
		e.echo = true
	}
	return ackNow
}

// echoFlags are what our segments tell the peer's sender.
func (e *ecnState) echoFlags() wire.Flags {
	switch {
	case e == nil:
		return 0
	case e.accurate():
		return aceFlags(e.acc.ours)
	case e.echo:
		return wire.ECE
	}
	return 0
}

// acknowledged notes that an ACK has left.
func (e *ecnState) acknowledged() {
	if e != nil {
		e.acc.pending = 0
	}
}

// splits reports whether segments must not be joined for a device to cut: it would clear the flag CWR, a bit of Accurate ECN's
// counter, in all but the first.
func (e *ecnState) splits() bool { return e != nil && e.echoFlags().Has(wire.CWR) }

// markNew returns the ECN codepoint and flags for n bytes of new data. RFC 3168 §6.1.2: "the TCP sender sets the CWR flag in
// the TCP header of the first new data packet sent after the window reduction". §6.1.5 and §6.1.6 keep ECT from
// retransmissions and window probes, §6.1.4 from pure ACKs; a FIN without data is as good as one.
func (e *ecnState) markNew(n int) (wire.ECN, wire.Flags) {
	if e == nil || !e.capable || n == 0 {
		return wire.NotECT, 0
	}
	if e.cwrOwed {
		e.cwrOwed = false
		return wire.ECT0, wire.CWR
	}
	return wire.ECT0, 0
}

// echoes reports whether an ACK says that data of ours met congestion. old says that a later one came before.
func (e *ecnState) echoes(seg *segment, p accProgress, old bool) bool {
	if e.accurate() {
		return e.told(seg, p, old)
	}
	return e.capable && seg.Flags.Has(wire.ECE)
}

// noteReduction notes that the congestion window was reduced, for whatever reason: what is outstanding, up to nxt, may still
// be echoed as marked, and that is answered for.
func (e *ecnState) noteReduction(nxt seqnum.Value) {
	if e != nil && (e.capable || e.accurate()) {
		e.cwrOwed, e.reduced, e.point = !e.accurate(), true, nxt // RFC 9768 §3.1.5: "MUST NOT set CWR"
	}
}

// noteUndo notes that a reduction was taken back: an echo is not answered for any more.
func (e *ecnState) noteUndo() {
	if e != nil {
		e.reduced = false
	}
}

// heedECN is the sender's reaction to an ACK that may tell of congestion, before which flight bytes were outstanding. RFC 3168
// §6.1.2: "TCP should not react to congestion indications more than once every window of data", be they echoes or losses.
func (s *Stack) heedECN(c *conn, now Time, echoed bool, flight int) {
	e := c.ecn
	if e == nil {
		return
	}
	if e.reduced && e.point.Less(c.snd.una) {
		e.reduced = false
	}
	if !echoed || e.reduced || flight == 0 || c.recovery.phase != phaseOpen {
		return
	}
	if c.cc.cwnd() <= c.mss {
		// §6.1.2: "the sending TCP MUST reset the retransmit timer on receiving the ECN-Echo packet when the congestion window
		// is one. The sending TCP will then be able to send a new packet only when the retransmit timer expires."
		c.snd.pacedUntil = now.Add(s.rto(c))
	}
	s.dropUndo(c) // what a former episode took is not given back any more
	c.cc.onCongestion(now, flight)
	e.noteReduction(c.snd.nxt)
	e.reductions++
	s.stats.ECNReductions++
}
