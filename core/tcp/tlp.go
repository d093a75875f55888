package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// tlpState is the tail loss probe (RFC 8985 §7.4): when ACKs stop coming, one segment is sent well before the
// retransmission timeout, so that its ACK shows what was lost at the tail and fast recovery can mend it.
type tlpState struct {
	end    seqnum.Value // TLP.end_seq
	active bool         // a probe is out
	resent bool         // TLP.is_retrans: it carried old data
	owed   bool         // the timer has fired and the builder has not sent the probe yet
}

const (
	// tlpDelayedAck is "TLP.max_ack_delay": what a receiver may wait before it acknowledges a lone segment. RFC 9293 allows
	// 500 ms; peers take 40 to 200.
	tlpDelayedAck = 200 * time.Millisecond
	// tlpFloor keeps a probe from racing its own ACK on paths of a few microseconds, where the shells' wake-ups on both
	// ends are the RTT. Linux adds two jiffies.
	tlpFloor = 2 * time.Millisecond
)

// probeTimeout is TLP_calc_PTO (§7.2).
func (c *conn) probeTimeout() time.Duration {
	if c.rtt.srtt == 0 {
		return time.Second
	}
	pto := 2*c.rtt.srtt + tlpFloor
	if c.flight() <= c.mss {
		pto += tlpDelayedAck
	}
	return pto
}

// armProbe schedules a probe after new data was sent or acknowledged, in the conditions of §7.2.
func (s *Stack) armProbe(c *conn, now Time) {
	if !c.sackOn || c.recovery.phase != phaseOpen || c.sent.sacked > 0 || c.tlp.active || !c.outstanding() || c.snd.wnd == 0 {
		c.disarm(timerProbe)
		return
	}
	due := now.Add(c.probeTimeout())
	if c.timers.on(timerRetransmit) && c.timers.deadline[timerRetransmit] <= due {
		c.disarm(timerProbe) // the retransmission timer is not later: it does
		return
	}
	s.arm(c, timerProbe, due)
}

// lossProbeTimeout is TLP_send_probe (§7.3): the builder sends it.
func (s *Stack) lossProbeTimeout(c *conn, _ Time) {
	if c.recovery.phase != phaseOpen || !c.outstanding() || c.tlp.active {
		return
	}
	c.tlp.owed = true
	s.wantTransmit(c)
}

// buildLossProbe sends new data if the peer's window has room, whatever the congestion window says, or else the last
// segment again.
func (s *Stack) buildLossProbe(c *conn, now Time, t *Transmit) bool {
	c.tlp.owed = false
	if c.recovery.phase != phaseOpen || c.sent.len() == 0 || c.sent.sacked > 0 {
		return false
	}
	mss := c.segmentSize()
	c.tlp.active = true
	s.stats.LossProbes++
	// RFC 8985 §7.3: the probe restarts the retransmission timer.
	c.disarm(timerRetransmit)
	if n := min(c.unsent(), int(c.usable()), mss); n > 0 && (n == mss || n == c.unsent()) {
		s.transmitNew(c, now, t, n, mss)
		c.tlp.end, c.tlp.resent = c.snd.nxt, false
		return true
	}
	last := c.sent.len() - 1
	if r := c.sent.at(last); int(r.size()) > mss {
		c.sent.split(&s.records, last, r.end.Sub(seqnum.Size(mss)))
		last++
	}
	s.transmitAgain(c, last, mss, mss, now, t)
	c.tlp.end, c.tlp.resent = c.snd.nxt, true
	return true
}

// onAck is TLP_process_ack (§7.4.2). It reports whether the probe repaired a loss that nothing else will show: the
// congestion window must still answer for it.
func (p *tlpState) onAck(una seqnum.Value, e *ackEvent) (repaired bool) {
	if !p.active || una.Less(p.end) {
		return false
	}
	switch {
	case !p.resent, e.dsacked > 0: // new data, or the original arrived as well
		p.active = false
	case e.advanced:
		// "if SEG.ACK > TLP.end_seq" or at it without D-SACK: either the original or the probe was lost. At TLP.end_seq
		// itself a second ACK tells: it carries the D-SACK.
		if p.end.Less(una) {
			p.active = false
			return true
		}
	case e.duplicate && !e.sacked: // "a dup ACK without any SACK option": both copies arrived
		p.active = false
	}
	return false
}
