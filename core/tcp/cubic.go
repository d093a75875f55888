package tcp

import (
	"math"
	"time"
)

// The constants of RFC 9438.
const (
	cubicC    = 0.4 // segments per second cubed (§5)
	cubicBeta = 0.7 // §4.6

	// cubicAlpha makes the Reno-friendly window grow as fast on average as Reno's, although it shrinks less (§4.3).
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

// cubic is the congestion control of RFC 9438. The RFC counts segments; here all windows are bytes, and C becomes
// C*SMSS bytes per second cubed.
//
// Products are converted to float64 before they are added to, so that no architecture fuses the two operations and one
// seed gives one result everywhere.
type cubic struct {
	ccWindow
	cubicCurve
	fraction float64 // of a byte that the window has still to grow by
}

// cubicCurve is where the window is on its curve.
type cubicCurve struct {
	wMax    float64 // W_max: the window before the last reduction, or less by fast convergence; 0 when unknown
	wEst    float64 // W_est: what Reno's window would be
	prior   float64 // cwnd_prior: the window when ssthresh was set last
	k       float64 // K: seconds from the epoch until the curve is back at wMax
	epoch   Time    // t_epoch: when congestion avoidance began, moved on by the times when the window did not grow
	lastAck Time    // when an ACK of congestion avoidance was seen last
	inAvoid bool    // in congestion avoidance since epoch
}

func (c *cubic) name() CongestionControl { return CongestionCubic }

func (c *cubic) init(_ Time, mss, initialWindow int) { *c = cubic{}; c.start(mss, initialWindow) }

func (c *cubic) onAck(a *ackSample) {
	if c.validate(a) {
		c.leaveAvoidance()
		return
	}
	if !a.windowLimited {
		c.pause(a.now)
		return
	}
	if acked := c.slowStart(a); acked > 0 {
		c.avoid(a.now, a.srtt, acked)
	}
}

// pause takes the time since the last ACK out of the epoch. RFC 9438 §4.2: t must not include
// periods in which cwnd was not updated because the application had nothing to send (§5.8).
func (c *cubic) pause(now Time) {
	if c.inAvoid {
		c.epoch += now - c.lastAck
		c.lastAck = now
	}
}

// avoid grows the window in congestion avoidance.
func (c *cubic) avoid(now Time, srtt time.Duration, acked int) {
	cwnd := float64(c.window)
	if !c.inAvoid {
		c.beginEpoch(now, cwnd)
	}
	c.lastAck = now
	windows := min(float64(acked)/cwnd, 1)

	// §4.3, equation (4). Once W_est has caught up with cwnd_prior, alpha_cubic SHOULD be 1, as Reno's.
	alpha := cubicAlpha
	if c.wEst >= c.prior {
		alpha = 1
	}
	c.wEst = min(c.wEst+float64(alpha*float64(c.mss)*windows), maxCwnd)

	t := time.Duration(now - c.epoch).Seconds()
	if c.curve(t) < c.wEst {
		c.growTo(c.wEst)
		return
	}
	// §4.2: the target is the curve one RTT ahead, at least cwnd and at most half as much again. §4.4: cwnd MUST
	// grow by (target - cwnd)/cwnd for each segment acknowledged. The bound keeps a far t from overflowing, too.
	target := min(max(c.curve(t+srtt.Seconds()), cwnd), 1.5*cwnd)
	c.growTo(cwnd + c.fraction + float64((target-cwnd)*windows))
}

// beginEpoch starts congestion avoidance with the window cwnd.
func (c *cubic) beginEpoch(now Time, cwnd float64) {
	c.inAvoid, c.epoch, c.wEst = true, now, cwnd
	c.fraction = 0
	if cwnd >= c.wMax {
		// Nothing to come back to: no loss yet, or the window passed the last one's in slow start. §4.8, after a
		// timeout: K is 0, and W_max is the window at the beginning of this congestion avoidance.
		c.k, c.wMax = 0, cwnd
		return
	}
	// §4.2, equation (2).
	c.k = math.Cbrt((c.wMax - cwnd) / float64(cubicC*float64(c.mss)))
}

// curve is W_cubic(t) of §4.2, equation (1).
func (c *cubic) curve(t float64) float64 {
	d := t - c.k
	return float64(cubicC*float64(c.mss)*d*d*d) + c.wMax
}

// growTo raises the window to the whole bytes of w, and keeps the fraction: at a large window an ACK is worth less than a byte.
func (c *cubic) growTo(w float64) {
	whole := math.Floor(w)
	c.fraction = w - whole
	c.window = min(max(c.window, int(whole)), maxCwnd)
}

// leaveAvoidance ends the epoch: the next ACK in congestion avoidance begins another.
func (c *cubic) leaveAvoidance() {
	c.inAvoid = false
	c.fraction = 0
}

func (c *cubic) onLoss(_ Time, flight int) {
	cwnd := float64(c.shrink(flight, cubicBeta))
	if cwnd < c.wMax {
		// §4.7, fast convergence: the window shrank from one loss to the next, so another flow wants its share.
		c.wMax = cwnd * (1 + cubicBeta) / 2
	} else {
		c.wMax = cwnd
	}
	c.prior = cwnd
	c.leaveAvoidance()
}

// onCongestion is §4.6: "when … ECN-Echo ACKs" tell of congestion, the window shrinks by the same factor.
func (c *cubic) onCongestion(now Time, flight int) {
	window := c.window
	c.onLoss(now, flight)
	c.window = min(c.window, window)
	c.unvalidate()
}

func (c *cubic) onRecoveryExit(Time) {
	c.recovered()
	c.leaveAvoidance()
}

// onTimeout is §4.8: as Reno, with CUBIC's own factor; the curve starts anew.
func (c *cubic) onTimeout(_ Time, flight int, first bool) {
	if first {
		c.prior = float64(c.window)
		c.threshold = c.reduced(flight, cubicBeta)
	}
	c.window = int(c.mss)
	c.unvalidate()
	c.wMax = 0
	c.leaveAvoidance()
}

func (c *cubic) onIdle(_ Time, idle, rto time.Duration) {
	if idle <= rto {
		return
	}
	c.restart()
	c.leaveAvoidance()
}

// onMSS also ends the epoch, because K was computed for the old size.
func (c *cubic) onMSS(mss int) {
	c.ccWindow.onMSS(mss)
	c.leaveAvoidance()
}

func (c *cubic) save() ccState {
	return ccState{cwnd: c.window, ssthresh: c.threshold, cubic: c.cubicCurve}
}

// restore is §4.9: after a spurious loss or timeout, cwnd, ssthresh, W_max, K, t_epoch and W_est are what they were.
func (c *cubic) restore(s ccState) {
	c.undo(&s)
	c.cubicCurve = s.cubic
	c.fraction = 0
}
