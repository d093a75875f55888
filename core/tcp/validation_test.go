package tcp

import (
	"testing"
	"time"
)

// validationTest is a sender with a window of a hundred segments, whose application decides how much of it is used.
type validationTest struct {
	congestionControl
	now       Time
	delivered uint64
}

const validationRTT = 100 * time.Millisecond

func newValidationTest(c CongestionControl) *validationTest {
	return &validationTest{congestionControl: ccStart(c, 100*ccMSS, 50*ccMSS), now: 1}
}

// run has so many segments acknowledged in each round trip, two with an ACK.
func (x *validationTest) run(d time.Duration, segments int, limited bool) {
	acks := max(segments/2, 1)
	for end := x.now.Add(d); x.now < end; {
		for range acks {
			a := ccAck(x.now, segments/acks*ccMSS, validationRTT)
			x.delivered += uint64(a.acked)
			a.delivered, a.windowLimited = x.delivered, limited
			x.onAck(a)
			x.now = x.now.Add(time.Millisecond)
		}
		x.now = x.now.Add(validationRTT - time.Duration(acks)*time.Millisecond)
	}
}

func (x *validationTest) lose(segments int) {
	for range segments {
		x.onLost(lostSample{now: x.now, size: ccMSS})
	}
}

func (x *validationTest) want(t *testing.T, when string, cwnd, ssthresh int) {
	t.Helper()
	if x.cwnd() != cwnd || x.ssthresh() != ssthresh {
		t.Errorf("%s: cwnd %d, ssthresh %d, want %d and %d", when, x.cwnd(), x.ssthresh(), cwnd, ssthresh)
	}
}

// RFC 7661 §4.4.3: a window of which less than half is used is halved every five minutes, and ssthresh remembers.
func TestUnusedWindowIsHalved(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		x := newValidationTest(c)
		x.run(nonValidatedPeriod-time.Second, 10, false)
		x.want(t, "before five minutes are over", 100*ccMSS, 50*ccMSS)
		x.run(3*time.Second, 10, false)
		x.want(t, "after five minutes", 50*ccMSS, 75*ccMSS)
		x.run(nonValidatedPeriod, 10, false)
		x.want(t, "after ten", 25*ccMSS, 75*ccMSS)
		x.run(5*nonValidatedPeriod, 10, false)
		// Of 25 segments ten are less than a half; of 12 they are more.
		x.want(t, "when half of it is used", 25*ccMSS/2, 75*ccMSS)
	})
}

// RFC 7661 §4.4.3: "cwnd = max((1/2)*cwnd, IW)".
func TestUnusedWindowKeepsTheInitialOne(t *testing.T) {
	x := newValidationTest(CongestionReno)
	x.run(10*nonValidatedPeriod, 2, false)
	if x.cwnd() != 10*ccMSS {
		t.Errorf("cwnd %d after much time, want the initial window", x.cwnd())
	}
}

// RFC 7661 §4.3: half of the window in a round trip validates it, and in a second of round trips once is enough (§4.2). So
// does a window that limits the sender (§4.5.3).
func TestUsedWindowStays(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		for name, use := range map[string]func(x *validationTest){
			"half of it": func(x *validationTest) { x.run(time.Second, 50, false) },
			"all of it once in six round trips": func(x *validationTest) {
				x.run(validationRTT, 98, false)
				x.run(5*validationRTT, 2, false)
			},
			"it limits once in a while": func(x *validationTest) {
				x.run(validationRTT, 2, true)
				x.run(time.Minute, 2, false)
			},
		} {
			x := newValidationTest(c)
			for end := x.now.Add(3 * nonValidatedPeriod); x.now < end; {
				use(x)
			}
			if x.cwnd() < 100*ccMSS {
				t.Errorf("%s: cwnd %d", name, x.cwnd())
			}
		}
	})
}

// RFC 7661 §4.4.1: a loss in the non-validated phase leaves half of what was in use, of late or when it was lost, less what
// was lost.
func TestLossOfUnusedWindow(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		for _, tt := range []struct {
			used, flight, lost        int
			during, after, afterwards int
		}{
			{used: 10, flight: 8, lost: 0, during: 5000, after: 5000, afterwards: 5000},
			{used: 30, flight: 8, lost: 2, during: 15_000, after: 14_000, afterwards: 14_000},
			{used: 10, flight: 90, lost: 40, during: 45_000, after: 25_000, afterwards: 25_000},
			{used: 10, flight: 200, lost: 0, during: 50_000, after: 50_000, afterwards: 50_000},
			{used: 10, flight: 12, lost: 12, during: 6000, after: 1000, afterwards: 2000},
		} {
			x := newValidationTest(c)
			x.run(10*time.Second, tt.used, false)
			x.lose(tt.lost / 2)
			x.onLoss(x.now, tt.flight*ccMSS)
			x.want(t, "in recovery", tt.during, tt.during)
			x.lose(tt.lost - tt.lost/2)
			x.onRecoveryExit(x.now)
			x.want(t, "after recovery", tt.after, tt.afterwards)
		}
	})
}

// RFC 7661 §4.4.1: after that pipeACK is undefined, and a second loss finds a validated window.
func TestLossUndefinesPipeAck(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		x := newValidationTest(c)
		x.run(10*time.Second, 30, false)
		x.onLoss(x.now, 30*ccMSS)
		x.onRecoveryExit(x.now)
		x.want(t, "after one loss", 15*ccMSS, 15*ccMSS)
		x.lose(10)
		x.onLoss(x.now, 10*ccMSS)
		x.onRecoveryExit(x.now)
		want := 5 * ccMSS
		if c == CongestionCubic {
			want = 7 * ccMSS
		}
		x.want(t, "after two", want, want)
	})
}

// RFC 7661 §4.4.1: a mark leaves half of what was in use as well; nothing was lost then.
func TestMarkOfUnusedWindow(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		x := newValidationTest(c)
		x.run(10*time.Second, 30, false)
		x.onCongestion(x.now, 8*ccMSS)
		x.want(t, "after a mark", 15*ccMSS, 15*ccMSS)
		x.run(time.Second, 1, false)
		x.want(t, "later", 15*ccMSS, 15*ccMSS)
	})
}

// TestLossOfUsedWindow: a window in use takes the standard reaction, in slow start too, where half of it is acknowledged while it
// doubles.
func TestLossOfUsedWindow(t *testing.T) {
	for c, share := range map[CongestionControl]float64{CongestionReno: renoBeta, CongestionCubic: cubicBeta} {
		x := &validationTest{congestionControl: newCongestionControl(c, 1), now: 1}
		x.init(0, ccMSS, 10*ccMSS)
		for x.cwnd() < 500*ccMSS {
			x.run(validationRTT, x.cwnd()/ccMSS, true)
		}
		flight := x.cwnd()
		x.lose(100)
		x.onLoss(x.now, flight)
		x.onRecoveryExit(x.now)
		want := int(share * float64(flight))
		x.want(t, c.String(), want, want)
	}
}
