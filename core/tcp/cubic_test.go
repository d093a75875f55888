package tcp

import (
	"math"
	"testing"
	"time"
)

// cubicRun acknowledges a full window each RTT, in eight ACKs, until done says so, and returns the time.
func cubicRun(cc congestionControl, now Time, rtt time.Duration, done func(now Time) bool) Time {
	for !done(now) {
		window := cc.cwnd()
		for range 8 {
			now += Time(rtt / 8)
			cc.onAck(ccAck(now, window/8, rtt))
		}
	}
	return now
}

// cubicAfterLoss returns a connection that lost a segment at a window of w segments and is in congestion avoidance.
func cubicAfterLoss(w int) *cubic {
	cc := ccStart(CongestionCubic, w*ccMSS, w*ccMSS).(*cubic)
	cc.onLoss(0, w*ccMSS)
	cc.onRecoveryExit(0)
	return cc
}

// RFC 9438 §4.2: after a loss the window is back at W_max after K seconds, slowly there, and then faster and faster.
func TestCubicFollowsTheCurve(t *testing.T) {
	const segments = 10_000
	rtt := 50 * time.Millisecond
	cc := cubicAfterLoss(segments)
	k := math.Cbrt(segments * (1 - cubicBeta) / cubicC)
	for _, at := range []float64{0.1, 0.3, 0.5, 0.8, 1, 1.2, 1.5} {
		now := cubicRun(cc, cc.lastAck, rtt, func(now Time) bool { return time.Duration(now).Seconds() >= at*k })
		d := time.Duration(now).Seconds() - k
		want := cubicC*d*d*d + segments
		// The window trails the curve by one round trip at most, and leads it by one.
		slack := 3*cubicC*d*d*2*rtt.Seconds() + 0.01*segments
		if got := float64(cc.window) / ccMSS; math.Abs(got-want) > slack {
			t.Errorf("at %.1f K: %.0f segments, want %.0f ± %.0f", at, got, want, slack)
		}
	}
}

// RFC 9438 §4.3: where Reno would be faster, CUBIC is as fast as Reno.
func TestCubicIsRenoFriendly(t *testing.T) {
	const segments = 40
	rtt := 5 * time.Millisecond
	cc := cubicAfterLoss(segments)
	if k := math.Cbrt(segments * (1 - cubicBeta) / cubicC); k < 2 {
		t.Fatal("the test wants a long K")
	}
	start := cc.cwnd()
	rounds := 0
	cubicRun(cc, 0, rtt, func(Time) bool { rounds++; return rounds > 20 })
	grown := float64(cc.cwnd()-start) / ccMSS
	if want := 20 * cubicAlpha; math.Abs(grown-want) > 1.5 {
		t.Errorf("grew by %.1f segments in 20 round trips, want about %.1f", grown, want)
	}
	// Above the window of the loss alpha is 1: one segment each round trip.
	cubicRun(cc, cc.lastAck, rtt, func(Time) bool { return cc.wEst >= cc.prior })
	start, rounds = cc.cwnd(), 0
	cubicRun(cc, cc.lastAck, rtt, func(Time) bool { rounds++; return rounds > 20 })
	if grown := float64(cc.cwnd()-start) / ccMSS; math.Abs(grown-20) > 1.5 {
		t.Errorf("grew by %.1f segments in 20 round trips above cwnd_prior, want about 20", grown)
	}
}

// RFC 9438 §4.7.
func TestCubicFastConvergence(t *testing.T) {
	cc := cubicAfterLoss(1000)
	if cc.wMax != 1000*ccMSS {
		t.Fatalf("W_max %.0f after the first loss", cc.wMax)
	}
	cc.onLoss(1, cc.cwnd())
	if want := 700.0 * ccMSS * (1 + cubicBeta) / 2; math.Abs(cc.wMax-want) > 1 {
		t.Errorf("W_max %.0f after a loss below the last, want %.0f", cc.wMax, want)
	}
	cc = cubicAfterLoss(1000)
	cc.window = 1200 * ccMSS
	cc.onLoss(1, cc.cwnd())
	if cc.wMax != 1200*ccMSS {
		t.Errorf("W_max %.0f after a loss above the last", cc.wMax)
	}
}

// RFC 9438 §4.8: after a timeout K is 0 and W_max the window at which congestion avoidance begins.
func TestCubicAfterTimeout(t *testing.T) {
	cc := ccStart(CongestionCubic, 100*ccMSS, 100*ccMSS).(*cubic)
	cc.onTimeout(0, 100*ccMSS, true)
	now := cubicRun(cc, 0, 10*time.Millisecond, func(Time) bool { return cc.inAvoid })
	if cc.k != 0 || cc.wMax < 70*ccMSS || cc.wMax > 71*ccMSS {
		t.Errorf("K %v, W_max %.0f at %v", cc.k, cc.wMax, now)
	}
}

// RFC 9438 §4.2 and §5.8: a pause of the application does not move the curve on.
func TestCubicPauseDoesNotCount(t *testing.T) {
	rtt := 50 * time.Millisecond
	oneSecond := func(from Time) func(Time) bool {
		return func(now Time) bool { return now-from >= Time(time.Second) }
	}
	busy, paused := cubicAfterLoss(1000), cubicAfterLoss(1000)
	cubicRun(busy, 0, rtt, func(now Time) bool { return now >= Time(2*time.Second) })

	now := cubicRun(paused, 0, rtt, oneSecond(0))
	window := paused.window
	for range 100 {
		now += Time(rtt)
		a := ccAck(now, ccMSS, rtt)
		a.windowLimited = false
		paused.onAck(a)
	}
	if paused.window != window {
		t.Errorf("grew from %d to %d in the pause", window, paused.window)
	}
	cubicRun(paused, now, rtt, oneSecond(now))
	if d := math.Abs(float64(paused.window-busy.window)) / float64(busy.window); d > 0.005 {
		t.Errorf("window %d, without the pause %d", paused.window, busy.window)
	}
}

// Years between two ACKs, and windows at their bound.
func TestCubicExtremes(t *testing.T) {
	cc := cubicAfterLoss(1000)
	cc.onAck(ccAck(1, ccMSS, time.Hour))
	before := cc.cwnd()
	cc.onAck(ccAck(math.MaxInt64, before, time.Hour))
	if cc.cwnd() <= before || cc.cwnd() > before+before/2+1 {
		t.Errorf("from %d to %d", before, cc.cwnd())
	}
	cc = ccStart(CongestionCubic, maxCwnd, ccMSS).(*cubic)
	for i := range 100 {
		cc.onAck(ccAck(Time(i)*Time(time.Hour), maxCwnd, time.Hour))
	}
	if cc.cwnd() != maxCwnd {
		t.Errorf("cwnd %d", cc.cwnd())
	}
}

// At a large window an ACK is worth a fraction of a byte: fractions add up.
func TestCubicKeepsFractions(t *testing.T) {
	cc := cubicAfterLoss(700_000)
	start := cc.cwnd()
	rtt := 100 * time.Millisecond
	now := Time(0)
	for range 200_000 {
		now += 500
		cc.onAck(ccAck(now, 10, rtt))
	}
	if cc.cwnd() == start {
		t.Error("no growth from small ACKs")
	}
}

func BenchmarkCubicAck(b *testing.B) {
	cc := cubicAfterLoss(1000)
	a := ccAck(0, 2*ccMSS, 50*time.Millisecond)
	b.ReportAllocs()
	for range b.N {
		a.now += 10_000
		cc.onAck(a)
	}
}
