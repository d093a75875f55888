package ctl

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// socketRecord is what --json shows of a connection or a listener. Its names are part of the program's interface:
// sizes are bytes, times milliseconds.
type socketRecord struct {
	Kind    string       `json:"kind"` // "connection" or "listener"
	ID      uint64       `json:"id,omitempty"`
	State   string       `json:"state"`
	Local   string       `json:"local"`
	Remote  string       `json:"remote,omitempty"`
	Owner   *ownerRecord `json:"owner,omitempty"`
	Opened  string       `json:"opened,omitempty"` // RFC 3339
	Bytes   string       `json:"transport,omitempty"`
	Parent  uint64       `json:"listener_id,omitempty"`
	Backlog *uint32      `json:"backlog,omitempty"`
	Queue   *uint32      `json:"accept_queue,omitempty"`
	Syns    *uint32      `json:"syn_queue,omitempty"`
	Taken   *uint64      `json:"accepted,omitempty"`
	Lost    *uint64      `json:"overflows,omitempty"`
	Soft    string       `json:"soft_error,omitempty"`
	*infoRecord
}

type ownerRecord struct {
	UID     uint32 `json:"uid"`
	PID     uint32 `json:"pid"`
	Process string `json:"process,omitempty"`
}

type infoRecord struct {
	SendQueue       uint32  `json:"send_queue"`
	NotSent         uint32  `json:"not_sent"`
	RecvQueue       uint32  `json:"recv_queue"`
	OutOfOrder      uint32  `json:"out_of_order"`
	SendBuffer      uint32  `json:"send_buffer"`
	RecvBuffer      uint32  `json:"recv_buffer"`
	SendWindow      uint32  `json:"send_window"`
	RecvWindow      uint32  `json:"recv_window"`
	SendWindowScale uint32  `json:"send_window_scale"`
	RecvWindowScale uint32  `json:"recv_window_scale"`
	MSS             uint32  `json:"mss"`
	PathMTU         uint32  `json:"path_mtu"`
	Timestamps      bool    `json:"timestamps"`
	SACK            bool    `json:"sack"`
	FastOpen        bool    `json:"fast_open"`
	ECN             string  `json:"ecn"`
	ECNCapable      bool    `json:"ecn_capable"`
	CEReceived      uint64  `json:"ce_received"`
	DeliveredCE     uint64  `json:"delivered_ce"`
	CEBytesReceived uint64  `json:"ce_bytes_received"`
	CEBytesSent     uint64  `json:"delivered_ce_bytes"`
	ECNReductions   uint64  `json:"ecn_reductions"`
	Congestion      string  `json:"congestion_control"`
	CongestionState string  `json:"congestion_state"`
	CWND            uint32  `json:"cwnd"`
	SSThresh        uint32  `json:"ssthresh"`
	InFlight        uint32  `json:"in_flight"`
	RTT             float64 `json:"rtt_ms"`
	RTTVar          float64 `json:"rttvar_ms"`
	MinRTT          float64 `json:"min_rtt_ms"`
	RTO             float64 `json:"rto_ms"`
	Backoff         uint32  `json:"backoff"`
	DeliveryRate    uint64  `json:"delivery_rate"` // bytes per second
	PacingRate      uint64  `json:"pacing_rate"`   // bytes per second
	BytesSent       uint64  `json:"bytes_sent"`
	BytesAcked      uint64  `json:"bytes_acked"`
	BytesReceived   uint64  `json:"bytes_received"`
	BytesRetrans    uint64  `json:"bytes_retransmitted"`
	SegmentsSent    uint64  `json:"segments_sent"`
	SegmentsRecv    uint64  `json:"segments_received"`
	Retransmitted   uint64  `json:"segments_retransmitted"`
	Timeouts        uint64  `json:"timeouts"`
	FastRecoveries  uint64  `json:"fast_recoveries"`
	Duplicates      uint64  `json:"duplicates"`
	Reordered       uint64  `json:"reordered"`
	ZeroProbes      uint64  `json:"zero_window_probes"`
	ChallengeAcks   uint64  `json:"challenge_acks"`
	Age             float64 `json:"age_ms"`
}

func listenerRecord(l *starfishv1.Listener) *socketRecord {
	return &socketRecord{
		Kind: "listener", ID: l.GetId(), State: "LISTEN", Local: formatEndpoint(l.GetLocal()), Owner: ownerOf(l.GetOwner()),
		Backlog: &l.Backlog, Queue: &l.AcceptQueue, Syns: &l.SynQueue, Taken: &l.Accepted, Lost: &l.Overflows,
	}
}

func connectionRecord(c *starfishv1.Connection) *socketRecord {
	return &socketRecord{
		Kind: "connection", ID: c.GetId(), State: stateName(c.GetState()), Parent: c.GetListenerId(),
		Local: formatEndpoint(c.GetLocal()), Remote: formatEndpoint(c.GetRemote()), Owner: ownerOf(c.GetOwner()),
		Opened: timestamp(c.GetOpenTime()), Bytes: transportName(c.GetTransport()), Soft: c.GetSoftError(),
		infoRecord: infoOf(c.GetInfo()),
	}
}

func ownerOf(o *starfishv1.Owner) *ownerRecord {
	if o == nil {
		return nil
	}
	return &ownerRecord{UID: o.GetUid(), PID: o.GetPid(), Process: o.GetProcess()}
}

func transportName(t starfishv1.Transport) string {
	switch t {
	case starfishv1.Transport_TRANSPORT_STREAM:
		return "grpc"
	case starfishv1.Transport_TRANSPORT_DATA_SOCKET:
		return "data-socket"
	default:
		return ""
	}
}

func timestamp(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339Nano)
}

func milliseconds(d *durationpb.Duration) float64 {
	return float64(d.AsDuration()) / float64(time.Millisecond)
}

func infoOf(t *starfishv1.TcpInfo) *infoRecord {
	if t == nil {
		return nil
	}
	return &infoRecord{
		SendQueue: t.GetSendQueue(), NotSent: t.GetNotSent(), RecvQueue: t.GetRecvQueue(), OutOfOrder: t.GetOutOfOrder(),
		SendBuffer: t.GetSendBuffer(), RecvBuffer: t.GetRecvBuffer(), SendWindow: t.GetSendWindow(), RecvWindow: t.GetRecvWindow(),
		SendWindowScale: t.GetSendWindowScale(), RecvWindowScale: t.GetRecvWindowScale(), MSS: t.GetMss(), PathMTU: t.GetPathMtu(),
		Timestamps: t.GetTimestamps(), SACK: t.GetSack(), FastOpen: t.GetFastOpen(),
		ECN: t.GetEcn(), ECNCapable: t.GetEcnCapable(), CEReceived: t.GetCeReceived(), DeliveredCE: t.GetDeliveredCe(),
		CEBytesReceived: t.GetCeBytesReceived(), CEBytesSent: t.GetDeliveredCeBytes(), ECNReductions: t.GetEcnReductions(),
		Congestion: congestionName(t.GetCongestionControl()), CongestionState: t.GetCongestionState(),
		CWND: t.GetCongestionWindow(), SSThresh: t.GetSlowStartThreshold(), InFlight: t.GetInFlight(),
		RTT: milliseconds(t.GetRtt()), RTTVar: milliseconds(t.GetRttVariation()), MinRTT: milliseconds(t.GetMinRtt()),
		RTO: milliseconds(t.GetRto()), Backoff: t.GetBackoff(),
		DeliveryRate: t.GetDeliveryRate(), PacingRate: t.GetPacingRate(),
		BytesSent: t.GetBytesSent(), BytesAcked: t.GetBytesAcked(), BytesReceived: t.GetBytesReceived(),
		BytesRetrans: t.GetBytesRetransmitted(), SegmentsSent: t.GetSegmentsSent(), SegmentsRecv: t.GetSegmentsReceived(),
		Retransmitted: t.GetRetransmitted(), Timeouts: t.GetTimeouts(), FastRecoveries: t.GetFastRecoveries(),
		Duplicates: t.GetDuplicates(), Reordered: t.GetReordered(), ZeroProbes: t.GetZeroWindowProbes(),
		ChallengeAcks: t.GetChallengeAcks(), Age: milliseconds(t.GetAge()),
	}
}
