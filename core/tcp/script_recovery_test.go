package tcp_test

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

const recoveryRTT = 100 * time.Millisecond

// withSACK lets a script's connection agree on SACK, withStamps on timestamps.
var (
	withSACK   = with(func(o *tcp.Options) { o.NoSACK = false })
	withStamps = with(func(o *tcp.Options) { o.NoTimestamps = false })
)

// enterOverPath is enter(ESTABLISHED) over a path with a round-trip time.
func (h *script) enterOverPath(rtt time.Duration, options string) {
	h.t.Helper()
	h.enter(tcp.StateSynSent)
	h.now = h.now.Add(rtt)
	h.in("S. 0 ack 1 <mss 1000," + options + ">")
	h.want(". 1 ack 1")
}

// roundTrip lets what was sent last arrive, without what timers would do meanwhile.
func (h *script) roundTrip(rtt time.Duration) { h.now = h.now.Add(rtt) }

// TestRACKWaitsForReordering: RFC 8985 §6.2: one segment SACKed above a gap starts the reordering window, a quarter of the
// minimum RTT, and not recovery.
func TestRACKWaitsForReordering(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(3000)
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 1 <sack 1001:2001>")
	h.wantNothing()
	h.wantAfter(recoveryRTT/4, ". 1:1001 ack 1")
	if st := h.status(); st.CongestionState != "recovery" {
		t.Errorf("in %q", st.CongestionState)
	}
	h.in(". 1 ack 3001")
}

// TestRACKReorderingIsNoLoss: what comes within the window leaves the congestion window alone.
func TestRACKReorderingIsNoLoss(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(3000)
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 1 <sack 1001:2001>")
	h.advance(recoveryRTT / 5)
	h.in(". 1 ack 3001")
	h.advance(recoveryRTT)
	h.wantNothing()
	if st := h.status(); st.FastRecoveries != 0 || st.CongestionWindow < 10_000 {
		t.Errorf("%d recoveries, cwnd %d", st.FastRecoveries, st.CongestionWindow)
	}
}

// TestRACKLostRetransmission: RFC 8985 §3.3: a retransmission that is lost too is found by what was sent after it, without
// a retransmission timeout.
func TestRACKLostRetransmission(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(10_000)
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 1 <sack 1001:5001>")
	h.want(". 1:1001 ack 1") // and lost again
	h.skip()
	h.roundTrip(time.Millisecond)
	h.send(2000)
	h.in(". 1 ack 1 <sack 1001:9001>")
	h.want(". 10001:11001 ack 1")
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 1 <sack 1001:11001>")
	h.want(". 1:1001 ack 1")
	if st := h.status(); st.Timeouts != 0 || st.Retransmitted != 2 {
		t.Errorf("%d timeouts, %d retransmissions", st.Timeouts, st.Retransmitted)
	}
	h.skip()
	h.in(". 1 ack 12001")
}

// TestTailLossProbe: RFC 8985 §7: two round trips after the last ACK the last segment is sent again, so that SACK shows
// what is missing.
func TestTailLossProbe(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(3000)
	h.skip()
	h.wantAfter(2*recoveryRTT+2*time.Millisecond, "P. 2001:3001 ack 1")
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 1001 <sack 2001:3001>")
	h.want(". 1001:2001 ack 1")
	h.in(". 1 ack 3001")
	if st := h.status(); st.Timeouts != 0 || st.CongestionState != "open" {
		t.Errorf("%d timeouts, in %q", st.Timeouts, st.CongestionState)
	}
}

// TestTailLossProbeOfALoneSegment: RFC 8985 §7.2: a receiver may delay the ACK of one segment.
func TestTailLossProbeOfALoneSegment(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(10)
	h.want("P. 1:11 ack 1")
	h.advance(2*recoveryRTT + 100*time.Millisecond)
	h.wantNothing()
	h.in(". 1 ack 11")
}

// TestTailLossProbeSendsNewData: RFC 8985 §7.3: "if there is a previously unsent segment … and the receive window allows",
// the congestion window notwithstanding.
func TestTailLossProbeSendsNewData(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(12_000) // two more than the initial window
	h.skip()
	h.wantAfter(2*recoveryRTT+2*time.Millisecond, ". 10001:11001 ack 1")
	h.in(". 1 ack 11001")
	h.want("P. 11001:12001 ack 1")
	h.in(". 1 ack 12001")
}

// TestEifelUndo: RFC 3522 §3.2, RFC 4015: the ACK of a retransmission echoes a timestamp from before it, so the original
// arrived: the congestion window comes back.
func TestEifelUndo(t *testing.T) {
	h := newScript(t, withSACK, withStamps)
	h.enterOverPath(recoveryRTT, "sackOK,ts 100:?")
	h.send(5 * 988)
	before := h.status().CongestionWindow
	stamp := h.tsVal
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(linef(". 1 ack 1 <ts 200:%d,sack 989:4941>", stamp))
	h.want(". 1:989 ack 1")
	if st := h.status(); st.CongestionWindow >= before || st.CongestionState != "recovery" {
		t.Fatalf("cwnd %d after %d, in %q", st.CongestionWindow, before, st.CongestionState)
	}
	h.roundTrip(10 * time.Millisecond)
	h.in(linef(". 1 ack 4941 <ts 210:%d>", stamp))
	if st := h.status(); st.CongestionWindow < before || st.CongestionState != "open" {
		t.Errorf("cwnd %d, was %d, in %q", st.CongestionWindow, before, st.CongestionState)
	}
}

// TestDSACKUndo: RFC 3708 §3: everything that was sent again arrived twice.
func TestDSACKUndo(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(5000)
	before := h.status().CongestionWindow
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 1 <sack 1001:5001>")
	h.want(". 1:1001 ack 1")
	h.in(". 1 ack 5001")
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 5001 <sack 1:1001>")
	if st := h.status(); st.CongestionWindow < before {
		t.Errorf("cwnd %d, was %d", st.CongestionWindow, before)
	}
}

// TestFRTOSpurious: RFC 5682 §3.1: after a timeout, ACKs for what was never sent again show that it was spurious.
func TestFRTOSpurious(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(5000)
	before := h.status().CongestionWindow
	h.skip()
	h.advance(2*recoveryRTT + 10*time.Millisecond)
	h.want("P. 4001:5001 ack 1")                                           // the probe
	h.wantAfter(300*time.Millisecond-8*time.Millisecond, ". 1:1001 ack 1") // the timeout
	h.skip()
	h.in(". 1 ack 1001")
	h.skip()
	h.in(". 1 ack 4001")
	if st := h.status(); st.CongestionState != "open" || st.CongestionWindow < before || st.Timeouts == 0 {
		t.Errorf("in %q, cwnd %d, was %d, %d timeouts", st.CongestionState, st.CongestionWindow, before, st.Timeouts)
	}
	h.skip()
	h.in(". 1 ack 5001")
}

// TestFRTOGenuine: RFC 5682 §3.1 step 2b and 3a: new data goes first; if nothing of the old arrives, it is sent again.
func TestFRTOGenuine(t *testing.T) {
	h := newScript(t, withSACK)
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(15_000)
	h.skip()
	h.advance(2*recoveryRTT + 10*time.Millisecond)
	h.skip() // the probe: 10001:11001
	h.advance(300 * time.Millisecond)
	h.want(". 1:1001 ack 1")
	h.skip()
	h.in(". 1 ack 1001")
	h.want(". 11001:12001 ack 1")
	h.want(". 12001:13001 ack 1")
	h.wantNothing()
	h.in(". 1 ack 1001 <sack 11001:12001>")
	h.want(". 1001:2001 ack 1")
	h.skip()
	h.in(". 1 ack 13001")
	h.skip()
	h.in(". 1 ack 15001")
}

// TestProportionalRateReduction: RFC 9937 §6: over the round trip of recovery the window comes down to ssthresh, a
// segment for about two that arrive.
func TestProportionalRateReduction(t *testing.T) {
	h := newScript(t, withSACK, with(func(o *tcp.Options) { o.SendBuffer = 1 << 20 }))
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(60_000)
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 5001")
	h.in(". 1 ack 10001") // cwnd 20,000: an ACK counts for up to eight segments (RFC 9406 §4.2)
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 10001 <sack 11001:14001>")
	h.want(". 10001:11001 ack 1")
	sent := 0
	for end := 15_001; end <= 30_001; end += 1000 {
		h.skip()
		h.in(linef(". 1 ack 10001 <sack 11001:%d>", end))
		sent += len(h.out)
	}
	if sent < 6 || sent > 10 {
		t.Errorf("%d segments for 16 that arrived, want about half", sent)
	}
	h.skip()
	if st := h.status(); st.InFlight > st.SlowStartThresh {
		t.Errorf("%d in flight, ssthresh %d", st.InFlight, st.SlowStartThresh)
	}
	h.abort()
	h.skip()
}
