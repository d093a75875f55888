package tcp

import "fmt"

// State is a connection's state (RFC 9293 §3.3.2).
type State uint8

// The eleven states.
const (
	StateClosed State = iota
	StateListen
	StateSynSent
	StateSynReceived
	StateEstablished
	StateFinWait1
	StateFinWait2
	StateCloseWait
	StateClosing
	StateLastAck
	StateTimeWait
	numStates
)

var stateNames = [numStates]string{
	"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",
	"LAST-ACK", "TIME-WAIT",
}

func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

type stateSet uint16

func states(list ...State) stateSet {
	var set stateSet
	for _, s := range list {
		set |= 1 << s
	}
	return set
}

func (set stateSet) has(s State) bool { return set>>s&1 != 0 }

// legalTransitions is RFC 9293 §3.3.2, figure 5, with the text of §3.10: every state may fall to CLOSED
// (abort, reset, timeout). LISTEN isn't a connection's state here: a listener is an object of its own, and a passive
// open begins in ESTABLISHED, when its compact record has done the handshake.
var legalTransitions = [numStates]stateSet{
	StateClosed:      states(StateSynSent, StateEstablished),
	StateSynSent:     states(StateClosed, StateSynReceived, StateEstablished),
	StateSynReceived: states(StateClosed, StateEstablished),
	StateEstablished: states(StateClosed, StateFinWait1, StateCloseWait),
	StateFinWait1:    states(StateClosed, StateFinWait2, StateClosing, StateTimeWait),
	StateFinWait2:    states(StateClosed, StateTimeWait),
	StateCloseWait:   states(StateClosed, StateLastAck),
	StateClosing:     states(StateClosed, StateTimeWait),
	StateLastAck:     states(StateClosed),
	StateTimeWait:    states(StateClosed),
}

var (
	// synchronized: both sides know both initial sequence numbers (RFC 9293 §3.3.2).
	synchronized = states(StateEstablished, StateFinWait1, StateFinWait2, StateCloseWait, StateClosing, StateLastAck, StateTimeWait)
	// maySendData: the user has not closed the sending side yet, and the peer is there.
	maySendData = states(StateEstablished, StateCloseWait)
	// receivesData: the peer has not sent its FIN yet.
	receivesData = states(StateEstablished, StateFinWait1, StateFinWait2)
	// owesReset: the peer counts on us, and an abort tells it (RFC 9293 §3.10.5).
	owesReset = states(StateSynReceived, StateEstablished, StateFinWait1, StateFinWait2, StateCloseWait)
	// bothClose: the peer has sent its FIN, and ours is queued or sent.
	bothClose = states(StateClosing, StateLastAck)
	// finQueued: our FIN is queued or sent.
	finQueued = states(StateFinWait1, StateFinWait2, StateClosing, StateLastAck, StateTimeWait)
)

func (c *conn) setState(to State) {
	if !legalTransitions[c.state].has(to) {
		panic(fmt.Sprintf("tcp: illegal transition %v to %v", c.state, to))
	}
	c.state = to
}
