package tcp

// maxUnsent bounds the bytes in a send queue that were never sent, in the sense of Linux's TCP_NOTSENT_LOWAT: what can't
// leave yet is better kept by its owner, where it costs the stack no memory. Each round trip of the user to refill
// it moves up to as much, and 1 MiB stays in a processor's cache from the copy in to the copy out.
const maxUnsent = 1 << 20

// sendSpace is how many bytes Send takes now: SendBuffer bounds what awaits acknowledgment, maxUnsent what awaits sending.
func (c *conn) sendSpace() int {
	return max(min(c.opt.SendBuffer-c.sendq.Len(), maxUnsent-c.unsent()), 0)
}

// offerSpace tells a user who waits that Send takes bytes again, once a quarter of what there can be is free: a wake-up
// for each segment would cost more than it moves.
func (s *Stack) offerSpace(c *conn) {
	if c.sendWaiting && (c.sendSpace() >= min(c.opt.SendBuffer, maxUnsent)/4 || c.sendq.Len() == 0) {
		c.sendWaiting = false
		s.post(c, EventWritable)
	}
}
