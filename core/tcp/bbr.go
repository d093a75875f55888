package tcp

import (
	"math"
	"math/bits"
	"time"
)

// The constants of BBRv3, draft-ietf-ccwg-bbr-05 §2. Gains and shares are percent.
const (
	bbrStartupPacingGain = 277 // 4·ln(2): the least that doubles the rate each round trip
	bbrDrainPacingGain   = 50
	bbrCwndGain          = 200
	bbrDownPacingGain    = 90
	bbrUpPacingGain      = 125
	bbrUpCwndGain        = 225
	bbrProbeRTTCwndGain  = 50
	bbrPacingMargin      = 1 // BBR.PacingMarginPercent: slightly below the bandwidth, to drain queues
	bbrLossThresh        = 2
	bbrBeta              = 70
	bbrHeadroom          = 15
	bbrFullBWGrowth      = 125
	bbrFullBWRounds      = 3
	bbrStartupLosses     = 6 // BBR.StartupFullLossCnt
	bbrMinPipe           = 4 // BBR.MinPipeCwnd, in segments
	bbrExtraAckedRounds  = 5 // half of BBR.ExtraAckedFilterLen: the filter is two halves
	bbrMinRTTFilter      = 10 * time.Second
	bbrProbeRTTInterval  = 5 * time.Second
	bbrProbeRTTDuration  = 200 * time.Millisecond
	bbrProbeWait         = 2 * time.Second // to which up to bbrProbeWaitRandom are added
	bbrProbeWaitRandom   = time.Second
	bbrRenoRounds        = 63 // after which Reno and CUBIC of a common path have recovered
)

const (
	bbrMaxBW     = 1 << 40        // bytes per second: no sample is larger, so that products stay in range
	bbrNoBW      = math.MaxUint64 // bwLo when there is none
	bbrUnlimited = maxCwnd        // inflightLo and inflightHi when there is none
	bbrSeedStep  = 0x9e3779b97f4a7c15
)

// bbrState is a state of BBR's state machine (§5.3).
type bbrState uint8

const (
	bbrStartup bbrState = iota
	bbrDrain
	bbrDown // ProbeBW_DOWN: below the bandwidth, to drain what UP has queued
	bbrCruise
	bbrRefill
	bbrUp
	bbrProbeRTT
)

// bbr is BBRv3: it models the path's bandwidth, RTT and room from what is delivered, and paces at that bandwidth. Loss
// bounds the model only when it is frequent, so that random loss costs little.
type bbr struct {
	mss, initial int
	window       int // cwnd
	prior        int // prior_cwnd: before loss recovery or ProbeRTT
	rate         uint64
	state        bbrState
	idleRestart  bool
	seed         uint64

	bbrRound
	bbrBandwidth
	bbrInflight
	bbrBaseLoss
	bbrRTT
	bbrExtraAcked
	bbrCycle
	undone bbrUndo
}

func (b *bbr) name() CongestionControl { return CongestionBBR }

func (b *bbr) init(now Time, mss, initialWindow int) {
	*b = bbr{mss: mss, initial: min(initialWindow, maxCwnd), window: min(initialWindow, maxCwnd), seed: b.seed}
	b.extraStart = now
	b.resetLowerBounds()
	b.inflightHi = bbrUnlimited
	b.undone = bbrUndo{state: bbrStartup, bwLo: bbrNoBW, inflightLo: bbrUnlimited, inflightHi: bbrUnlimited}
}

// random returns the next number of the connection's own sequence.
func (b *bbr) random() uint64 {
	b.seed += bbrSeedStep
	z := b.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// onAck is BBRUpdateOnACK (§5.2.3).
func (b *bbr) onAck(a *ackSample) {
	if b.rate == 0 && a.srtt > 0 {
		b.rate = b.initialRate(a.srtt)
	}
	b.updateLatest(a)
	b.noteRTT(a.rtt)
	b.updateMaxBW(a)
	b.adaptLowerBounds()
	b.updateExtraAcked(a)
	b.checkFullBW(a)
	b.checkStartupDone(a)
	if b.state == bbrDrain && a.pipe <= b.inflight(100) {
		b.startDown(a)
	}
	b.updateCycle(a)
	b.updateMinRTT(a)
	b.checkProbeRTT(a)
	b.advanceLatest(a)
	b.bw = min(b.maxBW(), b.bwLo)
	b.setPacingRate(b.pacingGain())
	b.setWindow(a)
}

func (b *bbr) pacingGain() uint64 {
	switch b.state {
	case bbrStartup:
		return bbrStartupPacingGain
	case bbrDrain:
		return bbrDrainPacingGain
	case bbrDown:
		return bbrDownPacingGain
	case bbrUp:
		return bbrUpPacingGain
	default:
		return 100
	}
}

func (b *bbr) cwndGain() int {
	switch b.state {
	case bbrUp:
		return bbrUpCwndGain
	case bbrProbeRTT:
		return bbrProbeRTTCwndGain
	default:
		return bbrCwndGain
	}
}

// setPacingRate is BBRSetPacingRateWithGain (§5.6.2): while the pipe is not full, a sample of a slow application must not slow
// it down.
func (b *bbr) setPacingRate(gain uint64) {
	rate := b.bw * gain / 100 * (100 - bbrPacingMargin) / 100
	if rate > 0 && (b.fullReached || rate > b.rate) {
		b.rate = rate
	}
}

// initialRate is BBRInitPacingRate (§5.6.2).
func (b *bbr) initialRate(srtt time.Duration) uint64 {
	return min(uint64(b.initial)*bbrStartupPacingGain/100*uint64(time.Second)/uint64(srtt), bbrMaxBW)
}

func (b *bbr) pacingRate(srtt time.Duration) uint64 {
	if b.rate == 0 && srtt > 0 {
		return b.initialRate(srtt)
	}
	return b.rate
}

// bdp is the bandwidth-delay product times a gain (BBRBDPMultiple, §5.6.4.2).
func (b *bbr) bdp(gain int) int {
	if b.minRTT == 0 || b.bw == 0 {
		return b.initial
	}
	return min(bytesIn(b.bw, b.minRTT)*gain/100, maxCwnd)
}

// bytesIn is what a bandwidth carries in a time, at most maxCwnd.
func bytesIn(bw uint64, d time.Duration) int {
	hi, lo := bits.Mul64(bw, uint64(max(d, 0)))
	if hi >= uint64(time.Second) {
		return maxCwnd
	}
	n, _ := bits.Div64(hi, lo, uint64(time.Second))
	return int(min(n, maxCwnd))
}

// inflight is BBRInflight (§5.6.4.2): what must be in flight to use a gain times the bandwidth.
func (b *bbr) inflight(gain int) int { return b.withBudget(b.bdp(gain)) }

// withBudget is BBRQuantizationBudget (§5.6.4.2): room for the super-segments that are on their way through both hosts.
func (b *bbr) withBudget(n int) int {
	n = max(n, 3*sendQuantum(b.rate, b.minRTT, b.mss), b.minPipe())
	if b.state == bbrUp {
		n += 2 * b.mss
	}
	return min(n, maxCwnd)
}

func (b *bbr) minPipe() int { return bbrMinPipe * b.mss }

// setWindow is BBRSetCwnd (§5.6.4.6).
func (b *bbr) setWindow(a *ackSample) {
	most := b.withBudget(min(b.bdp(b.cwndGain())+b.extraAcked(), maxCwnd))
	switch {
	case b.fullReached:
		b.window = min(b.window+a.acked, most)
	case b.window < most || a.delivered < uint64(b.initial):
		b.window += a.acked
	}
	b.window = min(max(b.window, b.minPipe()), maxCwnd)
	if b.state == bbrProbeRTT {
		b.window = min(b.window, b.probeRTTWindow())
	}
	b.boundWindow()
}

// boundWindow is BBRBoundCwndForModel (§5.6.4.7).
func (b *bbr) boundWindow() {
	most := bbrUnlimited
	switch b.state {
	case bbrDown, bbrRefill, bbrUp:
		most = b.inflightHi
	case bbrCruise, bbrProbeRTT:
		most = b.headroom()
	default: // Startup and Drain have no such bound
	}
	b.window = min(b.window, max(min(most, b.inflightLo), b.minPipe()))
}

// onLoss begins fast recovery: the model has its own answer to loss, so that the window stays.
func (b *bbr) onLoss(Time, int) { b.saveWindow() }

// onRecoveryExit is BBRRestoreCwnd.
func (b *bbr) onRecoveryExit(Time) { b.window = max(b.window, b.prior) }

// onTimeout is BBROnEnterRTO (§5.6.4.4). The path may be another one by now, so that Startup must not rely on what was seen.
func (b *bbr) onTimeout(_ Time, _ int, first bool) {
	if first {
		b.prior = b.window
	}
	b.resetFullBW()
	if !b.probing() && b.inflightLo == bbrUnlimited {
		b.inflightLo = max(b.prior, b.minPipe())
	}
	b.window = b.mss
}

// onIdle is BBRHandleRestartFromIdle (§5.4.1).
func (b *bbr) onIdle(now Time, _, _ time.Duration) {
	b.idleRestart = true
	b.extraStart = now
	switch {
	case b.inCycle():
		b.setPacingRate(100)
	case b.state == bbrProbeRTT:
		b.checkProbeRTTDone(now)
	}
}

// saveWindow is BBRSaveCwnd (§5.6.4.4).
func (b *bbr) saveWindow() {
	if b.state == bbrProbeRTT {
		b.prior = max(b.prior, b.window)
	} else {
		b.prior = b.window
	}
}

func (b *bbr) onMSS(mss int) {
	b.mss = mss
	b.window = max(b.window, mss)
}

func (b *bbr) cwnd() int         { return b.window }
func (b *bbr) keepsWindow() bool { return true }

// ssthresh says whether the window is still growing without bound. BBR has no threshold of its own.
func (b *bbr) ssthresh() int {
	if b.state == bbrStartup {
		return maxCwnd
	}
	return max(b.window, 2*b.mss)
}
