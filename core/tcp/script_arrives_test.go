package tcp_test

import (
	"fmt"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

// RFC 9293 §3.10.7.4: a segment arrives in one of the other states. The tests stand in the order of the RFC's checks.

// TestSegmentArrivesSequence is the first check, in every state: "If an incoming segment is not acceptable, an
// acknowledgment should be sent in reply (unless the RST bit is set …): <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. After
// sending the acknowledgment, drop the unacceptable segment and return."
func TestSegmentArrivesSequence(t *testing.T) {
	for _, a := range []struct {
		name  string
		in    func(at position) string
		quiet bool
	}{
		{"old text", func(at position) string { return fmt.Sprintf(". %d:%d ack %d", at.rcv-20, at.rcv, at.snd) }, false},
		{"old FIN", func(at position) string { return fmt.Sprintf("F. %d ack %d", at.rcv-30, at.snd) }, false},
		{"text beyond the window", func(at position) string {
			return fmt.Sprintf(". %d:%d ack %d", at.rcv+scriptBuffer, at.rcv+scriptBuffer+10, at.snd)
		}, false},
		{"ACK beyond the window", func(at position) string { return fmt.Sprintf(". %d ack %d", at.rcv+scriptBuffer, at.snd) }, false},
		{"old ACK", func(at position) string { return fmt.Sprintf(". %d ack %d", at.rcv-1, at.snd) }, false},
		{"RST before the window", func(at position) string { return fmt.Sprintf("R %d", at.rcv-1) }, true},
		{"RST beyond the window", func(at position) string { return fmt.Sprintf("R %d", at.rcv+scriptBuffer) }, true},
	} {
		t.Run(a.name, func(t *testing.T) {
			forStates(t, fromSynReceived, func(h *script, state tcp.State, at position) {
				h.in(a.in(at))
				if !a.quiet {
					h.want(at.ackNow())
				}
				h.wantNothing()
				h.wantState(state)
			})
		})
	}
}

// TestSegmentArrivesAcceptability is table 6 of RFC 9293 §3.10.7.4, its four cases of length and window. A byte that
// arrives in the window is acceptable even where it leaves a gap.
func TestSegmentArrivesAcceptability(t *testing.T) {
	const wnd = 1000
	for _, a := range []struct {
		name     string
		filled   bool // the window is used up, RCV.NXT is 1001; else it is 1
		in       string
		accepted bool
	}{
		{"length 0, window 0: SEG.SEQ = RCV.NXT", true, ". 1001 ack 51", true},
		{"length 0, window 0: SEG.SEQ < RCV.NXT", true, ". 1000 ack 51", false},
		{"length 0, window 0: SEG.SEQ > RCV.NXT", true, ". 1002 ack 51", false},
		{"length 0, window > 0: at its left edge", false, ". 1 ack 51", true},
		{"length 0, window > 0: at its last byte", false, ". 1000 ack 51", true},
		{"length 0, window > 0: at its right edge", false, ". 1001 ack 51", false},
		{"length 0, window > 0: before it", false, ". 0 ack 51", false},
		{"length > 0, window 0: not acceptable", true, ". 1002:1003 ack 51", false},
		{"length > 0, window > 0: begins before and ends in it", false, ". -49:2 ack 51", true},
		{"length > 0, window > 0: begins in and ends behind it", false, ". 1000:1100 ack 51", true},
		{"length > 0, window > 0: ends before it", false, ". -49:1 ack 51", false},
		{"length > 0, window > 0: begins behind it", false, ". 1001:1002 ack 51", false},
	} {
		t.Run(a.name, func(t *testing.T) {
			h := newScript(t, with(func(o *tcp.Options) { o.RecvBuffer = wnd }))
			h.enter(tcp.StateEstablished)
			h.send(50)
			h.want("P. 1:51 ack 1 win 1000")
			if a.filled {
				h.in("P. 1:1001 ack 1")
				h.want(". 51 ack 1001 win 0")
			}
			h.in(a.in)
			h.skip() // the replies are TestSegmentArrivesSequence's matter
			// Whether it was accepted shows in its ACK.
			if taken := h.status().SendQueue == 0; taken != a.accepted {
				t.Errorf("accepted %t, want %t", taken, a.accepted)
			}
			h.wantState(tcp.StateEstablished)
		})
	}
}

// TestSegmentArrivesZeroWindow: §3.10.7.4, first: "If the RCV.WND is zero, no segments will be acceptable, but special
// allowance should be made to accept valid ACKs, URGs, and RSTs."
func TestSegmentArrivesZeroWindow(t *testing.T) {
	fill := func(t *testing.T) *script {
		h := newScript(t, with(func(o *tcp.Options) { o.RecvBuffer = 1000 }))
		h.enter(tcp.StateEstablished)
		h.send(50)
		h.want("P. 1:51 ack 1 win 1000")
		h.in("P. 1:1001 ack 1")
		h.want(". 51 ack 1001 win 0")
		return h
	}
	t.Run("ACK", func(t *testing.T) {
		h := fill(t)
		h.in("P. 1001:1002 ack 51")
		h.want(". 51 ack 1001 win 0")
		h.wantNothing()
		if n := h.status().SendQueue; n != 0 {
			t.Errorf("%d bytes are still unacknowledged", n)
		}
	})
	t.Run("RST", func(t *testing.T) {
		h := fill(t)
		h.in("R 1001")
		h.wantNothing()
		h.wantClosed(tcp.ErrReset)
	})
	t.Run("URG", func(t *testing.T) {
		h := fill(t)
		h.events = 0
		h.in("U. 1001:1002 ack 51 urg 1")
		h.want(". 51 ack 1001 win 0")
		h.wantEvent(tcp.EventUrgent)
	})
}

// TestSegmentArrivesTrimmed: §3.10.7.4, first: "Segments with higher beginning sequence numbers should be held for later
// processing", those that begin earlier are trimmed.
func TestSegmentArrivesTrimmed(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("P. 1:101 ack 1")
	h.want(". 1 ack 101 win 9900")
	h.recv(100)
	h.in(". 51:151 ack 1") // half of it is known
	h.want(". 1 ack 151")
	h.recv(50)
	h.in(". 201:301 ack 1") // held
	h.want(". 1 ack 151")
	h.wantRecv(tcp.ErrWouldBlock)
	h.in(". 151:201 ack 1") // fills the gap
	h.want(". 1 ack 301")
	h.recv(150)
	h.wantNothing()
}

// TestSegmentArrivesReset is the second check: RFC 9293 §3.10.7.4 with RFC 5961 §3.2: at RCV.NXT exactly it resets.
func TestSegmentArrivesReset(t *testing.T) {
	for state, want := range map[tcp.State]error{
		tcp.StateSynReceived: tcp.ErrRefused, // "if this connection was initiated with an active OPEN … refused"
		tcp.StateEstablished: tcp.ErrReset,
		tcp.StateFinWait1:    tcp.ErrReset,
		tcp.StateFinWait2:    tcp.ErrReset,
		tcp.StateCloseWait:   tcp.ErrReset,
		tcp.StateClosing:     nil, // "enter the CLOSED state, delete the TCB, and return"
		tcp.StateLastAck:     nil,
		tcp.StateTimeWait:    nil,
	} {
		for _, flags := range []string{"R %d", "R. %d ack 1"} {
			t.Run(fmt.Sprintf("%v %s", state, flags[:2]), func(t *testing.T) {
				h := newScript(t)
				h.enter(state)
				h.in(fmt.Sprintf(flags, positions[state].rcv))
				h.wantNothing()
				h.wantClosed(want)
				h.wantEvent(tcp.EventClosed)
			})
		}
	}
}

// TestSegmentArrivesResetInWindow: RFC 5961 §3.2: "If the RST bit is set and the sequence number does not exactly match
// the next expected sequence value, yet is within the current receive window, TCP implementations MUST send an
// acknowledgment (challenge ACK)".
func TestSegmentArrivesResetInWindow(t *testing.T) {
	forStates(t, fromSynReceived[:7], func(h *script, state tcp.State, at position) {
		h.in(fmt.Sprintf("R %d", at.rcv+1))
		h.want(at.ackNow())
		h.wantNothing()
		h.wantState(state)
	})
	t.Run("TIME-WAIT keeps quiet: the RST may be old (RFC 1337)", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateTimeWait)
		h.in("R 3")
		h.wantNothing()
		h.wantState(tcp.StateTimeWait)
	})
}

// TestSegmentArrivesSyn is the fourth check: RFC 5961 §4.2: "TCP endpoints MUST send a challenge ACK … irrespective of
// the sequence number" in the synchronized states.
func TestSegmentArrivesSyn(t *testing.T) {
	for _, in := range []string{"S %d", "S. %d ack 1"} {
		for name, offset := range map[string]int{"at RCV.NXT": 0, "in the window": 5, "before it": -5, "beyond it": scriptBuffer + 5} {
			t.Run(in[:2]+" "+name, func(t *testing.T) {
				forStates(t, synchronizedStates[:6], func(h *script, state tcp.State, at position) {
					h.in(fmt.Sprintf(in, at.rcv+offset))
					h.want(at.ackNow())
					h.wantNothing()
					h.wantState(state)
				})
			})
		}
	}
}

// TestChallengeAcksAreRateLimited: RFC 5961 §7.
func TestChallengeAcksAreRateLimited(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	for range 100 {
		h.in("S 5")
	}
	if n := len(h.out); n == 0 || n > 10 {
		t.Errorf("%d challenge ACKs in an instant, want 1 to 10", n)
	}
	h.skip()
	h.wantState(tcp.StateEstablished)
}

// TestSegmentArrivesNoAck is the fifth check: "If the ACK bit is off, drop the segment and return."
func TestSegmentArrivesNoAck(t *testing.T) {
	for _, in := range []string{"P %d:%d", "F %d:%d", "- %d:%d"} {
		t.Run(in[:1], func(t *testing.T) {
			forStates(t, fromSynReceived[:7], func(h *script, state tcp.State, at position) {
				h.in(fmt.Sprintf(in, at.rcv, at.rcv+10))
				h.wantNothing()
				h.wantState(state)
			})
		})
	}
}
