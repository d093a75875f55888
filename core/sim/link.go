package sim

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// Link is one direction of a path: what it does to packets. The zero Link delivers everything at once.
type Link struct {
	Delay  time.Duration
	Jitter time.Duration // up to this much more, drawn for each packet; packets overtake each other by it
	// Spike adds SpikeDelay to the packet and to all that follow until it has passed.
	Spike      float64
	SpikeDelay time.Duration

	Loss      float64
	Burst     Burst
	Duplicate float64
	// Reorder is the chance of a packet to come late by up to ReorderDelay.
	Reorder      float64
	ReorderDelay time.Duration
	// Corrupt is the chance that bits within one byte flip: the checksum catches each such error (RFC 1071).
	Corrupt float64

	// Mark is the chance of a packet with ECT to be marked (RFC 3168 §5); Bleach clears the field of every packet.
	Mark   float64
	Bleach bool
	// AccECN is what happens to segments with the Accurate ECN option.
	AccECN Middlebox

	MTU        int         // 0: no limit but the packet's length field
	MTUChanges []MTUChange // as when a route changes, in the order of their times
	BlackHole  bool        // what exceeds the MTU vanishes without an ICMP message

	// Shrink is the chance of a segment to announce a smaller window than its sender does, as of a peer that takes back what it
	// has promised (RFC 9293 §3.8.6: discouraged, and to be coped with). SYNs are spared.
	Shrink float64

	Rate  int64 // bits per second; 0: no limit
	Queue int   // bytes waiting for the rate; what comes to a full queue is dropped; 0: no limit

	Blackouts []Period // when nothing gets through
	// Whole passes super-segments uncut, as a link within one machine does. Else they are cut.
	Whole bool
}

// Period is a span of time, its end excluded.
type Period struct{ From, To tcp.Time }

// MTUChange is a change of the path's MTU.
type MTUChange struct {
	From tcp.Time
	MTU  int
}

// mtu returns what a path carries at a time; 0 for no limit.
func (l *Link) mtu(now tcp.Time) int {
	mtu := l.MTU
	for _, c := range l.MTUChanges {
		if c.From <= now {
			mtu = c.MTU
		}
	}
	return mtu
}

// direction is a Link at work, from one host to another.
type direction struct {
	*Impairment
	net      *Network
	from, to *Host
}

func seqOf(n int) seqnum.Value { return seqnum.Value(uint32(n)) }

// send takes one packet from d.from.
func (d *direction) send(p packet) {
	if mtu := d.link.mtu(d.net.now); mtu > 0 && mtuExceeded(&p, mtu) {
		d.stats.Sent++
		d.stats.TooBig++
		d.net.tracef("%s: too big: %d bytes, the path carries %d", d.from.Name, len(p.data), mtu)
		if !d.link.BlackHole {
			d.reportTooBig(p.data, mtu)
		}
		return
	}
	if !d.link.AccECN.pass(&p) {
		d.stats.Sent++
		d.stats.Lost++
		d.drop("dropped for its option", &p)
		return
	}
	fate := d.Judge(d.net.now, len(p.data))
	if fate.Mark && d.net.trace != nil {
		d.net.tracef("%s: marked: %s", d.from.Name, describe(p.data))
	}
	if fate.Drop != "" {
		d.drop(fate.Drop, &p)
		return
	}
	if fate.Twin != 0 {
		twin := p
		twin.data = append(d.net.alloc(len(p.data))[:0], p.data...)
		d.deliver(fate.Twin, twin)
	}
	if fate.Mark || d.link.Bleach {
		rewriteECN(p.data, d.link.Bleach)
	}
	if fate.Shrink {
		shrinkWindow(&p, d.rng)
		if d.net.trace != nil {
			d.net.tracef("%s: window shrunk: %s", d.from.Name, describe(p.data))
		}
	}
	if fate.Corrupt {
		d.flip(&p)
	}
	d.deliver(fate.At, p)
}

func (d *direction) drop(why string, p *packet) {
	if d.net.trace != nil {
		d.net.tracef("%s: %s: %s", d.from.Name, why, describe(p.data))
	}
	d.net.recycle(p.data)
}

func (d *direction) deliver(at tcp.Time, p packet) {
	d.net.schedule(event{at: at, host: d.to, packet: p})
}

// mtuExceeded reports whether a packet, or a segment of a super-segment, is larger than the path carries.
func mtuExceeded(p *packet, mtu int) bool {
	if p.segmentSize == 0 {
		return len(p.data) > mtu
	}
	var v parsed
	return !v.parse(p) || v.ip.HeaderLen+v.tcp.HeaderLen+min(p.segmentSize, v.payload) > mtu
}

// reportTooBig sends the ICMP message of RFC 1191 §4 or RFC 4443 §3.2 back, as a router next to the sender would.
func (d *direction) reportTooBig(data []byte, mtu int) {
	b := d.net.alloc(maxICMPLen)
	n := wire.PutICMPError(b, d.net.routerFor(data), wire.PacketTooBig, mtu, data)
	d.net.schedule(event{at: d.net.now.Add(d.link.Delay / 2), host: d.from, packet: packet{data: b[:n]}})
	d.net.recycle(data)
}

// maxICMPLen holds any ICMP error: RFC 4443 §2.4(c) allows 1,280 bytes.
const maxICMPLen = 1280

// flip damages one byte.
func (d *direction) flip(p *packet) {
	if p.trusted { // a checksum that nobody has completed would pass by chance
		finishChecksum(p.data, transportStart(p.data))
	}
	i := d.Damage(p.data)
	p.corrupt, p.trusted = true, false
	if d.net.trace != nil {
		d.net.tracef("%s: corrupted at byte %d: %s", d.from.Name, i, describe(p.data))
	}
}
