package tcp_test

import (
	"fmt"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

// position is where a connection stands in both sequence spaces, in a script's counting.
type position struct {
	snd int // SND.NXT
	una int // SND.UNA
	rcv int // RCV.NXT
}

// positions are those in which enter leaves a connection.
var positions = map[tcp.State]position{
	tcp.StateSynReceived: {1, 0, 1},
	tcp.StateEstablished: {1, 1, 1},
	tcp.StateFinWait1:    {2, 1, 1},
	tcp.StateFinWait2:    {2, 2, 1},
	tcp.StateCloseWait:   {1, 1, 2},
	tcp.StateClosing:     {2, 1, 2},
	tcp.StateLastAck:     {2, 1, 2},
	tcp.StateTimeWait:    {2, 2, 2},
}

// The states from SYN-RECEIVED on, in the RFC's order, and those of them in which the connection is synchronized.
var (
	fromSynReceived = []tcp.State{
		tcp.StateSynReceived, tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2, tcp.StateCloseWait,
		tcp.StateClosing, tcp.StateLastAck, tcp.StateTimeWait,
	}
	synchronizedStates = fromSynReceived[1:]
)

// enter brings the connection into a state. SYN-RECEIVED is that of a simultaneous open; a passive open in that state
// is not a connection for the user yet, and has tests of its own.
func (h *script) enter(state tcp.State) {
	h.t.Helper()
	switch state {
	case tcp.StateListen:
		h.listen()
	case tcp.StateSynSent:
		h.connect()
		h.want("S 0")
	case tcp.StateSynReceived:
		h.enter(tcp.StateSynSent)
		h.in("S 0 <mss 1000>")
		h.want("S. 0 ack 1")
	case tcp.StateEstablished:
		h.enter(tcp.StateSynSent)
		h.in("S. 0 ack 1 <mss 1000>")
		h.want(". 1 ack 1")
	case tcp.StateFinWait1:
		h.enter(tcp.StateEstablished)
		h.closeWrite()
		h.want("F. 1 ack 1")
	case tcp.StateFinWait2:
		h.enter(tcp.StateFinWait1)
		h.in(". 1 ack 2")
	case tcp.StateCloseWait:
		h.enter(tcp.StateEstablished)
		h.in("F. 1 ack 1")
		h.want(". 1 ack 2")
	case tcp.StateClosing:
		h.enter(tcp.StateFinWait1)
		h.in("F. 1 ack 1")
		h.want(". 2 ack 2")
	case tcp.StateLastAck:
		h.enter(tcp.StateCloseWait)
		h.closeWrite()
		h.want("F. 1 ack 2")
	case tcp.StateTimeWait:
		h.enter(tcp.StateFinWait2)
		h.in("F. 1 ack 2")
		h.want(". 2 ack 2")
	default:
		h.t.Fatalf("no way into %v", state)
	}
	h.wantNothing()
	if state != tcp.StateListen {
		h.wantState(state)
	}
	h.events = 0
}

// enterPassive brings a connection that was opened passively into ESTABLISHED.
func (h *script) enterPassive() {
	h.t.Helper()
	h.listen()
	h.in("S 0 <mss 1000>")
	h.want("S. 0 ack 1")
	h.in(". 1 ack 1")
	h.accept()
	h.wantState(tcp.StateEstablished)
	h.events = 0
}

// forStates runs a test in a script of its own for each state.
func forStates(t *testing.T, list []tcp.State, test func(h *script, state tcp.State, at position), settings ...setting) {
	t.Helper()
	for _, state := range list {
		t.Run(state.String(), func(t *testing.T) {
			h := newScript(t, settings...)
			h.enter(state)
			test(h, state, positions[state])
		})
	}
}

// ackNow is the segment that acknowledges where a connection stands.
func (p position) ackNow() string { return fmt.Sprintf(". %d ack %d", p.snd, p.rcv) }

// TestStatesAreReached checks the ways into the states themselves: RFC 9293 §3.3.2, figure 5.
func TestStatesAreReached(t *testing.T) {
	for _, state := range append([]tcp.State{tcp.StateListen, tcp.StateSynSent}, fromSynReceived...) {
		t.Run(state.String(), func(t *testing.T) { newScript(t).enter(state) })
	}
	t.Run("ESTABLISHED passively", func(t *testing.T) { newScript(t).enterPassive() })
}
