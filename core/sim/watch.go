package sim

import (
	"fmt"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// watch reads every packet on the link and holds the stacks to what a peer may rely on. It knows nothing of their
// inside: what it expects follows from the packets and from the users' calls.
type watch struct {
	run   *run
	sides []*sideState // of the plan's connections, side 0 and 1 in turn, and behind them of whoever else says something
	now   seen         // the packet that is looked at
}

// sideKey names one direction of a connection.
type sideKey struct{ from, to tcp.Endpoint }

// sideState is what one end of a connection has said so far.
type sideState struct {
	key  sideKey
	plan *connPlan // nil for what is no connection of the plan
	conn int       // its index
	side int

	synSeen  bool
	iss      seqnum.Value
	nxt      seqnum.Value // behind the highest sequence number sent
	fin      bool
	finSeq   seqnum.Value
	mss      int // as announced in the SYN; -1 without the option
	scale    int // likewise
	tsOn     bool
	sackOn   bool
	ackSeen  bool
	ack      seqnum.Value // highest sent
	edge     seqnum.Value // right edge of the window, as promised
	tsSeen   bool
	tsVal    uint32       // highest sent
	windowed bool         // a window of the peer has arrived
	opening  seqnum.Size  // the window of the peer's SYN, which counts from what answers it (RFC 7413 §4.2.2)
	limit    seqnum.Value // right edge of the peer's window as far as it has arrived
	widest   int          // largest window that has arrived
	over     bool         // it has sent a RST; what still comes is said without a connection
	renewed  bool         // it is opened again after a restart, and its SYN is to come
}

func newWatch(r *run) *watch {
	w := &watch{run: r}
	for i := range r.plan.conns {
		for side := range 2 {
			w.sides = append(w.sides, &sideState{key: r.sideKey(i, side), plan: &r.plan.conns[i], conn: i, side: side, mss: -1, scale: -1})
		}
	}
	return w
}

// of is what a side of the plan has said.
func (w *watch) of(conn, side int) *sideState { return w.sides[2*conn+side] }

// forget makes void what both ends of a connection have said. They may begin anew if renewed.
func (w *watch) forget(conn int, renewed bool) {
	for side := range 2 {
		s := w.of(conn, side)
		s.synSeen, s.over, s.renewed = true, true, renewed
	}
}

// user is who holds the side's end; nil when nobody does yet.
func (s *sideState) user(r *run) *user {
	if s.plan == nil {
		return nil
	}
	return r.users[s.conn][s.side]
}

func (r *run) sideKey(conn, side int) sideKey {
	return sideKey{r.endpoint(conn, side), r.endpoint(conn, 1-side)}
}

// seen is a segment as the watch reads it.
type seen struct {
	side    *sideState // of the sender
	peer    *sideState
	ip      wire.IP
	tcp     wire.Segment
	payload []byte
	unit    int // payload of each segment in it
}

// read parses a packet. It reports false for what is no TCP, or not intact.
func (w *watch) read(data []byte, v *seen) bool {
	*v = seen{}
	if wire.ParseIP(data, &v.ip) != wire.None || v.ip.Protocol != wire.TCP {
		return false
	}
	b := data[v.ip.HeaderLen:v.ip.TotalLen]
	if wire.ParseSegment(b, &v.tcp) != wire.None {
		return false
	}
	v.payload = b[v.tcp.HeaderLen:]
	v.unit = len(v.payload)
	return true
}

// findSides finds whose segment it is.
func (w *watch) findSides(v *seen) {
	from, to := tcp.Endpoint{Addr: v.ip.Src, Port: v.tcp.SrcPort}, tcp.Endpoint{Addr: v.ip.Dst, Port: v.tcp.DstPort}
	v.side, v.peer = w.side(sideKey{from, to}), w.side(sideKey{to, from})
}

func (w *watch) side(k sideKey) *sideState {
	for _, s := range w.sides {
		if s.key == k {
			return s
		}
	}
	s := &sideState{key: k, mss: -1, scale: -1}
	w.sides = append(w.sides, s)
	return s
}

// end is the sequence number behind the segment.
func (v *seen) end() seqnum.Value {
	end := v.tcp.Seq + seqOf(len(v.payload))
	if v.tcp.Flags.Has(wire.SYN) {
		end++
	}
	if v.tcp.Flags.Has(wire.FIN) {
		end++
	}
	return end
}

// window is the window that the segment announces.
func (v *seen) window() seqnum.Size { return seqnum.Size(v.tcp.Window) * v.unitOfWindow() }

// unitOfWindow is what the window field counts in. RFC 7323 §2.2: the window of a SYN is never scaled; §2.3: scaling is
// on when both have sent the option.
func (v *seen) unitOfWindow() seqnum.Size {
	if !v.tcp.Flags.Has(wire.SYN) && v.side.scale >= 0 && v.peer.scale >= 0 {
		return 1 << v.side.scale
	}
	return 1
}

func (w *watch) onSend(h *Host, p Seen) {
	data, v := p.Data, &w.now
	if !w.read(data, v) {
		w.run.fail("%s sent what is no TCP packet: %s", h.Name, describe(data))
		return
	}
	w.findSides(v)
	if p.SegmentSize > 0 {
		v.unit = p.SegmentSize
	}
	if !p.Unchecked && !wire.ChecksumOK(v.ip.Src, v.ip.Dst, wire.TCP, data[v.ip.HeaderLen:], nil) {
		w.run.fail("%s sent a wrong checksum: %s", h.Name, describe(data))
	}
	if err := w.judge(h, v, len(data)); err != nil {
		w.run.fail("%s sent a segment that %v: %s", h.Name, err, describe(data))
	}
}

// judge checks a segment against what was said before, and remembers what it says.
func (w *watch) judge(h *Host, v *seen, length int) error {
	flags := v.tcp.Flags
	switch {
	case v.ip.TotalLen != length:
		return fmt.Errorf("has a length field of %d in %d bytes", v.ip.TotalLen, length)
	case flags.Has(wire.RST):
		// What still lives of the peer's old connection may be answered by a reset before the new one begins.
		v.side.over = v.side.over || !v.peer.renewed
		return nil
	case flags.Has(wire.SYN) && v.begins():
		w.begin(v)
	case v.side.over:
		v.peer.over = v.peer.over || v.behindReset(w)
		return nil
	case v.ghostOfCookie(w):
		v.side.over, v.peer.over = true, true
		return nil
	case flags.Has(wire.SYN) && v.secondSYN():
		// Every connection of a plan has its own ports, so that a second SYN is a ghost: an old duplicate has met a
		// listener again. What the two ends say about it from now on can't be told from the first connection's.
		v.side.over, v.peer.over = true, true
	case !v.side.synSeen:
		return fmt.Errorf("belongs to no connection")
	case !flags.Has(wire.ACK) && !flags.Has(wire.SYN):
		return fmt.Errorf("has no ACK (RFC 9293 §3.1)")
	}
	if v.side.over { // by the ghost's SYN
		return nil
	}
	if v.peer.renewed { // its SYN again, until the peer begins anew too
		v.side.tsVal = v.tcp.Options.TSVal
		return nil
	}
	for _, check := range segmentChecks {
		if err := check(w, h, v); err != nil {
			return err
		}
	}
	return nil
}

// segmentChecks are what every segment of a connection that both ends know must pass.
var segmentChecks = [...]func(*watch, *Host, *seen) error{
	(*watch).checkMarks, (*watch).checkSequence, (*watch).checkPayload, (*watch).checkSize, (*watch).checkAck, (*watch).checkWindow,
	(*watch).checkTimestamps, (*watch).checkSACK,
}

// begins reports whether a SYN is the first of a connection. When one is opened again after a restart, a SYN-ACK may still be
// about the old one: it is the new one's if it answers the SYN of the new one.
func (v *seen) begins() bool {
	if !v.side.renewed {
		return !v.side.synSeen
	}
	return !v.tcp.Flags.Has(wire.ACK) || !v.peer.over && v.tcp.Ack == v.peer.iss+1
}

// secondSYN reports whether a SYN is not the connection's own one again. A fixed initial sequence number makes them alike, and
// then it is one that acknowledges less than was acknowledged.
func (v *seen) secondSYN() bool {
	s := v.side
	if s.nxt != s.iss+1 || v.tcp.Seq != s.iss {
		return true
	}
	fixed := s.plan != nil && s.plan.users[s.side].options.FixedISN != nil
	return fixed && s.ackSeen && v.tcp.Flags.Has(wire.ACK) && v.tcp.Ack.Less(s.ack)
}

// behindReset reports whether what an end says after a reset is of no use to judge the other one by. It is a ghost's, if the user
// has left. Where a host has restarted, the reset may have been for an old segment, and what begins behind it was not noticed.
func (v *seen) behindReset(w *watch) bool {
	s := v.side
	return !s.renewed && s.plan != nil && (w.run.renewals[s.conn].met || w.run.left(s.conn, s.side))
}

// ghostOfCookie reports whether a segment is of a connection that an old duplicate has made out of its SYN cookie, which is
// still good, after the user of the first connection has left: it begins where the first one did, or asks from the byte before
// whether the peer is alive. Or the cookie is of before a restart, when the end has nothing to say yet but the cookie of the
// connection that is opened again.
func (v *seen) ghostOfCookie(w *watch) bool {
	s := v.side
	if s.plan == nil || s.plan.opens[s.side] || w.run.plan.hosts[s.side].Stack.SynCookies != tcp.SynCookiesAlways {
		return false
	}
	if w.run.renewals[s.conn].met && s.nxt == s.iss+1 && v.tcp.Seq != s.nxt && !v.tcp.Flags.Has(wire.SYN) {
		return true
	}
	return w.run.left(s.conn, s.side) && v.tcp.Seq-s.iss <= 1 && s.ackSeen && v.tcp.Ack.Less(s.ack)
}

// begin starts a connection with its SYN.
func (w *watch) begin(v *seen) {
	o, opening := &v.tcp.Options, v.side.opening
	*v.side = sideState{
		key: v.side.key, plan: v.side.plan, conn: v.side.conn, side: v.side.side,
		tsSeen: o.Set.Has(wire.OptTimestamps), tsVal: o.TSVal,
		synSeen: true, iss: v.tcp.Seq, nxt: v.tcp.Seq + 1, mss: -1, scale: -1,
		tsOn: o.Set.Has(wire.OptTimestamps), sackOn: o.Set.Has(wire.OptSACKPermitted),
		windowed: opening > 0, limit: v.tcp.Seq.Add(1 + opening), widest: int(opening),
	}
	if o.Set.Has(wire.OptMSS) {
		v.side.mss = int(o.MSS)
	}
	if o.Set.Has(wire.OptWindowScale) {
		v.side.scale = int(o.WindowScale)
	}
}

// onDeliver remembers how far the receiver may send from now on.
func (w *watch) onDeliver(_ *Host, p Seen) {
	data, v := p.Data, &w.now
	if !w.read(data, v) || v.tcp.Flags.Has(wire.RST) {
		return
	}
	if !p.Unchecked && !wire.ChecksumOK(v.ip.Src, v.ip.Dst, wire.TCP, data[v.ip.HeaderLen:v.ip.TotalLen], nil) {
		return // damaged under way
	}
	w.findSides(v)
	if !v.tcp.Flags.Has(wire.ACK) {
		if v.tcp.Flags.Has(wire.SYN) && (!v.peer.synSeen || v.peer.over) {
			v.peer.opening = seqnum.Size(v.tcp.Window)
		}
		return
	}
	window := v.window()
	edge := v.tcp.Ack.Add(window)
	if !v.peer.windowed || v.peer.limit.Less(edge) {
		v.peer.windowed, v.peer.limit = true, edge
	}
	v.peer.widest = max(v.peer.widest, int(window))
}
