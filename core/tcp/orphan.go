package tcp

// orphan leaves a connection that its user has closed to itself: what is queued is delivered, then a FIN. Orphans are
// counted and bounded, as nobody sees them who could close them.
func (s *Stack) orphan(c *conn, now Time) {
	c.orphan = true
	s.stats.Orphans++
	if c.opt.Linger > 0 {
		s.arm(c, timerOrphan, now.Add(c.opt.Linger))
	}
	switch c.state {
	case StateEstablished, StateCloseWait:
		s.queueFin(c)
	case StateFinWait2:
		s.arm(c, timerOrphan, now.Add(s.cfg.FinWait2))
	default: // SYN-RECEIVED: see synReceivedAck; in the others our FIN is queued or sent
	}
}

// orphanTimeout ends an orphan that took too long.
func (s *Stack) orphanTimeout(c *conn, now Time) {
	if c.state == StateFinWait2 {
		// The peer has everything and never sends its FIN. RFC 9293 has no timeout for that; without one, a peer that
		// keeps its side open holds our resources for ever. Linux does the same.
		s.closeConn(c, now, ErrTimeout)
		return
	}
	s.stats.AbortsOnLinger++
	s.resetConn(c, now, ErrTimeout)
}
