package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
)

// maxUnscaled is the largest window without scaling (RFC 7323 §2.2).
const maxUnscaled = 65_535

// windowScaleFor returns the smallest shift that can announce a window of buffer bytes (RFC 7323 §2.3).
func windowScaleFor(buffer int) uint8 {
	var shift uint8
	for maxUnscaled<<shift < buffer && shift < 14 {
		shift++
	}
	return shift
}

// recvLimit is the most that c may hold and promise now: its buffer, as far as memory is granted for it. No window promises
// more. It moves with what others use; what was promised before stays so.
func (s *Stack) recvLimit(c *conn) int { return min(int(c.rcv.buffer), s.recvShare(c)) }

// grantable is the right edge that could be announced now, with so many bytes to hold and promise: whole units of the window
// scale, and never to the left of what was announced before (RFC 9293 §3.8.6, SHLD-14).
func (c *conn) grantable(limit int) seqnum.Value {
	units := min(max(limit-c.rcv.unconsumed, 0)>>c.rcv.scale, maxUnscaled)
	return seqnum.Max(c.rcv.adv, c.rcv.nxt.Add(seqnum.Size(units)<<c.rcv.scale))
}

// worthUpdating applies the receiver's silly window avoidance (RFC 9293 §3.8.6.2.2, MUST-39): the edge moves when it
// moves by a segment or half the buffer, whichever is less.
func (c *conn) worthUpdating(edge seqnum.Value, limit int) bool {
	step := min(limit/2, c.announcedMSS())
	return int(c.rcv.adv.Size(edge)) >= max(step, 1)
}

// announceWindow moves the right edge if that is worth it and returns the window field of a segment that leaves now.
func (s *Stack) announceWindow(c *conn) uint16 {
	limit, before := s.recvLimit(c), c.rcv.adv
	if edge := c.grantable(limit); c.worthUpdating(edge, limit) {
		c.rcv.adv = edge
	}
	// An edge that is not a whole number of units away is rounded up, unless the limit ends before that: then the peer
	// sees the edge retreat by less than a unit, which RFC 7323 §2.4 expects of rounding. What was promised is
	// accepted all the same.
	unit := seqnum.Size(1) << c.rcv.scale
	window := (c.rcvWindow() + unit - 1) &^ (unit - 1)
	if end := c.rcv.nxt.Add(seqnum.Size(max(limit-c.rcv.unconsumed, 0))); end.Less(c.rcv.nxt.Add(window)) && window > c.rcvWindow() {
		window -= unit
	}
	field := min(window>>c.rcv.scale, maxUnscaled)
	c.rcv.adv = seqnum.Max(c.rcv.adv, c.rcv.nxt.Add(field<<c.rcv.scale))
	if c.rcv.adv != before {
		s.settle(c, false)
	}
	return uint16(field)
}

// rcvWindow is RCV.WND: what the peer may still send.
func (c *conn) rcvWindow() seqnum.Size { return c.rcv.nxt.Size(c.rcv.adv) }

// updateWindow announces the window when the user's reading has opened it enough: at once when the peer may be
// stopped, at every quarter of the buffer otherwise, so that a fast reader does not cause an ACK for each read.
func (s *Stack) updateWindow(c *conn) {
	if !receivesData.has(c.state) {
		return
	}
	limit := s.recvLimit(c)
	edge := c.grantable(limit)
	if !c.worthUpdating(edge, limit) {
		return
	}
	gain := int(c.rcv.adv.Size(edge))
	if left := int(c.rcvWindow()); gain >= limit/4 || left < limit/4 && gain >= left {
		c.ackNow = true
		s.wantTransmit(c)
	}
}
