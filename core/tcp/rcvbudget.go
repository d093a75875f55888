package tcp

import "time"

// recvBudget shares Limits.ReceiveMemory among the connections of a Stack. What counts is what connections hold for
// their users, in order or not, and the windows of those that opened or received data lately. The window of an idle
// connection does not count: it can't be taken back (RFC 9293 §3.8.6, SHLD-14), and a million of them would leave nothing
// for those that use theirs; but its peer begins again with a small window (RFC 5681 §4.1), and counts from its first
// segment on. Data to send does not count either: if it could close the windows, two ends that send to each other would
// both wait for the other to read.
type recvBudget struct {
	limit int64
	held  int64
	epoch uint32
	// promised are the windows of the connections that were last active in this epoch, and in the one before.
	promised [2]int64
}

const (
	// budgetEpoch is how long a connection counts as active after data came, at least; it is twice that at most.
	budgetEpoch = time.Second

	// minShare is what a connection may hold and promise when the budget is spent: enough for two segments of an
	// Ethernet, so that everybody goes on, slowly.
	minShare = 4 << 10
)

// turn lets epochs pass.
func (b *recvBudget) turn(now Time) {
	epoch := uint32(now / Time(budgetEpoch))
	switch epoch - b.epoch {
	case 0:
		return
	case 1:
		b.promised = [2]int64{0, b.promised[0]}
	default:
		b.promised = [2]int64{}
	}
	b.epoch = epoch
}

// used is what counts against the limit.
func (b *recvBudget) used() int64 { return b.held + b.promised[0] + b.promised[1] }

// half returns half of what is left when own bytes of those in use are the asker's. Connections that all take as much as
// they can come to equal shares, and leave one share for the next to come (Choudhury and Hahne, "Dynamic Queue Length
// Thresholds for Shared-Memory Packet Switches", 1998, with alpha = 1).
func (b *recvBudget) half(own int64) int64 { return (b.limit - b.used() + own) / 2 }

// recvShare is the most that c may hold and promise at present, as far as memory is concerned.
func (s *Stack) recvShare(c *conn) int {
	own := int64(c.rcv.held)
	if s.budget.counts(c) {
		own += int64(c.rcv.promised)
	}
	return max(int(s.budget.half(own)), leastShare(c.announcedMSS()), 1<<c.rcv.scale)
}

// leastShare is the share of a connection whose segments carry up to mss bytes, however little memory there is: peers wait
// for a timer when a full segment does not fit.
func leastShare(mss int) int { return max(minShare, 2*mss) }

// counts reports whether the window of c is in the sum of an epoch.
func (b *recvBudget) counts(c *conn) bool { return b.epoch-c.rcv.epoch < uint32(len(b.promised)) }

// settle brings the budget up to date with what c holds and promises. active says that it opened or that data came. Within
// an epoch a connection keeps what it had, as far as its share allows: what it has just consumed it is about to promise
// again, and others must not take that for left.
func (s *Stack) settle(c *conn, active bool) {
	b := &s.budget
	held, window := c.rcv.unconsumed, 0
	if c.ooo != nil {
		held += c.ooo.bytes
	}
	if c.inFlows {
		window = int(c.consumedTo().Size(c.rcv.adv)) - held
	}
	had := 0
	if b.counts(c) {
		had = int(c.rcv.held + c.rcv.promised)
		b.promised[b.epoch-c.rcv.epoch] -= int64(c.rcv.promised)
	}
	b.held += int64(held - int(c.rcv.held))
	if active && c.rcv.epoch != b.epoch {
		c.rcv.epoch, had = b.epoch, 0
	}
	promised := 0
	if c.inFlows && b.counts(c) {
		keep := min(had, int(b.half(int64(held)))) - held
		promised = max(window, keep)
		b.promised[b.epoch-c.rcv.epoch] += int64(promised)
	}
	c.rcv.held, c.rcv.promised = int32(held), int32(promised)
}

// recvMemoryLeft reports whether data ahead of RCV.NXT may still be kept. Data in order always is: its user may be waiting
// for it, and the window was granted.
func (s *Stack) recvMemoryLeft() bool { return s.budget.held < s.budget.limit }
