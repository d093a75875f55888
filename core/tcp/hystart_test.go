package tcp

import (
	"testing"
	"time"
)

// slowStartFlow is a sender in slow start whose segments are acknowledged two by two.
type slowStartFlow struct {
	cc        congestionControl
	now       Time
	delivered uint64
	paced     bool
	// When the round before began, and what it delivered: what is acknowledged now was sent in it.
	before   uint64
	beforeBy int
}

func newSlowStartFlow(c CongestionControl) *slowStartFlow {
	f := &slowStartFlow{cc: newCongestionControl(c, 1), now: 1, paced: true}
	f.cc.init(f.now, ccMSS, 10*ccMSS)
	return f
}

// round acknowledges a window by so many ACKs, with an RTT for each.
func (f *slowStartFlow) round(acks int, rtt time.Duration) {
	start, window := f.delivered, f.cc.cwnd()
	for i := range acks {
		f.ack(window/acks, f.before+uint64((i+1)*f.beforeBy/acks), rtt)
	}
	f.before, f.beforeBy = start, window/acks*acks
	f.now = f.now.Add(rtt)
}

// ack acknowledges n bytes that were sent when prior were delivered.
func (f *slowStartFlow) ack(n int, prior uint64, rtt time.Duration) {
	f.delivered += uint64(n)
	a := ccAck(f.now, n, rtt)
	a.paced, a.delivered = f.paced, f.delivered
	a.rate = rateSample{taken: true, priorDelivered: prior}
	f.cc.onAck(a)
}

// rounds runs rounds of the window's own number of ACKs, up to most, until slow start ends, and returns how many it took.
func (f *slowStartFlow) rounds(most int, rtt func(round int) time.Duration) int {
	for i := range most {
		if f.cc.ssthresh() < maxCwnd {
			return i
		}
		f.round(max(f.cc.cwnd()/(2*ccMSS), hystartSamples), rtt(i))
	}
	return most
}

// RFC 9406 §4.2: a path without a queue doubles the window round after round.
func TestHyStartConstantRTT(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		f := newSlowStartFlow(c)
		f.rounds(6, func(int) time.Duration { return 50 * time.Millisecond })
		if f.cc.ssthresh() != maxCwnd || f.cc.cwnd() < 600*ccMSS {
			t.Errorf("cwnd %d, ssthresh %d", f.cc.cwnd(), f.cc.ssthresh())
		}
	})
}

// RFC 9406 §4.2: a growing RTT brings conservative slow start, a quarter of the growth, and after five rounds the end.
func TestHyStartEndsSlowStart(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		f := newSlowStartFlow(c)
		var windows []int
		n := f.rounds(20, func(round int) time.Duration {
			windows = append(windows, f.cc.cwnd())
			if round < 3 {
				return 40 * time.Millisecond
			}
			return 46 * time.Millisecond // more than an eighth
		})
		if n < 7 || n > 9 {
			t.Errorf("slow start took %d rounds: windows %v", n, windows)
		}
		if cwnd := f.cc.cwnd(); cwnd < f.cc.ssthresh() || cwnd > f.cc.ssthresh()*101/100 {
			t.Errorf("ssthresh %d, cwnd %d", f.cc.ssthresh(), f.cc.cwnd())
		}
		for i := 5; i < len(windows); i++ {
			if growth := float64(windows[i]) / float64(windows[i-1]); growth < 1.2 || growth > 1.26 {
				t.Errorf("round %d of CSS grew the window by %.2f", i, growth)
			}
		}
	})
}

// RFC 9406 §4.2: in CSS an RTT below the baseline shows that the delay was none of ours: slow start goes on.
func TestHyStartResumes(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		f := newSlowStartFlow(c)
		f.rounds(9, func(round int) time.Duration {
			if round == 2 {
				return 60 * time.Millisecond
			}
			return 40 * time.Millisecond
		})
		if f.cc.ssthresh() != maxCwnd || f.cc.cwnd() < 1000*ccMSS {
			t.Errorf("cwnd %d, ssthresh %d", f.cc.cwnd(), f.cc.ssthresh())
		}
	})
}

// RFC 9406 §4.2, §4.3: fewer than eight samples, and less than 4 ms, show nothing; 16 ms always do.
func TestHyStartThresholds(t *testing.T) {
	for _, tt := range []struct {
		name         string
		before, then time.Duration
		acks         int
		css          bool
	}{
		{"seven samples", 40 * time.Millisecond, 80 * time.Millisecond, hystartSamples - 1, false},
		{"eight samples", 40 * time.Millisecond, 80 * time.Millisecond, hystartSamples, true},
		{"below MIN_RTT_THRESH", 100 * time.Microsecond, 4099 * time.Microsecond, 10, false},
		{"at MIN_RTT_THRESH", 100 * time.Microsecond, 4100 * time.Microsecond, 10, true},
		{"below an eighth", 80 * time.Millisecond, 89 * time.Millisecond, 10, false},
		{"at an eighth", 80 * time.Millisecond, 90 * time.Millisecond, 10, true},
		{"below MAX_RTT_THRESH", time.Second, 1015 * time.Millisecond, 10, false},
		{"at MAX_RTT_THRESH", time.Second, 1016 * time.Millisecond, 10, true},
	} {
		f := newSlowStartFlow(CongestionReno)
		f.round(10, tt.before)
		f.round(10, tt.before)
		f.round(tt.acks, tt.then)
		if css := f.cc.(*reno).early.baseline != 0; css != tt.css {
			t.Errorf("%s: CSS %v", tt.name, css)
		}
	}
}

// RFC 9406 §4.2: "L … infinity if paced, 8 if non-paced".
func TestHyStartLimitsGrowthOfUnpacedSenders(t *testing.T) {
	for _, paced := range []bool{false, true} {
		f := newSlowStartFlow(CongestionReno)
		f.paced = paced
		f.ack(10*ccMSS, 0, time.Millisecond)
		want := 18 * ccMSS
		if paced {
			want = 20 * ccMSS
		}
		if f.cc.cwnd() != want {
			t.Errorf("paced %v: cwnd %d, want %d", paced, f.cc.cwnd(), want)
		}
	}
}

// RFC 9406 §4.3: HyStart++ is for the initial slow start; after a loss standard slow start runs up to ssthresh.
func TestHyStartOnlyInTheFirstSlowStart(t *testing.T) {
	forEachCC(t, func(t *testing.T, c CongestionControl) {
		f := newSlowStartFlow(c)
		f.rounds(4, func(int) time.Duration { return 40 * time.Millisecond })
		f.cc.onTimeout(f.now, f.cc.cwnd(), true)
		threshold := f.cc.ssthresh()
		for i := range 20 {
			f.round(10, time.Duration(40+10*i)*time.Millisecond)
		}
		if f.cc.ssthresh() != threshold || f.cc.cwnd() < threshold {
			t.Errorf("ssthresh %d, before %d; cwnd %d", f.cc.ssthresh(), threshold, f.cc.cwnd())
		}
	})
}
