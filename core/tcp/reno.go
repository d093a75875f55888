package tcp

import "time"

// renoBeta is the share of the flight that is left after a loss (RFC 5681 §3.1, equation (4)).
const renoBeta = 0.5

// reno is the congestion control of RFC 5681, with the byte counting of RFC 3465.
type reno struct {
	ccWindow
	avoided int // bytes_acked of RFC 3465 §2.1: acknowledged in congestion avoidance and not yet turned into window
}

func (r *reno) name() CongestionControl { return CongestionReno }

func (r *reno) init(_ Time, mss, initialWindow int) { *r = reno{}; r.start(mss, initialWindow) }

func (r *reno) onAck(a *ackSample) {
	// RFC 7661 §1: a window that was not used proves nothing about the path.
	if r.validate(a) || !a.windowLimited {
		return
	}
	// RFC 3465 §2.1: when bytes_acked reaches cwnd, it is reduced by cwnd, and cwnd grows by SMSS. An ACK may be worth
	// more than one round; each takes a window's worth, so there are few.
	for r.avoided += r.slowStart(a); r.avoided >= r.window; {
		r.avoided -= r.window
		r.grow(int(r.mss))
	}
}

func (r *reno) onLoss(_ Time, flight int) {
	r.shrink(flight, renoBeta)
	r.avoided = 0
}

// onCongestion halves the window as after a loss (RFC 3168 §6.1.2). It may hold less than ssthresh, shortly after a timeout.
func (r *reno) onCongestion(now Time, flight int) {
	window := r.window
	r.onLoss(now, flight)
	r.window = min(r.window, window)
	r.unvalidate()
}

// onRecoveryExit is option (2) of RFC 6582 §3.2 step 3.
func (r *reno) onRecoveryExit(Time) {
	r.recovered()
	r.avoided = 0
}

func (r *reno) onTimeout(_ Time, flight int, first bool) {
	// RFC 5681 §3.1: "when a TCP sender detects segment loss using the retransmission timer and the given segment has
	// already been retransmitted by way of the retransmission timer at least once, the value of ssthresh is held constant."
	if first {
		r.threshold = r.reduced(flight, renoBeta)
	}
	r.window = int(r.mss) // the loss window LW
	r.unvalidate()
	r.avoided = 0
}

func (r *reno) onIdle(_ Time, idle, rto time.Duration) {
	if idle <= rto {
		return
	}
	r.restart()
	r.avoided = 0
}

func (r *reno) save() ccState { return ccState{cwnd: r.window, ssthresh: r.threshold} }

func (r *reno) restore(s ccState) { r.undo(&s) }
