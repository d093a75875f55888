package tcp

import "time"

// The constants of RFC 9406 §4.3.
const (
	hystartMinThresh = 4 * time.Millisecond  // MIN_RTT_THRESH: less is noise
	hystartMaxThresh = 16 * time.Millisecond // MAX_RTT_THRESH: more would fill the largest queues first
	hystartDivisor   = 8                     // MIN_RTT_DIVISOR
	hystartSamples   = 8                     // N_RTT_SAMPLE
	hystartGrowth    = 4                     // CSS_GROWTH_DIVISOR
	hystartRounds    = 5                     // CSS_ROUNDS
	hystartLimit     = 8                     // L, in segments for each ACK, of a sender that does not pace
)

// hystart ends the first slow start before it overflows the path's queue: HyStart++ (RFC 9406). When the RTT of a round has
// grown, slow start goes on more slowly, as conservative slow start (CSS), and either the RTT comes down again, or
// congestion avoidance begins after a few rounds.
type hystart struct {
	roundEnd uint64        // the round is over when a segment is acknowledged that was sent after this much was delivered (windowEnd)
	last     time.Duration // lastRoundMinRTT; 0 when unknown
	current  time.Duration // currentRoundMinRTT; 0 when unknown
	baseline time.Duration // cssBaselineMinRtt; 0 outside CSS
	samples  uint8         // rttSampleCount, up to what is needed
	rounds   uint8         // of CSS that are over
}

// onAck returns by how much an ACK grows the window, and whether slow start is over.
func (h *hystart) onAck(a *ackSample, mss int) (growth int, done bool) {
	if a.rate.taken && a.rate.priorDelivered >= h.roundEnd {
		done = h.endRound(a.delivered)
	}
	h.measure(a.rtt)
	growth = a.acked
	if !a.paced && !a.burst {
		growth = min(growth, hystartLimit*mss)
	}
	if h.baseline != 0 {
		growth /= hystartGrowth
	}
	return growth, done
}

// measure takes an RTT sample, 0 for none, and moves between slow start and CSS (§4.2).
func (h *hystart) measure(rtt time.Duration) {
	if rtt == 0 {
		return
	}
	if h.current == 0 || rtt < h.current {
		h.current = rtt
	}
	if h.samples++; h.samples < hystartSamples {
		return
	}
	h.samples = hystartSamples
	if h.baseline != 0 {
		if h.current < h.baseline { // the delay was no queue of ours
			h.baseline = 0
		}
		return
	}
	thresh := min(max(hystartMinThresh, h.last/hystartDivisor), hystartMaxThresh)
	if h.last != 0 && h.current >= h.last+thresh {
		h.baseline, h.rounds = h.current, 0
	}
}

// endRound begins the next round, and reports whether CSS has lasted long enough. The round in which it began counts.
func (h *hystart) endRound(delivered uint64) bool {
	h.roundEnd = delivered
	h.last, h.current, h.samples = h.current, 0, 0
	if h.baseline == 0 {
		return false
	}
	h.rounds++
	return h.rounds >= hystartRounds
}
