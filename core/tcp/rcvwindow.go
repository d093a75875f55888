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

// bufferEnd is the right edge of what the user's buffer can hold: no window promises more.
func (c *conn) bufferEnd() seqnum.Value {
	return c.rcv.nxt.Add(seqnum.Size(max(c.opt.RecvBuffer-c.rcv.unconsumed, 0)))
}

// granted is the right edge that could be announced now: whole units of the window scale, and never to the left of what
// was announced before (RFC 9293 §3.8.6, SHLD-14).
func (c *conn) granted() seqnum.Value {
	units := min(max(c.opt.RecvBuffer-c.rcv.unconsumed, 0)>>c.rcv.scale, maxUnscaled)
	return seqnum.Max(c.rcv.adv, c.rcv.nxt.Add(seqnum.Size(units)<<c.rcv.scale))
}

// worthUpdating applies the receiver's silly window avoidance (RFC 9293 §3.8.6.2.2, MUST-39): the edge moves when it
// moves by a segment or half the buffer, whichever is less.
func (c *conn) worthUpdating(edge seqnum.Value) bool {
	step := min(c.opt.RecvBuffer/2, c.announcedMSS())
	return int(c.rcv.adv.Size(edge)) >= max(step, 1)
}

// announceWindow moves the right edge if that is worth it and returns the window field of a segment that leaves now.
func (s *Stack) announceWindow(c *conn) uint16 {
	if edge := c.granted(); c.worthUpdating(edge) && s.memoryLeft() {
		c.rcv.adv = edge
	}
	// An edge that is not a whole number of units away is rounded up, unless the buffer ends before that: then the peer
	// sees the edge retreat by less than a unit, which RFC 7323 §2.4 expects of rounding. What was promised is
	// accepted all the same.
	unit := seqnum.Size(1) << c.rcv.scale
	window := (c.rcvWindow() + unit - 1) &^ (unit - 1)
	if c.bufferEnd().Less(c.rcv.nxt.Add(window)) && window > c.rcvWindow() {
		window -= unit
	}
	field := min(window>>c.rcv.scale, maxUnscaled)
	c.rcv.adv = seqnum.Max(c.rcv.adv, c.rcv.nxt.Add(field<<c.rcv.scale))
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
	edge := c.granted()
	if !c.worthUpdating(edge) {
		return
	}
	gain := int(c.rcv.adv.Size(edge))
	if left := int(c.rcvWindow()); gain >= c.opt.RecvBuffer/4 || left < c.opt.RecvBuffer/4 && gain >= left {
		c.ackNow = true
		s.wantTransmit(c)
	}
}

// memoryLeft reports whether windows may still grow: the pool must be able to keep what is promised.
func (s *Stack) memoryLeft() bool { return s.cfg.Pool.InUse() < s.cfg.Limits.ReceiveMemory }
