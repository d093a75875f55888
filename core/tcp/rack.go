package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// rackState is what RACK remembers (RFC 8985 §5.2, §5.3): a segment is lost when one that was sent sufficiently later has
// been delivered. Time is what counts, not how many segments, so that reordering and lost retransmissions are told apart
// from loss, and one rule serves data, tails and retransmissions.
type rackState struct {
	sentAt     Time         // RACK.xmit_ts: of the most recently sent segment that was delivered
	end        seqnum.Value // RACK.end_seq: where it ends
	fack       seqnum.Value // RACK.fack: the highest sequence number delivered
	rtt        time.Duration
	dsackRound seqnum.Value // RACK.dsack_round
	widened    uint8        // RACK.reo_wnd_mult - 1
	persist    uint8        // RACK.reo_wnd_persist: recoveries until the window goes back
	reordered  bool         // RACK.reordering_seen
	inRound    bool         // dsackRound is set
}

const (
	// rackPersist is RFC 8985 §6.2 step 4: "RACK.reo_wnd_persist = 16".
	rackPersist = 16
	// rackWidest bounds the multiplier; the window is at most SRTT anyway.
	rackWidest = 255
)

// sentAfter is RACK_sent_after (RFC 8985 §6.2 step 2): what is sent in one burst is ordered by sequence.
func sentAfter(t1 Time, end1 seqnum.Value, t2 Time, end2 seqnum.Value) bool {
	return t1 > t2 || t1 == t2 && end2.Less(end1)
}

// delivered is step 2 and 3 for one record that is acknowledged or SACKed for the first time.
func (k *rackState) delivered(now Time, r *record, minRTT time.Duration, staleEcho bool) {
	rtt := now.Sub(r.sentAt)
	if r.has(recRetransmitted) {
		// "If the ACK … is likely for the original transmission": answered faster than the path allows, or with a
		// timestamp from before.
		if rtt < minRTT || staleEcho {
			return
		}
	} else if r.end.Less(k.fack) {
		k.reordered = true
	}
	if k.fack.Less(r.end) {
		k.fack = r.end
	}
	if sentAfter(r.sentAt, r.end, k.sentAt, k.end) {
		k.sentAt, k.end, k.rtt = r.sentAt, r.end, rtt
	}
}

// noteDSACK is step 4: a D-SACK shows a spurious retransmission, so the window was too small; once a round trip it
// grows by a quarter of the minimum RTT.
func (k *rackState) noteDSACK(una, nxt seqnum.Value) {
	if k.inRound && una.Less(k.dsackRound) {
		return
	}
	k.inRound, k.dsackRound = true, nxt
	if k.widened < rackWidest {
		k.widened++
	}
	k.persist = rackPersist
}

// recovered counts recoveries without D-SACK, after which the window goes back.
func (k *rackState) recovered() {
	if k.persist > 0 {
		k.persist--
		if k.persist == 0 {
			k.widened = 0
		}
	}
}

// reorderWindow is RACK_update_reo_wnd (step 4): how much longer than RACK.rtt a segment may take. Without any reordering
// seen, dupThresh duplicate ACKs are trusted as ever and the window is closed.
func (c *conn) reorderWindow() time.Duration {
	k := &c.rack
	if !k.reordered {
		manySacked := int(c.sent.sacked) > (dupThresh-1)*c.mss || c.recovery.dupAcks >= dupThresh
		if c.recovery.phase != phaseOpen || manySacked {
			return 0
		}
	}
	return min(c.rtt.min()/4*time.Duration(int(k.widened)+1), c.rtt.srtt)
}

// detectRACK is RACK_detect_loss (step 5). It reports whether any new loss was found, and sets the reordering timer for
// what may turn out to be lost without a further ACK.
func (s *Stack) detectRACK(c *conn, now Time) (found bool) {
	k := &c.rack
	if k.sentAt == 0 {
		return false
	}
	allow := k.rtt + c.reorderWindow()
	var wait time.Duration
	for i := range c.sent.len() {
		r := c.sent.at(i)
		if r.has(recSacked|recLost) || !sentAfter(k.sentAt, k.end, r.sentAt, r.end) {
			continue
		}
		if remaining := r.sentAt.Add(allow).Sub(now); remaining > 0 {
			wait = max(wait, remaining)
		} else if c.sent.lose(r) {
			found = true
			s.noteLost(c, now, r)
		}
	}
	if wait > 0 {
		s.arm(c, timerReorder, now.Add(wait))
	} else {
		c.disarm(timerReorder)
	}
	return found
}

// reorderTimeout is RFC 8985 §6.2, step 5: the reordering window has passed, and what waited for it is lost.
func (s *Stack) reorderTimeout(c *conn, now Time) {
	if !c.outstanding() || !s.detectRACK(c, now) {
		return
	}
	if s.probeLost(c) {
		s.wantTransmit(c)
		return
	}
	if c.recovery.phase == phaseOpen {
		s.enterRecovery(c, now, c.pipe()+int(c.sent.lost))
	}
	if c.recovery.phase == phaseRecovery {
		c.undo.prr.onAck(0, c.pipe(), c.cc.ssthresh(), c.mss, false, false)
	}
	s.wantTransmit(c)
}
