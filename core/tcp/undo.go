package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
)

// undoState remembers what a reduction of the congestion window took, until it is sure that it was right. A connection has
// one only during and shortly after an episode of loss.
type undoState struct {
	saved   ccState
	una     seqnum.Value // SND.UNA when the episode began: D-SACKs from here on are about its retransmissions
	until   seqnum.Value // SND.NXT when it ended: once that is acknowledged nothing more is expected
	resent  int          // bytes retransmitted and not reported by D-SACK
	stamp   uint32       // the timestamp of the first retransmission
	stamped bool
	ended   bool
	prr     prrState
}

// beginUndo saves what an episode of loss is about to change. An episode inside another one, a timeout during recovery,
// keeps what the first has saved.
func (s *Stack) beginUndo(c *conn) {
	if c.undo != nil && !c.undo.ended {
		return
	}
	if c.undo == nil {
		c.undo = s.undos.get()
	}
	*c.undo = undoState{saved: c.cc.save(), una: c.snd.una}
}

func (s *Stack) dropUndo(c *conn) {
	if c.undo != nil {
		s.undos.put(c.undo)
		c.undo = nil
	}
}

// retransmitted notes n bytes sent again.
func (u *undoState) retransmitted(n int, stamp uint32) {
	u.resent += n
	if !u.stamped {
		u.stamped, u.stamp = true, stamp
	}
}

// spurious reports whether an ACK proves that nothing of the episode was lost: by Eifel detection (RFC 3522 §3.2), the ACK of
// the first retransmission echoes a timestamp from before it; or by D-SACK (RFC 3708 §3), everything sent again arrived
// twice. Where pacing or the window has held the first retransmission back, there is nothing to tell apart: what arrives
// of what was deemed lost is the original.
func (s *Stack) spurious(c *conn, e *ackEvent) bool {
	u := c.undo
	if u == nil {
		return false
	}
	if !u.stamped {
		return e.original && !u.ended && (e.advanced || c.sent.lost == 0)
	}
	if e.advanced && e.hasEcho && int32(e.echo-u.stamp) < 0 {
		return true
	}
	return e.dsacked > 0 && u.resent <= 0
}

// undoReduction gives back what the episode took (RFC 4015 §3.2).
func (s *Stack) undoReduction(c *conn) {
	c.cc.restore(c.undo.saved)
	c.cc.onMSS(c.mss)
	c.sent.findAll()
	c.recovery.phase = phaseOpen
	c.recovery.frto = frtoOff
	c.recovery.dupAcks = 0
	c.backoff = 0
	c.ecn.noteUndo()
	c.stat.undone++
	s.stats.Undone++
	s.dropUndo(c)
}
