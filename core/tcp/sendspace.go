package tcp

// maxUnsent bounds the bytes in a send queue that were never sent, in the sense of Linux's TCP_NOTSENT_LOWAT: what can't
// leave yet is better kept by its owner, where it costs the stack no memory. Each round trip of the user to refill
// it moves up to as much, and 1 MiB stays in a processor's cache from the copy in to the copy out.
const maxUnsent = 1 << 20

// sendBuffer bounds what Send has taken and what is not acknowledged: the user's bound, or else what is in flight and one
// more congestion window, so that the next round trip never waits for the user. It follows cwnd down as well as up: a path
// that lets little through has no use for a deep queue, which only delays what comes last.
func (s *Stack) sendBuffer(c *conn) int {
	if c.opt.SendBuffer > 0 {
		return c.opt.SendBuffer
	}
	if c.cc == nil {
		return s.cfg.SendBuffer.Initial
	}
	return min(max(c.flight()+c.cc.cwnd(), s.cfg.SendBuffer.Initial), s.cfg.SendBuffer.Max)
}

// sendSpace is how many bytes Send takes now: sendBuffer bounds what awaits acknowledgment, maxUnsent what awaits sending.
func (s *Stack) sendSpace(c *conn) int {
	return max(min(s.sendBuffer(c)-c.sendq.Len(), maxUnsent-c.unsent()), 0)
}

// offerSpace tells a user who waits that Send takes bytes again, once a third of what there can be is free, as in Linux: a
// wake-up for each segment would cost more than it moves.
func (s *Stack) offerSpace(c *conn) {
	if c.sendWaiting && (s.sendSpace(c) >= min(s.sendBuffer(c), maxUnsent)/3 || c.sendq.Len() == 0) {
		c.sendWaiting = false
		s.post(c, EventWritable)
	}
}
