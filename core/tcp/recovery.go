package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// dupThresh is how many duplicate ACKs, or segments SACKed above a gap, show a loss (RFC 5681 §3.2, RFC 6675 §2).
const dupThresh = 3

// congestionPhase says what the sender is doing about loss.
type congestionPhase uint8

const (
	phaseOpen     congestionPhase = iota
	phaseRecovery                 // fast recovery (RFC 6675 §5, RFC 6582 §3.2)
	phaseLoss                     // after a retransmission timeout (RFC 5681 §3.1)
)

func (p congestionPhase) String() string {
	return [...]string{"open", "recovery", "loss"}[p]
}

// recoveryState is what loss recovery remembers of one connection.
type recoveryState struct {
	phase   congestionPhase
	dupAcks uint16       // duplicate ACKs since SND.UNA moved
	point   seqnum.Value // RecoveryPoint: the episode ends when this is acknowledged
	force   bool         // the next retransmission goes whatever the window says (RFC 6675 §5 step 4.3)
}

// ackEvent is one ACK as loss recovery and congestion control see it.
type ackEvent struct {
	*acked
	duplicate bool
	advanced  bool
	priorUna  seqnum.Value
	priorPipe int
}

// recover finds what an ACK shows to be lost, and lets congestion control know.
func (s *Stack) recover(c *conn, now Time, e *ackEvent) {
	r := &c.recovery
	if e.advanced && r.phase != phaseOpen && r.point.LessEq(c.snd.una) {
		s.endRecovery(c, now)
	}
	found := s.detectLoss(c, e)
	if r.phase == phaseOpen && found {
		s.enterRecovery(c, now)
	}
	if e.bytes > 0 && r.phase != phaseRecovery {
		s.sample = ackSample{
			now: now, acked: e.bytes, inFlight: e.priorPipe, rtt: c.rtt.latest, minRTT: c.rtt.min(), srtt: c.rtt.srtt,
			windowLimited: e.priorUna.Less(c.snd.limitedUntil), rate: e.rate,
		}
		c.cc.onAck(&s.sample)
	}
}

// detectLoss marks what is lost on the scoreboard, and reports whether there is any new loss.
func (s *Stack) detectLoss(c *conn, e *ackEvent) bool {
	r := &c.recovery
	if c.sackOn {
		return c.detectSACKLoss(s, e)
	}
	switch {
	case e.advanced:
		r.dupAcks = 0
		// RFC 6582 §3.2 step 3, partial acknowledgment: the first segment that it does not cover is lost too.
		r.force = r.phase == phaseRecovery && c.sent.loseFirst(&s.records, c.mss)
		return r.force
	case e.duplicate && r.phase != phaseLoss:
		if r.dupAcks < dupThresh || int(r.dupAcks+1)*c.mss < c.flight() {
			r.dupAcks++
		}
		// RFC 6582 §3.2 step 2: an ACK that does not cover more than the last recovery point answers what that episode sent
		// again needlessly.
		return r.phase == phaseOpen && r.dupAcks == dupThresh && c.snd.una != r.point && c.sent.loseFirst(&s.records, c.mss)
	}
	return false
}

// detectSACKLoss is RFC 6675 §5: what IsLost says, and in step (1) the third duplicate ACK, which finds a loss among
// segments too small for IsLost's count of bytes.
func (c *conn) detectSACKLoss(s *Stack, e *ackEvent) bool {
	r := &c.recovery
	if e.advanced {
		r.dupAcks = 0
	}
	if !e.sacked {
		return false
	}
	if !e.advanced && r.dupAcks < dupThresh {
		r.dupAcks++
	}
	found := c.sent.markLost(c.mss)
	if !found && r.phase == phaseOpen && r.dupAcks == dupThresh {
		found = c.sent.loseFirst(&s.records, c.mss)
	}
	return found
}

// enterRecovery begins fast recovery (RFC 6675 §5 step 4).
func (s *Stack) enterRecovery(c *conn, now Time) {
	c.recovery.phase = phaseRecovery
	c.recovery.point = c.snd.nxt
	c.recovery.force = true
	c.stat.fastRecoveries++
	s.stats.FastRecoveries++
	c.cc.onLoss(now, c.flight())
	s.wantTransmit(c)
}

func (s *Stack) endRecovery(c *conn, now Time) {
	if c.recovery.phase == phaseRecovery {
		c.cc.onRecoveryExit(now)
	}
	c.recovery.phase = phaseOpen
	c.recovery.dupAcks = 0
}

// retransmissionTimeout is RFC 6298 §5.4–5.7, for a SYN, for data and for our FIN.
func (s *Stack) retransmissionTimeout(c *conn, now Time) {
	if c.state == StateSynSent || c.state == StateSynReceived {
		s.synTimeout(c, now)
		return
	}
	if !c.outstanding() {
		return
	}
	c.stat.timeouts++
	s.stats.Timeouts++
	first := c.backoff == 0
	c.backoff = min(c.backoff+1, maxBackoff)
	// RFC 2018 §8: the receiver may have reneged, and does so when the first segment itself is SACKed.
	reneged := c.sent.len() > 0 && c.sent.at(0).has(recSacked)
	if reneged {
		s.stats.SACKReneging++
	}
	c.sent.loseAll(reneged)
	c.cc.onTimeout(now, c.flight(), first)
	c.recovery = recoveryState{phase: phaseLoss, point: c.snd.nxt, force: true}
	s.arm(c, timerRetransmit, now.Add(c.rto()))
	s.wantTransmit(c)
}

// maxBackoff keeps the shift of the timeout in range; maxRTO bounds the time long before.
const maxBackoff = 16

// synTimeout sends our SYN again, or gives up.
func (s *Stack) synTimeout(c *conn, now Time) {
	if int(c.synRetries) >= c.opt.SynRetries {
		s.stats.AttemptFails++
		s.closeConn(c, now, c.timeoutError())
		return
	}
	c.synRetries++
	c.backoff = min(c.backoff+1, maxBackoff)
	s.stats.SynRetransmits++
	c.synNow = true
	s.arm(c, timerRetransmit, now.Add(c.rto()))
	s.wantTransmit(c)
}

// timeoutError is why a connection timed out: what ICMP said about the path, if it did (RFC 9293 §3.9.2.2, SHLD-25).
func (c *conn) timeoutError() error {
	if c.softer != nil {
		return c.softer
	}
	return ErrTimeout
}

// persistTimeout probes a closed window (RFC 9293 §3.8.6.1), or overrides silly window avoidance (§3.8.6.2.1 (4)).
func (s *Stack) persistTimeout(c *conn, now Time) {
	if c.outstanding() || !c.hasUnsent() {
		return // the retransmission timer probes, or there is nothing to probe for
	}
	c.backoff = min(c.backoff+1, maxBackoff)
	if c.snd.wnd == 0 {
		if !c.probed && !c.released {
			c.snd.progressAt = now
		}
		c.probeNow, c.probed = true, true
		c.stat.zeroWindowProbes++
		s.stats.WindowProbes++
	} else {
		c.forcePartial = true
	}
	s.arm(c, timerPersist, now.Add(max(c.rto(), minPersist)))
	s.wantTransmit(c)
}

// minPersist is the least time between probes: with the RTO of a fast path alone a closed window would be probed
// thousands of times a second. RFC 9293 §3.8.6.1 starts at the RTO, and §3.8.6.2.1 asks for 0.1 to 1 second.
const minPersist = 200 * time.Millisecond

// userTimeout ends a connection whose data got nowhere for too long, or an open that took too long.
func (s *Stack) userTimeout(c *conn, now Time) {
	if c.state == StateSynSent || c.state == StateSynReceived {
		s.resetConn(c, now, c.timeoutError())
		return
	}
	if !c.outstanding() && !c.hasUnsent() {
		return
	}
	due := c.snd.progressAt.Add(c.opt.UserTimeout)
	if !c.outstanding() && !c.probed && !c.released {
		due = now.Add(c.opt.UserTimeout) // between window probes nothing is unanswered (RFC 9293 MUST-37)
	}
	if due > now {
		s.arm(c, timerUser, due)
		return
	}
	s.stats.AbortsOnTimeout++
	s.resetConn(c, now, c.timeoutError())
}

// armKeepAlive schedules the next look at an idle connection.
func (s *Stack) armKeepAlive(c *conn, now Time) {
	if c.opt.KeepAlive > 0 {
		s.arm(c, timerKeepAlive, now.Add(c.opt.KeepAlive))
	}
}

// keepAliveTimeout is RFC 9293 §3.8.4. The timer is not moved with each segment: it looks when the last one came.
func (s *Stack) keepAliveTimeout(c *conn, now Time) {
	if c.opt.KeepAlive <= 0 || c.state < StateEstablished {
		return
	}
	if c.outstanding() || c.unsent() > 0 {
		s.armKeepAlive(c, now) // the other timers look after a connection that is not idle
		return
	}
	if due := c.rcv.lastAt.Add(c.opt.KeepAlive); c.keepAliveSent == 0 && due > now {
		s.arm(c, timerKeepAlive, due)
		return
	}
	if int(c.keepAliveSent) >= c.opt.KeepAliveCount {
		s.stats.AbortsOnTimeout++
		s.resetConn(c, now, c.timeoutError())
		return
	}
	c.keepAliveSent++
	s.stats.KeepAliveProbes++
	c.probeNow = true
	s.arm(c, timerKeepAlive, now.Add(c.opt.KeepAliveInterval))
	s.wantTransmit(c)
}
