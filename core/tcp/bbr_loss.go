package tcp

// bbrInflight bounds what may be in flight by where loss was seen, in bytes.
type bbrInflight struct {
	inflightLatest int // the most that one round trip has delivered
	inflightLo     int // inflight_shortterm: a bound from recent loss; bbrUnlimited when there is none
	inflightHi     int // inflight_longterm: where loss became frequent; bbrUnlimited when it never did

	lossRoundEnd   uint64 // loss_round_delivered
	lossRoundStart bool
	lossInRound    bool
	roundLost      int   // bytes deemed lost in this round
	lossEvents     uint8 // ACKs of this round that showed a loss, up to bbrStartupLosses
}

// bbrUndo is what a loss that turns out to be spurious gives back (BBRSaveStateUponLoss).
type bbrUndo struct {
	state                  bbrState
	bwLo                   uint64
	inflightLo, inflightHi int
}

// tooHigh is IsInflightTooHigh (§5.5.10.2): more than bbrLossThresh of what was in flight at a transmission is lost, what
// the path loses anyway not counted.
func (b *bbr) tooHigh(lost, inFlight int) bool {
	return lost > inFlight*bbrLossThresh/100+b.expectedLoss(inFlight, b.mss)
}

// updateLatest is BBRUpdateLatestDeliverySignals (§5.5.10.3).
func (b *bbr) updateLatest(a *ackSample) {
	b.bwLatest = max(b.bwLatest, b.sample(a))
	b.inflightLatest = max(b.inflightLatest, int(min(a.rate.deliveredBytes, maxCwnd)))
	b.lossRoundStart = a.rate.taken && a.rate.priorDelivered >= b.lossRoundEnd
	if b.lossRoundStart {
		b.lossRoundEnd = a.delivered
	}
}

// advanceLatest is BBRAdvanceLatestDeliverySignals.
func (b *bbr) advanceLatest(a *ackSample) {
	if b.lossRoundStart {
		b.bwLatest = b.sample(a)
		b.inflightLatest = int(min(a.rate.deliveredBytes, maxCwnd))
	}
}

// adaptLowerBounds is BBRAdaptLowerBoundsFromCongestion (§5.5.10.3): once a round, and not while the sender probes for
// more than the path may have. The draft does so after any loss. Here a round must have lost more than bbrLossThresh, the
// share that bounds the long term too: each round delivers less by what it lost, so that at one percent of random loss
// the bounds would sink by as much with every round trip until the next probe.
func (b *bbr) adaptLowerBounds() {
	if !b.lossRoundStart {
		return
	}
	flight := b.roundLost + b.inflightLatest
	if b.lossInRound && !b.probing() && b.tooHigh(b.roundLost, flight) {
		b.lowerBounds(b.bwLatest, b.inflightLatest)
	}
	b.learn(b.state == bbrCruise && b.fullReached, b.roundLost, flight, b.minRTT)
	b.lossInRound, b.roundLost = false, 0
}

// lowerBounds takes 30 percent off the short-term bounds, down to what the path has just carried (BBRInitLowerBounds,
// BBRLossLowerBounds). There is no bandwidth to bound before the first sample.
func (b *bbr) lowerBounds(bw uint64, inFlight int) {
	if b.bwLo == bbrNoBW && b.maxBW() > 0 {
		b.bwLo = b.maxBW()
	}
	if b.bwLo != bbrNoBW {
		b.bwLo = max(bw, b.bwLo/100*bbrBeta)
	}
	if b.inflightLo == bbrUnlimited {
		b.inflightLo = b.window
	}
	b.inflightLo = max(inFlight, b.inflightLo*bbrBeta/100)
}

// onCongestion answers marks, about which the draft says nothing, as a round with frequent loss: RFC 3168 §5 wants
// "essentially the same" response. A probe or Startup is over, and the short-term bounds come down.
func (b *bbr) onCongestion(now Time, flight int) {
	switch b.state {
	case bbrStartup:
		b.fullReached, b.state = true, bbrDrain
	case bbrRefill, bbrUp:
		b.inflightTooHigh(now, b.roundEnd, flight, false)
		if b.state == bbrRefill {
			b.beginDown(now, b.roundEnd)
		}
	default: // nothing is probed for
	}
	b.lowerBounds(0, b.minPipe())
	b.boundWindow()
}

func (b *bbr) resetLowerBounds() { b.bwLo, b.inflightLo = bbrNoBW, bbrUnlimited }

// onLost is BBRHandleLostPacket (§5.5.10.2).
func (b *bbr) onLost(l lostSample) {
	if !b.lossInRound {
		b.lossRoundEnd = l.delivered
		b.undone = bbrUndo{state: b.state, bwLo: b.bwLo, inflightLo: b.inflightLo, inflightHi: b.inflightHi}
	}
	b.lossInRound = true
	b.roundLost = min(b.roundLost+l.size, maxCwnd)
	if b.probeSamples && b.tooHigh(l.lost, l.txInFlight) {
		l.lost -= b.expectedLoss(l.txInFlight, b.mss)
		b.inflightTooHigh(l.now, l.delivered, inflightAtLoss(&l), l.appLimited)
	}
}

// inflightAtLoss is BBRInflightAtLoss: within a lost super-segment, what was in flight where the share of losses passed
// bbrLossThresh.
func inflightAtLoss(l *lostSample) int {
	before, lostBefore := l.txInFlight-l.size, l.lost-l.size
	prefix := (before*bbrLossThresh - lostBefore*100) / (100 - bbrLossThresh)
	return before + max(prefix, 0)
}

// inflightTooHigh is BBRHandleInflightTooHigh: the long-term bound comes down, once for each probe.
func (b *bbr) inflightTooHigh(now Time, delivered uint64, inFlight int, appLimited bool) {
	b.probeSamples = false
	if !appLimited {
		b.inflightHi = min(max(inFlight, b.targetInflight()*bbrBeta/100), maxCwnd)
	}
	if b.state == bbrUp {
		b.beginDown(now, delivered)
	}
}

func (b *bbr) targetInflight() int { return min(b.bdp(100), b.window) }

// headroom is BBRInflightWithHeadroom (§5.3.3.6): room that other flows find to grow into.
func (b *bbr) headroom() int {
	if b.inflightHi == bbrUnlimited {
		return bbrUnlimited
	}
	return max(b.inflightHi-max(b.inflightHi*bbrHeadroom/100, b.mss), b.minPipe())
}

func (b *bbr) save() ccState { return ccState{cwnd: b.window, ssthresh: b.ssthresh()} }

// restore is BBRHandleSpuriousLossDetection (§5.5.11).
func (b *bbr) restore(s ccState) {
	b.lossInRound = false
	b.resetFullBW()
	b.bwLo = max(b.bwLo, b.undone.bwLo)
	b.inflightLo = max(b.inflightLo, b.undone.inflightLo)
	b.inflightHi = max(b.inflightHi, b.undone.inflightHi)
	b.window = max(b.window, s.cwnd)
	if b.undone.state == bbrStartup && b.state != bbrProbeRTT {
		b.state, b.fullReached = bbrStartup, false
	}
}
