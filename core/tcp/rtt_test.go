package tcp

import (
	"math/rand/v2"
	"testing"
	"time"
)

var testRTOLimits = rtoLimits{initial: time.Second, min: 200 * time.Millisecond}

func TestRTOBeforeTheFirstSample(t *testing.T) {
	for _, tt := range []struct {
		name    string
		initial time.Duration
		synLost bool
		want    time.Duration
	}{
		{"RFC 6298 2.1", time.Second, false, time.Second},
		{"RFC 6298 5.7 after a lost SYN", time.Second, true, 3 * time.Second},
		{"lost SYN, configured above 3 s", 5 * time.Second, true, 5 * time.Second},
		{"configured low", 50 * time.Millisecond, false, 50 * time.Millisecond},
		{"bounded", time.Hour, false, maxRTO},
	} {
		r := rttEstimator{synLost: tt.synLost}
		if got := r.rto(&rtoLimits{initial: tt.initial, min: time.Second}); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if r.min() != 0 {
			t.Errorf("%s: min = %v without a sample", tt.name, r.min())
		}
	}
}

func TestRTTEstimatorSamples(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name         string
		samples      []time.Duration
		srtt, rttvar time.Duration
		rto          time.Duration
		smallest     time.Duration
	}{
		{"first, RFC 6298 2.2", []time.Duration{100 * ms}, 100 * ms, 50 * ms, 300 * ms, 100 * ms},
		// RTTVAR = 3/4·50 + 1/4·80 = 57.5; SRTT = 7/8·100 + 1/8·180 = 110.
		{"second, RFC 6298 2.3", []time.Duration{100 * ms, 180 * ms}, 110 * ms, 57500 * time.Microsecond, 340 * ms, 100 * ms},
		{"RTTVAR uses the old SRTT", []time.Duration{100 * ms, 20 * ms}, 90 * ms, 57500 * time.Microsecond, 320 * ms, 20 * ms},
		{"floor, RFC 6298 2.4", []time.Duration{50 * time.Microsecond}, 50 * time.Microsecond, 25 * time.Microsecond, 200*ms + 50*time.Microsecond, 50 * time.Microsecond},
		{"ceiling, RFC 6298 2.5", []time.Duration{100 * time.Second}, 100 * time.Second, 50 * time.Second, maxRTO, 100 * time.Second},
		{"no time at all", []time.Duration{0}, 1, 0, 200*ms + 1, 1},
	} {
		var r rttEstimator
		for i, s := range tt.samples {
			r.sample(Time(i), s, 1)
		}
		if r.srtt != tt.srtt || r.rttvar != tt.rttvar || r.min() != tt.smallest {
			t.Errorf("%s: %+v, min %v", tt.name, r, r.min())
		}
		if got := r.rto(&testRTOLimits); got != tt.rto {
			t.Errorf("%s: RTO %v, want %v", tt.name, got, tt.rto)
		}
	}
}

// A constant RTT must not bring the timeout down to the RTT itself: a delayed ACK would fire it. And a variance of nothing
// still leaves the clock's granularity (RFC 6298 §2.3).
func TestRTOStaysAboveAConstantRTT(t *testing.T) {
	var r rttEstimator
	for i := range 200 {
		r.sample(Time(i), time.Second, 1)
	}
	if got := r.rto(&testRTOLimits); got != time.Second+testRTOLimits.min {
		t.Errorf("RTO %v after a constant RTT of 1 s", got)
	}
	if got := r.rto(&rtoLimits{}); got != time.Second+rtoGranularity {
		t.Errorf("RTO %v without a minimum", got)
	}
}

// RFC 7323 appendix G: n samples in a round trip weigh about as much as one did.
func TestRTTEstimatorScalesByExpectedSamples(t *testing.T) {
	var one, many rttEstimator
	one.sample(0, 100*time.Millisecond, 1)
	many.sample(0, 100*time.Millisecond, 1)
	const n = 100
	for i := range 8 {
		one.sample(Time(i), 200*time.Millisecond, 1)
		for range n {
			many.sample(Time(i), 200*time.Millisecond, n)
		}
	}
	if d := (one.srtt - many.srtt).Abs(); d > 5*time.Millisecond {
		t.Errorf("SRTT %v with 1 sample a round trip, %v with %d", one.srtt, many.srtt, n)
	}
	for _, tt := range []struct{ flight, acked, mss, want int }{
		{0, 1460, 1460, 1},
		{1460, 1460, 1460, 1},
		{2920, 1460, 1460, 1},
		{2921, 1460, 1460, 2},
		{146000, 1460, 1460, 50},
		{146000, 2920, 1460, 50},
		{146000, 65_700, 1460, 3},
		{65_700, 65_700, 1460, 1},
	} {
		if got := expectedSamples(tt.flight, tt.acked, tt.mss); got != tt.want {
			t.Errorf("expectedSamples(%d, %d, %d) = %d, want %d", tt.flight, tt.acked, tt.mss, got, tt.want)
		}
	}
}

func TestMinRTTForgets(t *testing.T) {
	const ms = time.Millisecond
	w := minRTTWindow
	var r rttEstimator
	for _, step := range []struct {
		at        Time
		rtt, want time.Duration
	}{
		{1000, 30 * ms, 30 * ms},
		{1001, 10 * ms, 10 * ms},
		{1000 + w - 1, 50 * ms, 10 * ms},
		{1000 + w, 40 * ms, 10 * ms},   // a new window; the old minimum still counts
		{1000 + 2*w, 60 * ms, 40 * ms}, // and is forgotten
		{1000 + 10*w, 70 * ms, 70 * ms},
		{1000 + 10*w + 1, 20 * ms, 20 * ms},
	} {
		r.sample(step.at, step.rtt, 1)
		if got := r.min(); got != step.want {
			t.Fatalf("at %v: min %v, want %v", time.Duration(step.at), got, step.want)
		}
	}
}

// Whatever the samples: SRTT stays between their extremes, and the RTO within its bounds and not below SRTT.
func TestRTTEstimatorStaysInBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var e rttEstimator
		low, high := time.Duration(1<<62), time.Duration(0)
		var now Time
		for range 500 {
			now += Time(r.Uint64N(1 << 32))
			rtt := time.Duration(1 + r.Uint64N(1<<(1+r.UintN(36))))
			low, high = min(low, rtt), max(high, rtt)
			e.sample(now, rtt, r.IntN(50))
			rto := e.rto(&testRTOLimits)
			if e.srtt < low || e.srtt > high || e.rttvar < 0 || rto < testRTOLimits.min || rto > maxRTO || rto < min(e.srtt, maxRTO) {
				t.Fatalf("%+v, RTO %v, samples %v to %v", e, rto, low, high)
			}
			if e.min() < low || e.min() > rtt {
				t.Fatalf("min %v, samples %v to %v, latest %v", e.min(), low, high, rtt)
			}
		}
	}
}
