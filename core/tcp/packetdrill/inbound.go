package packetdrill

import (
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// inbound lets a packet arrive.
func (r *runner) inbound(p *Packet) error {
	f := r.flowFor(p)
	if p.ICMP != nil {
		return r.deliver(f.inboundICMP(p.ICMP), 0)
	}
	size := 0
	if r.set.mss > 0 && p.Segment.Len > r.set.mss {
		size = r.set.mss
	}
	if _, known := r.cookies[ownCookie]; !known && r.stack != nil {
		r.cookies[ownCookie] = r.stack.FastOpenCookie(f.local.Addr, f.remote.Addr)
	}
	before := r.statusOf(f)
	p = r.atRightEdge(f, p, before)
	if err := r.deliver(f.inbound(p, r.cookies), size); err != nil {
		return err
	}
	if p.Segment.Flags.Has(wire.RST) {
		r.noteReset(f, before)
	}
	return nil
}

// noteReset lets a socket have the error that kernels have for an RST behind both FINs. The engine has none when the peer
// has said all, and has all that we said.
func (r *runner) noteReset(f *flow, before *tcp.Status) {
	if before.State != tcp.StateClosing && before.State != tcp.StateLastAck {
		return
	}
	for _, s := range r.sockets {
		if st := r.status(s); s.flow == f && s.conn != 0 && st.State == tcp.StateClosed && st.Err == nil {
			s.err = tcp.ErrReset
		}
	}
}

// atRightEdge moves a segment at the right edge of the receive window with that edge. FreeBSD's window is its buffer, in
// whole segments, also where without scaling it can't announce that much; its scripts count from there.
func (r *runner) atRightEdge(f *flow, p *Packet, st *tcp.Status) *Packet {
	last, ok := r.promised[[2]uint16{f.local.Port, f.remote.Port}]
	if r.set.dialect != DialectFreeBSD || !ok || st.WindowScale || p.Segment.Flags.Has(wire.SYN) && !established(st) {
		return p
	}
	const unscaled = 65535 // what it announces still when the peer's FIN has taken a place
	windows := []uint32{unscaled}
	if st.MSS > 0 {
		windows = append(windows, uint32(r.set.reportedBuffer(st.RecvBuffer, true, st)))
	}
	offset := p.Segment.Seq + f.peerBase(p.Segment.Flags) - uint32(last.ack)
	for _, window := range windows {
		if window > uint32(last.window) && (offset == window || offset == window-1) {
			q, s := *p, *p.Segment
			s.Seq -= window - uint32(last.window)
			q.Segment = &s
			return &q
		}
	}
	return p
}
