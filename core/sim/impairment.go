package sim

import (
	"math/rand/v2"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// LinkStats counts what became of packets.
type LinkStats struct {
	Sent, Delivered, Lost, Duplicated, Delayed, Corrupted, Marked, TooBig, QueueDrops, Blackout uint64
}

// Impairment decides what a Link does to one packet after the other. It draws from its source alone, so that the same
// seed and the same packets at the same times make the same decisions. The MTU is not its affair.
type Impairment struct {
	link     Link
	rng      *rand.Rand
	burst    burstState
	idleAt   tcp.Time // when the queue is sent
	holdTill tcp.Time // a spike holds everything back until then
	stats    LinkStats
}

// NewImpairment returns the impairment of a link that draws from rng.
func NewImpairment(link Link, rng *rand.Rand) *Impairment { return &Impairment{link: link, rng: rng} }

// Stats returns what became of the packets so far.
func (m *Impairment) Stats() LinkStats { return m.stats }

// Fate is what becomes of a packet.
type Fate struct {
	Drop    string   // why it is dropped; empty when it is delivered
	At      tcp.Time // when it arrives
	Twin    tcp.Time // when a second one arrives; 0 when there is none
	Corrupt bool     // the first one is damaged
	Mark    bool     // the first one is marked, if its sender understands marks
	Shrink  bool     // the first one announces a smaller window than its sender does
}

// Judge decides about a packet of n bytes.
func (m *Impairment) Judge(now tcp.Time, n int) Fate {
	m.stats.Sent++
	if m.blackout(now) {
		m.stats.Blackout++
		return Fate{Drop: "in a blackout"}
	}
	leaves, ok := m.enqueue(now, n)
	switch {
	case !ok:
		m.stats.QueueDrops++
		return Fate{Drop: "queue full"}
	case m.burst.lose(&m.link.Burst, m.rng) || chance(m.rng, m.link.Loss):
		m.stats.Lost++
		return Fate{Drop: "lost"}
	}
	var fate Fate
	if chance(m.rng, m.link.Duplicate) {
		m.stats.Duplicated++
		m.stats.Delivered++
		fate.Twin = m.arrival(leaves)
	}
	if chance(m.rng, m.link.Corrupt) {
		m.stats.Corrupted++
		fate.Corrupt = true
	}
	if chance(m.rng, m.link.Mark) {
		m.stats.Marked++
		fate.Mark = true
	}
	fate.Shrink = chance(m.rng, m.link.Shrink)
	m.stats.Delivered++
	fate.At = m.arrival(leaves)
	return fate
}

func (m *Impairment) blackout(now tcp.Time) bool {
	for _, p := range m.link.Blackouts {
		if p.From <= now && now < p.To {
			return true
		}
	}
	return false
}

// enqueue puts n bytes in the queue in front of the rate, and returns when the last of them leaves.
func (m *Impairment) enqueue(now tcp.Time, n int) (tcp.Time, bool) {
	if m.link.Rate == 0 {
		return now, true
	}
	if m.idleAt < now {
		m.idleAt = now
	}
	const nanosPerByte = 8 * int64(time.Second)
	waiting := int(int64(m.idleAt-now) * m.link.Rate / nanosPerByte)
	if m.link.Queue > 0 && waiting+n > m.link.Queue {
		return 0, false
	}
	m.idleAt += tcp.Time(int64(n) * nanosPerByte / m.link.Rate)
	return m.idleAt, true
}

// arrival draws when a packet that leaves at a time gets there.
func (m *Impairment) arrival(leaves tcp.Time) tcp.Time {
	at := leaves.Add(m.link.Delay)
	if m.link.Jitter > 0 {
		at = at.Add(time.Duration(m.rng.Int64N(int64(m.link.Jitter))))
	}
	if chance(m.rng, m.link.Spike) {
		m.holdTill = max(m.holdTill, at.Add(m.link.SpikeDelay))
	}
	if chance(m.rng, m.link.Reorder) && m.link.ReorderDelay > 0 {
		m.stats.Delayed++
		at = at.Add(time.Duration(m.rng.Int64N(int64(m.link.ReorderDelay))))
	}
	return max(at, m.holdTill)
}

// Damage changes one byte of an IP packet and returns which. Not one of those in an IPv6 header that no checksum covers
// (RFC 8200 §8.1 covers addresses, length and upper-layer protocol by the pseudo-header): such damage may pass, rightly.
func (m *Impairment) Damage(data []byte) int {
	i := m.rng.IntN(len(data))
	if data[0]>>4 == 6 && i < 8 {
		i = 8 + m.rng.IntN(len(data)-8)
	}
	data[i] ^= byte(1 + m.rng.IntN(255))
	return i
}
