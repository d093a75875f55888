package tcp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// RFC 9293 §3.10.7.4, sixth to eighth: URG, the segment text, FIN.

// TestSegmentArrivesUrgent: sixth: "If the URG bit is set, RCV.UP <- max(RCV.UP,SEG.UP), and signal the user that the
// remote side has urgent data" (MUST-32), in ESTABLISHED, FIN-WAIT-1 and FIN-WAIT-2. The data stays in line.
func TestSegmentArrivesUrgent(t *testing.T) {
	forStates(t, []tcp.State{tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2}, func(h *script, state tcp.State, at position) {
		h.in(fmt.Sprintf("PU. 1:11 ack %d urg 5", at.una))
		h.want(fmt.Sprintf(". %d ack 11", at.snd))
		h.wantEvent(tcp.EventUrgent | tcp.EventReadable)
		h.in(fmt.Sprintf("U. 11 ack %d urg 0", at.una)) // not ahead of RCV.UP
		if h.events&tcp.EventUrgent != 0 {
			h.t.Error("told of urgent data again")
		}
		h.recv(10)
		h.wantState(state)
	})
}

// TestSegmentArrivesUrgentIgnored: sixth, CLOSE-WAIT and later: "This should not occur since a FIN has been received from
// the remote side. Ignore the URG."
func TestSegmentArrivesUrgentIgnored(t *testing.T) {
	forStates(t, []tcp.State{tcp.StateCloseWait, tcp.StateClosing, tcp.StateLastAck, tcp.StateTimeWait}, func(h *script, state tcp.State, at position) {
		h.in(fmt.Sprintf("U. %d ack %d urg 5", at.rcv, at.una))
		if h.events&tcp.EventUrgent != 0 {
			h.t.Error("told of urgent data after the FIN")
		}
		h.wantNothing()
		h.wantState(state)
	})
}

// TestSegmentArrivesText: seventh: "Once in the ESTABLISHED state, it is possible to deliver segment data to user RECEIVE
// buffers", and in FIN-WAIT-1 and FIN-WAIT-2.
func TestSegmentArrivesText(t *testing.T) {
	forStates(t, []tcp.State{tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2}, func(h *script, state tcp.State, at position) {
		h.in(fmt.Sprintf("P. 1:101 ack %d", at.una))
		h.want(fmt.Sprintf(". %d ack 101 win %d", at.snd, scriptBuffer-100))
		h.wantEvent(tcp.EventReadable)
		h.in(fmt.Sprintf("P. 101:201 ack %d", at.una))
		h.want(fmt.Sprintf(". %d ack 201 win %d", at.snd, scriptBuffer-200))
		h.recv(200)
		h.wantNothing()
		h.wantRecv(tcp.ErrWouldBlock)
		h.wantState(state)
	})
}

// TestSegmentArrivesTextIgnored: seventh, CLOSE-WAIT and later: "This should not occur since a FIN has been received from
// the remote side. Ignore the segment text."
func TestSegmentArrivesTextIgnored(t *testing.T) {
	forStates(t, []tcp.State{tcp.StateCloseWait, tcp.StateClosing, tcp.StateLastAck, tcp.StateTimeWait}, func(h *script, state tcp.State, at position) {
		h.in(fmt.Sprintf("P. 2:102 ack %d", at.una))
		for _, s := range h.out { // an ACK does no harm, one of the text would
			if s.tcp.Ack != h.irs.Add(2) {
				h.t.Errorf("left: %s", s.format(h.iss, h.irs))
			}
		}
		h.skip()
		h.wantState(state)
		h.wantEOF()
	})
}

// TestSegmentArrivesTextReordered: data held out of order is delivered once, in order, and acknowledged at once where a
// gap opens or closes (RFC 5681 §4.2).
func TestSegmentArrivesTextReordered(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.QuickAck = false }))
	h.enter(tcp.StateEstablished)
	for _, a := range []arrival{
		{"last first", ". 301:401 ack 1", ". 1 ack 1"},
		{"another island", ". 101:201 ack 1", ". 1 ack 1"},
		{"overlapping both", ". 151:351 ack 1", ". 1 ack 1"},
		{"known", ". 101:401 ack 1", ". 1 ack 1"},
		{"the first", ". 1:101 ack 1", ". 1 ack 401"},
	} {
		a.play(h)
	}
	h.recv(400)
}

// TestSegmentArrivesFin: eighth: "If the FIN bit is set, signal the user 'connection closing' and return any pending
// RECEIVEs with same message, advance RCV.NXT over the FIN, and send an acknowledgment for the FIN."
func TestSegmentArrivesFin(t *testing.T) {
	for _, a := range []struct {
		from, to  tcp.State
		in, reply string
	}{
		{tcp.StateSynReceived, tcp.StateCloseWait, "F. 1 ack 1", ". 1 ack 2"},
		{tcp.StateEstablished, tcp.StateCloseWait, "F. 1 ack 1", ". 1 ack 2"},
		{tcp.StateFinWait1, tcp.StateClosing, "F. 1 ack 1", ". 2 ack 2"},
		{tcp.StateFinWait1, tcp.StateTimeWait, "F. 1 ack 2", ". 2 ack 2"}, // "if our FIN has been ACKed"
		{tcp.StateFinWait2, tcp.StateTimeWait, "F. 1 ack 2", ". 2 ack 2"},
	} {
		t.Run(fmt.Sprintf("%v to %v", a.from, a.to), func(t *testing.T) {
			h := newScript(t)
			h.enter(a.from)
			h.in(a.in)
			h.want(a.reply)
			h.wantNothing()
			h.wantState(a.to)
			h.wantEvent(tcp.EventReadable)
			h.wantEOF()
		})
	}
}

// TestSegmentArrivesFinAgain: eighth, CLOSE-WAIT, CLOSING, LAST-ACK: "Remain in the state". The repeated FIN is outside of
// the window, and acknowledged as such.
func TestSegmentArrivesFinAgain(t *testing.T) {
	forStates(t, []tcp.State{tcp.StateCloseWait, tcp.StateClosing, tcp.StateLastAck}, func(h *script, state tcp.State, at position) {
		h.in("F. 1 ack 1")
		h.want(at.ackNow())
		h.wantNothing()
		h.wantState(state)
	})
}

// TestSegmentArrivesFinOutOfOrder: a FIN behind a gap says nothing yet.
func TestSegmentArrivesFinOutOfOrder(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("FP. 101:201 ack 1")
	h.want(". 1 ack 1")
	h.wantState(tcp.StateEstablished)
	h.in("P. 1:101 ack 1")
	first := h.out[0]
	h.skip()
	if first.tcp.Ack == h.irs.Add(201) { // the FIN was not kept, and comes again
		h.in("F. 201 ack 1")
		h.want(". 1 ack 202")
	}
	h.wantState(tcp.StateCloseWait)
	h.recv(200)
	h.wantEOF()
}

// TestSegmentArrivesFinBeyondWindow: a FIN that the window has no room for is not taken.
func TestSegmentArrivesFinBeyondWindow(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.RecvBuffer = 100 }))
	h.enter(tcp.StateEstablished)
	h.in("FP. 1:102 ack 1") // one byte more than the window
	h.want(". 1 ack 101 win 0")
	h.wantState(tcp.StateEstablished)
	h.recv(100)
	h.want(". 1 ack 101 win 100")
	h.in("FP. 101:102 ack 1")
	h.want(". 1 ack 103")
	h.wantState(tcp.StateCloseWait)
}

// TestSegmentArrivesTimeWait: eighth, TIME-WAIT: "Restart the 2 MSL time-wait timeout."
func TestSegmentArrivesTimeWait(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateTimeWait)
	h.advance(50 * time.Second)
	h.in("F. 1 ack 2")
	h.want(". 2 ack 2")
	h.advance(50 * time.Second)
	h.wantState(tcp.StateTimeWait)
	h.advance(11 * time.Second)
	h.wantNothing()
	h.wantClosed(nil)
}

// TestSegmentArrivesTimeWaitReopens: fourth check in TIME-WAIT (MAY-2): a SYN whose number is beyond all that the old
// connection used opens a new one, if somebody listens.
func TestSegmentArrivesTimeWaitReopens(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateTimeWait)
	h.in("S 1 <mss 1000>")
	h.want(". 2 ack 2") // old: acknowledged
	h.wantState(tcp.StateTimeWait)
	h.in("S 500 <mss 1000>")
	h.want(". 2 ack 2") // nobody listens
	h.wantState(tcp.StateTimeWait)
	h.listen()
	h.in("S 500 <mss 1000>")
	h.want("S. 65539 ack 501") // beyond all that the old connection used, as Linux steps
	h.wantClosed(nil)
	h.in(". 501 ack 65540")
	h.wantNothing()
	if h.accepts != 1 {
		t.Error("no connection to accept")
	}
}
