package tcp

import "time"

// bbrAckPhase says what the ACKs that come now tell about a probe for bandwidth.
type bbrAckPhase uint8

const (
	bbrAcksInit bbrAckPhase = iota
	bbrAcksRefilling
	bbrAcksStarting // nothing yet: what they acknowledge was sent before the probe
	bbrAcksFeedback
	bbrAcksStopping // the last that are due to it
)

// bbrCycle is where the sender is in the cycle of ProbeBW (§5.3.3).
type bbrCycle struct {
	cycleAt      Time          // cycle_stamp: when DOWN began
	wait         time.Duration // bw_probe_wait
	sinceProbe   int           // rounds_since_bw_probe
	upRounds     uint8         // bw_probe_up_rounds
	upCount      int           // probe_up_cnt: bytes to be acknowledged for one more segment of inflightHi
	upAcked      int           // bw_probe_up_acks
	ackPhase     bbrAckPhase
	probeSamples bool // bw_probe_samples: losses now were caused by a probe
}

// inCycle is IsInAProbeBWState.
func (b *bbr) inCycle() bool { return b.state >= bbrDown && b.state <= bbrUp }

// probing is BBRIsProbingBW: the sender is looking for bandwidth, so that loss is no news.
func (b *bbr) probing() bool {
	return b.state == bbrStartup || b.state == bbrRefill || b.state == bbrUp
}

// updateCycle is BBRUpdateProbeBWCyclePhase (§5.3.3.6).
func (b *bbr) updateCycle(a *ackSample) {
	if !b.fullReached {
		return
	}
	b.adaptLongTerm(a)
	switch b.state {
	case bbrDown:
		if !b.timeToProbe(a) && a.pipe <= min(b.headroom(), b.inflight(100)) {
			b.state = bbrCruise
		}
	case bbrCruise:
		b.timeToProbe(a)
	case bbrRefill:
		// After one round at full rate losses come from the probe, not from a short queue.
		if b.roundStart {
			b.probeSamples = true
			b.startUp(a)
		}
	case bbrUp:
		if b.timeToGoDown(a) {
			b.startDown(a)
		}
	default: // not in ProbeBW
	}
}

// timeToProbe is BBRIsTimeToProbeBW (§5.3.3.5.3): after two to three seconds, or as many round trips as Reno would take to grow into what
// there is. It begins REFILL.
func (b *bbr) timeToProbe(a *ackSample) bool {
	reno := min(b.targetInflight()/b.mss, bbrRenoRounds)
	if a.now.Sub(b.cycleAt) <= b.wait && b.sinceProbe < reno {
		return false
	}
	b.resetLowerBounds()
	b.upRounds, b.upAcked = 0, 0
	b.ackPhase = bbrAcksRefilling
	b.startRound(a.delivered)
	b.state = bbrRefill
	return true
}

// timeToGoDown is BBRIsTimeToGoDown: no more bandwidth is found, while inflightHi is not what holds it back.
func (b *bbr) timeToGoDown(a *ackSample) bool {
	if a.windowLimited && b.window >= b.inflightHi {
		b.resetFullBW()
		b.fullBW = b.sample(a)
		return false
	}
	return b.fullNow
}

func (b *bbr) startUp(a *ackSample) {
	b.ackPhase = bbrAcksStarting
	b.startRound(a.delivered)
	b.resetFullBW()
	b.fullBW = b.sample(a)
	b.state = bbrUp
	b.raiseSlope()
}

func (b *bbr) startDown(a *ackSample) { b.beginDown(a.now, a.delivered) }

// beginDown is BBRStartProbeBW_DOWN, with the wait drawn for the next probe, so that flows don't probe in step.
func (b *bbr) beginDown(now Time, delivered uint64) {
	b.lossInRound, b.bwLatest, b.inflightLatest = false, 0, 0
	b.upCount = maxCwnd
	b.sinceProbe = int(b.random() & 1)
	b.wait = bbrProbeWait + time.Duration(b.random()%uint64(bbrProbeWaitRandom))
	b.cycleAt = now
	b.ackPhase = bbrAcksStopping
	b.startRound(delivered)
	b.state = bbrDown
}

// adaptLongTerm is BBRAdaptLongTermModel (§5.3.3.6).
func (b *bbr) adaptLongTerm(a *ackSample) {
	if b.ackPhase == bbrAcksStarting && b.roundStart {
		b.ackPhase = bbrAcksFeedback
	}
	if b.ackPhase == bbrAcksStopping && b.roundStart {
		b.probeSamples, b.ackPhase = false, bbrAcksInit
		if b.inCycle() && !a.rate.appLimited {
			b.advanceMaxBW()
		}
	}
	switch {
	case !a.rate.taken:
	case b.tooHigh(a.rate.lost, a.rate.txInFlight):
		if b.probeSamples {
			b.inflightTooHigh(a.now, a.delivered, a.rate.txInFlight, a.rate.appLimited)
		}
	case b.inflightHi != bbrUnlimited:
		b.inflightHi = min(max(b.inflightHi, a.rate.txInFlight), maxCwnd)
		if b.state == bbrUp {
			b.raiseInflightHi(a)
		}
	}
}

// raiseInflightHi is BBRProbeInflightLongtermUpward: slowly at first, and twice as fast each round.
func (b *bbr) raiseInflightHi(a *ackSample) {
	if !a.windowLimited || b.window < b.inflightHi {
		return
	}
	b.upAcked += a.acked
	if grown := b.upAcked / b.upCount; grown > 0 {
		b.upAcked -= grown * b.upCount
		b.inflightHi = min(b.inflightHi+grown*b.mss, maxCwnd)
	}
	if b.roundStart {
		b.raiseSlope()
	}
}

// raiseSlope is BBRRaiseInflightLongtermSlope.
func (b *bbr) raiseSlope() {
	b.upCount = max(b.window>>b.upRounds, 1)
	b.upRounds = min(b.upRounds+1, 30)
}

// checkProbeRTT is BBRCheckProbeRTT (§5.3.4.3).
func (b *bbr) checkProbeRTT(a *ackSample) {
	if b.state != bbrProbeRTT && b.probeExpired && !b.idleRestart {
		b.saveWindow()
		b.state = bbrProbeRTT
		b.doneAt, b.roundDone = 0, false
		b.ackPhase = bbrAcksStopping
		b.startRound(a.delivered)
	}
	if b.state == bbrProbeRTT {
		// The low rate is wanted, and says nothing about the bandwidth.
		a.limited = true
		switch {
		case b.doneAt == 0 && a.pipe <= b.probeRTTWindow():
			b.doneAt = a.now.Add(bbrProbeRTTDuration)
			b.startRound(a.delivered)
		case b.doneAt != 0:
			b.roundDone = b.roundDone || b.roundStart
			if b.roundDone {
				b.checkProbeRTTDone(a.now)
			}
		}
	}
	if a.acked > 0 {
		b.idleRestart = false
	}
}

func (b *bbr) probeRTTWindow() int { return max(b.bdp(bbrProbeRTTCwndGain), b.minPipe()) }

// checkProbeRTTDone leaves ProbeRTT for CRUISE, or for Startup if the pipe was never filled.
func (b *bbr) checkProbeRTTDone(now Time) {
	if b.doneAt == 0 || now <= b.doneAt {
		return
	}
	b.probedAt = now
	b.window = max(b.window, b.prior)
	b.resetLowerBounds()
	if !b.fullReached {
		b.state = bbrStartup
		return
	}
	b.beginDown(now, b.roundEnd)
	b.state = bbrCruise
}
