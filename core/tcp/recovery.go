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
	phaseRecovery                 // fast recovery (RFC 6675 §5, RFC 6582 §3.2, RFC 9937)
	phaseLoss                     // after a retransmission timeout (RFC 5681 §3.1)
)

func (p congestionPhase) String() string {
	return [...]string{"open", "recovery", "loss"}[p]
}

// recoveryState is what loss recovery remembers of one connection.
type recoveryState struct {
	point    seqnum.Value // RecoveryPoint: the episode ends when this is acknowledged
	dupAcks  uint16       // duplicate ACKs since SND.UNA moved
	phase    congestionPhase
	frto     frtoStep
	frtoRoom int // bytes of new data that F-RTO may still send
}

// ackEvent is one ACK as loss recovery and congestion control see it.
type ackEvent struct {
	*acked
	duplicate bool
	advanced  bool
	congested bool // it echoes congestion
	priorUna  seqnum.Value
	priorPipe int
}

// window is what may be in flight: cwnd, or in fast recovery what PRR says, if the congestion control leaves it to it.
func (c *conn) window() int {
	if c.recovery.phase == phaseRecovery && !c.cc.keepsWindow() {
		return c.undo.prr.window
	}
	return c.cc.cwnd()
}

// recover finds what an ACK shows to be lost, or found after all, and lets congestion control know.
func (s *Stack) recover(c *conn, now Time, e *ackEvent) {
	r := &c.recovery
	duplicates := int(r.dupAcks)
	if e.dsacked > 0 {
		c.rack.noteDSACK(c.snd.una, c.snd.nxt)
	}
	if s.spurious(c, e) || c.onFRTOAck(e) {
		s.undoReduction(c)
	}
	if e.advanced && r.phase != phaseOpen && r.point.LessEq(c.snd.una) {
		s.endRecovery(c, now)
	}
	if c.undo != nil && c.undo.ended && c.undo.until.Less(c.snd.una) {
		s.dropUndo(c)
	}
	if c.tlp.onAck(c.snd.una, e) && r.phase == phaseOpen {
		c.cc.onLoss(now, c.lossFlight())
		c.cc.onRecoveryExit(now)
		c.ecn.noteReduction(c.snd.nxt)
	}
	s.probeArrived(c, now)
	lost := c.lost
	found := s.detectLoss(c, now, e) && !s.probeLost(c)
	if r.phase == phaseOpen && found {
		s.enterRecovery(c, now, e.priorPipe)
	}
	if r.phase == phaseRecovery && !c.cc.keepsWindow() {
		c.undo.prr.onAck(c.deliveredBy(e), c.pipe(), c.cc.ssthresh(), c.mss, e.advanced && !found, found && !c.sackOn)
	} else if e.bytes > 0 {
		s.tellDelivered(c, now, e, duplicates, int(c.lost-lost))
	}
}

// tellDelivered lets congestion control know what an ACK delivered, after so many duplicates.
func (s *Stack) tellDelivered(c *conn, now Time, e *ackEvent, duplicates, newlyLost int) {
	a := &s.sample
	*a = ackSample{
		now: now, acked: e.bytes, inFlight: e.priorPipe, pipe: c.pipe(), newlyLost: newlyLost,
		rtt: e.rtt, minRTT: c.rtt.min(), srtt: c.rtt.srtt,
		windowLimited: e.priorUna.Less(c.snd.limitedUntil) && !e.congested, inRecovery: c.recovery.phase != phaseOpen,
		paced: c.paced(), burst: s.cfg.Choices.UnboundedSlowStart, rate: e.rate, delivered: c.rate.delivered,
	}
	a.rate.lost = int(c.lost - a.rate.priorLost)
	switch {
	case c.cc.keepsWindow(): // from a model, not by what comes in order
	case !e.advanced:
		// RFC 5681 §3.2: duplicate ACKs don't open the window, and RFC 3042 §2: what they let out must not "change" it.
		a.acked = 0
	case !c.sackOn: // each duplicate ACK told of a segment that has arrived, which counts no more than what was SACKed
		a.acked = max(e.bytes-duplicates*c.mss, min(e.bytes, c.mss))
	}
	c.cc.onAck(a)
	if a.limited {
		c.rate.markAppLimited(a.pipe)
	}
}

// noteLost counts a record that was just deemed lost, and lets congestion control know.
func (s *Stack) noteLost(c *conn, now Time, r *record) {
	n := int(r.size())
	c.lost += uint32(n)
	c.cc.onLost(lostSample{
		now: now, delivered: c.rate.delivered, size: n, txInFlight: int(r.stamp.inFlight), lost: int(c.lost - r.stamp.lost),
		appLimited: r.stamp.appLimited,
	})
}

// loseFirst deems the first segment lost, for peers without SACK (RFC 6582 §3.2).
func (s *Stack) loseFirst(c *conn, now Time) bool {
	if !c.sent.loseFirst(&s.records, c.mss) {
		return false
	}
	s.noteLost(c, now, c.sent.at(0))
	return true
}

// deliveredBy is DeliveredData of RFC 9937 §5. Without SACK each duplicate ACK stands for a segment, and the ACK that
// ends a series doesn't count those again.
func (c *conn) deliveredBy(e *ackEvent) int {
	switch {
	case c.sackOn:
		return e.bytes
	case e.duplicate:
		return c.mss
	default:
		return min(e.bytes, c.mss)
	}
}

// detectLoss marks what is lost on the scoreboard, and reports whether there is any new loss.
func (s *Stack) detectLoss(c *conn, now Time, e *ackEvent) bool {
	r := &c.recovery
	if c.sackOn {
		switch {
		case e.advanced:
			r.dupAcks = 0
		case e.sacked && r.dupAcks < dupThresh:
			r.dupAcks++
		}
		if c.sent.sacked == 0 && r.phase == phaseOpen {
			return false // what is left was all sent after what was delivered
		}
		return s.detectRACK(c, now)
	}
	switch {
	case e.advanced:
		r.dupAcks = 0
		// RFC 6582 §3.2 step 3, partial acknowledgment: the first segment that it does not cover is lost too.
		return r.phase == phaseRecovery && s.loseFirst(c, now)
	case e.duplicate && r.phase != phaseLoss:
		if r.dupAcks < dupThresh || int(r.dupAcks+1)*c.mss < c.flight() {
			r.dupAcks++
		}
		// RFC 6582 §3.2 step 2: an ACK that does not cover more than the last recovery point answers what that episode sent
		// again needlessly.
		return r.phase == phaseOpen && r.dupAcks == dupThresh && c.snd.una != r.point && s.loseFirst(c, now)
	}
	return false
}

// enterRecovery begins fast recovery (RFC 6675 §5 step 4), with flight bytes in flight before the loss was seen.
func (s *Stack) enterRecovery(c *conn, now Time, flight int) {
	s.beginUndo(c)
	c.recovery.phase = phaseRecovery
	c.recovery.point = c.snd.nxt
	c.stat.fastRecoveries++
	s.stats.FastRecoveries++
	c.cc.onLoss(now, c.lossFlight())
	c.ecn.noteReduction(c.snd.nxt)
	c.undo.prr.begin(flight, c.mss)
	c.disarm(timerProbe)
	c.tlp = tlpState{}
	s.wantTransmit(c)
}

func (s *Stack) endRecovery(c *conn, now Time) {
	if c.recovery.phase == phaseRecovery || c.cc.keepsWindow() {
		c.cc.onRecoveryExit(now)
	}
	if c.recovery.phase == phaseRecovery {
		c.rack.recovered()
	}
	c.recovery.phase = phaseOpen
	c.recovery.frto = frtoOff
	c.recovery.dupAcks = 0
	if c.undo != nil {
		c.undo.ended, c.undo.until = true, c.snd.nxt
	}
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
	s.beginUndo(c)
	lost := c.sent.lost
	c.sent.loseAll(reneged)
	c.lost += uint32(c.sent.lost - lost)
	s.probeLost(c)
	s.suspectBlackHole(c, now)
	c.cc.onTimeout(now, c.lossFlight(), first)
	c.ecn.noteReduction(c.snd.nxt)
	c.recovery = recoveryState{phase: phaseLoss, point: c.snd.nxt}
	if first && c.sackOn {
		c.recovery.frto = frtoHead
	}
	c.disarm(timerProbe)
	c.disarm(timerReorder)
	c.snd.pacedUntil = now // what was sent before has left the path
	c.tlp = tlpState{}
	s.redrawFlowLabel(c)
	s.arm(c, timerRetransmit, now.Add(s.rto(c)))
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
	if c.opt.FastOpen {
		s.fastOpenCookies.spoil(cookieKey{c.tuple.local, c.tuple.remote})
	}
	c.synRetries++
	c.backoff = min(c.backoff+1, maxBackoff)
	s.stats.SynRetransmits++
	c.synNow = true
	s.redrawFlowLabel(c)
	s.arm(c, timerRetransmit, now.Add(s.rto(c)))
	s.wantTransmit(c)
}

// timeoutError is why a connection timed out: what ICMP said about the path, if it did (RFC 9293 §3.9.2.2, SHLD-25).
func (c *conn) timeoutError() error {
	if c.softer != 0 {
		return &PathTimeout{Reason: icmpReason(c.softer), ICMP: c.softer.String()}
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
	s.arm(c, timerPersist, now.Add(max(s.rto(c), minPersist)))
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
