package tcp

import "time"

// bbrRound counts round trips in what is delivered (§5.5.1).
type bbrRound struct {
	roundEnd   uint64 // next_round_delivered
	rounds     uint64 // round_count
	roundStart bool   // this ACK began a round
}

// startRound begins a round with what is sent from now on.
func (b *bbr) startRound(delivered uint64) { b.roundEnd = delivered }

func (b *bbr) updateRound(a *ackSample) {
	b.roundStart = a.rate.taken && a.rate.priorDelivered >= b.roundEnd
	if b.roundStart {
		b.startRound(a.delivered)
		b.rounds++
		b.sinceProbe++
	}
}

// bbrBandwidth is what the model knows of the path's bandwidth, in bytes per second.
type bbrBandwidth struct {
	bw          uint64 // what the sender uses
	maxThis     uint64 // the largest sample of this probing cycle
	maxLast     uint64 // and of the one before (MaxBwFilterLen is 2)
	bwLo        uint64 // bw_shortterm: a bound from recent loss; bbrNoBW when there is none
	bwLatest    uint64 // the largest sample of this round
	fullBW      uint64 // full_bw: what Startup or UP must exceed by a quarter
	fullFor     uint8  // full_bw_count: rounds in which it was not
	fullNow     bool   // full_bw_now
	fullReached bool   // full_bw_reached: the pipe was filled once
}

func (b *bbr) maxBW() uint64 { return max(b.maxThis, b.maxLast) }

// updateMaxBW is BBRUpdateMaxBw (§5.5.5). A sample of a slow application counts only when it is a new maximum.
func (b *bbr) updateMaxBW(a *ackSample) {
	b.updateRound(a)
	if rate := b.sample(a); rate > 0 && (rate >= b.maxBW() || !a.rate.appLimited) {
		b.maxThis = max(b.maxThis, rate)
	}
}

// advanceMaxBW is BBRAdvanceMaxBwFilter (§5.5.6): it forgets the maximum of the cycle before the last one.
func (b *bbr) advanceMaxBW() { b.maxLast, b.maxThis = b.maxThis, 0 }

// sample is the delivery rate of an ACK.
func (b *bbr) sample(a *ackSample) uint64 { return min(a.rate.rate(), bbrMaxBW) }

// checkFullBW is BBRCheckFullBWReached (§5.3.1.2).
func (b *bbr) checkFullBW(a *ackSample) {
	if b.fullNow || a.rate.appLimited {
		return
	}
	if rate := b.sample(a); rate >= b.fullBW*bbrFullBWGrowth/100 && rate > 0 {
		b.resetFullBW()
		b.fullBW = rate
		return
	}
	if !b.roundStart {
		return
	}
	b.fullFor++
	if b.fullFor >= bbrFullBWRounds {
		b.fullNow, b.fullReached = true, true
	}
}

func (b *bbr) resetFullBW() { b.fullBW, b.fullFor, b.fullNow = 0, 0, false }

// checkStartupDone ends Startup when the pipe is full, or loss says that it is (§5.3.1.3).
func (b *bbr) checkStartupDone(a *ackSample) {
	if b.state != bbrStartup {
		return
	}
	if a.newlyLost > 0 && b.lossEvents < bbrStartupLosses {
		b.lossEvents++
	}
	if !b.fullReached && b.lossRoundStart && a.inRecovery && b.lossEvents >= bbrStartupLosses && b.tooHigh(a.rate.lost, a.rate.txInFlight) {
		b.fullReached = true
		b.inflightHi = min(max(b.bdp(100), b.inflightLatest), maxCwnd)
	}
	if b.lossRoundStart {
		b.lossEvents = 0
	}
	if b.fullReached {
		b.state = bbrDrain
	}
}

// bbrRTT is the path's RTT without queues (§5.5.7, §5.3.4.3). min_rtt is the least of ten seconds; every five seconds without a new
// minimum ProbeRTT drains the path to measure it.
type bbrRTT struct {
	minRTT       time.Duration // 0 when unknown
	minRTTAt     Time
	probed       time.Duration // probe_rtt_min_delay
	probedAt     Time
	probeExpired bool // probe_rtt_expired
	doneAt       Time // probe_rtt_done_stamp: ProbeRTT has lasted long enough then; 0 while not drained yet
	roundDone    bool // probe_rtt_round_done
}

func (b *bbr) updateMinRTT(a *ackSample) {
	if b.minRTT == 0 && a.minRTT > 0 { // the handshake's
		b.minRTT, b.probed, b.minRTTAt, b.probedAt = a.minRTT, a.minRTT, a.now, a.now
	}
	b.probeExpired = a.now > b.probedAt.Add(bbrProbeRTTInterval)
	if a.rtt > 0 && (a.rtt < b.probed || b.probeExpired) {
		b.probed, b.probedAt = a.rtt, a.now
	}
	if b.probed > 0 && (b.probed < b.minRTT || a.now > b.minRTTAt.Add(bbrMinRTTFilter)) {
		b.minRTT, b.minRTTAt = b.probed, b.probedAt
	}
}

// bbrExtraAcked is how much more than expected ACKs deliver at once where a link or a receiver holds them back (§5.5.9).
type bbrExtraAcked struct {
	extraStart     Time // extra_acked_interval_start
	extraDelivered int
	extra          [2]int // the maxima of this half of the filter's rounds and of the one before
	extraRound     uint64 // when this half began
}

func (b *bbr) extraAcked() int { return max(b.extra[0], b.extra[1]) }

func (b *bbr) updateExtraAcked(a *ackSample) {
	half := uint64(1)
	if b.fullReached {
		half = bbrExtraAckedRounds
	}
	if b.rounds >= b.extraRound+half {
		b.extra[0], b.extra[1] = 0, b.extra[0]
		b.extraRound = b.rounds
	}
	expected := bytesIn(b.bw, a.now.Sub(b.extraStart))
	if b.extraDelivered <= expected {
		b.extraDelivered, b.extraStart, expected = 0, a.now, 0
	}
	b.extraDelivered += a.acked
	b.extra[0] = max(b.extra[0], min(b.extraDelivered-expected, b.window))
}
