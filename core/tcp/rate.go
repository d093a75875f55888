package tcp

import (
	"math"
	"math/bits"
	"time"
)

// rateState measures the rate at which a connection's data is delivered (draft-cheng-iccrg-delivery-rate-estimation).
// A sample compares two moments, the transmission of a segment and its acknowledgement: what was delivered in between,
// over the longer of the times that it took to send and to acknowledge it.
type rateState struct {
	delivered     uint64 // C.delivered: bytes acknowledged so far, cumulatively or by SACK
	deliveredTime Time   // C.delivered_time: when delivered last grew, or the flight began
	firstSentTime Time   // C.first_sent_time: when the segment was sent that was acknowledged last
	appLimited    uint64 // C.app_limited: delivered at which the last pause of the application is over; 0 when there is none
}

// txStamp is what a segment remembers of the moment of its transmission, beside the time itself.
type txStamp struct {
	delivered     uint64
	deliveredTime Time
	firstSentTime Time
	inFlight      uint32 // tx.in_flight: with the segment
	lost          uint32 // C.lost, modulo 2^32
	appLimited    bool
}

// sameMoment reports whether two stamps differ by what they have added to the flight alone.
func (s txStamp) sameMoment(o txStamp) bool {
	s.inFlight = o.inFlight
	return s == o
}

// rateSample is the outcome of one ACK. The zero sample is where one begins.
type rateSample struct {
	deliveredBytes uint64        // acknowledged over interval
	interval       time.Duration // 0 when there is no sample
	appLimited     bool          // the application left the pipe idle: the rate is a lower bound

	txInFlight int // in flight when what gives the sample was sent, with it
	lost       int // deemed lost since

	taken                   bool
	priorLost               uint32
	priorDelivered          uint64
	sendElapsed, ackElapsed time.Duration
}

// onSent returns the stamp of a segment of n bytes that leaves now, while inFlight bytes are on their way (without it) and
// lost were ever deemed lost.
func (r *rateState) onSent(now Time, inFlight, n int, lost uint32) txStamp {
	if inFlight == 0 {
		// An idle pipe: the interval must not count the pause.
		r.firstSentTime, r.deliveredTime = now, now
	}
	return txStamp{
		delivered:     r.delivered,
		deliveredTime: r.deliveredTime,
		firstSentTime: r.firstSentTime,
		inFlight:      uint32(inFlight + n),
		lost:          lost,
		appLimited:    r.appLimited != 0,
	}
}

// onAcked counts n bytes of a segment, sent at sentAt, that an ACK or a SACK block covers for the first time.
// All segments of one ACK go into one rs, whatever their order.
func (r *rateState) onAcked(now Time, s *txStamp, sentAt Time, n int, rs *rateSample) {
	r.delivered += uint64(n)
	r.deliveredTime = now
	// The segment sent last gives the sample. One sent before the segment of an earlier sample, and acknowledged late,
	// gives none.
	if sentAt < r.firstSentTime {
		return
	}
	rs.taken = true
	rs.priorDelivered = s.delivered
	rs.appLimited = s.appLimited
	rs.txInFlight, rs.priorLost = int(s.inFlight), s.lost
	rs.sendElapsed = time.Duration(sentAt - s.firstSentTime)
	rs.ackElapsed = time.Duration(now - s.deliveredTime)
	r.firstSentTime = sentAt
}

// generate completes rs after all segments of an ACK.
func (r *rateState) generate(rs *rateSample, minRTT time.Duration) {
	if r.appLimited != 0 && r.delivered > r.appLimited {
		r.appLimited = 0
	}
	if !rs.taken {
		return
	}
	// The longer of both: compressed ACKs shorten one, a burst of transmissions the other.
	interval := max(rs.sendElapsed, rs.ackElapsed)
	// Nothing is delivered in less than the minimum RTT: a shorter interval belongs to a retransmission that was
	// acknowledged by way of the original.
	if interval <= 0 || interval < minRTT {
		return
	}
	rs.interval = interval
	rs.deliveredBytes = r.delivered - rs.priorDelivered
}

// markAppLimited says that the application has nothing more to send while the window has room: samples of segments
// sent until everything in flight is delivered underestimate the path.
func (r *rateState) markAppLimited(inFlight int) {
	r.appLimited = max(r.delivered+uint64(inFlight), 1)
}

// rate returns bytes per second, 0 when there is no sample.
func (rs *rateSample) rate() uint64 {
	if rs.interval <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(rs.deliveredBytes, uint64(time.Second))
	if hi >= uint64(rs.interval) {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, uint64(rs.interval))
	return q
}
