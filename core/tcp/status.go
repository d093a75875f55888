package tcp

import "time"

// Status is what a connection looks like from outside: what ss shows. Sizes are bytes.
type Status struct {
	ID            ConnID
	State         State
	Local, Remote Endpoint
	Listener      ListenerID // who accepted it, if anyone
	Err           error      // why it ended; nil while it lives and after a normal close
	SoftError     error      // what ICMP said last about its path without ending it (RFC 9293 MUST-47); nil for nothing
	Opened        Time       // when the SYN was sent or received
	LastReceived  Time
	LastSent      Time

	SendQueue   int // accepted from the user and not acknowledged
	NotSent     int // of these, never transmitted
	RecvQueue   int // in order and not consumed by the user
	OutOfOrder  int
	UrgentBytes int // to be received up to the urgent pointer
	SendBuffer  int
	RecvBuffer  int
	SendWindow  int // as the peer advertises it, scaled
	RecvWindow  int // as we advertise it, scaled
	SendWScale  int
	RecvWScale  int
	MSS         int // payload of a full segment, options taken off
	PathMTU     int
	Timestamps  bool
	SACK        bool
	WindowScale bool
	FastOpen    bool        // data came with the SYN, ours or the peer's, and were taken (RFC 7413)
	Unconfirmed bool        // accepted by Fast Open, and the ACK of our SYN has not come
	ECN         ECNFeedback // what the handshake agreed on
	ECNCapable  bool        // new data is sent with ECT
	ECNSeen     bool        // a packet came with an ECN codepoint

	Congestion       CongestionControl
	CongestionState  string // open, recovery, loss
	CongestionWindow int
	SlowStartThresh  int
	InFlight         int
	SACKed           int // sent, and held by the peer out of order
	Lost             int // sent, deemed lost, and not sent again since
	Retransmitting   int // sent again, and neither acknowledged nor SACKed nor lost again
	RTT, RTTVar      time.Duration
	MinRTT           time.Duration
	RTO              time.Duration
	Backoff          int
	DeliveryRate     uint64 // bytes per second
	PacingRate       uint64 // bytes per second; 0 when not paced

	BytesSent         uint64 // payload, retransmissions included
	BytesAcked        uint64
	BytesReceived     uint64 // in order
	SegmentsSent      uint64 // as on the wire: a super-segment counts for each of its segments
	SegmentsReceived  uint64
	Retransmitted     uint64 // segments
	BytesRetrans      uint64
	Timeouts          uint64
	FastRecoveries    uint64
	Duplicates        uint64 // segments received with nothing new
	RecvMSS           int    // payload of the largest segment received
	Reordered         uint64 // segments received out of order
	ZeroWindowProbes  uint64
	ChallengeAcks     uint64
	CEReceived        uint64    // segments that came marked
	DeliveredCE       uint64    // segments of ours that the peer says came marked; Accurate ECN only
	ECNBytesReceived  [4]uint64 // bytes of payload that came, by wire.ECN; Accurate ECN only
	ECNBytesDelivered [4]uint64 // bytes of payload that the peer's options say came, by wire.ECN; Accurate ECN only
	ECNReductions     uint64    // of the congestion window, because the peer echoed congestion
}

// ListenerStatus is what a listener looks like from outside.
type ListenerStatus struct {
	ID          ListenerID
	Local       Endpoint
	Backlog     int
	AcceptQueue int
	SynQueue    int
	Accepted    uint64
	Overflows   uint64 // handshakes dropped because the accept queue was full
}
