package differential

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

const (
	// peerISS lies just below the wrap, so that every sequence counts over it.
	peerISS = seqnum.Value(0xffffff80)
	// unknownISS stands in for the subject's initial sequence number until it is seen.
	unknownISS = seqnum.Value(0x40000000)
	peerMSS    = 1000
	peerWindow = 20_000
	peerScale  = 2
	dataLength = 100
	// farAway is more than any window here.
	farAway = 300_000
)

// peer is the other end: it makes the segments of steps from what it has sent and received. It answers nothing by itself.
type peer struct {
	local, remote tcp.Endpoint // the subject's, and the peer's
	options       bool
	window        int
	snd           struct {
		nxt   seqnum.Value
		una   seqnum.Value // the highest acknowledgement that came
		edge  seqnum.Value // right edge of the window that was announced
		synAt seqnum.Value // of the last SYN
	}
	rcv struct {
		iss   seqnum.Value // the subject's
		known bool
		nxt   seqnum.Value
		acked seqnum.Value // the highest acknowledgement that was sent
	}
	active     bool  // the subject's SYN came first
	synAcked   bool  // the subject has sent a SYN-ACK
	scale      uint8 // of the windows that the subject announces
	timestamps bool
	tsVal      uint32
	tsEcr      uint32
}

func newPeer(local, remote tcp.Endpoint, options bool) *peer {
	p := &peer{local: local, remote: remote, options: options, window: peerWindow, tsVal: 1000}
	p.snd.nxt, p.snd.una, p.snd.edge = peerISS.Add(1), peerISS.Add(1), peerISS.Add(1)
	p.snd.synAt = peerISS
	p.rcv.iss, p.rcv.nxt, p.rcv.acked = unknownISS, unknownISS.Add(1), unknownISS.Add(1)
	return p
}

// draft is a segment in the making.
type draft struct {
	flags   wire.Flags
	seq     seqnum.Value
	ack     seqnum.Value
	length  int
	urgent  uint16
	advance bool // what it occupies counts as sent
}

// packet makes the packet of a step.
func (p *peer) packet(step Step) []byte {
	d := draft{flags: wire.ACK, seq: p.snd.nxt, ack: p.rcv.nxt}
	p.shape(step, &d)
	if d.flags.Has(wire.ACK) && p.rcv.acked.Less(d.ack) && d.ack.LessEq(p.rcv.nxt) {
		p.rcv.acked = d.ack
	}
	if d.advance {
		end := d.seq.Add(seqnum.Size(d.length))
		if d.flags.Has(wire.FIN) {
			end++
		}
		p.snd.nxt = seqnum.Max(p.snd.nxt, end)
	}
	return p.build(&d)
}

func (p *peer) shape(step Step, d *draft) {
	switch {
	case step <= SYNFIN:
		p.shapeSYN(step, d)
	case step <= ACKFuture:
		p.shapeACK(step, d)
	case step <= DataUrgent:
		p.shapeData(step, d)
	case step <= FINNoACK:
		p.shapeFIN(step, d)
	case step <= RSTFutureACK:
		p.shapeRST(step, d)
	default:
		p.shapeOther(step, d)
	}
}

func (p *peer) shapeSYN(step Step, d *draft) {
	switch step {
	case SYN:
		d.flags, d.seq = wire.SYN, p.snd.synAt
	case SYNFIN:
		d.flags, d.seq = wire.SYN|wire.FIN, p.snd.synAt
	case SYNACK:
		d.flags, d.seq = wire.SYN|wire.ACK, p.snd.synAt
	case SYNInWindow:
		d.flags, d.seq = wire.SYN, p.snd.una.Add(5)
	case SYNBeyond:
		d.flags, d.seq = wire.SYN, p.snd.nxt.Add(farAway)
		p.snd.synAt = d.seq
	case SYNACKAhead:
		d.flags, d.seq = wire.SYN|wire.ACK, p.snd.una.Add(5)
	case SYNACKFuture:
		d.flags, d.seq, d.ack = wire.SYN|wire.ACK, p.snd.synAt, p.rcv.nxt.Add(farAway)
	default: // SYNACKOld
		d.flags, d.seq, d.ack = wire.SYN|wire.ACK, p.snd.synAt, p.rcv.iss.Sub(5)
	}
}

func (p *peer) shapeACK(step Step, d *draft) {
	switch step {
	case ACKPart:
		d.ack = p.rcv.acked.Add(p.rcv.acked.Size(p.rcv.nxt) / 2)
	case ACKDuplicate:
		d.ack = p.rcv.acked
	case ACKOld:
		d.ack = p.rcv.acked.Sub(1)
	case ACKAncient:
		d.ack = p.rcv.acked.Sub(farAway)
	case ACKFuture:
		d.ack = p.rcv.nxt.Add(farAway)
	default: // ACK
	}
}

func (p *peer) shapeData(step Step, d *draft) {
	d.flags, d.length = wire.ACK|wire.PSH, dataLength
	switch step {
	case DataAhead:
		d.seq = d.seq.Add(dataLength)
	case DataDuplicate:
		d.seq = p.snd.una.Sub(dataLength)
	case DataPartlyOld:
		d.seq, d.advance = p.snd.una.Sub(dataLength/2), true
	case DataBeyond:
		d.seq = p.snd.edge
	case DataStraddle:
		d.seq = p.snd.edge.Sub(dataLength / 2)
	case DataAgain:
		d.seq, d.length = p.snd.una, min(int(p.snd.una.Size(p.snd.nxt)), peerMSS)
	case DataFutureACK:
		d.ack = d.ack.Add(farAway)
	case DataAncientACK:
		d.ack = p.rcv.acked.Sub(farAway)
	case DataNoACK:
		d.flags = wire.PSH
	case DataUrgent:
		d.flags, d.urgent, d.advance = d.flags|wire.URG, dataLength/2, true
	default: // Data
		d.advance = true
	}
}

func (p *peer) shapeFIN(step Step, d *draft) {
	d.flags = wire.FIN | wire.ACK
	switch step {
	case FINData:
		d.length, d.advance = dataLength, true
	case FINAhead:
		d.seq = d.seq.Add(dataLength)
	case FINDuplicate:
		d.seq = p.snd.una.Sub(1)
	case FINBeyond:
		d.seq = p.snd.edge
	case FINDuplicateACK:
		d.ack, d.advance = p.rcv.acked, true
	case FINNoACK:
		d.flags = wire.FIN
	default: // FIN
		d.advance = true
	}
}

func (p *peer) shapeRST(step Step, d *draft) {
	d.flags, d.seq = wire.RST, p.snd.una
	switch step {
	case RSTACK:
		d.flags |= wire.ACK
	case RSTInWindow:
		d.seq = d.seq.Add(10)
	case RSTOld:
		d.seq = d.seq.Sub(10)
	case RSTBeyond:
		d.seq = p.snd.edge
	case RSTFutureACK:
		d.flags, d.ack = d.flags|wire.ACK, d.ack.Add(farAway)
	default: // RST
	}
}

func (p *peer) shapeOther(step Step, d *draft) {
	switch step {
	case NoFlags:
		d.flags = 0
	case ZeroWindow:
		p.window = 0
	case WindowUpdate:
		p.window = peerWindow
	case KeepAlive:
		d.seq = p.snd.una.Sub(1)
	default: // KeepAliveByte
		d.seq, d.length = p.snd.una.Sub(1), 1
	}
}

func (p *peer) build(d *draft) []byte {
	seg := wire.Segment{SrcPort: p.remote.Port, DstPort: p.local.Port, Seq: d.seq, Flags: d.flags, Window: uint16(p.window), Urgent: d.urgent}
	if d.flags.Has(wire.ACK) {
		seg.Ack = d.ack
	}
	p.putOptions(&seg)
	b := make([]byte, wire.MaxHeaderLen+d.length)
	ip := wire.IP{Src: p.remote.Addr, Dst: p.local.Addr, Protocol: wire.TCP, TTL: 64, DontFragment: true}
	start := wire.PutIP(b, &ip, wire.TCPHeaderLen+seg.Options.WireLen()+d.length)
	n := start + wire.PutSegment(b[start:], &seg) + d.length
	b = b[:n]
	sum := ^wire.Fold(wire.Sum(wire.PseudoHeaderSum(ip.Src, ip.Dst, wire.TCP, n-start), b[start:]))
	b[start+wire.TCPChecksumOffset], b[start+wire.TCPChecksumOffset+1] = byte(sum>>8), byte(sum)
	return b
}

func (p *peer) putOptions(seg *wire.Segment) {
	o := &seg.Options
	if seg.Flags.Has(wire.SYN) {
		o.Set, o.MSS = wire.OptMSS, peerMSS
		if p.options {
			o.Set |= wire.OptWindowScale | wire.OptSACKPermitted | wire.OptTimestamps
			o.WindowScale = peerScale
		}
	} else if p.timestamps && !seg.Flags.Has(wire.RST) {
		o.Set = wire.OptTimestamps
	}
	if o.Set.Has(wire.OptTimestamps) {
		p.tsVal++
		o.TSVal = p.tsVal
		if seg.Flags.Has(wire.ACK) {
			o.TSEcr = p.tsEcr
		}
	}
}

// take lets a segment of the subject arrive at the peer.
func (p *peer) take(seg *wire.Segment, length int) {
	if seg.Flags.Has(wire.RST) {
		return
	}
	if o := &seg.Options; seg.Flags.Has(wire.SYN) {
		if !p.rcv.known || p.rcv.iss != seg.Seq {
			p.rcv.iss, p.rcv.known = seg.Seq, true
			p.synAcked, p.active = seg.Flags.Has(wire.ACK), !seg.Flags.Has(wire.ACK)
			p.rcv.nxt, p.rcv.acked = seg.Seq.Add(1), seg.Seq
		}
		p.scale = 0
		if p.options && o.Set.Has(wire.OptWindowScale) {
			p.scale = o.WindowScale
		}
		p.timestamps = p.options && o.Set.Has(wire.OptTimestamps)
	}
	if seg.Options.Set.Has(wire.OptTimestamps) {
		p.tsEcr = seg.Options.TSVal
	}
	if seg.Flags.Has(wire.ACK) {
		p.takeAck(seg)
	}
	end := seg.Seq.Add(seqnum.Size(length))
	if seg.Flags.Has(wire.FIN) {
		end++
	}
	if seg.Seq.LessEq(p.rcv.nxt) && p.rcv.nxt.Less(end) {
		p.rcv.nxt = end
	}
}

func (p *peer) takeAck(seg *wire.Segment) {
	window := seqnum.Size(seg.Window)
	if seg.Flags.Has(wire.SYN) {
		if seg.Ack == p.snd.synAt.Add(1) { // the SYN that counts; what was sent before it was for another incarnation
			p.snd.nxt, p.snd.una, p.snd.edge = seg.Ack, seg.Ack, seg.Ack
		}
	} else {
		window <<= p.scale
	}
	p.snd.una = seqnum.Max(p.snd.una, seg.Ack)
	p.snd.nxt = seqnum.Max(p.snd.nxt, seg.Ack)
	p.snd.edge = seqnum.Max(p.snd.edge, seg.Ack.Add(window))
}
