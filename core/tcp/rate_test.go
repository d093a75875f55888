package tcp

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// ratePacket is a segment of the tests here.
type ratePacket struct {
	stamp txStamp
	sent  Time
	size  int
}

func rateSend(r *rateState, now Time, inFlight, size int) ratePacket {
	return ratePacket{r.onSent(now, inFlight, size, 0), now, size}
}

// rateAck acknowledges the packets with one ACK.
func rateAck(r *rateState, now Time, minRTT time.Duration, packets ...ratePacket) rateSample {
	var rs rateSample
	for i := range packets {
		p := &packets[i]
		r.onAcked(now, &p.stamp, p.sent, p.size, &rs)
	}
	r.generate(&rs, minRTT)
	return rs
}

const rateMS = Time(time.Millisecond)

func TestRateOfOneFlight(t *testing.T) {
	r := rateState{}
	start := 1000 * rateMS
	a := rateSend(&r, start, 0, 1000)
	b := rateSend(&r, start+rateMS, 1000, 1000)
	// The first ACK: 1000 bytes in the 10 ms that they took.
	rs := rateAck(&r, start+10*rateMS, 10*time.Millisecond, a)
	if rs.deliveredBytes != 1000 || rs.interval != 10*time.Millisecond || rs.rate() != 100_000 || rs.appLimited {
		t.Errorf("first: %+v, rate %d", rs, rs.rate())
	}
	rs = rateAck(&r, start+11*rateMS, 10*time.Millisecond, b)
	if rs.deliveredBytes != 2000 || rs.interval != 11*time.Millisecond {
		t.Errorf("second: %+v", rs)
	}
}

func TestRateSampleEdges(t *testing.T) {
	const minRTT = 10 * time.Millisecond
	start := 1000 * rateMS
	t.Run("an idle pipe restarts the interval", func(t *testing.T) {
		r := rateState{}
		rateAck(&r, start+10*rateMS, minRTT, rateSend(&r, start, 0, 500))
		later := start + 5000*rateMS
		rs := rateAck(&r, later+10*rateMS, minRTT, rateSend(&r, later, 0, 500))
		if rs.deliveredBytes != 500 || rs.interval != minRTT {
			t.Errorf("%+v", rs)
		}
	})
	t.Run("compressed ACKs count as slowly as the data was sent", func(t *testing.T) {
		r := rateState{}
		var packets []ratePacket
		for i := range 10 {
			packets = append(packets, rateSend(&r, start+Time(i)*5*rateMS, i*100, 100))
		}
		rateAck(&r, start+50*rateMS, minRTT, packets[0])
		rs := rateAck(&r, start+60*rateMS, minRTT, packets[1:]...)
		if rs.interval != 60*time.Millisecond || rs.deliveredBytes != 1000 {
			t.Errorf("%+v", rs)
		}
	})
	t.Run("below the minimum RTT", func(t *testing.T) {
		r := rateState{}
		rs := rateAck(&r, start+5*rateMS, minRTT, rateSend(&r, start, 0, 100))
		if rs.interval != 0 || rs.rate() != 0 {
			t.Errorf("%+v", rs)
		}
	})
	t.Run("nothing acknowledged", func(t *testing.T) {
		r := rateState{}
		if rs := rateAck(&r, start, 0); rs != (rateSample{}) {
			t.Errorf("%+v", rs)
		}
	})
	t.Run("order within one ACK does not matter", func(t *testing.T) {
		var want rateSample
		for i, order := range [][2]int{{0, 1}, {1, 0}} {
			r := rateState{}
			p := [2]ratePacket{rateSend(&r, start, 0, 100), rateSend(&r, start+rateMS, 100, 100)}
			rs := rateAck(&r, start+20*rateMS, minRTT, p[order[0]], p[order[1]])
			if i == 0 {
				want = rs
			}
			if rs != want {
				t.Errorf("%+v, want %+v", rs, want)
			}
		}
	})
	t.Run("a segment overtaken by an acknowledged one gives no sample", func(t *testing.T) {
		r := rateState{}
		a := rateSend(&r, start, 0, 100)
		b := rateSend(&r, start+rateMS, 100, 100)
		rateAck(&r, start+20*rateMS, minRTT, b)
		if rs := rateAck(&r, start+30*rateMS, minRTT, a); rs.interval != 0 || r.delivered != 200 {
			t.Errorf("%+v, delivered %d", rs, r.delivered)
		}
	})
}

func TestRateAppLimitedUntilTheBubbleIsDelivered(t *testing.T) {
	r := rateState{}
	start := 1000 * rateMS
	before := rateSend(&r, start, 0, 100)
	r.markAppLimited(100)
	during := rateSend(&r, start+rateMS, 100, 100)
	if rs := rateAck(&r, start+10*rateMS, 0, before); rs.appLimited {
		t.Error("sent before the pause, and marked")
	}
	if rs := rateAck(&r, start+11*rateMS, 0, during); !rs.appLimited {
		t.Error("sent during the pause, and not marked")
	}
	if rs := rateAck(&r, start+30*rateMS, 0, rateSend(&r, start+20*rateMS, 0, 100)); rs.appLimited {
		t.Error("still marked after all was delivered")
	}
	// An application that has nothing to say at the very first.
	r = rateState{}
	r.markAppLimited(0)
	if p := rateSend(&r, start, 0, 100); !p.stamp.appLimited {
		t.Error("mark at zero delivered is lost")
	}
}

// Through a bottleneck of a known rate, whatever the pattern of sending, no sample is above it, and a full pipe measures it.
func TestRateNeverAboveTheBottleneck(t *testing.T) {
	const (
		size       = 1000
		bottleneck = 10_000_000 // bytes per second: a packet each 100 µs
		perPacket  = Time(size) * Time(time.Second) / bottleneck
		delay      = 20 * rateMS
	)
	r := rand.New(rand.NewPCG(8, 9))
	for range 20 {
		var st rateState
		var queue []ratePacket
		var best uint64
		now, free := 1000*rateMS, Time(0)
		var arrive []Time
		for range 3000 {
			for len(queue) < 400 && r.IntN(3) > 0 {
				queue = append(queue, rateSend(&st, now, len(queue)*size, size))
				free = max(free, now) + perPacket
				arrive = append(arrive, free+delay)
			}
			now += Time(r.IntN(int(3 * perPacket)))
			n := 0
			for n < len(arrive) && arrive[n] <= now {
				n++
			}
			if n == 0 {
				continue
			}
			// The ACKs of this step come in as one, at the time of the last.
			rs := rateAck(&st, arrive[n-1], time.Duration(delay), queue[:n]...)
			best = max(best, rs.rate())
			queue, arrive = queue[n:], arrive[n:]
		}
		// One packet's worth is inherent: the interval of n packets has n-1 gaps at worst.
		if best > bottleneck*102/100 || best < bottleneck*90/100 {
			t.Fatalf("best sample %d, bottleneck %d", best, bottleneck)
		}
	}
}

func TestRateDoesNotOverflow(t *testing.T) {
	for _, tt := range []struct {
		bytes    uint64
		interval time.Duration
		want     uint64
	}{
		{1 << 62, time.Second, 1 << 62},
		{math.MaxUint64, time.Nanosecond, math.MaxUint64},
		{1 << 40, time.Microsecond, (1 << 40) * 1_000_000},
		{0, time.Second, 0},
	} {
		rs := rateSample{deliveredBytes: tt.bytes, interval: tt.interval}
		if got := rs.rate(); got != tt.want {
			t.Errorf("%d bytes in %v: %d, want %d", tt.bytes, tt.interval, got, tt.want)
		}
	}
}

func TestRateDoesNotAllocate(t *testing.T) {
	var r rateState
	now := Time(1)
	if got := testing.AllocsPerRun(100, func() {
		p := rateSend(&r, now, 0, 100)
		now += rateMS
		var rs rateSample
		r.onAcked(now, &p.stamp, p.sent, p.size, &rs)
		r.generate(&rs, 0)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
