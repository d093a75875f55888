package sim

import (
	"fmt"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// checkSequence: within the peer's window (RFC 9293 §3.8.6), one byte or FIN beyond it as a probe; nothing behind the
// FIN.
func (w *watch) checkSequence(_ *Host, v *seen) error {
	s, end := v.side, v.end()
	if v.tcp.Flags.Has(wire.SYN) {
		if len(v.payload) > 0 {
			return fmt.Errorf("carries data on a SYN")
		}
		return nil
	}
	switch {
	case s.nxt.Less(v.tcp.Seq):
		return fmt.Errorf("leaves a gap behind %d", s.nxt)
	case v.tcp.Seq.Less(s.iss):
		return fmt.Errorf("begins before its initial sequence number %d", s.iss)
	case end == v.tcp.Seq: // nothing that takes sequence space
	case !s.windowed:
		return fmt.Errorf("carries data before the peer has announced a window")
	case (s.limit + 1).Less(end):
		return fmt.Errorf("goes beyond the peer's window, which ends at %d", s.limit)
	case s.fin && (s.finSeq + 1).Less(end):
		return fmt.Errorf("goes beyond its FIN at %d", s.finSeq)
	}
	if v.tcp.Flags.Has(wire.FIN) {
		if s.fin && end != s.finSeq+1 {
			return fmt.Errorf("has a second FIN, the first was at %d", s.finSeq)
		}
		s.fin, s.finSeq = true, end-1
	}
	s.nxt = seqnum.Max(s.nxt, end)
	return nil
}

// checkMarks: only new data is sent as ECN-capable (RFC 3168 §6.1.1, §6.1.4 to §6.1.6), as ECT(0), and nobody has ECN who does not
// want it. Who sends CE would lie.
func (w *watch) checkMarks(_ *Host, v *seen) error {
	mark := v.ip.ECN()
	if c := v.side.plan; c != nil && c.users[v.side.side].options.ECN == tcp.ECNOff &&
		(mark != wire.NotECT || v.tcp.Flags&(wire.AE|wire.CWR|wire.ECE) != 0) {
		return fmt.Errorf("uses ECN, which is off")
	}
	switch {
	case mark == wire.NotECT:
	case mark != wire.ECT0:
		return fmt.Errorf("has the ECN codepoint %d", mark)
	case v.tcp.Flags.Has(wire.SYN) || len(v.payload) == 0:
		return fmt.Errorf("carries no data and is ECN-capable")
	case v.tcp.Seq.Less(v.side.nxt):
		return fmt.Errorf("carries old data and is ECN-capable")
	}
	return nil
}

// checkPayload: the bytes are the user's, in their place.
func (w *watch) checkPayload(_ *Host, v *seen) error {
	if len(v.payload) == 0 {
		return nil
	}
	payload, pos := v.payload, uint64(v.side.iss.Add(1).Size(v.tcp.Seq))
	if v.tcp.Seq == v.side.iss { // a keep-alive probe with a byte of garbage (RFC 9293 §3.8.4)
		payload, pos = payload[1:], 0
	}
	if v.side.plan == nil {
		return fmt.Errorf("carries data of no connection")
	}
	if i := v.side.plan.contentKeys[v.side.side].mismatch(payload, pos); i >= 0 {
		return fmt.Errorf("carries a byte that is not the user's, at %d of its payload", i)
	}
	return nil
}

// checkSize: RFC 9293 §3.7.1 (MUST-16): payload and options within the peer's MSS, and the packet within the link's MTU.
func (w *watch) checkSize(h *Host, v *seen) error {
	announced := v.peer.mss
	if announced < 0 {
		announced = 536
		if !v.ip.Src.Is4() {
			announced = 1220
		}
	}
	options := v.tcp.HeaderLen - wire.TCPHeaderLen
	packet := v.ip.HeaderLen + v.tcp.HeaderLen + min(v.unit, len(v.payload))
	switch {
	case v.unit > 0 && v.peer.synSeen && v.unit+options > announced:
		return fmt.Errorf("has %d bytes of payload and %d of options, the peer's MSS is %d", v.unit, options, announced)
	case packet > h.cfg.Stack.MTU:
		return fmt.Errorf("is %d bytes long on a link of %d", packet, h.cfg.Stack.MTU)
	case v.side.mss > h.cfg.Stack.MTU-v.ip.HeaderLen-wire.TCPHeaderLen:
		return fmt.Errorf("announces an MSS of %d on a link of %d", v.side.mss, h.cfg.Stack.MTU)
	}
	return nil
}

// checkAck: only what was sent is acknowledged, and no acknowledgment is taken back.
func (w *watch) checkAck(_ *Host, v *seen) error {
	if !v.tcp.Flags.Has(wire.ACK) {
		return nil
	}
	s := v.side
	switch {
	case !v.peer.synSeen:
		return fmt.Errorf("acknowledges what nobody has sent")
	case v.peer.nxt.Less(v.tcp.Ack):
		return fmt.Errorf("acknowledges beyond %d, the last that was sent", v.peer.nxt)
	case v.tcp.Ack.Less(v.peer.iss + 1):
		return fmt.Errorf("acknowledges less than the SYN at %d", v.peer.iss)
	case s.ackSeen && v.tcp.Ack.Less(s.ack):
		return fmt.Errorf("takes back the acknowledgment of %d", s.ack)
	}
	return nil
}

// checkWindow: RFC 9293 §3.8.6 (SHLD-14): the right edge doesn't move left, but by the rounding of a scaled window
// (RFC 7323 §2.4); and no more is promised than the user's buffer holds.
func (w *watch) checkWindow(_ *Host, v *seen) error {
	if !v.tcp.Flags.Has(wire.ACK) {
		return nil
	}
	s := v.side
	edge := v.tcp.Ack.Add(v.window())
	finAcked := v.peer.fin && v.peer.finSeq.Less(v.tcp.Ack)
	syn := v.tcp.Flags.Has(wire.SYN) // its window is not scaled and may be too small to say all
	if s.ackSeen && edge.Add(v.unitOfWindow()-1).Less(s.edge) && !finAcked && !syn {
		return fmt.Errorf("moves the right edge of its window back from %d to %d", s.edge, edge)
	}
	if !s.ackSeen || s.edge.Less(edge) {
		s.edge = edge
	}
	s.ackSeen, s.ack = true, v.tcp.Ack
	limit, ok := w.room(v)
	if !ok || !limit.Less(edge) {
		return nil
	}
	if u := s.user(w.run); u != nil { // its buffer may have grown since
		u.lookAtBuffer()
		limit, _ = w.room(v)
	}
	if limit.Less(edge) {
		return fmt.Errorf("promises a window up to %d, the buffer ends at %d", edge, limit)
	}
	return nil
}

// room returns how far the window of the segment's sender may reach. It reports false when the user no longer takes
// the data, so that they need no room.
func (w *watch) room(v *seen) (seqnum.Value, bool) {
	s := v.side
	if s.plan == nil {
		return 0, false
	}
	consumed, buffer := uint64(0), s.plan.users[s.side].options.RecvBuffer
	if buffer == 0 {
		buffer = w.run.plan.hosts[s.side].Stack.RecvBuffer.Initial
	}
	if u := s.user(w.run); u != nil {
		if u.released || u.readShut {
			return 0, false
		}
		consumed, buffer = u.consumed, max(buffer, u.recvBuffer)
	}
	limit := v.peer.iss + 1 + seqOf(int(consumed)) + seqOf(buffer)
	if v.peer.fin && v.peer.finSeq.Less(v.tcp.Ack) {
		limit++ // the FIN takes a number and no room
	}
	return limit, true
}

// lookAtBuffer brings recvBuffer up to date.
func (u *user) lookAtBuffer() {
	var st tcp.Status
	if u.stack().Status(u.id, &st) == nil {
		u.recvBuffer = max(u.recvBuffer, st.RecvBuffer)
	}
}

// checkTimestamps: RFC 7323 §3.2: once both have sent the option, every segment but a RST must have it; its clock never goes
// back, and it echoes what the peer has sent.
func (w *watch) checkTimestamps(_ *Host, v *seen) error {
	o, s := &v.tcp.Options, v.side
	has := o.Set.Has(wire.OptTimestamps)
	on := s.tsOn && v.peer.tsOn && !v.tcp.Flags.Has(wire.SYN)
	switch {
	case on && !has:
		return fmt.Errorf("lacks the timestamps that both have agreed on (RFC 7323 §3.2)")
	case !has:
		return nil
	case !on && !v.tcp.Flags.Has(wire.SYN):
		return fmt.Errorf("has timestamps that were not agreed on")
	case s.tsSeen && int32(o.TSVal-s.tsVal) < 0 && !w.cookieStamp(v):
		return fmt.Errorf("has a timestamp older than %d", s.tsVal)
	case v.tcp.Flags.Has(wire.ACK) && (!v.peer.tsSeen || int32(v.peer.tsVal-o.TSEcr) < 0):
		return fmt.Errorf("echoes a timestamp that the peer has not sent, its last is %d", v.peer.tsVal)
	}
	if !s.tsSeen || int32(o.TSVal-s.tsVal) > 0 {
		s.tsSeen, s.tsVal = true, o.TSVal
	}
	return nil
}

// cookieStamp reports whether a timestamp that goes back is the work of a SYN cookie. Its low bits say what the SYN asked for,
// and when another SYN of the connection asks for less within a few milliseconds, they are less. Both are in the past.
func (w *watch) cookieStamp(v *seen) bool {
	const cookieBits = 64
	return v.tcp.Flags.Has(wire.SYN|wire.ACK) && v.side.tsVal-v.tcp.Options.TSVal < cookieBits && v.side.plan != nil &&
		w.run.plan.hosts[v.side.side].Stack.SynCookies == tcp.SynCookiesAlways
}

// checkSACK: blocks only when the peer permits them (RFC 2018 §2), of what it has sent and, but for the first, which
// may report a duplicate (RFC 2883 §4), beyond what is acknowledged.
func (w *watch) checkSACK(_ *Host, v *seen) error {
	o := &v.tcp.Options
	if o.Set.Has(wire.OptSACK) && (!v.side.sackOn || !v.peer.sackOn) {
		return fmt.Errorf("has SACK blocks that were not agreed on (RFC 2018 §2)")
	}
	for i, b := range o.SACK[:o.SACKBlocks] {
		switch {
		case !b.Start.Less(b.End):
			return fmt.Errorf("has an empty SACK block")
		case v.peer.nxt.Less(b.End):
			return fmt.Errorf("has a SACK block beyond %d, the last that was sent", v.peer.nxt)
		case i > 0 && b.Start.LessEq(v.tcp.Ack):
			return fmt.Errorf("has a SACK block below its acknowledgment")
		}
	}
	return nil
}
