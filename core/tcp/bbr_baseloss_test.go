package tcp

import (
	"testing"
	"time"
)

// A path that loses five percent by itself is still used: probes end when they lose more than that.
func TestBBRKeepsItsRateOnALossyPath(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 2*bbrTestBDP)
	p.loss = 0.05
	p.run(6 * time.Second)
	if got := p.run(20 * time.Second); got < bbrTestBW*20*75/100 {
		t.Errorf("%.1f %% of the rate", float64(got)/bbrTestBW/20*100)
	}
	if share := p.cc.share; share < 0.03 || share > 0.07 {
		t.Errorf("takes %.3f for the path's own loss", share)
	}
}

func TestBBRBaseLossIsLearntWithoutAQueue(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		cruising bool
		rtt      time.Duration
		want     bool
	}{
		{"cruising", true, 20*ms + ms, true},
		{"a queue", true, 23 * ms, false},
		{"probing", false, 20 * ms, false},
		{"no sample", true, 0, false},
	} {
		var l bbrBaseLoss
		for range 100 {
			l.noteRTT(c.rtt + ms)
			l.noteRTT(c.rtt)
			if c.rtt == 0 {
				l.roundRTT = 0
			}
			l.learn(c.cruising, 10, 100, 20*ms)
		}
		if got := l.share > 0.09; got != c.want || l.share > 0.1 {
			t.Errorf("%s: %.3f", c.name, l.share)
		}
	}
	var l bbrBaseLoss
	for range 100 {
		l.noteRTT(20 * ms)
		l.learn(true, 50, 100, 20*ms)
	}
	if l.share != bbrMostBaseLoss {
		t.Errorf("half of everything lost: %.3f", l.share)
	}
	// 15 of 100 segments, and twice the root of 15.
	if got := l.expectedLoss(100_000, 1000); got < 22_700 || got > 22_800 {
		t.Errorf("expects %d bytes", got)
	}
}
