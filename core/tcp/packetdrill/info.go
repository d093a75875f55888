package packetdrill

import (
	"math"
	"strings"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// linuxStates are the engine's states by Linux's numbers.
var linuxStates = map[tcp.State]string{
	tcp.StateEstablished: "TCP_ESTABLISHED", tcp.StateSynSent: "TCP_SYN_SENT", tcp.StateSynReceived: "TCP_SYN_RECV",
	tcp.StateFinWait1: "TCP_FIN_WAIT1", tcp.StateFinWait2: "TCP_FIN_WAIT2", tcp.StateTimeWait: "TCP_TIME_WAIT",
	tcp.StateClosed: "TCP_CLOSE", tcp.StateCloseWait: "TCP_CLOSE_WAIT", tcp.StateLastAck: "TCP_LAST_ACK",
	tcp.StateListen: "TCP_LISTEN", tcp.StateClosing: "TCP_CLOSING",
}

// segments is a number of bytes in segments, a part of one counted as one.
func segments(n int, st *tcp.Status) float64 {
	if st.MSS == 0 {
		return 0
	}
	return math.Ceil(float64(n) / float64(st.MSS))
}

// infoFields are the fields of Linux's tcp_info that the engine knows. Counts of segments in flight are made from bytes.
var infoFields = map[string]func(*tcp.Status) float64{
	"state": func(st *tcp.Status) float64 {
		if st.Unconfirmed {
			return float64(constants["TCP_SYN_RECV"])
		}
		return float64(constants[linuxStates[st.State]])
	},
	"ca_state": func(st *tcp.Status) float64 { return float64(caState(st)) },
	"backoff":  func(st *tcp.Status) float64 { return float64(st.Backoff) },
	"retransmits": func(st *tcp.Status) float64 {
		return float64(st.Backoff)
	},
	"options":    optionBits,
	"snd_wscale": func(st *tcp.Status) float64 { return float64(st.SendWScale) },
	"rcv_wscale": func(st *tcp.Status) float64 { return float64(st.RecvWScale) },
	"rto":        func(st *tcp.Status) float64 { return float64(st.RTO.Microseconds()) },
	"rtt":        func(st *tcp.Status) float64 { return float64(st.RTT.Microseconds()) },
	"rttvar":     func(st *tcp.Status) float64 { return float64(st.RTTVar.Microseconds()) },
	"min_rtt":    func(st *tcp.Status) float64 { return float64(st.MinRTT.Microseconds()) },
	"snd_mss":    func(st *tcp.Status) float64 { return float64(st.MSS) },
	"pmtu":       func(st *tcp.Status) float64 { return float64(st.PathMTU) },
	"unacked":    func(st *tcp.Status) float64 { return segments(st.SendQueue-st.NotSent, st) },
	"snd_cwnd": func(st *tcp.Status) float64 {
		return math.Floor(float64(st.CongestionWindow) / float64(max(st.MSS, 1)))
	},
	"snd_ssthresh": func(st *tcp.Status) float64 {
		if st.SlowStartThresh >= 1<<30 {
			return infiniteSsthresh
		}
		return math.Floor(float64(st.SlowStartThresh) / float64(max(st.MSS, 1)))
	},
	"total_retrans":  func(st *tcp.Status) float64 { return float64(st.Retransmitted) },
	"bytes_acked":    func(st *tcp.Status) float64 { return float64(st.BytesAcked) },
	"bytes_received": func(st *tcp.Status) float64 { return float64(st.BytesReceived) },
	"bytes_sent":     func(st *tcp.Status) float64 { return float64(st.BytesSent) },
	"bytes_retrans":  func(st *tcp.Status) float64 { return float64(st.BytesRetrans) },
	"segs_out":       func(st *tcp.Status) float64 { return float64(st.SegmentsSent) },
	"segs_in":        func(st *tcp.Status) float64 { return float64(st.SegmentsReceived) },
	"delivered_ce":   func(st *tcp.Status) float64 { return float64(st.DeliveredCE) },
	"received_ce":    func(st *tcp.Status) float64 { return float64(st.CEReceived) },

	"received_ce_bytes":  func(st *tcp.Status) float64 { return float64(st.ECNBytesReceived[wire.CE]) },
	"received_e0_bytes":  func(st *tcp.Status) float64 { return float64(st.ECNBytesReceived[wire.ECT0]) },
	"received_e1_bytes":  func(st *tcp.Status) float64 { return float64(st.ECNBytesReceived[wire.ECT1]) },
	"delivered_ce_bytes": func(st *tcp.Status) float64 { return float64(st.ECNBytesDelivered[wire.CE]) },
	"delivered_e0_bytes": func(st *tcp.Status) float64 { return float64(st.ECNBytesDelivered[wire.ECT0]) },
	"delivered_e1_bytes": func(st *tcp.Status) float64 { return float64(st.ECNBytesDelivered[wire.ECT1]) },

	"notsent_bytes": func(st *tcp.Status) float64 { return float64(st.NotSent) },
	"delivery_rate": func(st *tcp.Status) float64 { return float64(st.DeliveryRate) },
	"pacing_rate":   func(st *tcp.Status) float64 { return float64(st.PacingRate) },
	"snd_wnd":       func(st *tcp.Status) float64 { return float64(st.SendWindow) },
	"rcv_wnd":       func(st *tcp.Status) float64 { return float64(st.RecvWindow) },
	"lost":          func(st *tcp.Status) float64 { return segments(st.Lost+st.Retransmitting, st) }, // Linux counts both
	"sacked":        func(st *tcp.Status) float64 { return segments(st.SACKed, st) },
	"retrans":       func(st *tcp.Status) float64 { return segments(st.Retransmitting, st) },
	"total_rto":     func(st *tcp.Status) float64 { return float64(st.Timeouts) },
	"fackets":       func(*tcp.Status) float64 { return 0 }, // Linux counts none any more
	"reordering":    func(*tcp.Status) float64 { return 3 }, // RFC 8985's DupThresh; its window adapts in time, not in segments
	"advmss":        func(st *tcp.Status) float64 { return float64(st.PathMTU - headers(st)) },
	"rcv_ooopack":   func(st *tcp.Status) float64 { return float64(st.Reordered) },
	"probes":        func(st *tcp.Status) float64 { return float64(st.ZeroWindowProbes) },
	"delivered":     func(st *tcp.Status) float64 { return segments(int(st.BytesAcked)+st.SACKed, st) },
	"rcv_mss":       func(st *tcp.Status) float64 { return float64(st.RecvMSS) },
	"rcv_space":     func(st *tcp.Status) float64 { return float64(st.RecvBuffer) },
	"rcv_ssthresh":  func(st *tcp.Status) float64 { return float64(st.RecvBuffer) },
	"ato":           func(*tcp.Status) float64 { return 40000 }, // the delayed-ACK time of Config
}

func caState(st *tcp.Status) int64 {
	switch st.CongestionState {
	case "recovery":
		return constants["TCP_CA_Recovery"]
	case "loss":
		return constants["TCP_CA_Loss"]
	}
	if st.SACKed > 0 {
		return constants["TCP_CA_Disorder"]
	}
	return constants["TCP_CA_Open"]
}

// headers is the length of the headers without options.
func headers(st *tcp.Status) int {
	if st.Local.Addr.Is4() {
		return wire.IPv4HeaderLen + wire.TCPHeaderLen
	}
	return wire.IPv6HeaderLen + wire.TCPHeaderLen
}

func optionBits(st *tcp.Status) float64 {
	var bits int64
	for name, on := range map[string]bool{
		"TCPI_OPT_TIMESTAMPS": st.Timestamps, "TCPI_OPT_SACK": st.SACK, "TCPI_OPT_WSCALE": st.WindowScale,
		"TCPI_OPT_ECN": st.ECN != tcp.ECNFeedbackNone, "TCPI_OPT_ECN_SEEN": st.ECNSeen,
		"TCPI_OPT_SYN_DATA": st.FastOpen,
	} {
		if on {
			bits |= constants[name]
		}
	}
	return float64(bits)
}

// info is the value of a tcpi_ field of the connection that the script is about.
func (r *runner) info(name string) (float64, error) {
	if v, ok := r.chronicleOf(strings.TrimPrefix(name, "tcpi_"), r.focus); ok {
		return v, nil
	}
	field := infoFields[strings.TrimPrefix(name, "tcpi_")]
	if field == nil {
		return 0, failf(Unsupported, 0, "%s", name)
	}
	if r.listening != nil && r.focus == nil && len(r.stack.Connections(nil)) == 0 {
		return field(&tcp.Status{State: tcp.StateListen}), nil
	}
	st := r.statusOf(r.focus)
	if name == "tcpi_snd_mss" {
		return float64(r.set.reportedMSS(st)), nil
	}
	return field(st), nil
}

// statusOf is the state of a flow's connection, or of any when f is nil: closed when there is none.
func (r *runner) statusOf(f *flow) *tcp.Status {
	var st tcp.Status
	for _, id := range r.stack.Connections(nil) {
		if err := r.stack.OrphanStatus(id, &st); err == nil && (f == nil || st.Local == f.local && st.Remote == f.remote) {
			return &st
		}
	}
	return &tcp.Status{}
}

// compareInfo compares the tcpi_ fields that a script names in a struct.
func (r *runner) compareInfo(s *socket, want *Expr) error {
	st := r.status(s)
	for i := range want.Args {
		e := &want.Args[i]
		name, isInfo := strings.CutPrefix(e.Field, "tcpi_")
		field := infoFields[name]
		if v, ok := r.chronicleOf(name, s.flow); isInfo && ok {
			field = func(*tcp.Status) float64 { return v }
		}
		if !isInfo || field == nil {
			return failf(Unsupported, 0, "%s", e.Field)
		}
		n, err := eval(e)
		if err != nil {
			return err
		}
		if got := field(&st); got != float64(n) {
			return failf(WrongResult, 0, "tcpi_%s is %v, want %d", name, got, n)
		}
	}
	return nil
}
