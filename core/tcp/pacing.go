package tcp

import "time"

const (
	// maxQuantum is the most payload of one super-segment.
	maxQuantum = maxPacket - MaxHeaderLen
	// quantumTime is how long a super-segment takes at the pacing rate: long enough that a timer is worth its while,
	// short enough that a queue on the path hardly notices. Linux's tcp_tso_autosize takes 2^-10 s.
	quantumTime = time.Millisecond
	// quantumRTT halves what is added for a short RTT: the largest size where the RTT is below it, half as much from there to
	// twice the time, and so on, as in Linux (tcp_tso_rtt_log). Within a machine or a rack packets are what costs, not queues.
	quantumRTT = 512 * time.Microsecond
	// pacingCredit is how far a pacer may lag behind and catch up: about the precision of the shell's wake-ups. Where the
	// RTT is shorter, it covers the whole window: pacing is no limit there.
	pacingCredit = time.Millisecond
	// unpacedSegments go out at once when a connection begins (RFC 6928's initial window), as in Linux: there is nothing
	// to spread yet, and short transfers are over sooner. A window that is no larger later on is left to its ACKs as well:
	// what is lost of it is noticed, and mended, the sooner the closer together its segments are.
	unpacedSegments = 10
)

// paced reports whether the data of a connection is spread over the round trip. BBR's rate is its answer to the path, so
// that it can't do without.
func (c *conn) paced() bool { return !c.opt.NoPacing || c.opt.Congestion == CongestionBBR }

// pacingRate is the rate to send at, in bytes per second; 0 for as fast as the window allows.
func (c *conn) pacingRate() uint64 {
	if !c.paced() {
		return 0
	}
	return c.cc.pacingRate(c.rtt.srtt)
}

// quantum is the payload of one super-segment now.
func (c *conn) quantum(mss int) int {
	rate := c.pacingRate()
	if rate == 0 {
		return maxQuantum
	}
	return sendQuantum(rate, c.rtt.min(), mss)
}

// sendQuantum is the size of super-segments at a pacing rate: what quantumTime takes, at least two segments, so that a
// receiver that delays ACKs answers each, and at most what a packet holds.
func sendQuantum(rate uint64, minRTT time.Duration, mss int) int {
	n := int(min(rate/uint64(time.Second/quantumTime), maxQuantum))
	if halvings := minRTT / quantumRTT; halvings < 16 {
		n += maxQuantum >> halvings
	}
	return min(max(n, 2*mss), maxQuantum)
}

// pace takes the toll for n bytes that have just left.
func (c *conn) pace(now Time, n int) {
	if c.stat.bytesSent <= uint64(unpacedSegments*c.mss) || c.opt.Congestion != CongestionBBR && c.cc.cwnd() <= unpacedSegments*c.mss {
		return
	}
	if rate := c.pacingRate(); rate > 0 {
		gap := time.Duration(uint64(n) * uint64(time.Second) / rate)
		c.snd.pacedUntil = max(c.snd.pacedUntil, now.Add(-pacingCredit)).Add(gap)
	}
}

// lossFlight is FlightSize as a loss finds it (RFC 5681 §3.1, equation (4)). Pacing has not sent yet all that the window
// allows, up to half of it in slow start: where the window is what limits the sender, it is what the path has borne, or
// each loss would cost a paced connection more than one that sends in bursts.
func (c *conn) lossFlight() int {
	if c.paced() && c.snd.una.Less(c.snd.limitedUntil) {
		return max(c.flight(), c.cc.cwnd())
	}
	return c.flight()
}
