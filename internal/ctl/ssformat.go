package ctl

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// formatSockets returns the table that ss prints, columns as wide as their widest cell; under each connection a line
// of what its TCP knows.
func formatSockets(listeners []*starfishv1.Listener, connections []*starfishv1.Connection) string {
	rows := [][]string{{"State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", "Process"}}
	details := []string{""}
	for _, l := range listeners {
		rows = append(rows, []string{
			"LISTEN", fmt.Sprint(l.GetAcceptQueue()), fmt.Sprint(l.GetBacklog()),
			formatEndpoint(l.GetLocal()), "*:*", formatOwner(l.GetOwner(), "listener", l.GetId()),
		})
		details = append(details, fmt.Sprintf("accepted:%d syn_queue:%d overflows:%d", l.GetAccepted(), l.GetSynQueue(), l.GetOverflows()))
	}
	for _, c := range connections {
		rows = append(rows, []string{
			stateName(c.GetState()), fmt.Sprint(c.GetInfo().GetRecvQueue()), fmt.Sprint(c.GetInfo().GetSendQueue()),
			formatEndpoint(c.GetLocal()), formatEndpoint(c.GetRemote()), formatOwner(c.GetOwner(), "id", c.GetId()),
		})
		detail := formatInfo(c.GetInfo())
		if c.GetSoftError() != "" {
			detail += " soft_error:" + c.GetSoftError()
		}
		details = append(details, detail)
	}
	var widths [6]int
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		var line strings.Builder
		for j, cell := range row {
			fmt.Fprintf(&line, "%-*s ", widths[j], cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if details[i] != "" {
			b.WriteString("\t " + details[i] + "\n")
		}
	}
	return b.String()
}

func formatEndpoint(e *starfishv1.Endpoint) string {
	address := e.GetAddress()
	if address == "" {
		address = "*"
	}
	return net.JoinHostPort(address, strconv.FormatUint(uint64(e.GetPort()), 10))
}

// formatOwner is ss's process column, with our id where ss has the descriptor.
func formatOwner(o *starfishv1.Owner, idName string, id uint64) string {
	if o == nil || id == 0 {
		return ""
	}
	return fmt.Sprintf("users:((%q,pid=%d,%s=%d))", o.GetProcess(), o.GetPid(), idName, id)
}

// formatInfo is ss's line about a connection; what has no value yet is left out, as ss does.
func formatInfo(t *starfishv1.TcpInfo) string {
	if t == nil {
		return ""
	}
	var words []string
	add := func(show bool, format string, args ...any) {
		if show {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	mss := max(t.GetMss(), 1)
	add(t.GetTimestamps(), "ts")
	add(t.GetSack(), "sack")
	add(ecnName(t) != "", "%s", ecnName(t))
	add(t.GetCongestionControl() != 0, "%s", congestionName(t.GetCongestionControl()))
	add(t.GetFastOpen(), "fastopen")
	add(t.GetWindowScale(), "wscale:%d,%d", t.GetSendWindowScale(), t.GetRecvWindowScale())
	add(t.GetRto() != nil, "rto:%s", millis(t.GetRto()))
	add(t.GetBackoff() != 0, "backoff:%d", t.GetBackoff())
	add(t.GetRtt().AsDuration() != 0, "rtt:%s/%s", millis(t.GetRtt()), millis(t.GetRttVariation()))
	add(t.GetMss() != 0, "mss:%d", t.GetMss())
	add(t.GetPathMtu() != 0, "pmtu:%d", t.GetPathMtu())
	add(t.GetCongestionWindow() != 0, "cwnd:%d", (t.GetCongestionWindow()+mss-1)/mss)
	add(t.GetSlowStartThreshold() != 0, "ssthresh:%d", t.GetSlowStartThreshold()/mss)
	add(t.GetBytesSent() != 0, "bytes_sent:%d", t.GetBytesSent())
	add(t.GetBytesRetransmitted() != 0, "bytes_retrans:%d", t.GetBytesRetransmitted())
	add(t.GetBytesAcked() != 0, "bytes_acked:%d", t.GetBytesAcked())
	add(t.GetBytesReceived() != 0, "bytes_received:%d", t.GetBytesReceived())
	add(t.GetSegmentsSent() != 0, "segs_out:%d", t.GetSegmentsSent())
	add(t.GetSegmentsReceived() != 0, "segs_in:%d", t.GetSegmentsReceived())
	add(t.GetLastSent() != nil, "lastsnd:%d", t.GetLastSent().AsDuration().Milliseconds())
	add(t.GetLastReceived() != nil, "lastrcv:%d", t.GetLastReceived().AsDuration().Milliseconds())
	add(t.GetPacingRate() != 0, "pacing_rate %s", bitRate(t.GetPacingRate()))
	add(t.GetDeliveryRate() != 0, "delivery_rate %s", bitRate(t.GetDeliveryRate()))
	add(t.GetInFlight() != 0, "unacked:%d", (t.GetInFlight()+mss-1)/mss)
	add(t.GetRetransmitted() != 0, "retrans:%d/%d", t.GetTimeouts(), t.GetRetransmitted())
	add(t.GetReordered() != 0, "rcv_ooopack:%d", t.GetReordered())
	add(t.GetCeReceived() != 0, "ce_received:%d", t.GetCeReceived())
	add(t.GetDeliveredCe() != 0, "delivered_ce:%d", t.GetDeliveredCe())
	add(t.GetCeBytesReceived() != 0, "ce_bytes_received:%d", t.GetCeBytesReceived())
	add(t.GetDeliveredCeBytes() != 0, "delivered_ce_bytes:%d", t.GetDeliveredCeBytes())
	add(t.GetEcnReductions() != 0, "ecn_reductions:%d", t.GetEcnReductions())
	add(true, "rcv_space:%d", t.GetRecvBuffer())
	add(t.GetNotSent() != 0, "notsent:%d", t.GetNotSent())
	add(t.GetMinRtt().AsDuration() != 0, "minrtt:%s", millis(t.GetMinRtt()))
	add(true, "snd_wnd:%d", t.GetSendWindow())
	add(t.GetCongestionState() != "" && t.GetCongestionState() != "open", "ca_state:%s", t.GetCongestionState())
	return strings.Join(words, " ")
}

// ecnName is the word of ss for what the handshake settled.
func ecnName(t *starfishv1.TcpInfo) string {
	switch t.GetEcn() {
	case "classic":
		return "ecn"
	case "accurate":
		return "accecn"
	default:
		return ""
	}
}

func congestionName(c starfishv1.CongestionControl) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "CONGESTION_CONTROL_"))
}

// millis is a duration in milliseconds, to the microsecond and without trailing zeros.
func millis(d *durationpb.Duration) string {
	return strconv.FormatFloat(float64(d.AsDuration().Round(time.Microsecond).Microseconds())/1000, 'f', -1, 64)
}

// bitRate is bytes per second as ss shows rates.
func bitRate(bytes uint64) string { return siUnits(float64(bytes)*8, "bps") }

// siUnits writes a number with one of the SI's prefixes.
func siUnits(value float64, unit string) string {
	for _, prefix := range []struct {
		factor float64
		name   string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if value >= prefix.factor {
			return strconv.FormatFloat(value/prefix.factor, 'f', 1, 64) + prefix.name + unit
		}
	}
	return strconv.FormatFloat(value, 'f', 0, 64) + unit
}
