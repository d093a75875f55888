package tcp

import (
	"math/rand/v2"
	"testing"
	"time"
)

// bbrPath is a sender over a path with a bandwidth, an RTT and a queue, in steps of one ACK each.
type bbrPath struct {
	cc        *bbr
	now       Time
	bw        uint64 // bytes per second
	rtt       time.Duration
	queue     int // what the bottleneck holds beside a bandwidth-delay product
	random    *rand.Rand
	loss      float64
	rate      rateState
	lost      uint32
	idleAt    Time // when the bottleneck has sent what it holds
	pacedAt   Time
	flight    []bbrSegment
	inFlight  int
	phase     congestionPhase
	recoverAt uint64
	minRTT    time.Duration
	states    map[bbrState]bool
}

type bbrSegment struct {
	stamp   txStamp
	sent    Time
	arrives Time // when its ACK is back
	lost    bool
}

func newBBRPath(bw uint64, rtt time.Duration, queue int) *bbrPath {
	p := &bbrPath{
		cc: &bbr{seed: 7}, now: Time(time.Second), bw: bw, rtt: rtt, queue: queue,
		random: rand.New(rand.NewPCG(1, 2)), minRTT: rtt, states: map[bbrState]bool{},
	}
	p.cc.init(p.now, ccMSS, 10*ccMSS)
	return p
}

// run goes on for a time and returns the bytes delivered in it.
func (p *bbrPath) run(d time.Duration) uint64 {
	end, before := p.now.Add(d), p.rate.delivered
	for p.now < end {
		p.send()
		next := p.pacedAt
		if len(p.flight) > 0 && (p.inFlight+ccMSS > p.cc.cwnd() || p.flight[0].arrives < next) {
			next = p.flight[0].arrives
		}
		p.now = max(p.now, next)
		for len(p.flight) > 0 && p.flight[0].arrives <= p.now {
			p.take()
		}
		p.states[p.cc.state] = true
	}
	return p.rate.delivered - before
}

// send lets go what window and pacing allow.
func (p *bbrPath) send() {
	for p.inFlight+ccMSS <= p.cc.cwnd() && p.pacedAt <= p.now {
		s := bbrSegment{stamp: p.rate.onSent(p.now, p.inFlight, ccMSS, p.lost), sent: p.now}
		p.idleAt = max(p.idleAt, p.now)
		held := bytesIn(p.bw, p.idleAt.Sub(p.now))
		s.lost = held+ccMSS > p.queue || p.random.Float64() < p.loss
		if held+ccMSS <= p.queue {
			p.idleAt = p.idleAt.Add(time.Duration(ccMSS * uint64(time.Second) / p.bw))
		}
		s.arrives = p.idleAt.Add(p.rtt)
		p.inFlight += ccMSS
		p.flight = append(p.flight, s)
		if rate := p.cc.pacingRate(p.rtt); rate > 0 {
			p.pacedAt = max(p.pacedAt, p.now).Add(time.Duration(ccMSS * uint64(time.Second) / rate))
		}
	}
}

// take handles the ACK of the segment sent first, or that it is found lost.
func (p *bbrPath) take() {
	s := p.flight[0]
	p.flight = p.flight[1:]
	p.inFlight -= ccMSS
	if s.lost {
		p.lost += ccMSS
		p.cc.onLost(lostSample{
			now: p.now, delivered: p.rate.delivered, size: ccMSS, txInFlight: int(s.stamp.inFlight), lost: int(p.lost - s.stamp.lost),
		})
		if p.phase == phaseOpen {
			p.phase, p.recoverAt = phaseRecovery, p.rate.delivered+uint64(p.inFlight)
			p.cc.onLoss(p.now, p.inFlight)
		}
		return
	}
	if p.phase == phaseRecovery && p.rate.delivered >= p.recoverAt {
		p.phase = phaseOpen
		p.cc.onRecoveryExit(p.now)
	}
	var rs rateSample
	p.rate.onAcked(p.now, &s.stamp, s.sent, ccMSS, &rs)
	p.rate.generate(&rs, p.minRTT)
	rs.lost = int(p.lost - rs.priorLost)
	rtt := p.now.Sub(s.sent)
	p.cc.onAck(&ackSample{
		now: p.now, acked: ccMSS, inFlight: p.inFlight + ccMSS, pipe: p.inFlight, rtt: rtt, minRTT: p.minRTT, srtt: rtt,
		windowLimited: p.inFlight+2*ccMSS > p.cc.cwnd(), paced: true, inRecovery: p.phase == phaseRecovery, rate: rs,
		delivered: p.rate.delivered,
	})
}

const (
	bbrTestBW  = 12_500_000 // 100 Mbit/s
	bbrTestRTT = 20 * time.Millisecond
	bbrTestBDP = bbrTestBW / 50
)

// Startup finds the bandwidth in a few round trips, Drain empties the queue it left, and ProbeBW goes through all its states
// with the pipe full and the queue short.
func TestBBRFindsTheBandwidth(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
	p.run(time.Second)
	if bw := p.cc.maxBW(); bw < bbrTestBW*97/100 || bw > bbrTestBW*103/100 {
		t.Errorf("bandwidth %d, want %d", bw, bbrTestBW)
	}
	if p.cc.minRTT > bbrTestRTT*101/100 || p.cc.state < bbrDown {
		t.Errorf("min RTT %v, state %d", p.cc.minRTT, p.cc.state)
	}
	if got := p.run(15 * time.Second); got < bbrTestBW*15*95/100 {
		t.Errorf("%d bytes in 15 s, %.1f %% of the rate", got, float64(got)/bbrTestBW/15*100)
	}
	for _, s := range []bbrState{bbrStartup, bbrDrain, bbrDown, bbrCruise, bbrRefill, bbrUp, bbrProbeRTT} {
		if !p.states[s] {
			t.Errorf("never in state %d", s)
		}
	}
	if p.lost != 0 {
		t.Errorf("%d bytes lost, where the queue holds four bandwidth-delay products", p.lost)
	}
}

// Loss of one percent costs some of the rate; CUBIC would fall to a few percent of it.
func TestBBRKeepsItsRateUnderRandomLoss(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 2*bbrTestBDP)
	p.loss = 0.01
	p.run(2 * time.Second)
	if got := p.run(10 * time.Second); got < bbrTestBW*10*75/100 {
		t.Errorf("%.1f %% of the rate", float64(got)/bbrTestBW/10*100)
	}
}

// A queue of a tenth of a bandwidth-delay product: loss bounds what is in flight, so that it is the exception afterwards.
func TestBBRBoundsInflightByLoss(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, bbrTestBDP/10)
	p.run(2 * time.Second)
	if p.cc.inflightHi == bbrUnlimited {
		t.Error("no long-term bound")
	}
	lost := p.lost
	got := p.run(10 * time.Second)
	if share := float64(p.lost-lost) / float64(got); share > 0.03 {
		t.Errorf("%.1f %% lost", 100*share)
	}
	if got < bbrTestBW*10*80/100 {
		t.Errorf("%.1f %% of the rate", float64(got)/bbrTestBW/10*100)
	}
}

// The bandwidth that is gone is forgotten within two cycles, and what is new is found by UP.
func TestBBRFollowsTheBandwidth(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
	p.run(3 * time.Second)
	p.bw = bbrTestBW / 4
	p.run(12 * time.Second)
	if bw := p.cc.maxBW(); bw > bbrTestBW*3/10 {
		t.Errorf("a quarter is left: bandwidth %d", bw)
	}
	p.bw = bbrTestBW
	p.run(20 * time.Second)
	if bw := p.cc.maxBW(); bw < bbrTestBW*9/10 {
		t.Errorf("all is back: bandwidth %d", bw)
	}
}

// ProbeRTT comes every five seconds without a new minimum, takes 200 ms, and gives the window back.
func TestBBRProbesTheRTT(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
	var entered []Time
	was, low := bbrStartup, maxCwnd
	for range 15_000 {
		p.run(time.Millisecond)
		if p.cc.state == bbrProbeRTT {
			low = min(low, p.inFlight)
			if was != bbrProbeRTT {
				entered = append(entered, p.now)
			}
		}
		was = p.cc.state
	}
	if len(entered) < 2 || len(entered) > 3 || low > bbrTestBDP*6/10 {
		t.Errorf("%d times in 15 s, down to %d in flight", len(entered), low)
	}
	if p.run(3*time.Second) < bbrTestBW*3*85/100 {
		t.Error("the window did not come back")
	}
}

func TestBBRTimeout(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
	p.run(3 * time.Second)
	before := p.cc.cwnd()
	p.cc.onTimeout(p.now, before, true)
	p.cc.onTimeout(p.now, before, false)
	if p.cc.cwnd() != ccMSS {
		t.Errorf("window %d", p.cc.cwnd())
	}
	p.cc.onRecoveryExit(p.now)
	if p.cc.cwnd() != before {
		t.Errorf("window %d after recovery, %d before", p.cc.cwnd(), before)
	}
}

// Marks are answered as frequent loss: at most 70 percent of the window is left, and a probe is over.
func TestBBRCongestionMarks(t *testing.T) {
	for _, state := range []bbrState{bbrStartup, bbrDown, bbrCruise, bbrRefill, bbrUp} {
		p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
		for p.cc.state != state || p.cc.cwnd() < 20*ccMSS {
			p.run(time.Millisecond)
		}
		before := p.cc.cwnd()
		p.cc.onCongestion(p.now, before)
		if p.cc.cwnd() > before*bbrBeta/100 || p.cc.probing() {
			t.Errorf("state %d: window from %d to %d, state %d", state, before, p.cc.cwnd(), p.cc.state)
		}
		p.run(6 * time.Second)
		if got := p.run(3 * time.Second); got < bbrTestBW*3*85/100 {
			t.Errorf("state %d: %d bytes in 3 s, some time later", state, got)
		}
	}
}

// A loss that was none gives back what it bounded.
func TestBBRUndo(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
	p.run(2 * time.Second)
	b := p.cc
	for b.state != bbrUp {
		p.run(time.Millisecond)
	}
	saved, hi := b.save(), b.inflightHi
	b.probeSamples = true
	b.onLost(lostSample{now: p.now, delivered: p.rate.delivered, size: ccMSS, txInFlight: 10 * ccMSS, lost: 5 * ccMSS})
	if b.inflightHi >= hi || b.state != bbrDown {
		t.Fatalf("loss left %d, state %d", b.inflightHi, b.state)
	}
	b.window /= 2
	b.restore(saved)
	if b.inflightHi != hi || b.cwnd() < saved.cwnd || b.lossInRound {
		t.Errorf("bound %d, window %d", b.inflightHi, b.cwnd())
	}
}

// After a pause the bandwidth is known: the pause neither begins ProbeRTT nor counts as a low rate.
func TestBBRIdleRestart(t *testing.T) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
	p.run(3 * time.Second)
	bw := p.cc.maxBW()
	for len(p.flight) > 0 {
		p.now = max(p.now, p.flight[0].arrives)
		p.take()
	}
	p.now = p.now.Add(time.Minute)
	p.cc.onIdle(p.now, time.Minute, time.Second)
	p.run(200 * time.Millisecond)
	if p.cc.state == bbrProbeRTT || p.cc.maxBW() < bw*9/10 {
		t.Errorf("state %d, bandwidth %d, before %d", p.cc.state, p.cc.maxBW(), bw)
	}
}

// BBRInflightAtLoss: the share of losses passes two percent inside the super-segment.
func TestBBRInflightAtLoss(t *testing.T) {
	for _, tt := range []struct{ size, txInFlight, lost, want int }{
		{1000, 100_000, 3000, 99_000},     // it had passed before
		{10_000, 100_000, 10_000, 91_836}, // 1,836 of 91,836
	} {
		if got := inflightAtLoss(&lostSample{size: tt.size, txInFlight: tt.txInFlight, lost: tt.lost}); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

// What is drawn at random follows from the seed alone, and differs by seed.
func TestBBRRandomWait(t *testing.T) {
	wait := func(seed uint64) time.Duration {
		b := &bbr{seed: seed}
		b.init(1, ccMSS, 10*ccMSS)
		b.beginDown(1, 0)
		if b.wait < bbrProbeWait || b.wait >= bbrProbeWait+bbrProbeWaitRandom || b.sinceProbe > 1 {
			t.Errorf("wait %v, rounds %d", b.wait, b.sinceProbe)
		}
		return b.wait
	}
	if wait(1) != wait(1) || wait(1) == wait(2) {
		t.Error("not a function of the seed")
	}
}

// Whatever happens, in whatever order, the window stays within its bounds and nothing overflows.
func TestBBRInvariants(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 9))
		b := &bbr{seed: seed}
		mss, now, delivered := 500+r.IntN(9000), Time(1), uint64(0)
		b.init(now, mss, initialWindow(mss, 10))
		for range 500 {
			now += Time(r.Uint64N(1 << (1 + r.UintN(40))))
			flight := 1 + r.IntN(b.cwnd()+3*mss)
			switch r.IntN(16) {
			case 0:
				b.onLoss(now, flight)
			case 1:
				b.onRecoveryExit(now)
			case 2:
				b.onTimeout(now, flight, r.IntN(2) == 0)
			case 3:
				b.onIdle(now, time.Second, time.Second)
			case 4:
				mss = 500 + r.IntN(9000)
				b.onMSS(mss)
			case 5:
				b.restore(b.save())
			case 6:
				b.onCongestion(now, flight)
			case 7:
				b.onLost(lostSample{now: now, delivered: delivered, size: mss, txInFlight: flight + mss, lost: mss + r.IntN(flight)})
			default:
				prior := delivered - min(delivered, r.Uint64N(1<<20))
				delivered += uint64(flight)
				rtt := time.Duration(r.Uint64N(1 << (1 + r.UintN(40))))
				b.onAck(&ackSample{
					now: now, acked: flight, pipe: r.IntN(flight), newlyLost: r.IntN(2), rtt: rtt, minRTT: rtt, srtt: rtt,
					windowLimited: r.IntN(2) == 0, inRecovery: r.IntN(2) == 0, delivered: delivered,
					rate: rateSample{
						deliveredBytes: delivered - prior, interval: rtt, taken: true, priorDelivered: prior, txInFlight: flight,
						lost: r.IntN(flight), appLimited: r.IntN(4) == 0,
					},
				})
				if b.cwnd() < b.minPipe() {
					t.Errorf("seed %d: window %d", seed, b.cwnd())
				}
			}
			if b.cwnd() < mss || b.cwnd() > maxCwnd || b.inflightHi < 0 || b.inflightLo < 0 || b.pacingRate(1) > 3*bbrMaxBW {
				t.Fatalf("seed %d: window %d, bounds %d and %d, rate %d", seed, b.cwnd(), b.inflightHi, b.inflightLo, b.pacingRate(1))
			}
		}
	}
}

func BenchmarkBBRAck(b *testing.B) {
	p := newBBRPath(bbrTestBW, bbrTestRTT, 4*bbrTestBDP)
	p.run(time.Second)
	a := ackSample{
		now: p.now, acked: 2 * ccMSS, pipe: bbrTestBDP, rtt: bbrTestRTT, minRTT: bbrTestRTT, srtt: bbrTestRTT, delivered: p.rate.delivered,
		rate: rateSample{deliveredBytes: bbrTestBDP, interval: bbrTestRTT, taken: true, txInFlight: bbrTestBDP},
	}
	b.ReportAllocs()
	for b.Loop() {
		a.now += 100_000
		p.cc.onAck(&a)
	}
}
