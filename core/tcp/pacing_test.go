package tcp

import (
	"testing"
	"time"
)

func TestSendQuantum(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name   string
		rate   uint64
		minRTT time.Duration
		mss    int
		want   int
	}{
		{"two segments at least", 100_000, 100 * ms, 1000, 2000},
		{"a millisecond of data", 20_000_000, 100 * ms, 1000, 20_000},
		{"a packet at most", 1 << 61, 100 * ms, 1000, maxQuantum},
		{"two segments don't fit", 1000, 100 * ms, 40_000, maxQuantum},
		{"within a machine", 100_000, 50 * time.Microsecond, 1000, maxQuantum},
		{"within a rack", 10_000_000, 600 * time.Microsecond, 1000, 10_000 + maxQuantum/2},
		{"in a town", 10_000_000, 2 * ms, 1000, 10_000 + maxQuantum/8},
	} {
		if got := sendQuantum(tt.rate, tt.minRTT, tt.mss); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// On a path of a few microseconds nothing waits for the pacer: a window goes out in the largest super-segments.
func TestPacingDoesNotLimitShortPaths(t *testing.T) {
	p := newPair(t)
	ida, idb := p.connect(nil)
	c := p.a.conn(ida)
	for range 200 {
		p.a.send(p.now, ida, 1<<18)
		p.now = p.now.Add(5 * time.Microsecond)
		p.flow()
		p.b.receive(p.now, idb)
		p.now = p.now.Add(5 * time.Microsecond)
		p.flow()
		if c.timers.on(timerPacing) {
			t.Fatalf("waits for the pacer: rate %d, cwnd %d, srtt %v", c.pacingRate(), c.cc.cwnd(), c.rtt.srtt)
		}
	}
	if got := c.quantum(c.mss); got != maxQuantum {
		t.Errorf("super-segments of %d bytes", got)
	}
	p.finish()
}

// What a timer was late is made up for, but no more than pacingCredit.
func TestPacingCatchesUp(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	c := p.a.conn(ida)
	c.rtt = rttEstimator{}
	c.rtt.sample(1, 100*time.Millisecond, 1)
	c.stat.bytesSent = 1 << 20
	c.cc.(*cubic).window = (unpacedSegments + 1) * c.mss
	rate := c.pacingRate()
	gap := time.Duration(10_000 * uint64(time.Second) / rate)
	now := p.now
	c.pace(now, 10_000)
	if want := now.Add(gap - pacingCredit); c.snd.pacedUntil != want {
		t.Errorf("after a pause: %v from now, want %v", c.snd.pacedUntil.Sub(now), want.Sub(now))
	}
	now = c.snd.pacedUntil.Add(pacingCredit / 2)
	was := c.snd.pacedUntil
	c.pace(now, 10_000)
	if want := was.Add(gap); c.snd.pacedUntil != want {
		t.Errorf("a timer that was late: %v from now, want %v", c.snd.pacedUntil.Sub(now), want.Sub(now))
	}
}

// A window that could have gone out at once when the connection began is not spread, unless BBR has set a rate.
func TestSmallWindowsAreNotPaced(t *testing.T) {
	for control, spread := range map[CongestionControl]bool{CongestionCubic: false, CongestionBBR: true} {
		p := newPair(t)
		ida, _ := p.connect(&Options{Congestion: control})
		c := p.a.conn(ida)
		c.rtt.sample(1, 100*time.Millisecond, 1)
		c.stat.bytesSent = 1 << 20
		if c.cc.cwnd() > unpacedSegments*c.mss {
			t.Fatalf("the window is %d bytes", c.cc.cwnd())
		}
		before := c.snd.pacedUntil
		c.pace(p.now, 10_000)
		if got := c.snd.pacedUntil != before; got != spread {
			t.Errorf("%v: paced: %v, want %v", control, got, spread)
		}
	}
}
