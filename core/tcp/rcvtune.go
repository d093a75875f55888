package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// rcvTuning sizes a receive buffer by what the user takes in a round trip: dynamic right-sizing (Fisk and Feng,
// "Dynamic Right-Sizing in TCP", 2001), as in Linux. A sender in steady state has one window in flight and gets it
// acknowledged one round trip later, so that twice of what was consumed in a round trip never holds it back. A user who
// does not read gets no more buffer. A connection has a rcvTuning only while its buffer may still grow, and once it
// has received enough for that to matter.
type rcvTuning struct {
	from   seqnum.Value // what the user had consumed when the round began
	mark   seqnum.Value // without timestamps: a window has come when RCV.NXT gets here
	echo   uint32       // of the last segment that was measured
	began  Time
	marked Time // when mark was set
	space  int  // the most bytes consumed in one round so far
	rtt    time.Duration
	least  time.Duration // of this round's samples by timestamps; 0 when there is none
}

const (
	// tuneFrom is how many bytes a connection receives before its buffer is tuned: most never get there, and need no
	// memory for it.
	tuneFrom = 16 << 10

	// tuneSlack is in segments: room for what comes while the user's reading is noticed. It is Linux's.
	tuneSlack = 16

	// tsTick is the tick of the timestamp clock, and so the least round trip that it tells.
	tsTick = time.Millisecond
)

// autoRecv reports whether the receive buffer of c tunes itself.
func (c *conn) autoRecv() bool { return c.opt.RecvBuffer == 0 }

// startRecvBuffer is the size that a receive buffer begins with.
func (s *Stack) startRecvBuffer(o *Options) int {
	if o.RecvBuffer > 0 {
		return o.RecvBuffer
	}
	return s.cfg.RecvBuffer.Initial
}

// recvScale is the window scale that the largest receive buffer needs.
func (s *Stack) recvScale(o *Options) uint8 {
	if o.RecvBuffer > 0 {
		return windowScaleFor(o.RecvBuffer)
	}
	return windowScaleFor(s.cfg.RecvBuffer.Max)
}

// openingWindow is the window of a SYN, which can't be scaled (RFC 7323 §2.2).
func (s *Stack) openingWindow(o *Options, mss int) seqnum.Size {
	share := max(int(s.budget.half(0)), leastShare(mss))
	return seqnum.Size(min(s.startRecvBuffer(o), share, maxUnscaled))
}

// measureRecv samples the round-trip time as a receiver sees it, from a segment with data in order.
func (s *Stack) measureRecv(c *conn, now Time, seg *segment) {
	if !c.autoRecv() || c.recvq.End() < uint64(min(tuneFrom, c.rcv.buffer)) {
		return
	}
	if c.tuning == nil {
		if int(c.rcv.buffer) >= s.cfg.RecvBuffer.Max {
			return
		}
		c.tuning = s.tunings.get()
		*c.tuning = rcvTuning{
			from: c.consumedTo(), began: now, mark: c.rcv.adv, marked: now, space: max(int(c.rcv.buffer)/4, 1),
			echo: seg.Options.TSEcr,
		}
		if c.rtt.srtt > 0 {
			c.tuning.rtt = max(c.rtt.srtt, tsTick) // the handshake has measured it
		}
		return
	}
	t := c.tuning
	if c.timestampsOn && seg.Options.Set.Has(wire.OptTimestamps) {
		t.sampleEcho(c.tsNow(now), seg.Options.TSEcr)
		return
	}
	if t.mark.LessEq(c.rcv.nxt) {
		// A window takes a round trip, or longer when the sender does not fill it: then the estimate must not grow, or the
		// buffer would with it, and with the buffer the window.
		if took := max(now.Sub(t.marked), tsTick); t.rtt == 0 || took < t.rtt {
			t.rtt = took
		}
		t.mark, t.marked = c.rcv.adv, now
	}
}

// sampleEcho takes a sample from the echo of our timestamp that came with data. One that was measured before is older now
// by what the sender has waited.
func (t *rcvTuning) sampleEcho(clock, echo uint32) {
	if age := int32(clock - echo); age >= 0 && echo != t.echo {
		t.sample(time.Duration(age) * tsTick)
	}
	t.echo = echo
}

// sample keeps the least of a round: the others have waited for something.
func (t *rcvTuning) sample(rtt time.Duration) {
	rtt = max(rtt, tsTick)
	if t.least == 0 || rtt < t.least {
		t.least = rtt
	}
	if t.rtt == 0 {
		t.rtt = rtt
	}
}

// consumedTo is the sequence number up to which the user has consumed.
func (c *conn) consumedTo() seqnum.Value { return c.rcv.nxt.Sub(seqnum.Size(c.rcv.unconsumed)) }

// tuneRecv lets the receive buffer grow when the user has consumed more in a round trip than ever before.
func (s *Stack) tuneRecv(c *conn, now Time) {
	t := c.tuning
	if t == nil || t.rtt == 0 || now.Sub(t.began) < t.rtt {
		return
	}
	if consumed := int(t.from.Size(c.consumedTo())); consumed > t.space {
		c.rcv.buffer = max(c.rcv.buffer, int32(min(t.want(c, consumed), s.cfg.RecvBuffer.Max)))
		t.space = consumed
	}
	t.from, t.began = c.consumedTo(), now
	if t.least > 0 {
		t.rtt, t.least = t.least, 0
	}
	if int(c.rcv.buffer) >= s.cfg.RecvBuffer.Max {
		s.dropTuning(c)
	}
}

// want is the buffer for a round in which consumed bytes, more than ever before, were taken. A sender whose window grows
// is ahead of what is measured by a round trip: as much as it grew is added, up to the doubling of slow start. Data that
// wait for a gap to be filled take their room besides.
func (t *rcvTuning) want(c *conn, consumed int) int {
	grown := min(consumed-t.space, t.space)
	want := 2*consumed + int(2*int64(consumed)*int64(grown)/int64(t.space)) + tuneSlack*int(c.rcv.mss)
	if c.ooo != nil {
		want += c.ooo.bytes
	}
	return want
}

func (s *Stack) dropTuning(c *conn) {
	if c.tuning != nil {
		s.tunings.put(c.tuning)
		c.tuning = nil
	}
}
