package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// conn is a connection: the transmission control block of RFC 9293 §3.3.1. Connections are counted in millions:
// mind the size.
type conn struct {
	tuple      tuple
	index      uint32
	generation uint32
	state      State
	released   bool // the user let go: an orphan from here on
	inFlows    bool // the stack's tuple table points here
	// fastOpening: a connection by TCP Fast Open, which has a record of its handshake in the stack's synTable.
	fastOpening bool
	orphan      bool // released and still on the wire

	ackNow        bool // an ACK is owed at once
	probeNow      bool // a window or keep-alive probe is owed
	probed        bool // a window probe was sent and not answered
	synNow        bool // the SYN (or SYN-ACK of a simultaneous open) is owed
	forcePartial  bool // the persist timer overrides silly window avoidance, once
	recvShut      bool // the user wants no more data
	finReceived   bool
	finSent       bool
	sendWaiting   bool // Send took less than it was given
	timestampsOn  bool
	sackOn        bool
	windowScaleOn bool
	waiting       bool // in a listener's accept queue
	urgent        bool // rcv.up is ahead of what the user has received
	fastOpened    bool // all data of the SYN arrived, ours or the peer's (RFC 7413)

	softer        wire.ErrorKind // the last ICMP error that did not end it (RFC 9293 §3.9.2.2); 0 when there was none
	backoff       uint8          // consecutive retransmission timeouts, or persist probes
	keepAliveSent uint8
	synRetries    uint8
	pathMTU       uint16
	peerMSS       uint16
	tsOffset      uint32
	flowLabel     uint32
	lost          uint32 // bytes ever deemed lost, modulo 2^32 (C.lost)
	mss           int    // payload of a full segment: timestamps taken off
	err           error  // why the connection ended

	snd sendVars
	rcv recvVars

	sendq  zbuf.Chain // from the first unacknowledged byte on; positions count from ISS+1
	recvq  zbuf.Chain // in order, not yet taken by Receive
	sent   scoreboard
	ooo    *reassembly // nil while everything is in order
	tuning *rcvTuning  // nil while the receive buffer does not tune itself
	rtt    rttEstimator
	cc     congestionControl
	rate   rateState
	timers timerTable

	recovery  recoveryState
	tlp       tlpState
	rack      rackState
	undo      *undoState // what an episode of loss took and allows; nil when there was none lately
	ecn       *ecnState  // nil when the handshake has not settled on any
	search    *mtuSearch // nil while the path carries what the link does
	challenge tokenBucket
	opt       *Options  // shared with others, and so never written to: SetOptions makes new ones
	listener  *listener // who accepted it, until it closes
	opened    Time
	lastSent  Time

	queued connLinks
	stat   connStats
}

// connLinks link a connection into the stack's queues of those that may have a segment to send, and of those that
// have something to tell.
type connLinks struct {
	transmit, event *conn
	inTransmit      bool
	inEvent         bool
	events          EventFlags
}

// sendVars are the send sequence variables (RFC 9293 §3.3.1, figure 3).
type sendVars struct {
	una, nxt     seqnum.Value
	wnd          seqnum.Size // scaled
	wl1, wl2     seqnum.Value
	iss          seqnum.Value
	maxWnd       seqnum.Size  // the largest window the peer has offered (RFC 9293 §3.8.6.2.1)
	limitedUntil seqnum.Value // what was sent up to here was limited by cwnd (RFC 7661 §4.5.3)
	small        seqnum.Value // end of the last segment sent that was not full (Minshall's SND.SML)
	scale        uint8
	synData      uint16 // bytes that went with our SYN (RFC 7413)
	progressAt   Time   // when the peer last showed that our data get through, or when they became outstanding
	pacedUntil   Time   // the pacer lets the next segment go at this time
	idleSince    Time   // when data was last sent, for the restart window (RFC 5681 §4.1)
}

// recvVars are the receive sequence variables (RFC 9293 §3.3.1, figure 4).
type recvVars struct {
	nxt        seqnum.Value
	adv        seqnum.Value // right edge of the window as advertised: it never moves left
	irs        seqnum.Value
	up         seqnum.Value
	lastAck    seqnum.Value // Last.ACK.sent of RFC 7323 §4.3
	ackedUpTo  seqnum.Value // what delayed ACKs count from
	unconsumed int          // bytes that came in order and that the user has not consumed
	buffer     int32        // the size of the receive buffer: the user's, or what tuning has come to
	held       int32        // what the budget counts as held
	promised   int32        // what the budget counts as promised
	epoch      uint32       // of the budget, in which data came last
	mss        uint16       // the largest segment seen: what the peer calls full-sized
	quickAcks  uint8        // ACKs still to be sent at once at the start, for the peer's slow start
	scale      uint8
	finHeld    bool         // the peer's FIN came ahead of a gap,
	finAt      seqnum.Value // and is here
	tsRecent   uint32
	tsAt       Time // when tsRecent was taken
	lastAt     Time // when the last segment came
	dsack      wire.SACKBlock
}

// connStats are what Status reports.
type connStats struct {
	bytesSent, bytesAcked, bytesRetrans             uint64
	segmentsSent, segmentsReceived, retransmitted   uint64
	timeouts, fastRecoveries, duplicates, reordered uint32
	undone                                          uint32
	zeroWindowProbes, challengeAcks                 uint32
	deliveryRate                                    uint64
}

func (c *conn) id() ConnID { return ConnID(makeID(c.index, c.generation)) }

// v6 reports whether the connection runs over IPv6.
func (c *conn) v6() bool { return !c.tuple.local.Is4() }

// finSeq is the sequence number of our FIN, once queued: the one behind all data.
func (c *conn) finSeq() seqnum.Value { return c.snd.iss.Add(1).Add(seqnum.Size(c.sendq.End())) }

// position maps a sequence number of the data in the send queue to its position in the chain.
func (c *conn) position(seq seqnum.Value) uint64 {
	return c.sendq.Start() + uint64(c.seqOf(c.sendq.Start()).Size(seq))
}

func (c *conn) seqOf(position uint64) seqnum.Value {
	return c.snd.iss.Add(1).Add(seqnum.Size(position))
}

// unsent is the number of bytes queued and never sent.
func (c *conn) unsent() int {
	if c.finSent {
		return 0
	}
	return int(c.snd.nxt.Size(c.finSeq()))
}

// outstanding reports whether anything sent awaits its acknowledgment.
func (c *conn) outstanding() bool { return c.snd.una != c.snd.nxt }

// flight is the sequence space that is sent and not acknowledged.
func (c *conn) flight() int { return int(c.snd.una.Size(c.snd.nxt)) }

// rto is the retransmission timeout, backed off (RFC 6298 §5.5).
func (c *conn) rto() time.Duration {
	rto := c.rtt.rto(&rtoLimits{initial: c.opt.InitialRTO, min: c.opt.MinRTO})
	return min(rto<<min(c.backoff, maxBackoff), c.opt.MaxRTO)
}

// tsNow is the timestamp clock: milliseconds, from an origin that differs by peer (RFC 7323 §5.4, §7.1).
func (c *conn) tsNow(now Time) uint32 { return uint32(now/Time(time.Millisecond)) + c.tsOffset }
