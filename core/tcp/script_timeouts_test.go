package tcp_test

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// RFC 9293 §3.10.8: timeouts; and the other timers that the RFC asks for.

// TestUserTimeout: §3.10.8: "For any state if the user timeout expires, flush all queues, signal the user 'error:
// connection aborted due to user timeout' …, delete the TCB, enter the CLOSED state".
func TestUserTimeout(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.UserTimeout = time.Second }))
	h.enter(tcp.StateEstablished)
	h.advance(time.Hour) // nothing is outstanding
	h.send(100)
	h.want("P. 1:101 ack 1")
	h.wantAfter(200*time.Millisecond, "P. 1:101 ack 1")
	h.wantAfter(400*time.Millisecond, "P. 1:101 ack 1")
	h.advance(400 * time.Millisecond)
	h.want("R. 101 ack 1")
	h.wantClosed(tcp.ErrTimeout)
	h.wantEvent(tcp.EventClosed)
	h.advance(time.Hour)
	h.wantNothing()
}

// TestConnectTimeout bounds an active open, however few SYNs have been repeated by then.
func TestConnectTimeout(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.ConnectTimeout = 2 * time.Second }))
	h.enter(tcp.StateSynSent)
	h.wantAfter(time.Second, "S 0")
	h.advance(time.Second + tick)
	h.wantNothing()
	h.wantClosed(tcp.ErrTimeout)
	h.wantEvent(tcp.EventClosed)
}

// TestConnectTimeoutByDefault: MUST-23: a SYN is sent again for 3 minutes at least.
func TestConnectTimeoutByDefault(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	for retry := range 7 {
		h.wantAfter(time.Second<<retry, "S 0")
	}
	h.advance(180*time.Second - 127*time.Second)
	h.wantState(tcp.StateSynSent)
	h.advance(10*time.Second + tick)
	h.wantNothing()
	h.wantClosed(tcp.ErrTimeout)
}

// TestRetransmissionTimeoutSyn: §3.10.8, RFC 6298 §2.1 and §5.5: 1 s, and doubled each time.
func TestRetransmissionTimeoutSyn(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.SynRetries = 3 }))
	h.enter(tcp.StateSynSent)
	h.wantAfter(1*time.Second, "S 0 win 10000 <mss 1000>")
	h.wantAfter(2*time.Second, "S 0 win 10000 <mss 1000>")
	h.wantAfter(4*time.Second, "S 0 win 10000 <mss 1000>")
	h.advance(9 * time.Second)
	h.wantNothing()
	h.wantClosed(tcp.ErrTimeout)
}

// TestRetransmissionTimeoutSynAck: the same for a passive open.
func TestRetransmissionTimeoutSynAck(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.SynAckRetries = 2 }))
	h.listen()
	h.in("S 0 <mss 1000>")
	h.want("S. 0 ack 1")
	h.wantAfter(1*time.Second, "S. 0 ack 1")
	h.wantAfter(2*time.Second, "S. 0 ack 1")
	h.advance(time.Minute)
	h.wantNothing()
	h.wantHandshakes(0)
	h.in(". 1 ack 1") // too late
	h.want("R 1")
}

// TestRetransmissionTimeout: §3.10.8: "send the segment at the front of the retransmission queue again, reinitialize the
// retransmission timer". The round trip took no time, so that the timeout is the least.
func TestRetransmissionTimeout(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(2500)
	h.skip()
	h.wantAfter(200*time.Millisecond, ". 1:1001 ack 1")
	h.wantAfter(400*time.Millisecond, ". 1:1001 ack 1")
	h.wantAfter(800*time.Millisecond, ". 1:1001 ack 1")
	h.in(". 1 ack 1001") // slow start from one segment (RFC 5681 §3.1): two may go
	h.want(". 1001:2001 ack 1")
	h.want("P. 2001:2501 ack 1")
	h.wantNothing()
	h.in(". 1 ack 2501")
	h.advance(time.Hour)
	h.wantNothing()
}

// TestRetransmissionTimeoutFin: a FIN is repeated as data is.
func TestRetransmissionTimeoutFin(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateFinWait1)
	h.wantAfter(200*time.Millisecond, "F. 1 ack 1")
	h.wantAfter(400*time.Millisecond, "F. 1 ack 1")
	h.in(". 1 ack 2")
	h.wantState(tcp.StateFinWait2)
	h.advance(time.Hour)
	h.wantNothing()
}

// TestRetransmissionTimeoutIsBounded: RFC 6298 §2.5: at least 60 s; here, as in Linux, 120 s.
func TestRetransmissionTimeoutIsBounded(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.UserTimeout = 24 * time.Hour }))
	h.enter(tcp.StateEstablished)
	h.send(100)
	h.want("P. 1:101 ack 1")
	h.advance(10 * time.Minute)
	h.skip()
	start := h.now
	h.advance(20 * time.Minute)
	if n := len(h.out); n != 10 {
		t.Errorf("sent %d times in 20 minutes, want every 120 s", n)
	}
	for i, at := range h.outAt {
		if gap := at.Sub(start); i > 0 && (gap < 120*time.Second || gap > 121*time.Second) {
			t.Errorf("sent after %v, want 120s", gap)
		}
		start = at
	}
	h.skip()
}

// TestRetransmissionTimeoutAfterLostSyn: RFC 6298 §5.7: when the SYN's timer expired and the RTO was below 3 s, "the RTO
// MUST be re-initialized to 3 seconds when data transmission begins".
func TestRetransmissionTimeoutAfterLostSyn(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.wantAfter(time.Second, "S 0")
	h.in("S. 0 ack 1 <mss 1000>")
	h.want(". 1 ack 1")
	h.send(100)
	h.want("P. 1:101 ack 1")
	h.wantAfter(3*time.Second, "P. 1:101 ack 1")
}

// TestRetransmissionTimeoutKarn: RFC 6298 §3: no RTT sample from a segment that was sent twice; §5.5: the back-off stays
// until a new sample.
func TestRetransmissionTimeoutKarn(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(100)
	h.want("P. 1:101 ack 1")
	h.wantAfter(200*time.Millisecond, "P. 1:101 ack 1")
	before := h.status().RTT
	h.advance(100 * time.Millisecond)
	h.in(". 1 ack 101")
	if after := h.status().RTT; after != before {
		t.Errorf("RTT was %v and is %v after an ambiguous ACK", before, after)
	}
}

// TestTimeWaitTimeout: §3.10.8: "If the time-wait timeout expires on a connection, delete the TCB, enter the CLOSED
// state".
func TestTimeWaitTimeout(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateTimeWait)
	h.advance(59 * time.Second)
	h.wantState(tcp.StateTimeWait)
	h.advance(time.Second + tick)
	h.wantClosed(nil)
	h.wantEvent(tcp.EventClosed)
	h.in("F. 1 ack 2") // nothing remembers it
	h.want("R 2")
}

// TestFinWait2Timeout: an orphan doesn't wait for ever for its peer's FIN, as in Linux; a user may.
func TestFinWait2Timeout(t *testing.T) {
	t.Run("orphan", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateFinWait2)
		h.close()
		h.advance(time.Minute + tick)
		h.wantNothing()
		h.in("F. 1 ack 2")
		h.want("R 2")
	})
	t.Run("with a user", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateFinWait2)
		h.advance(24 * time.Hour)
		h.wantState(tcp.StateFinWait2)
		h.in("P. 1:11 ack 2")
		h.want(". 2 ack 11")
		h.recv(10)
	})
}

// TestDelayedAck: RFC 9293 §3.8.6.3: within 500 ms (MUST-40), for at least every second full-sized segment (SHLD-19).
func TestDelayedAck(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.QuickAck = false }))
	h.enter(tcp.StateEstablished)
	// The first segments are acknowledged at once, for the peer's slow start.
	seq := 1
	next := func() { h.in(linef("P. %d:%d ack 1", seq, seq+100)); seq += 100 }
	for i := 0; ; i++ {
		if next(); len(h.out) == 0 {
			break
		}
		h.want(linef(". 1 ack %d", seq))
		if i > 100 {
			t.Fatal("never delays an ACK")
		}
	}
	h.recv(seq - 1)
	h.skip()
	h.wantAfter(40*time.Millisecond, linef(". 1 ack %d", seq))
	full := func() { h.in(linef("P. %d:%d ack 1", seq, seq+1000)); seq += 1000 }
	full()
	h.wantNothing()
	full()
	h.want(linef(". 1 ack %d", seq))
	h.wantNothing()
	// A short one behind a full one ends a flight: its sender's tail loss probe expects the ACK at once.
	full()
	h.wantNothing()
	next()
	h.want(linef(". 1 ack %d", seq))
	// Data that goes out takes the ACK along.
	next()
	h.wantNothing()
	h.send(10)
	h.want(linef("P. 1:11 ack %d", seq))
	h.advance(time.Millisecond * 100)
	h.wantNothing()
}

// TestZeroWindowProbe: RFC 9293 §3.8.6.1 (MUST-36, SHLD-29, SHLD-30, MUST-37): probes after the RTO, less and less often, and for as
// long as they are acknowledged.
func TestZeroWindowProbe(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.UserTimeout = 10 * time.Second }))
	h.enter(tcp.StateEstablished)
	h.in(". 1 ack 1 win 0")
	h.send(100)
	h.wantNothing()
	wait := 200 * time.Millisecond
	for range 12 {
		h.wantAfter(wait, ". 0 ack 1")
		h.in(". 1 ack 1 win 0")
		wait = min(2*wait, 120*time.Second)
	}
	h.wantState(tcp.StateEstablished) // long after the user timeout
	h.in(". 1 ack 1 win 5000")
	h.want("P. 1:101 ack 1")
}

// TestZeroWindowProbeUnanswered: the user timeout ends it, counted from the first probe without an answer.
func TestZeroWindowProbeUnanswered(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.UserTimeout = 10 * time.Second }))
	h.enter(tcp.StateEstablished)
	h.in(". 1 ack 1 win 0")
	h.send(100)
	h.advance(10*time.Second + 200*time.Millisecond + 2*tick)
	h.wantClosed(tcp.ErrTimeout)
	h.skip()
}

// TestKeepAlive: RFC 9293 §3.8.4 (MUST-24 to MUST-29): off by default, per connection, only when idle, and not dead for
// one lost probe.
func TestKeepAlive(t *testing.T) {
	settings := with(func(o *tcp.Options) {
		o.KeepAlive, o.KeepAliveInterval, o.KeepAliveCount = 10*time.Second, 2*time.Second, 3
	})
	t.Run("off by default", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateEstablished)
		h.advance(30 * 24 * time.Hour)
		h.wantNothing()
	})
	t.Run("answered", func(t *testing.T) {
		h := newScript(t, settings)
		h.enter(tcp.StateEstablished)
		for range 5 {
			h.wantAfter(10*time.Second, ". 0 ack 1")
			h.in(". 1 ack 1")
		}
		h.advance(5 * time.Second)
		h.in("P. 1:11 ack 1") // not idle
		h.want(". 1 ack 11")
		h.advance(6 * time.Second)
		h.wantNothing()
		h.wantAfter(4*time.Second, ". 0 ack 11")
	})
	t.Run("unanswered", func(t *testing.T) {
		h := newScript(t, settings)
		h.enter(tcp.StateEstablished)
		h.wantAfter(10*time.Second, ". 0 ack 1")
		h.wantAfter(2*time.Second, ". 0 ack 1")
		h.wantAfter(2*time.Second, ". 0 ack 1")
		h.wantAfter(2*time.Second, "R. 1 ack 1")
		h.wantClosed(tcp.ErrTimeout)
	})
	t.Run("the peer has forgotten", func(t *testing.T) {
		h := newScript(t, settings)
		h.enter(tcp.StateEstablished)
		h.wantAfter(10*time.Second, ". 0 ack 1")
		h.in("R 1")
		h.wantClosed(tcp.ErrReset)
	})
	t.Run("a probe is answered", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateEstablished)
		h.in(". 0 ack 1")
		h.want(". 1 ack 1")
		h.in(". 0:1 ack 1") // with a byte of garbage
		h.want(". 1 ack 1")
		h.wantRecv(tcp.ErrWouldBlock)
	})
}

// TestLinger: what Close leaves behind ends in time: at once by RST, or when the peer has not acknowledged it.
func TestLinger(t *testing.T) {
	t.Run("negative", func(t *testing.T) {
		h := newScript(t, with(func(o *tcp.Options) { o.Linger = -1 }))
		h.enter(tcp.StateEstablished)
		h.send(100)
		h.want("P. 1:101 ack 1")
		h.close()
		h.want("R. 101 ack 1")
	})
	t.Run("positive", func(t *testing.T) {
		h := newScript(t, with(func(o *tcp.Options) { o.Linger = 500 * time.Millisecond }))
		h.enter(tcp.StateEstablished)
		h.close()
		h.want("F. 1 ack 1")
		h.wantAfter(200*time.Millisecond, "F. 1 ack 1")
		h.wantAfter(300*time.Millisecond, "R. 2 ack 1")
		h.in(". 1 ack 2")
		h.want("R 2")
	})
}

// TestOrphanUserTimeout: a peer that keeps its window closed for ever, and answers every probe, doesn't keep an orphan.
func TestOrphanUserTimeout(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.UserTimeout = 30 * time.Second }))
	h.enter(tcp.StateEstablished)
	h.in(". 1 ack 1 win 0")
	h.send(100)
	h.close()
	for probes := 0; ; probes++ {
		deadline := h.stack.PollTimeout()
		if deadline == tcp.Never {
			if probes < 5 {
				t.Errorf("ended after %d probes", probes)
			}
			return
		}
		h.advance(deadline.Sub(h.now))
		if len(h.out) == 0 {
			continue
		}
		if probes > 100 {
			t.Fatal("probes for ever")
		}
		h.skip()
		h.in(". 1 ack 1 win 0")
		h.skip()
	}
}
