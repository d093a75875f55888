package tcp

import (
	"github.com/MUCZ/Starfish/core/wire"
)

// Accurate ECN (RFC 9768): the flags AE, CWR and ECE are a field of three bits, ACE, in which a receiver counts the packets that
// came marked. The TCP options that count bytes as well stand in accecn_option.go, what a sender makes of both in
// accecn_feedback.go.

// Values of the field in the handshake (RFC 9768 tables 2 and 3): what stands in the network header of the SYN or the SYN-ACK
// that is answered.
const (
	aceNotECT = 0b010
	aceECT1   = 0b011
	aceECT0   = 0b100
	aceCE     = 0b110
	// aceClassic is how a SYN asks for RFC 3168's feedback alone, and aceClassicAnswer how a SYN-ACK agrees to no more.
	aceClassic       = 0b011
	aceClassicAnswer = 0b001
	// aceAsk is how a SYN asks for Accurate ECN. A SYN-ACK that has it reflects it.
	aceAsk = 0b111

	aceMask  = 0b111
	ecnFlags = wire.AE | wire.CWR | wire.ECE
	// aceInitial is where both counters start (§3.2.1): a field that a middlebox clears shows.
	aceInitial = 5
)

// aceFlags are the flags that stand for a value of the field.
func aceFlags(ace uint8) wire.Flags { return wire.Flags(ace&aceMask) * wire.ECE }

// aceOf is the value of the field.
func aceOf(flags wire.Flags) uint8 { return uint8(flags & ecnFlags / wire.ECE) }

// aceEcho tells the sender of a SYN or SYN-ACK how its ECN field arrived.
func aceEcho(mark wire.ECN) uint8 {
	return [...]uint8{wire.NotECT: aceNotECT, wire.ECT1: aceECT1, wire.ECT0: aceECT0, wire.CE: aceCE}[mark]
}

// aceMangled reports whether an echo says that the ECN field of our SYN or SYN-ACK, which was Not-ECT, arrived as another
// (RFC 9768 §3.2.2.3, RFC 3168 §18).
func aceMangled(ace uint8) bool { return ace == aceECT0 || ace == aceECT1 || ace == aceCE }

// accECN is what Accurate ECN remembers of one connection, besides ecnState.
type accECN struct {
	ours      uint8 // r.cep: marked packets that came, modulo 8
	peers     uint8 // s.cep: marked packets that the peer has told of, modulo 8
	handshake uint8 // what the next pure ACK says in place of the counter, about the SYN-ACK; 0 when nothing
	pending   uint8 // marks since we sent the last ACK
	wasMarked bool  // the last packet was
	skip      bool  // the segment that is being processed has no counter
	checked   bool  // a first counter came
	deaf      bool  // what the peer tells of can't be trusted
	delivered uint32
	sender    accSender
	receiver  accReceiver
}

// answered takes the SYN-ACK of a peer that knows Accurate ECN. RFC 9768 §3.2.2.1: its own ECN field is told in the first pure
// ACK, "and r.cep is incremented" when it was marked.
func (a *accECN) answered(seg *segment) {
	a.handshake = aceEcho(seg.mark)
	if seg.mark == wire.CE {
		a.ours = aceInitial + 1
	}
	a.sender.count(seg)
	a.sender.greeting = true
	a.receiver.first(&seg.Options)
}

// synMarked reports whether a SYN-ACK says that our SYN met congestion. RFC 9768 §3.2.2.2: the client "triggers the congestion
// control actions", and the counter does not count it.
func (e *ecnState) synMarked(seg *segment) bool { return e.accurate() && aceOf(seg.Flags) == aceCE }

// synAckAgain takes a SYN-ACK that came again: §3.2.2.1 wants the ACK to tell of it as that of the first.
func (e *ecnState) synAckAgain(seg *segment) {
	if e.accurate() && seg.Flags.Has(wire.SYN|wire.ACK) {
		e.acc.handshake = aceEcho(seg.mark)
		e.acc.sender.repeatedSynAck()
	}
}

// owesHandshake reports whether a pure ACK must tell of the SYN-ACK, before any data goes: §3.2.2.1, "it SHOULD first send a
// pure ACK".
func (e *ecnState) owesHandshake() bool { return e.accurate() && e.acc.handshake != 0 }

// pureAckFlags changes the flags of a pure ACK to the handshake's, where one is due.
func (e *ecnState) pureAckFlags(flags wire.Flags) wire.Flags {
	if !e.owesHandshake() {
		return flags
	}
	flags = flags&^ecnFlags | aceFlags(e.acc.handshake)
	e.acc.handshake = 0
	return flags
}

// restrict keeps a connection by TCP Fast Open, which sends before its handshake is over, to what became of that.
func (e *ecnState) restrict(a *synECN) {
	if e != nil && a.plain {
		e.capable = false
	}
}

// heedHandshakeAck takes the ACK of our SYN-ACK, and answers for what that met.
func (s *Stack) heedHandshakeAck(c *conn, now Time, seg *segment) {
	if c.ecn.handshakeAck(seg) {
		c.cc.onCongestion(now, c.cc.cwnd())
	}
}

// handshakeAck takes the ACK of our SYN-ACK (RFC 9768 table 4). If it is pure, its field is no counter. It
// reports whether the SYN-ACK met congestion.
func (e *ecnState) handshakeAck(seg *segment) (congested bool) {
	if e.accurate() && seg.Flags.Has(wire.ACK) {
		e.acc.receiver.first(&seg.Options)
	}
	if !e.accurate() || seg.length() > 0 || seg.Flags.Has(wire.SYN) || seg.Options.Set.Has(wire.OptSACK) {
		return false
	}
	switch ace := aceOf(seg.Flags); {
	case ace == 0:
		// Note 1: "the Server MUST NOT set ECT on outgoing packets and MUST NOT respond to AccECN feedback".
		e.capable, e.acc.deaf = false, true
	case aceMangled(ace):
		e.capable = false
		if ace == aceCE {
			e.acc.peers, e.acc.delivered = aceInitial+1, 1
			congested = true
		}
	}
	e.acc.skip = true
	return congested
}

// arrived counts a segment that came marked, with data or without (RFC 9768 §3.2). It reports whether an ACK is due at once
// (§3.2.2.5.1): for the first data that is marked after something that was not, and before the field has gone around.
// What came as one super-segment is told of once.
func (a *accECN) arrived(seg *segment, unacked bool) (ackNow bool) {
	a.sender.count(seg)
	if seg.mark != wire.CE {
		a.wasMarked = false
		return false
	}
	a.ours = (a.ours + uint8(seg.count&aceMask)) & aceMask
	a.pending = uint8(min(int(a.pending)+seg.count, maxPendingMarks))
	data := seg.payload.len() > 0
	ackNow = data && !a.wasMarked
	a.wasMarked = true
	if data || unacked {
		return ackNow || a.pending >= 2
	}
	return a.pending >= 3 // no less, or two ends whose ACKs are marked would answer each other for ever
}

// maxPendingMarks keeps the count in its type; from three on an ACK is due.
const maxPendingMarks = 100
