package tcp

import "time"

const (
	// maxRTO is Linux's, and the most that Options.MaxRTO may be. RFC 6298 §2.5 allows any maximum of at least 60 seconds.
	maxRTO = 120 * time.Second

	// rtoGranularity is G of RFC 6298 §2. The clock counts nanoseconds; what is coarse is when a timer fires (the
	// wheel's tick and the shell's wake-up) and when a packet is looked at, which stays within a millisecond.
	rtoGranularity = time.Millisecond

	// synLostRTO is RFC 6298 §5.7: after a SYN's timeout with an RTO below 3 seconds, "the RTO MUST be re-initialized
	// to 3 seconds when data transmission begins".
	synLostRTO = 3 * time.Second

	// minRTTWindow is how long the minimum RTT remembers at least; it forgets after twice that. Linux takes five minutes
	// (tcp_min_rtt_wlen): shorter and a standing queue is taken for the path, longer and a new route is not noticed.
	minRTTWindow = Time(5 * time.Minute)
)

// rtoLimits are what a user sets of the retransmission timeout.
type rtoLimits struct {
	initial time.Duration // before the first sample; RFC 6298 §2.1 SHOULD be 1 second

	// min is the floor. RFC 6298 §2.4 SHOULD round up to 1 second, because clocks were coarse and a delayed
	// acknowledgement may take 500 ms. Clocks are fine now and peers delay by 200 ms at most in practice: Linux
	// has lived with 200 ms for two decades, and a lost tail then costs five times less.
	min time.Duration
}

// rttEstimator measures the round-trip time and derives the retransmission timeout from it (RFC 6298). Back-off is the
// timer's matter, and so is Karn's algorithm (§3): only unambiguous samples come here.
type rttEstimator struct {
	srtt, rttvar time.Duration // srtt is 0 before the first sample
	minThis      time.Duration // the minimum since minSince; 0 when there is none
	minLast      time.Duration // the minimum of the window before; 0 when there is none
	minSince     Time
	synLost      bool // the SYN timed out, so the initial RTO proved too short (RFC 6298 §5.7)
}

// sample takes one measurement. expected is how many are expected in one round trip, at least 1.
func (r *rttEstimator) sample(now Time, rtt time.Duration, expected int) {
	rtt = max(rtt, 1) // both stamps may come from one reading of the clock
	r.trackMin(now, rtt)
	if r.srtt == 0 {
		// RFC 6298 §2.2: "SRTT <- R, RTTVAR <- R/2".
		r.srtt, r.rttvar = rtt, rtt/2
		return
	}
	// RFC 6298 §2.3, with alpha = 1/8 and beta = 1/4 divided by the samples of a round trip (RFC 7323 appendix G):
	// otherwise a long history shrinks to a part of one round trip.
	n := time.Duration(max(expected, 1))
	r.rttvar += ((r.srtt - rtt).Abs() - r.rttvar) / (4 * n)
	r.srtt = max(r.srtt+(rtt-r.srtt)/(8*n), 1)
}

// expectedSamples is ExpectedSamples of RFC 7323 appendix G: how many ACKs a round trip brings when all cover as much as one
// that acknowledged so many bytes, a super-segment perhaps; a receiver acknowledges every second segment at least.
func expectedSamples(flight, acked, mss int) int {
	each := max(2*mss, acked)
	return max((flight+each-1)/each, 1)
}

// rto returns the retransmission timeout without back-off: SRTT + max(G, 4·RTTVAR) (RFC 6298 §2.3), at most maxRTO. As in
// Linux the minimum bounds the variance term, not the sum: on a long path whose RTT hardly varies the sum would
// approach SRTT itself, and the peer's delayed ACK alone would fire the timer.
func (r *rttEstimator) rto(l *rtoLimits) time.Duration {
	if r.srtt == 0 {
		if r.synLost {
			return min(max(l.initial, synLostRTO), maxRTO)
		}
		return min(l.initial, maxRTO)
	}
	return min(r.srtt+max(rtoGranularity, 4*r.rttvar, l.min), maxRTO)
}

// min returns the least RTT of the last five to ten minutes, and 0 before the first sample.
func (r *rttEstimator) min() time.Duration {
	if r.minLast == 0 {
		return r.minThis
	}
	return min(r.minThis, r.minLast)
}

// trackMin keeps the minima of two windows, so that forgetting costs no list of samples.
func (r *rttEstimator) trackMin(now Time, rtt time.Duration) {
	switch age := now - r.minSince; {
	case r.minThis == 0:
		r.minThis, r.minSince = rtt, now
	case age >= 2*minRTTWindow:
		r.minThis, r.minLast, r.minSince = rtt, 0, now
	case age >= minRTTWindow:
		r.minThis, r.minLast, r.minSince = rtt, r.minThis, now
	default:
		r.minThis = min(r.minThis, rtt)
	}
}
