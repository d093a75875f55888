package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

func fuzzOptions(in *input) Options {
	bits := in.byte()
	opt := Options{
		NoTimestamps: bits&1 != 0, NoSACK: bits&2 != 0, NoWindowScale: bits&4 != 0, NoDelay: bits&8 != 0,
		QuickAck: bits&16 != 0, NoPacing: bits&32 != 0, Congestion: CongestionReno + CongestionControl((bits>>6)%3),
		RecvBuffer: 1 + in.int(1<<16)<<(in.byte()%8), SendBuffer: 1 + in.int(1<<16),
	}
	if bits&128 != 0 {
		opt.KeepAlive, opt.UserTimeout = time.Minute, 20*time.Second
	}
	return opt
}

// step does one thing that the input says.
func (x *fuzzed) step(in *input) {
	switch op := in.byte(); {
	case op < 128:
		x.segment(in)
	case op < 170:
		x.call(in)
	case op < 190:
		if next := x.stack.PollTimeout(); next != Never {
			x.now = max(x.now, next)
		}
		x.stack.HandleTimeout(x.now)
	case op < 210:
		x.now = x.now.Add(time.Duration(in.int(1<<16)) * time.Microsecond)
		x.stack.HandleTimeout(x.now)
	case op < 215:
		x.icmp(in)
	default:
		x.drain(1 + int(op%8)*4)
	}
}

// icmp hands in an ICMP error about a segment near SND.UNA.
func (x *fuzzed) icmp(in *input) {
	tu := x.tuples[int(in.byte())%len(x.tuples)]
	var seq seqnum.Value
	if c := x.stack.conns.byTuple[tu]; c != nil {
		seq = c.snd.una.Add(in.near())
	} else if r := x.stack.syns.get(tu); r != nil {
		seq = r.iss
	}
	kind := wire.NetUnreachable + wire.ErrorKind(in.byte())%8
	x.stack.HandlePacket(x.now, x.icmpAbout(tu, seq, kind, in.int(1<<11)))
}

// segment hands in a segment whose numbers lie near those of the connection that it is for.
func (x *fuzzed) segment(in *input) {
	tu := x.tuples[int(in.byte())%len(x.tuples)]
	seg := wire.Segment{Flags: wire.ACK, Window: uint16(in.int(1 << 16))}
	switch kind := in.byte(); kind % 8 {
	case 0:
		seg.Flags = wire.Flags(in.byte())
	case 1:
		seg.Flags |= wire.FIN
	case 2:
		seg.Flags |= wire.PSH
	case 3:
		seg.Window = 0
	}
	seg.Urgent = uint16(in.byte())
	var tsRecent uint32
	switch c, r := x.stack.conns.byTuple[tu], x.stack.syns.get(tu); {
	case c != nil:
		seg.Seq, seg.Ack, tsRecent = c.rcv.nxt, c.snd.una, c.rcv.tsRecent
		if in.byte()&1 != 0 {
			seg.Ack = c.snd.nxt
		}
	case r != nil:
		seg.Seq, seg.Ack, tsRecent = r.irs.Add(1), r.iss.Add(1), r.options.TSVal
	default:
		if w := x.stack.timeWait.get(tu); w != nil {
			seg.Seq, seg.Ack, tsRecent = w.rcvNxt, w.sndNxt, w.tsRecent
		}
	}
	where := in.byte()
	if where&1 != 0 {
		seg.Seq = seg.Seq.Add(in.near())
	}
	if where&2 != 0 {
		seg.Ack = seg.Ack.Add(in.near())
	}
	if where&4 == 0 {
		seg.Options.Set |= wire.OptTimestamps
		seg.Options.TSVal = tsRecent + uint32(int8(in.byte()))
		seg.Options.TSEcr = x.stack.tsNow(x.now, &tu) - uint32(int8(in.byte()))
	}
	if where&8 != 0 {
		seg.Options.Set |= wire.OptSACK
		seg.Options.SACKBlocks = 1 + in.byte()%3
		for i := range seg.Options.SACKBlocks {
			start := seg.Ack.Add(in.near())
			if b := in.byte(); b&3 != 0 {
				start = seg.Ack.Add(seqnum.Size(b>>2&7) * 1448)
			}
			seg.Options.SACK[i] = wire.SACKBlock{Start: start, End: start.Add(seqnum.Size(in.byte()&7)*724 + 1)}
		}
	}
	if seg.Flags.Has(wire.SYN) {
		seg.Options.Set |= wire.OptMSS | wire.OptWindowScale
		seg.Options.MSS, seg.Options.WindowScale = uint16(in.int(1<<16)), in.byte()%15
	}
	var payload []byte
	if where&64 == 0 {
		payload = make([]byte, in.near()%60_000)
	}
	packet := x.rawFrom(tu, seg, payload)
	if where&16 != 0 {
		packet.SegmentSize = in.int(3000)
	}
	if where&32 != 0 { // the payload in a block of its own
		n := wire.IPv4HeaderLen + wire.TCPHeaderLen + seg.Options.WireLen()
		packet.Body = packet.Head.Sub(n, packet.Head.Len()).Retain()
		packet.Head = packet.Head.Sub(0, n)
	}
	x.stack.HandlePacket(x.now, packet)
}

// call makes one call of the user's.
func (x *fuzzed) call(in *input) {
	if len(x.ids) == 0 {
		return
	}
	s, id := x.stack, x.ids[int(in.byte())%len(x.ids)]
	switch op := in.byte(); op % 12 {
	case 0, 1, 2:
		var chain zbuf.Chain
		chain.Append(x.pool, make([]byte, in.int(1<<15)))
		_, _ = s.Send(x.now, id, &chain)
		chain.Clear()
	case 3, 4:
		n, _ := s.Receive(id, &x.held, in.int(1<<16))
		x.taken += n
		x.held.Clear()
	case 5, 6:
		n := min(x.taken, in.int(1<<16))
		x.taken -= n
		s.Consumed(x.now, id, n)
	case 7:
		_ = s.CloseWrite(x.now, id)
	case 8:
		_ = s.CloseRead(x.now, id)
	case 9:
		_ = s.Close(x.now, id)
	case 10:
		if op&1 != 0 {
			_ = s.Abort(x.now, id)
		}
		x.connect(x.tuples[int(in.byte())%len(x.tuples)])
	case 11:
		opt := fuzzOptions(in)
		opt.Cork, opt.MaxSegment = in.byte()&1 != 0, 64+in.int(1400)
		_ = s.SetOptions(x.now, id, &opt)
	}
	if len(x.ids) > 64 {
		x.ids = x.ids[len(x.ids)-64:]
	}
}
