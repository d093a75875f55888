package tcp_test

import (
	"fmt"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

// RFC 9293 §3.10.7.4, the fifth check: the ACK field.

// TestSegmentArrivesAckSynReceived: "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state"; "If the segment
// acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST> and send it".
func TestSegmentArrivesAckSynReceived(t *testing.T) {
	t.Run("active", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateSynReceived)
		h.in(". 1 ack 0")
		h.want("R 0")
		h.in(". 1 ack 2")
		h.want("R 2")
		h.wantState(tcp.StateSynReceived)
		h.in(". 1 ack 1")
		h.wantNothing()
		h.wantState(tcp.StateEstablished)
		h.wantEvent(tcp.EventEstablished)
	})
	t.Run("passive", func(t *testing.T) {
		h := newScript(t)
		h.listen()
		h.in("S 0 <mss 1000>")
		h.want("S. 0 ack 1")
		h.in(". 1 ack 0")
		h.want("R 0")
		h.in(". 1 ack 2")
		h.want("R 2")
		h.wantHandshakes(1)
		if h.accepts != 0 {
			t.Error("told of a connection before its handshake was done")
		}
		h.in(". 1 ack 1")
		h.wantNothing()
		h.wantHandshakes(0)
		if h.accepts != 1 {
			t.Errorf("told of %d connections", h.accepts)
		}
		h.accept()
		h.wantState(tcp.StateEstablished)
	})
}

// TestSegmentArrivesSynReceivedGoesOn: the ACK that establishes may carry text and FIN, which steps seven and eight take.
func TestSegmentArrivesSynReceivedGoesOn(t *testing.T) {
	check := func(h *script) {
		h.want(". 1 ack 12")
		h.wantNothing()
		h.wantState(tcp.StateCloseWait)
		h.recv(10)
		h.wantEOF()
	}
	t.Run("active", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateSynReceived)
		h.in("FP. 1:11 ack 1")
		check(h)
	})
	t.Run("passive", func(t *testing.T) {
		h := newScript(t)
		h.listen()
		h.in("S 0 <mss 1000>")
		h.want("S. 0 ack 1")
		h.in("FP. 1:11 ack 1")
		h.accept()
		check(h)
	})
}

// TestSegmentArrivesPassiveSynReceived: §3.10.7.4 for a passive open in SYN-RECEIVED, whose checks differ.
func TestSegmentArrivesPassiveSynReceived(t *testing.T) {
	for _, a := range []struct {
		arrival
		handshakes int
	}{
		{arrival{"the SYN again: the SYN,ACK was lost", "S 0 <mss 1000>", "S. 0 ack 1"}, 1},
		{arrival{"first, not acceptable: ACK", ". -5 ack 1", ". 1 ack 1"}, 1},
		{arrival{"first, RST not acceptable: dropped", "R 20000", ""}, 1},
		{arrival{"second, RST at RCV.NXT: back to LISTEN", "R 1", ""}, 0},
		{arrival{"second, RST with ACK at RCV.NXT: back to LISTEN", "R. 1 ack 1", ""}, 0},
		{arrival{"second, RST elsewhere in the window: challenge (RFC 5961 §3.2)", "R 2", ". 1 ack 1"}, 1},
		{arrival{"fourth, SYN in the window: challenge (RFC 5961 §4.2)", "S 5", ". 1 ack 1"}, 1},
		{arrival{"fifth, no ACK: dropped", "P 1:10", ""}, 1},
	} {
		t.Run(a.name, func(t *testing.T) {
			h := newScript(t)
			h.listen()
			h.in("S 0 <mss 1000>")
			h.want("S. 0 ack 1")
			a.play(h)
			h.wantHandshakes(a.handshakes)
			if a.handshakes == 1 {
				h.in(". 1 ack 1")
				h.wantNothing()
				h.accept()
				h.wantState(tcp.StateEstablished)
			}
		})
	}
}

// TestSegmentArrivesAck: "If SND.UNA < SEG.ACK =< SND.NXT, then set SND.UNA <- SEG.ACK"; "If the ACK is a duplicate …, it
// can be ignored. If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment".
func TestSegmentArrivesAck(t *testing.T) {
	for _, a := range []struct {
		name, in, reply string
		left            int // unacknowledged
	}{
		{"of everything", ". 1 ack 301", "", 0},
		{"of a part", ". 1 ack 101", "", 200},
		{"of a part of a segment", ". 1 ack 151", "", 150},
		{"of one byte", ". 1 ack 2", "", 299},
		{"duplicate", ". 1 ack 1", "", 300},
		{"older, within the largest window: ignored", ". 1 ack -20", "", 300},
		{"of what was never sent: an ACK", ". 1 ack 302", ". 301 ack 1", 300},
		{"of what was never sent, with text: dropped whole", "P. 1:100 ack 500", ". 301 ack 1", 300},
		{"older than the largest window: challenge (RFC 5961 §5.2)", ". 1 ack -70000", ". 301 ack 1", 300},
	} {
		t.Run(a.name, func(t *testing.T) {
			h := newScript(t)
			h.enter(tcp.StateEstablished)
			for range 3 {
				h.send(100)
			}
			h.want("P. 1:101 ack 1")
			h.want("P. 101:201 ack 1")
			h.want("P. 201:301 ack 1")
			h.in(a.in)
			if a.reply != "" {
				h.want(a.reply)
			}
			h.wantNothing()
			if got := h.status().SendQueue; got != a.left {
				t.Errorf("%d bytes are unacknowledged, want %d", got, a.left)
			}
			h.wantRecv(tcp.ErrWouldBlock)
		})
	}
}

// TestSegmentArrivesSentEvent: "users should receive positive acknowledgments for buffers that have been SENT and fully
// acknowledged".
func TestSegmentArrivesSentEvent(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(100)
	h.want("P. 1:101 ack 1")
	h.in(". 1 ack 51")
	if h.events&tcp.EventSent != 0 {
		t.Error("told that all is acknowledged when half is")
	}
	h.in(". 1 ack 101")
	h.wantEvent(tcp.EventSent)
}

// TestSegmentArrivesWindowUpdate: "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND <-
// SEG.WND": an old segment doesn't change the window.
func TestSegmentArrivesWindowUpdate(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	wantWindow := func(want int) {
		t.Helper()
		if got := h.status().SendWindow; got != want {
			t.Fatalf("send window is %d, want %d", got, want)
		}
	}
	h.send(100)
	h.want("P. 1:101 ack 1")
	h.in("P. 1:11 ack 1 win 5000")
	h.want(". 101 ack 11")
	wantWindow(5000)
	h.in(". 11 ack 101 win 6000")
	wantWindow(6000)
	h.in(". 11 ack 1 win 7000") // the same SEG.SEQ, an older SEG.ACK
	wantWindow(6000)
	h.in(". 11 ack 101 win 8000") // the same again: an update
	wantWindow(8000)
	h.in("P. 5:15 ack 101 win 9000") // older SEG.SEQ, although it brings something new
	h.want(". 101 ack 15")
	wantWindow(8000)
	h.in(". 15 ack 101 win 400")
	wantWindow(400)
}

// TestSegmentArrivesAckOfFin: the fifth check in the closing states.
func TestSegmentArrivesAckOfFin(t *testing.T) {
	for _, a := range []struct {
		from, to tcp.State
		in       string
		reply    string
	}{
		{tcp.StateFinWait1, tcp.StateFinWait2, ". 1 ack 2", ""},
		{tcp.StateFinWait1, tcp.StateFinWait1, ". 1 ack 1", ""},
		{tcp.StateFinWait2, tcp.StateFinWait2, ". 1 ack 2", ""},
		{tcp.StateCloseWait, tcp.StateCloseWait, ". 2 ack 1", ""},
		{tcp.StateClosing, tcp.StateTimeWait, ". 2 ack 2", ""},
		{tcp.StateClosing, tcp.StateClosing, ". 2 ack 1", ""},
		{tcp.StateLastAck, tcp.StateClosed, ". 2 ack 2", ""},
		{tcp.StateLastAck, tcp.StateLastAck, ". 2 ack 1", ""},
		{tcp.StateTimeWait, tcp.StateTimeWait, ". 2 ack 2", ""},
		{tcp.StateTimeWait, tcp.StateTimeWait, "F. 1 ack 2", ". 2 ack 2"},
	} {
		t.Run(fmt.Sprintf("%v to %v", a.from, a.to), func(t *testing.T) {
			h := newScript(t)
			h.enter(a.from)
			h.in(a.in)
			if a.reply != "" {
				h.want(a.reply)
			}
			h.wantNothing()
			if a.to == tcp.StateClosed {
				h.wantClosed(nil)
				h.wantEvent(tcp.EventClosed)
				return
			}
			h.wantState(a.to)
		})
	}
}

// TestSegmentArrivesPassiveSynReceivedOptions: RFC 7323 §2.3 and §3.2: an ACK from SYN-RECEIVED scales its window and has
// timestamps, as every segment of the connection.
func TestSegmentArrivesPassiveSynReceivedOptions(t *testing.T) {
	h := newScript(t, allOptions, with(func(o *tcp.Options) { o.RecvBuffer = 1 << 20 }))
	h.listen()
	h.in("S 0 <mss 1000,ts 77:0,ws 7>")
	h.want("S. 0 ack 1 win 65535 <mss 1000,ts *:77,ws 5>")
	h.in(". -5 ack 1 <ts 78:?>")
	h.want(". 1 ack 1 win 2047 <ts *:77>")
	h.wantNothing()
}
