package tcp

import (
	"slices"
	"time"
)

const (
	// nonValidatedPeriod is how long a window stays that is not used (RFC 7661 §4.4.3, §5: five minutes).
	nonValidatedPeriod = 5 * time.Minute

	// pipeAckPeriod is the least time that pipeACK looks back; else it is three round trips (RFC 7661 §4.2).
	pipeAckPeriod = time.Second
	pipeAckBins   = 3
)

// cwndValidation is congestion window validation (RFC 7661): it knows whether what goes through in a round trip justifies
// the window. A window-based congestion control has one from when its window grows beyond the initial one, which needs no
// validation.
//
// Two things differ from the RFC. A window that limits the sender for a round trip is validated, too (§4.5.3): in slow start
// it doubles while the half of it is acknowledged. And after a pause of an RTO a connection begins with the restart window
// (RFC 5681 §4.1), as Linux does, where §4.3 would keep the window.
type cwndValidation struct {
	began   Time   // the round that is measured now; 0 before the first ACK of a new measurement
	from    uint64 // what was delivered before it
	seen    uint64 // what was delivered with the last ACK
	limited bool   // the window limited the sender in it

	// pipeAck is the most that was acknowledged in a round trip lately: §4.2's filter of the maximum, newest bin first.
	pipeAck  [pipeAckBins]int
	binBegan Time

	since Time // the non-validated phase began; 0 in the validated phase, and while pipeACK is undefined
	used  int  // of an episode of loss in that phase, max (pipeACK, LossFlightSize); 0 when there is none
	lost  int  // bytes deemed lost in it: R
}

// undefine is what follows a reduction of the window (§4.4.1): "the sender MUST re-initialize the pipeACK variable to the
// 'undefined' value".
func (v *cwndValidation) undefine() { *v = cwndValidation{} }

// onAck measures, outside recovery, and reports whether the window of size bytes has not been validated for too long.
func (v *cwndValidation) onAck(a *ackSample, window int) (expired bool) {
	v.lost = 0 // what was lost without recovery
	switch {
	case v.began == 0:
		v.began, v.from = a.now, a.delivered
	case a.now.Sub(v.began) >= a.srtt:
		expired = v.endRound(a, window)
		v.began, v.from, v.limited = a.now, v.seen, false
	}
	v.limited = v.limited || a.windowLimited
	v.seen = a.delivered
	return expired
}

// endRound takes a sample of pipeACK and finds out the phase that it leads to (§4.3).
func (v *cwndValidation) endRound(a *ackSample, window int) (expired bool) {
	period := max(pipeAckBins*a.srtt, pipeAckPeriod)
	age := a.now.Sub(v.binBegan) / (period / pipeAckBins)
	if age > 0 {
		shift := int(min(age, pipeAckBins))
		copy(v.pipeAck[shift:], v.pipeAck[:])
		clear(v.pipeAck[:shift])
		v.binBegan = a.now
	}
	if a.now.Sub(v.began) < period {
		v.pipeAck[0] = max(v.pipeAck[0], int(v.seen-v.from))
	}
	switch {
	case v.limited || v.recent() >= window/2:
		v.since = 0
	case v.since == 0:
		v.since = a.now
	case a.now.Sub(v.since) >= nonValidatedPeriod:
		v.since = a.now
		return true
	}
	return false
}

// recent is the value of pipeACK.
func (v *cwndValidation) recent() int { return slices.Max(v.pipeAck[:]) }

// validate is called with each ACK, and reports whether the window became smaller by it: §4.4.3, after the non-validated period
// "ssthresh = max(ssthresh, 3*cwnd/4)" and "cwnd = max(cwnd/2, IW)".
func (w *ccWindow) validate(a *ackSample) bool {
	if w.valid == nil {
		if w.window <= int(w.initial) {
			return false
		}
		w.valid = new(cwndValidation)
	}
	if !w.valid.onAck(a, w.window) || w.window <= int(w.initial) {
		return false
	}
	w.threshold = max(w.threshold, w.window-w.window/4)
	w.window = max(w.window/2, int(w.initial))
	return true
}

// shrink is the reaction to a loss or a mark: ssthresh becomes share of what was in flight, and cwnd with it. It returns the
// window that was in use. In the non-validated phase cwnd says nothing about that, but recent and present flights do, and half
// of them is left (RFC 7661 §4.4.1).
func (w *ccWindow) shrink(flight int, share float64) (used int) {
	used = w.window
	if v := w.valid; v != nil && v.since != 0 {
		used = min(max(v.recent(), flight), w.window)
		v.used = used
		w.threshold = max(used/2, 2*int(w.mss))
	} else {
		w.threshold = w.reduced(flight, share)
	}
	w.window = w.threshold
	return used
}

// recovered ends an episode of loss. In the non-validated phase the path has shown that it holds less, by what it lost (RFC
// 7661 §4.4.1): "cwnd = (Max(pipeACK,LossFlightSize) - R)/2", and a segment at least.
func (w *ccWindow) recovered() {
	w.window = w.threshold
	if v := w.valid; v != nil {
		if v.used > 0 {
			w.window = max(min((v.used-v.lost)/2, w.threshold), int(w.mss))
			w.threshold = max(w.window, 2*int(w.mss))
		}
		v.undefine()
	}
}

// unvalidate forgets what was measured of a window that is no more.
func (w *ccWindow) unvalidate() {
	if w.valid != nil {
		w.valid.undefine()
	}
}

// onLost counts R, the part of the flight that is sent again.
func (w *ccWindow) onLost(l lostSample) {
	if w.valid != nil {
		w.valid.lost += l.size
	}
}
