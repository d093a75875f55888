package tcp

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const ccMSS = 1000

// ccStart returns a congestion control in the middle of a connection.
func ccStart(c CongestionControl, window, threshold int) congestionControl {
	cc := newCongestionControl(c, 1)
	cc.init(0, ccMSS, 10*ccMSS)
	switch cc := cc.(type) {
	case *reno:
		cc.window, cc.threshold = window, threshold
	case *cubic:
		cc.window, cc.threshold = window, threshold
	}
	return cc
}

// ccAck is the ACK of n bytes by a sender that the window held back.
func ccAck(now Time, n int, rtt time.Duration) *ackSample {
	return &ackSample{now: now, acked: n, rtt: rtt, srtt: rtt, minRTT: rtt, windowLimited: true, paced: true}
}

// forEachCC runs a test with each congestion control that is a window: what a model does is tested beside it.
func forEachCC(t *testing.T, f func(t *testing.T, c CongestionControl)) {
	for c := CongestionReno; c <= CongestionCubic; c++ {
		t.Run(c.String(), func(t *testing.T) { f(t, c) })
	}
}

func TestCongestionControlNames(t *testing.T) {
	for c := CongestionReno; c < numCongestionControls; c++ {
		if got, err := ParseCongestionControl(c.String()); got != c || err != nil {
			t.Errorf("Parse(%q) = %v, %v", c.String(), got, err)
		}
		if got := newCongestionControl(c, 1).name(); got != c {
			t.Errorf("name = %v", got)
		}
	}
	for _, name := range []string{"", "vegas", "congestion control 0", "Reno"} {
		if _, err := ParseCongestionControl(name); !errors.Is(err, ErrInvalid) {
			t.Errorf("Parse(%q): %v", name, err)
		}
	}
}

// RFC 6928 §2.
func TestInitialWindow(t *testing.T) {
	for _, tt := range []struct{ mss, want int }{
		{536, 5360}, {1448, 14480}, {1460, 14600}, {4000, 14600}, {8960, 17920}, {65495, 130990},
	} {
		if got := initialWindow(tt.mss, 10); got != tt.want {
			t.Errorf("initialWindow(%d, 10) = %d, want %d", tt.mss, got, tt.want)
		}
	}
	if got := initialWindow(1460, 1); got != 1460 {
		t.Errorf("initialWindow(1460, 1) = %d", got)
	}
}

// RFC 5681 §3.1, with every byte counted: the window doubles in a round trip, however few the ACKs.
func TestCongestionSlowStartDoublesPerRoundTrip(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		for _, acks := range []int{1, 2, 10} {
			cc := newCongestionControl(c, 1)
			cc.init(0, ccMSS, 10*ccMSS)
			if cc.cwnd() != 10*ccMSS || cc.ssthresh() != maxCwnd {
				t.Fatalf("cwnd %d, ssthresh %d at the start", cc.cwnd(), cc.ssthresh())
			}
			for range acks {
				cc.onAck(ccAck(1, 10*ccMSS/acks, time.Millisecond))
			}
			if cc.cwnd() != 20*ccMSS {
				t.Errorf("%d ACKs: cwnd %d", acks, cc.cwnd())
			}
		}
	})
}

func TestCongestionSlowStartStopsAtSSThresh(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		cc := ccStart(c, 10*ccMSS, 15*ccMSS)
		cc.onAck(ccAck(1, 10*ccMSS, time.Millisecond))
		// The rest of the ACK, 5 segments of a window of 15, belongs to congestion avoidance: less than a segment.
		if got := cc.cwnd(); got < 15*ccMSS || got >= 16*ccMSS {
			t.Errorf("cwnd %d", got)
		}
	})
}

func TestCongestionWindowDoesNotGrowUnlessItLimits(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		for _, threshold := range []int{5 * ccMSS, maxCwnd} {
			cc := ccStart(c, 10*ccMSS, threshold)
			for i := range 100 {
				a := ccAck(Time(i), 5*ccMSS, time.Millisecond)
				a.windowLimited = false
				cc.onAck(a)
			}
			if cc.cwnd() != 10*ccMSS {
				t.Errorf("ssthresh %d: cwnd %d", threshold, cc.cwnd())
			}
		}
	})
}

// RFC 3168 §6.1.2, "treated just as a congestion loss"; RFC 9438 §4.6. A window below ssthresh, as after a timeout, must not
// grow by it.
func TestCongestionMarks(t *testing.T) {
	for _, tt := range []struct {
		c                           CongestionControl
		window, flight, want, after int
	}{
		{CongestionReno, 100, 100, 50, 50},
		{CongestionReno, 100, 60, 30, 30},
		{CongestionReno, 1, 1, 1, 2},
		{CongestionCubic, 100, 100, 70, 70},
		{CongestionCubic, 1, 1, 1, 2},
	} {
		cc := ccStart(tt.c, tt.window*ccMSS, maxCwnd)
		cc.onCongestion(5, tt.flight*ccMSS)
		if cc.cwnd() != tt.want*ccMSS || cc.ssthresh() != tt.after*ccMSS {
			t.Errorf("%+v: cwnd %d, ssthresh %d", tt, cc.cwnd(), cc.ssthresh())
		}
	}
}

// RFC 5681 §3.1 equation (4) and §3.2; RFC 9438 §4.6.
func TestCongestionLossAndRecovery(t *testing.T) {
	for _, tt := range []struct {
		c                    CongestionControl
		window, flight, want int
	}{
		{CongestionReno, 100, 100, 50},
		{CongestionReno, 100, 60, 30},  // FlightSize, not cwnd
		{CongestionReno, 100, 103, 50}, // limited transmit is not counted
		{CongestionReno, 3, 3, 2},      // at least 2*SMSS
		{CongestionCubic, 100, 100, 70},
		{CongestionCubic, 100, 60, 42},
		{CongestionCubic, 2, 2, 2},
	} {
		cc := ccStart(tt.c, tt.window*ccMSS, maxCwnd)
		cc.onLoss(5, tt.flight*ccMSS)
		if cc.cwnd() != tt.want*ccMSS || cc.ssthresh() != tt.want*ccMSS {
			t.Errorf("%+v: cwnd %d, ssthresh %d", tt, cc.cwnd(), cc.ssthresh())
		}
		cc.onRecoveryExit(6)
		if cc.cwnd() != tt.want*ccMSS {
			t.Errorf("%+v: cwnd %d after recovery", tt, cc.cwnd())
		}
	}
}

// RFC 5681 §3.1: the loss window, and ssthresh held constant at the second timeout.
func TestCongestionTimeout(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		cc := ccStart(c, 100*ccMSS, maxCwnd)
		cc.onTimeout(5, 100*ccMSS, true)
		once := cc.ssthresh()
		if cc.cwnd() != ccMSS || once >= 100*ccMSS || once < 50*ccMSS {
			t.Errorf("cwnd %d, ssthresh %d", cc.cwnd(), once)
		}
		cc.onTimeout(6, 100*ccMSS, false)
		if cc.cwnd() != ccMSS || cc.ssthresh() != once {
			t.Errorf("cwnd %d, ssthresh %d after the second", cc.cwnd(), cc.ssthresh())
		}
		for cc.cwnd() < once {
			before := cc.cwnd()
			cc.onAck(ccAck(7, before, time.Millisecond))
			// What the last ACK covers beyond ssthresh belongs to congestion avoidance.
			if want := min(2*before, once); cc.cwnd() < want || cc.cwnd() > want && cc.cwnd() >= once+ccMSS {
				t.Fatalf("cwnd %d after %d: not slow start", cc.cwnd(), before)
			}
		}
	})
}

// RFC 5681 §4.1.
func TestCongestionRestartAfterIdle(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		cc := ccStart(c, 100*ccMSS, 20*ccMSS)
		cc.onIdle(5, 2*time.Second, time.Second)
		if cc.cwnd() != 10*ccMSS || cc.ssthresh() != 75*ccMSS {
			t.Errorf("cwnd %d, ssthresh %d", cc.cwnd(), cc.ssthresh())
		}
		cc = ccStart(c, 3*ccMSS, 20*ccMSS)
		cc.onIdle(5, 2*time.Second, time.Second)
		if cc.cwnd() != 3*ccMSS || cc.ssthresh() != 20*ccMSS {
			t.Errorf("small window: cwnd %d, ssthresh %d", cc.cwnd(), cc.ssthresh())
		}
	})
}

func TestCongestionNewSegmentSize(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		cc := ccStart(c, 10*ccMSS, 10*ccMSS)
		cc.onMSS(500)
		if cc.cwnd() != 10*ccMSS || cc.ssthresh() != 10*ccMSS {
			t.Errorf("smaller: cwnd %d, ssthresh %d", cc.cwnd(), cc.ssthresh())
		}
		cc.onMSS(20 * ccMSS)
		if cc.cwnd() != 20*ccMSS || cc.ssthresh() != 40*ccMSS {
			t.Errorf("larger: cwnd %d, ssthresh %d", cc.cwnd(), cc.ssthresh())
		}
		cc.onTimeout(1, 10*ccMSS, true)
		if cc.cwnd() != 20*ccMSS {
			t.Errorf("loss window %d", cc.cwnd())
		}
	})
}

func TestCongestionUndo(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		hurt := map[string]func(cc congestionControl){
			"loss":    func(cc congestionControl) { cc.onLoss(5, cc.cwnd()); cc.onRecoveryExit(6) },
			"timeout": func(cc congestionControl) { cc.onTimeout(5, cc.cwnd(), true); cc.onTimeout(6, cc.cwnd(), false) },
		}
		for name, f := range hurt {
			cc := ccStart(c, 100*ccMSS, 80*ccMSS)
			before := cc.save()
			f(cc)
			cc.restore(before)
			if cc.save() != before {
				t.Errorf("%s: %+v, want %+v", name, cc.save(), before)
			}
			// What was gained since is kept.
			small := before
			small.cwnd, small.ssthresh = 1, 1
			cc.restore(small)
			if cc.cwnd() != 100*ccMSS || cc.ssthresh() != 80*ccMSS {
				t.Errorf("%s: restore shrank to %d, %d", name, cc.cwnd(), cc.ssthresh())
			}
		}
	})
}

func TestCongestionPacingRate(t *testing.T) {
	for _, tt := range []struct {
		window, threshold int
		srtt              time.Duration
		want              uint64
	}{
		{100_000, maxCwnd, 0, 0},
		{100_000, maxCwnd, 100 * time.Millisecond, 2_000_000},
		{100_000, 200_000, 100 * time.Millisecond, 1_200_000},
		{100_000, 50_000, 100 * time.Millisecond, 1_200_000},
		{maxCwnd / 4, maxCwnd, 1, maxCwnd / 2 * 1_000_000_000},
	} {
		cc := ccStart(CongestionReno, tt.window, tt.threshold)
		if got := cc.pacingRate(tt.srtt); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

// Whatever happens, in whatever order: the window is a segment at least and 2^30 bytes at most, ssthresh two segments
// at least, an ACK never grows the window by more than it acknowledged in slow start, nor shrinks it but to a half that is not less
// than the initial window, and numbers stay finite.
func TestCongestionInvariants(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		for seed := range uint64(200) {
			ccInvariants(t, c, rand.New(rand.NewPCG(seed, 7)))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

func ccInvariants(t *testing.T, c CongestionControl, r *rand.Rand) {
	t.Helper()
	cc := newCongestionControl(c, 1)
	mss := 500 + r.IntN(9000)
	now := Time(r.Int64N(1 << 50))
	initial := initialWindow(mss, 10)
	cc.init(now, mss, initial)
	saved := cc.save()
	for range 400 {
		now += Time(r.Uint64N(1 << (1 + r.UintN(48))))
		rtt := time.Duration(r.Uint64N(1 << (1 + r.UintN(40))))
		flight := r.IntN(cc.cwnd() + 3*mss)
		before := cc.cwnd()
		switch r.IntN(16) {
		case 0:
			saved = cc.save()
			cc.onLoss(now, flight)
		case 1:
			cc.onRecoveryExit(now)
		case 2:
			saved = cc.save()
			cc.onTimeout(now, flight, r.IntN(2) == 0)
		case 3:
			cc.onIdle(now, 2*time.Second, time.Second)
		case 4:
			mss = 500 + r.IntN(9000)
			cc.onMSS(mss)
		case 5:
			cc.restore(saved)
			cc.onMSS(mss) // the engine announces the size again, as it may have changed since save
		default:
			a := ccAck(now, 1+r.IntN(flight+1), rtt)
			a.windowLimited = r.IntN(8) > 0
			cc.onAck(a)
			halved := max(before/2, initial) // RFC 7661 §4.4.3
			if cc.cwnd() < before && cc.cwnd() != halved || cc.cwnd() > before+a.acked+mss {
				t.Errorf("ACK of %d: cwnd from %d to %d", a.acked, before, cc.cwnd())
			}
		}
		if cc.cwnd() < mss || cc.cwnd() > maxCwnd || cc.ssthresh() < 2*mss || cc.ssthresh() > maxCwnd {
			t.Errorf("cwnd %d, ssthresh %d, mss %d", cc.cwnd(), cc.ssthresh(), mss)
		}
		if k := cc.save().cubic; math.IsNaN(k.k+k.wMax+k.wEst) || math.IsInf(k.k+k.wMax+k.wEst, 0) {
			t.Errorf("%+v", k)
		}
		cc.pacingRate(rtt)
	}
}

func TestCongestionDoesNotAllocate(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		cc := ccStart(c, 100*ccMSS, 50*ccMSS)
		a := ccAck(1, ccMSS, 10*time.Millisecond)
		if got := testing.AllocsPerRun(100, func() {
			a.now += 100_000
			cc.onAck(a)
			cc.restore(cc.save())
		}); got != 0 {
			t.Errorf("%v allocations", got)
		}
	})
}
