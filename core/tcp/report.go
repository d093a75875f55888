package tcp

// Status fills st with what a connection looks like now.
func (s *Stack) Status(id ConnID, st *Status) error {
	c, err := s.user(id)
	if err != nil {
		return err
	}
	s.report(c, st)
	return nil
}

// OrphanStatus is Status for any connection that Connections lists: those too that their users have closed and that are
// not finished yet, and those that wait for Accept.
func (s *Stack) OrphanStatus(id ConnID, st *Status) error {
	c := s.conns.find(id)
	if c == nil {
		return ErrNotFound
	}
	s.report(c, st)
	return nil
}

func (s *Stack) report(c *conn, st *Status) {
	*st = Status{
		ID: c.id(), State: c.state, Local: c.tuple.localEndpoint(), Remote: c.tuple.remoteEndpoint(), Err: c.err,
		Opened: c.opened, LastReceived: c.rcv.lastAt, LastSent: c.lastSent,
		SendQueue: c.sendq.Len(), RecvQueue: c.rcv.unconsumed,
		SendBuffer: s.sendBuffer(c), RecvBuffer: int(c.rcv.buffer),
		SendWindow: int(c.snd.wnd), SendWScale: int(c.snd.scale), RecvWScale: int(c.rcv.scale),
		MSS: c.mss, PathMTU: int(c.pathMTU), Timestamps: c.timestampsOn, SACK: c.sackOn, WindowScale: c.windowScaleOn,
		FastOpen:   c.fastOpened,
		Congestion: c.opt.Congestion, CongestionState: c.recovery.phase.String(),
		RTT: c.rtt.srtt, RTTVar: c.rtt.rttvar, MinRTT: c.rtt.min(), RTO: s.rto(c), Backoff: int(c.backoff),
		DeliveryRate: c.stat.deliveryRate,
		BytesSent:    c.stat.bytesSent, BytesAcked: c.stat.bytesAcked, BytesReceived: c.recvq.End(),
		SegmentsSent: c.stat.segmentsSent, SegmentsReceived: c.stat.segmentsReceived,
		Retransmitted: c.stat.retransmitted, BytesRetrans: c.stat.bytesRetrans, Timeouts: uint64(c.stat.timeouts),
		FastRecoveries: uint64(c.stat.fastRecoveries), Duplicates: uint64(c.stat.duplicates),
		Reordered: uint64(c.stat.reordered), ZeroWindowProbes: uint64(c.stat.zeroWindowProbes),
		ChallengeAcks: uint64(c.stat.challengeAcks), RecvMSS: int(c.rcv.mss),
	}
	st.Unconfirmed = c.fastOpening
	if c.listener != nil {
		st.Listener = c.listener.id()
	}
	if c.ooo != nil {
		st.OutOfOrder = c.ooo.bytes
	}
	if c.inFlows && synchronized.has(c.state) {
		st.NotSent = c.unsent()
		st.RecvWindow = int(c.rcvWindow())
		st.InFlight = c.pipe()
		st.SACKed, st.Lost, st.Retransmitting = int(c.sent.sacked), int(c.sent.lost), c.sent.retransmitting()
		st.CongestionWindow, st.SlowStartThresh = c.cc.cwnd(), c.cc.ssthresh()
		st.PacingRate = c.pacingRate()
	}
	if e := c.ecn; e != nil {
		st.ECN, st.ECNCapable, st.ECNSeen = e.feedback, e.capable, e.seen
		st.CEReceived, st.ECNReductions = uint64(e.received), uint64(e.reductions)
		st.DeliveredCE = uint64(e.acc.delivered)
		st.ECNBytesReceived, st.ECNBytesDelivered = e.acc.sender.received, e.acc.receiver.delivered
	}
	if c.softer != 0 {
		st.SoftError = icmpReason(c.softer)
	}
	if c.urgent {
		st.UrgentBytes = int(c.readUpTo().Size(c.rcv.up))
	}
}

// ListenerStatus fills st with what a listener looks like now.
func (s *Stack) ListenerStatus(id ListenerID, st *ListenerStatus) error {
	l := s.listeners.get(id)
	if l == nil {
		return ErrNotFound
	}
	*st = ListenerStatus{
		ID: id, Local: l.local, Backlog: l.backlog, AcceptQueue: l.accept.len(), SynQueue: l.synCount,
		Accepted: l.accepted, Overflows: l.overflows,
	}
	return nil
}

// Connections appends the handles of all connections to dst, those included that their users have closed and that are
// not finished; TIME-WAIT records that no user holds are not among them.
func (s *Stack) Connections(dst []ConnID) []ConnID {
	s.conns.each(func(c *conn) { dst = append(dst, c.id()) })
	return dst
}

// Listeners appends the handles of all listeners to dst.
func (s *Stack) Listeners(dst []ListenerID) []ListenerID {
	for _, l := range s.listeners.slots {
		if !l.closed {
			dst = append(dst, l.id())
		}
	}
	return dst
}

// TimeWaits returns the number of connections in TIME-WAIT.
func (s *Stack) TimeWaits() int { return len(s.timeWait.byTuple) }

// Handshakes returns the number of passive opens in progress.
func (s *Stack) Handshakes() int { return len(s.syns.byTuple) }
