package sim

import (
	"math/rand/v2"
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

	MTU       int  // 0: no limit but the packet's length field
	BlackHole bool // what exceeds the MTU vanishes without an ICMP message

	Rate  int64 // bits per second; 0: no limit
	Queue int   // bytes waiting for the rate; what comes to a full queue is dropped; 0: no limit

	Blackouts []Period // when nothing gets through
	// Whole passes super-segments uncut, as a link within one machine does. Else they are cut.
	Whole bool
}

// Period is a span of time, its end excluded.
type Period struct{ From, To tcp.Time }

// LinkStats counts what became of packets.
type LinkStats struct {
	Sent, Delivered, Lost, Duplicated, Delayed, Corrupted, TooBig, QueueDrops, Blackout uint64
}

// direction is a Link at work, from one host to another.
type direction struct {
	cfg      Link
	net      *Network
	from, to *Host
	rng      *rand.Rand
	burst    burstState
	idleAt   tcp.Time // when the queue is sent
	holdTill tcp.Time // a spike holds everything back until then
	stats    LinkStats
}

func seqOf(n int) seqnum.Value { return seqnum.Value(uint32(n)) }

// send takes one packet from d.from.
func (d *direction) send(p packet) {
	d.stats.Sent++
	now := d.net.now
	switch {
	case d.cfg.MTU > 0 && d.mtuExceeded(&p):
		d.stats.TooBig++
		d.net.tracef("%s: too big: %d bytes, the path carries %d", d.from.Name, len(p.data), d.cfg.MTU)
		if !d.cfg.BlackHole {
			d.reportTooBig(p.data)
		}
		return
	case d.blackout(now):
		d.stats.Blackout++
		d.drop("in a blackout", &p)
		return
	}
	leaves, ok := d.enqueue(now, len(p.data))
	switch {
	case !ok:
		d.stats.QueueDrops++
		d.drop("queue full", &p)
		return
	case d.burst.lose(&d.cfg.Burst, d.rng) || chance(d.rng, d.cfg.Loss):
		d.stats.Lost++
		d.drop("lost", &p)
		return
	}
	if chance(d.rng, d.cfg.Duplicate) {
		d.stats.Duplicated++
		twin := p
		twin.data = append(d.net.alloc(len(p.data))[:0], p.data...)
		d.deliver(d.arrival(leaves), twin)
	}
	if chance(d.rng, d.cfg.Corrupt) {
		d.stats.Corrupted++
		d.flip(&p)
	}
	d.deliver(d.arrival(leaves), p)
}

func (d *direction) drop(why string, p *packet) {
	if d.net.trace != nil {
		d.net.tracef("%s: %s: %s", d.from.Name, why, describe(p.data))
	}
	d.net.recycle(p.data)
}

func (d *direction) deliver(at tcp.Time, p packet) {
	d.stats.Delivered++
	d.net.schedule(event{at: at, host: d.to, packet: p})
}

// mtuExceeded reports whether a packet, or a segment of a super-segment, is larger than the path carries.
func (d *direction) mtuExceeded(p *packet) bool {
	if p.segmentSize == 0 {
		return len(p.data) > d.cfg.MTU
	}
	var v parsed
	return !v.parse(p) || v.ip.HeaderLen+v.tcp.HeaderLen+min(p.segmentSize, v.payload) > d.cfg.MTU
}

// reportTooBig sends the ICMP message of RFC 1191 §4 or RFC 4443 §3.2 back, as a router next to the sender would.
func (d *direction) reportTooBig(data []byte) {
	b := d.net.alloc(maxICMPLen)
	n := wire.PutICMPError(b, d.net.routerFor(data), wire.PacketTooBig, d.cfg.MTU, data)
	d.net.schedule(event{at: d.net.now.Add(d.cfg.Delay / 2), host: d.from, packet: packet{data: b[:n]}})
	d.net.recycle(data)
}

// maxICMPLen holds any ICMP error: RFC 4443 §2.4(c) allows 1,280 bytes.
const maxICMPLen = 1280

func (d *direction) blackout(now tcp.Time) bool {
	for _, p := range d.cfg.Blackouts {
		if p.From <= now && now < p.To {
			return true
		}
	}
	return false
}

// enqueue puts n bytes in the queue in front of the rate, and returns when the last of them leaves.
func (d *direction) enqueue(now tcp.Time, n int) (tcp.Time, bool) {
	if d.cfg.Rate == 0 {
		return now, true
	}
	if d.idleAt < now {
		d.idleAt = now
	}
	const nanosPerByte = 8 * int64(time.Second)
	waiting := int(int64(d.idleAt-now) * d.cfg.Rate / nanosPerByte)
	if d.cfg.Queue > 0 && waiting+n > d.cfg.Queue {
		return 0, false
	}
	d.idleAt += tcp.Time(int64(n) * nanosPerByte / d.cfg.Rate)
	return d.idleAt, true
}

// arrival draws when a packet that leaves at a time gets there.
func (d *direction) arrival(leaves tcp.Time) tcp.Time {
	at := leaves.Add(d.cfg.Delay)
	if d.cfg.Jitter > 0 {
		at = at.Add(time.Duration(d.rng.Int64N(int64(d.cfg.Jitter))))
	}
	if chance(d.rng, d.cfg.Spike) {
		d.holdTill = max(d.holdTill, at.Add(d.cfg.SpikeDelay))
	}
	if chance(d.rng, d.cfg.Reorder) && d.cfg.ReorderDelay > 0 {
		d.stats.Delayed++
		at = at.Add(time.Duration(d.rng.Int64N(int64(d.cfg.ReorderDelay))))
	}
	return max(at, d.holdTill)
}

// flip damages one byte. Not those of an IPv6 header that no checksum covers (RFC 8200 §8.1 covers addresses, length and
// upper-layer protocol by the pseudo-header): such damage may pass, rightly.
func (d *direction) flip(p *packet) {
	if p.trusted { // a checksum that nobody has completed would pass by chance
		finishChecksum(p.data, transportStart(p.data))
	}
	i := d.rng.IntN(len(p.data))
	if p.data[0]>>4 == 6 && i < 8 {
		i = 8 + d.rng.IntN(len(p.data)-8)
	}
	p.data[i] ^= byte(1 + d.rng.IntN(255))
	p.corrupt, p.trusted = true, false
	if d.net.trace != nil {
		d.net.tracef("%s: corrupted at byte %d: %s", d.from.Name, i, describe(p.data))
	}
}
