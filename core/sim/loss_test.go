package sim

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestBurstLosesInRuns(t *testing.T) {
	model := Burst{Enter: 0.01, Leave: 0.2, LossBad: 1}
	rng := rand.New(rand.NewPCG(1, 2))
	var state burstState
	const packets = 400_000
	lost, runs, before := 0, 0, false
	for range packets {
		now := state.lose(&model, rng)
		if now {
			lost++
			if !before {
				runs++
			}
		}
		before = now
	}
	// A stationary share of Enter/(Enter+Leave) is bad, and a bad run is 1/Leave long.
	if share := float64(lost) / packets; math.Abs(share-0.01/0.21) > 0.005 {
		t.Errorf("lost a share of %.4f, want about %.4f", share, 0.01/0.21)
	}
	if mean := float64(lost) / float64(runs); math.Abs(mean-5) > 0.3 {
		t.Errorf("runs are %.2f packets long, want about 5", mean)
	}
}

func TestZeroBurstDrawsNothing(t *testing.T) {
	a, b := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
	var state burstState
	if state.lose(&Burst{}, a) || chance(a, 0) {
		t.Error("lost a packet without a reason")
	}
	if a.Uint64() != b.Uint64() {
		t.Error("an impairment that is off consumed randomness")
	}
}
