package packetdrill

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// flowOf finds or makes the flow between two endpoints.
func (r *runner) flowOf(local, remote tcp.Endpoint) *flow {
	for _, f := range r.flows {
		if f.local == local && f.remote == remote {
			return f
		}
	}
	f := &flow{local: local, remote: remote}
	r.flows = append(r.flows, f)
	return f
}

func (r *runner) flowOfSent(p *sentPacket) *flow {
	return r.flowOf(tcp.Endpoint{Addr: p.ip.Src, Port: p.seg.SrcPort}, tcp.Endpoint{Addr: p.ip.Dst, Port: p.seg.DstPort})
}

// firstPeerPort is the port of the first peer that connects to us.
const firstPeerPort = 40_000

// flowFor is the connection that a packet of the peer belongs to.
func (r *runner) flowFor(p *Packet) *flow {
	f := r.focus
	opens := p.Segment != nil && p.Segment.Flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
	if p.SrcPort != 0 || p.DstPort != 0 {
		f = r.flowByPorts(p)
	}
	if f == nil && !opens && len(r.flows) > 0 {
		f = r.flows[len(r.flows)-1]
	}
	if f == nil {
		v6 := r.set.v6
		local := tcp.Endpoint{Addr: r.ours(v6), Port: defaultPort}
		if r.listening != nil {
			local = r.listening.local
			v6 = !local.Addr.Is4()
		}
		f = r.flowOf(local, tcp.Endpoint{Addr: r.theirs(v6), Port: uint16(firstPeerPort + len(r.flows))})
	}
	if opens && (!f.synSent || r.statusOf(f).State != tcp.StateSynSent) {
		f.restarted, f.synSent = true, false
	}
	r.focus = f
	return f
}

// flowByPorts is the flow with the ports that a packet of the peer names.
func (r *runner) flowByPorts(p *Packet) *flow {
	v6 := r.set.v6 || r.focus != nil && !r.focus.local.Addr.Is4()
	local := tcp.Endpoint{Addr: r.ours(v6), Port: uint16(p.DstPort)}
	return r.flowOf(local, tcp.Endpoint{Addr: r.theirs(v6), Port: uint16(p.SrcPort)})
}

// outbound waits for the next packet to leave and compares it with the script's.
func (r *runner) outbound(e *Event, first, last tcp.Time) error {
	want := e.Packet
	if want.Segment == nil {
		return failf(Unsupported, 0, "ICMP messages that we send")
	}
	tolerance := r.set.tolerance
	earliest, latest := first.Add(-tolerance), last.Add(tolerance)
	if e.At.Any {
		earliest, latest = 0, r.now.Add(patience)
	}
	got, err := r.next(want, latest)
	if err != nil {
		return err
	}
	if got == nil {
		return failf(WrongTime, 0, "nothing left in time, want %s", describe(want))
	}
	if got, err = r.joined(want, *got, latest); err != nil {
		return err
	}
	f := r.flowOfSent(got)
	if want.Segment.Flags.Has(wire.SYN) && got.seg.Flags.Has(wire.SYN) {
		if want.Segment.AnySeq {
			want.Segment.Seq = 0
		}
		f.learn(want.Segment.Seq, got.seg.Seq, got.seg.Flags)
	}
	want = r.set.leeway(f, want, got)
	why := r.compare(f, want, got)
	if why == "" && want.SrcPort != 0 && (want.SrcPort != int(got.seg.SrcPort) || want.DstPort != int(got.seg.DstPort)) {
		why = "ports"
	}
	if why == "" {
		why = f.checkStamp(want, got, r.set.tsTick, tolerance)
	}
	if why != "" {
		return failf(WrongPacket, 0, "%s: left %s, want %s", why, f.format(got, true), describe(want))
	}
	f.matched(got)
	if r.set.acknowledgedSooner(f, want, got) {
		earliest = earliest.Add(-longestDelay)
	}
	if got.at < earliest || got.at > latest {
		return failf(WrongTime, 0, "%s left at %v, %v off", describe(want), got.at.Sub(startOfTime), got.at.Sub(first))
	}
	if r.last = first; e.At.Any || e.At.Range {
		r.last = got.at
	}
	return r.overdue()
}

// next waits for the next packet to leave that the script is about, at most to latest: the connection that packets went to
// last, or the ports that want names. The end of an earlier connection goes by unseen, unless the run is strict.
func (r *runner) next(want *Packet, latest tcp.Time) (*sentPacket, error) {
	for {
		for len(r.sent) == 0 && len(r.wakes) > 0 && r.wakes[0] <= latest {
			if err := r.advanceTo(r.wakes[0]); err != nil {
				return nil, err
			}
		}
		ok, err := r.waitSent(max(latest, r.now))
		if err != nil || !ok {
			return nil, err
		}
		p := r.sent[0]
		r.sent = r.sent[1:]
		if r.opt.Strict || r.focus == nil || want.SrcPort != 0 || r.flowOfSent(&p) == r.focus {
			return &p, nil
		}
	}
}

// joined adds the segments that follow p to it, when the script wants more bytes at once: it was written for a system
// whose segments are seen before segmentation offload cuts them.
func (r *runner) joined(want *Packet, p sentPacket, latest tcp.Time) (*sentPacket, error) {
	whole := p
	for whole.payload > 0 && whole.payload < want.Segment.Len {
		if ok, err := r.waitSent(max(latest, r.now)); err != nil || !ok {
			return &p, err
		}
		next := r.sent[0]
		if next.seg.SrcPort != p.seg.SrcPort || next.seg.Seq != whole.seg.Seq.Add(seqnum.Size(whole.payload)) ||
			whole.payload+next.payload > want.Segment.Len || next.seg.Flags&^(wire.PSH|wire.FIN) != whole.seg.Flags&^wire.PSH {
			return &p, nil
		}
		whole.payload += next.payload
		whole.seg.Flags |= next.seg.Flags
		r.sent = r.sent[1:]
	}
	return &whole, nil
}

// describe writes what a script wants.
func describe(p *Packet) string {
	s := p.Segment
	got := sentPacket{payload: s.Len}
	got.seg = wire.Segment{Flags: s.Flags, Seq: seqnum.Value(s.Seq), Ack: seqnum.Value(s.Ack), Window: s.Window, Urgent: s.Urgent}
	for i := range s.Options {
		got.options = append(got.options, s.Options[i].bytes()...)
	}
	return (&flow{}).format(&got, s.HasWindow)
}
