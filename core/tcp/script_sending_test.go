package tcp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// When data may be sent: windows, silly window avoidance, Nagle; and what is done when it is lost.

// linef writes a line with numbers in it.
func linef(format string, numbers ...any) string { return fmt.Sprintf(format, numbers...) }

// TestNagle: RFC 9293 §3.7.4 (SHLD-7, MUST-17): a small segment waits while data is unacknowledged, unless switched off.
func TestNagle(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.NoDelay = false }))
	h.enter(tcp.StateEstablished)
	h.send(10)
	h.want("P. 1:11 ack 1")
	h.send(20)
	h.send(30)
	h.wantNothing()
	h.in(". 1 ack 11")
	h.want("P. 11:61 ack 1")
	h.send(1000) // a full segment doesn't wait
	h.want("P. 61:1061 ack 1")
	h.send(5)
	h.wantNothing()
	h.closeWrite() // and what comes before the FIN doesn't either
	h.want("FP. 1061:1066 ack 1")
}

// TestCork: partial segments wait until they are full or it is cleared.
func TestCork(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.Cork = true }))
	h.enter(tcp.StateEstablished)
	h.send(600)
	h.advance(time.Hour)
	h.wantNothing()
	h.send(600)
	h.want(". 1:1001 ack 1")
	h.wantNothing()
	h.opt.Cork = false
	h.call("set options", h.stack.SetOptions(h.now, h.id, &h.opt), nil)
	h.want("P. 1001:1201 ack 1")
	h.in(". 1 ack 1201")
}

// TestSenderSillyWindow: RFC 9293 §3.8.6.2.1 (MUST-38): less than a segment goes only when it is all there is, or half of
// the largest window, or when waiting has taken too long.
func TestSenderSillyWindow(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished) // the largest window is 65,535 bytes
	h.in(". 1 ack 1 win 100")
	h.send(500)
	h.wantNothing()
	h.wantAfter(200*time.Millisecond, ". 1:101 ack 1") // (4): the override timeout
	h.in(". 1 ack 101 win 400")
	h.want("P. 101:501 ack 1") // (2): all that is queued
}

// TestSenderStaysInWindow: not a byte beyond the right edge, also when the window shrinks (MUST-34, SHLD-15, SHLD-17).
func TestSenderStaysInWindow(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.in("S. 0 ack 1 win 3000 <mss 1000>")
	h.want(". 1 ack 1")
	h.send(5000)
	for seq := 1; seq < 3001; seq += 1000 {
		h.want(linef(". %d:%d ack 1", seq, seq+1000))
	}
	h.wantNothing()
	h.in(". 1 ack 1001 win 1000") // shrunk by 1,000
	h.wantNothing()
	h.in(". 1 ack 2001 win 2000")
	h.want(". 3001:4001 ack 1")
	h.wantNothing()
	h.in(". 1 ack 4001 win 1000")
	h.want("P. 4001:5001 ack 1")
}

// TestReceiverSillyWindow: RFC 9293 §3.8.6.2.2 (MUST-39): the edge moves by a segment or half of the buffer, not less.
func TestReceiverSillyWindow(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.RecvBuffer = 3000 }))
	h.enter(tcp.StateEstablished)
	for seq := 1; seq < 3001; seq += 1000 {
		h.in(linef(". %d:%d ack 1", seq, seq+1000))
		h.want(linef(". 1 ack %d win %d", seq+1000, 3000-seq-999))
	}
	h.hold(3000)
	h.consumed(500)
	h.wantNothing()
	h.in(". 3001 ack 1")
	h.consumed(499)
	h.wantNothing()
	h.in(". 3001:3002 ack 1") // a probe
	h.want(". 1 ack 3001 win 0")
	h.consumed(1)
	h.want(". 1 ack 3001 win 1000")
	h.consumed(2000)
	h.want(". 1 ack 3001 win 3000")
	h.wantNothing()
}

// TestFastRetransmit: RFC 5681 §3.2: the third duplicate ACK, without SACK; RFC 6582: a partial ACK shows the next loss.
func TestFastRetransmit(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(8000)
	h.skip()
	h.in(". 1 ack 1")
	h.in(". 1 ack 1")
	h.wantNothing()
	h.in(". 1 ack 1")
	h.want(". 1:1001 ack 1")
	if st := h.status(); st.CongestionState != "recovery" || st.FastRecoveries != 1 {
		t.Errorf("in %q, %d recoveries", st.CongestionState, st.FastRecoveries)
	}
	h.in(". 1 ack 1")
	h.in(". 1 ack 1")
	h.wantNothing()
	h.in(". 1 ack 3001") // partial
	h.want(". 3001:4001 ack 1")
	h.in(". 1 ack 8001")
	h.wantNothing()
	if st := h.status(); st.CongestionState != "open" {
		t.Errorf("still in %q", st.CongestionState)
	}
}

// TestDuplicateAcks: RFC 5681 §2: a segment with data, or with another window, is no duplicate ACK.
func TestDuplicateAcks(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(5000)
	h.skip()
	for i := range 5 {
		h.in(linef("P. %d:%d ack 1", 1+10*i, 11+10*i))
		h.want(linef(". 5001 ack %d", 11+10*i))
		h.in(linef(". %d ack 1 win %d", 11+10*i, 60_000+i))
	}
	h.wantNothing()
}

// TestSelectiveRetransmit: RFC 8985 §6.2: what SACK shows to be missing is sent again, and no more. Once in recovery there is
// no reordering window.
func TestSelectiveRetransmit(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.NoSACK = false }))
	h.enterOverPath(recoveryRTT, "sackOK")
	h.send(8000)
	h.skip()
	h.roundTrip(recoveryRTT)
	h.in(". 1 ack 1001 <sack 2001:3001>")
	h.in(". 1 ack 1001 <sack 2001:4001>")
	h.wantNothing()
	h.in(". 1 ack 1001 <sack 2001:5001>")
	h.want(". 1001:2001 ack 1")
	h.wantNothing()
	h.in(". 1 ack 5001 <sack 6001:8001>")
	h.want(". 5001:6001 ack 1")
	h.in(". 1 ack 8001")
	h.wantNothing()
	if st := h.status(); st.Retransmitted != 2 || st.BytesRetrans != 2000 {
		t.Errorf("retransmitted %d segments, %d bytes", st.Retransmitted, st.BytesRetrans)
	}
}
