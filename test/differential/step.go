package differential

import (
	"fmt"
	"slices"
)

// Step is one segment of the peer, or one call of the user.
type Step uint8

// The calls. Connection is the one that Connect began or Accept took.
const (
	Listen Step = iota
	Accept
	Connect
	SendByte
	SendSegment
	SendMany
	Receive
	ShutdownWrite
	ShutdownRead
	Close
	Abort
	CloseListener
	numCalls
)

// The segments of the peer, in terms of what it has sent and received so far.
const (
	SYN          Step = iota + numCalls
	SYNACK            // acknowledges what was received
	SYNInWindow       // a SYN where the next byte is expected
	SYNBeyond         // a SYN above the window, as a new incarnation sends it
	SYNACKAhead       // a SYN-ACK in the window of a connection
	SYNACKFuture      // acknowledges what was never sent
	SYNACKOld         // acknowledges less than our initial sequence number
	SYNFIN
	ACK
	ACKPart      // half of what is outstanding
	ACKDuplicate // of what was acknowledged before
	ACKOld       // one byte below SND.UNA
	ACKAncient   // below any window
	ACKFuture    // of what was never sent
	Data
	DataAhead
	DataDuplicate
	DataPartlyOld
	DataBeyond   // wholly above the window
	DataStraddle // across the window's right edge
	DataAgain    // all that is not acknowledged, sent again
	DataFutureACK
	DataAncientACK
	DataNoACK
	DataUrgent
	FIN
	FINData
	FINAhead
	FINDuplicate
	FINBeyond
	FINDuplicateACK // acknowledges nothing new, so that both FINs cross
	FINNoACK
	RST
	RSTACK
	RSTInWindow
	RSTOld
	RSTBeyond
	RSTFutureACK
	NoFlags
	ZeroWindow
	WindowUpdate
	KeepAlive
	KeepAliveByte
	numSteps
)

var stepNames = [numSteps]string{
	Listen: "listen", Accept: "accept", Connect: "connect", SendByte: "send 1", SendSegment: "send 1000", SendMany: "send 2500",
	Receive: "receive", ShutdownWrite: "shutdown write", ShutdownRead: "shutdown read", Close: "close", Abort: "abort",
	CloseListener: "close listener",
	SYN:           "< SYN", SYNACK: "< SYN-ACK", SYNInWindow: "< SYN in window", SYNBeyond: "< SYN beyond",
	SYNACKAhead: "< SYN-ACK in window", SYNACKFuture: "< SYN-ACK of the future", SYNACKOld: "< SYN-ACK of the past", SYNFIN: "< SYN FIN",
	ACK: "< ACK", ACKPart: "< ACK of half", ACKDuplicate: "< ACK again", ACKOld: "< ACK old", ACKAncient: "< ACK ancient", ACKFuture: "< ACK of the future",
	Data: "< data", DataAhead: "< data ahead", DataDuplicate: "< data old", DataPartlyOld: "< data partly old", DataBeyond: "< data beyond",
	DataStraddle: "< data across the edge", DataAgain: "< data again", DataFutureACK: "< data, ACK of the future",
	DataAncientACK: "< data, ACK ancient", DataNoACK: "< data without ACK", DataUrgent: "< data urgent",
	FIN: "< FIN", FINData: "< FIN with data", FINAhead: "< FIN ahead", FINDuplicate: "< FIN old", FINBeyond: "< FIN beyond", FINDuplicateACK: "< FIN, ACK again", FINNoACK: "< FIN without ACK",
	RST: "< RST", RSTACK: "< RST ACK", RSTInWindow: "< RST in window", RSTOld: "< RST old", RSTBeyond: "< RST beyond", RSTFutureACK: "< RST, ACK of the future",
	NoFlags: "< no flags", ZeroWindow: "< zero window", WindowUpdate: "< window update", KeepAlive: "< keep-alive", KeepAliveByte: "< keep-alive with a byte",
}

func (s Step) String() string {
	if s < numSteps {
		return stepNames[s]
	}
	return fmt.Sprintf("Step(%d)", uint8(s))
}

// IsCall says whether the step is a call of the user, and not a segment.
func (s Step) IsCall() bool { return s < numCalls }

// SendLength is how many bytes a step sends, 0 for those that send none.
func (s Step) SendLength() int {
	switch s {
	case SendByte:
		return 1
	case SendSegment:
		return peerMSS
	case SendMany:
		return 2500
	default:
		return 0
	}
}

// hasSYN says whether the step is a segment with a SYN.
func (s Step) hasSYN() bool { return s >= SYN && s <= SYNFIN }

func parseStep(text string) (Step, error) {
	if i := slices.Index(stepNames[:], text); i >= 0 {
		return Step(i), nil
	}
	return 0, fmt.Errorf("%q is no step", text)
}
