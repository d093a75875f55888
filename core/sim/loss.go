package sim

import "math/rand/v2"

// Burst is the Gilbert-Elliott model of loss: a link is in a good or a bad state, and loses packets at the rate of its
// state. The zero Burst loses nothing.
type Burst struct {
	Enter, Leave      float64 // chance per packet to get from good to bad, and back
	LossGood, LossBad float64 // chance to lose a packet in either state
}

// burstState is a link's state in the model.
type burstState struct{ bad bool }

// lose takes one step and reports whether the packet is lost.
func (s *burstState) lose(b *Burst, rng *rand.Rand) bool {
	if b.Enter == 0 {
		return false
	}
	change := b.Enter
	if s.bad {
		change = b.Leave
	}
	if chance(rng, change) {
		s.bad = !s.bad
	}
	if s.bad {
		return chance(rng, b.LossBad)
	}
	return chance(rng, b.LossGood)
}

// chance reports true with probability p. It draws nothing when p is 0, so that switching one impairment on leaves
// the others' draws alone.
func chance(rng *rand.Rand, p float64) bool { return p > 0 && rng.Float64() < p }
