package daemon

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// Page sizes of ListConnections. A connection takes some 400 bytes, and gRPC's clients refuse answers above 4 MiB.
const (
	defaultPage = 1_000
	maxPage     = 8_000
)

// GetConnection implements the API.
func (d *Daemon) GetConnection(ctx context.Context, request *starfishv1.GetConnectionRequest) (*starfishv1.GetConnectionResponse, error) {
	s, err := sessionOf(ctx)
	if err != nil {
		return nil, err
	}
	id := request.GetConnectionId()
	if c := d.registry.connection(id); c != nil && d.visible(s, c.owner) {
		return &starfishv1.GetConnectionResponse{Connection: d.describe(c)}, nil
	}
	if e, ok := d.registry.endedConnection(id); ok && d.visible(s, e.summary.owner) {
		p := e.summary.proto()
		p.State = starfishv1.ConnectionState_CONNECTION_STATE_CLOSED
		p.End = e.end.proto()
		return &starfishv1.GetConnectionResponse{Connection: p}, nil
	}
	return nil, notFound("get", connectionName(id), "no such connection")
}

// describe tells all about a connection. One that the stack has just let go is about to be taken off the books.
func (d *Daemon) describe(c *connection) *starfishv1.Connection {
	p := c.summary.proto()
	p.Transport = c.transport()
	st, err := c.conn.Status()
	if err != nil {
		p.State = starfishv1.ConnectionState_CONNECTION_STATE_CLOSED
		p.End = endingOf(c.conn.Err(), time.Now()).proto()
		return p
	}
	d.fill(p, &st)
	return p
}

// fill adds what the engine knows.
func (d *Daemon) fill(p *starfishv1.Connection, st *tcp.Status) {
	p.State = stateProto(st.State)
	p.Info = d.info(st)
	if st.SoftError != nil {
		p.SoftError = reason(errnoOf(st.SoftError))
	}
	if st.State == tcp.StateClosed {
		p.End = endingOf(st.Err, d.network.Time(max(st.LastReceived, st.LastSent, st.Opened))).proto()
	}
}

// pageToken says where the next page begins.
type pageToken struct {
	part  string // listeners, connections or orphans
	after uint64 // the last id that was looked at; of orphans, the number that were
}

const (
	partListeners   = "l"
	partConnections = "c"
	partOrphans     = "o"
)

func (t pageToken) String() string { return t.part + strconv.FormatUint(t.after, 10) }

func parsePageToken(text string) (pageToken, error) {
	if text == "" {
		return pageToken{part: partListeners}, nil
	}
	part := text[:1]
	after, err := strconv.ParseUint(text[1:], 10, 64)
	if err != nil || !strings.Contains(partListeners+partConnections+partOrphans, part) {
		return pageToken{}, invalid("list", "page token %.32q is none of ours", text)
	}
	return pageToken{part, after}, nil
}

// ListConnections implements the API.
func (d *Daemon) ListConnections(ctx context.Context, request *starfishv1.ListConnectionsRequest) (*starfishv1.ListConnectionsResponse, error) {
	s, err := sessionOf(ctx)
	if err != nil {
		return nil, err
	}
	token, err := parsePageToken(request.GetPageToken())
	if err != nil {
		return nil, err
	}
	room := int(min(request.GetPageSize(), maxPage))
	if room == 0 {
		room = defaultPage
	}
	response := &starfishv1.ListConnectionsResponse{}
	shown := func(owner *session) bool { return d.visible(s, owner) }
	if token.part == partListeners {
		listeners, last, more := d.registry.listenersAfter(token.after, room, shown)
		for _, l := range listeners {
			response.Listeners = append(response.Listeners, l.proto())
		}
		token.after = last
		if room -= len(listeners); more || room == 0 {
			response.NextPageToken = token.String()
			return response, nil
		}
		token = pageToken{part: partConnections}
	}
	if token.part == partConnections {
		conns, last, more := d.registry.connectionsAfter(token.after, room, shown)
		for _, c := range conns {
			response.Connections = append(response.Connections, d.describe(c))
		}
		token.after = last
		if room -= len(conns); more || room == 0 {
			response.NextPageToken = token.String()
			return response, nil
		}
		token = pageToken{part: partOrphans}
	}
	return response, d.listOrphans(response, token, room, s.peer.root() || d.visible(s, nobody))
}

// nobody owns the connections that were let go.
var nobody = &session{peer: peer{uid: ^uint32(0)}}

// listOrphans adds connections that their owner has let go, and that finish in the background.
func (d *Daemon) listOrphans(response *starfishv1.ListConnectionsResponse, token pageToken, room int, visible bool) error {
	if !visible {
		return nil
	}
	var orphans []*starfishv1.Connection
	owned := d.registry.owned()
	if err := d.network.Connections(func(info *stack.ConnInfo) bool {
		if !owned[info.Conn] && info.Status.State != tcp.StateClosed {
			p := &starfishv1.Connection{
				Local:  endpointProto(info.Status.Local.AddrPort()),
				Remote: endpointProto(info.Status.Remote.AddrPort()),
			}
			d.fill(p, &info.Status)
			orphans = append(orphans, p)
		}
		return len(orphans) < maxOrphans
	}); err != nil {
		return failed("list", "connections", err)
	}
	slices.SortFunc(orphans, compareOrphans)
	orphans = orphans[min(token.after, uint64(len(orphans))):]
	if len(orphans) > room {
		orphans = orphans[:room]
		token.after += uint64(room)
		response.NextPageToken = token.String()
	}
	response.Connections = append(response.Connections, orphans...)
	return nil
}

// maxOrphans bounds the connections without an owner that one call looks at.
const maxOrphans = 100_000

// compareOrphans orders what has no id: the oldest first, then by addresses, so that pages agree with each other.
func compareOrphans(a, b *starfishv1.Connection) int {
	return cmp.Or(
		-cmp.Compare(a.GetInfo().GetAge().AsDuration().Truncate(time.Second), b.GetInfo().GetAge().AsDuration().Truncate(time.Second)),
		cmp.Compare(a.GetLocal().GetAddress(), b.GetLocal().GetAddress()),
		cmp.Compare(a.GetLocal().GetPort(), b.GetLocal().GetPort()),
		cmp.Compare(a.GetRemote().GetAddress(), b.GetRemote().GetAddress()),
		cmp.Compare(a.GetRemote().GetPort(), b.GetRemote().GetPort()),
	)
}

var states = map[tcp.State]starfishv1.ConnectionState{
	tcp.StateClosed:      starfishv1.ConnectionState_CONNECTION_STATE_CLOSED,
	tcp.StateListen:      starfishv1.ConnectionState_CONNECTION_STATE_LISTEN,
	tcp.StateSynSent:     starfishv1.ConnectionState_CONNECTION_STATE_SYN_SENT,
	tcp.StateSynReceived: starfishv1.ConnectionState_CONNECTION_STATE_SYN_RECEIVED,
	tcp.StateEstablished: starfishv1.ConnectionState_CONNECTION_STATE_ESTABLISHED,
	tcp.StateFinWait1:    starfishv1.ConnectionState_CONNECTION_STATE_FIN_WAIT_1,
	tcp.StateFinWait2:    starfishv1.ConnectionState_CONNECTION_STATE_FIN_WAIT_2,
	tcp.StateCloseWait:   starfishv1.ConnectionState_CONNECTION_STATE_CLOSE_WAIT,
	tcp.StateClosing:     starfishv1.ConnectionState_CONNECTION_STATE_CLOSING,
	tcp.StateLastAck:     starfishv1.ConnectionState_CONNECTION_STATE_LAST_ACK,
	tcp.StateTimeWait:    starfishv1.ConnectionState_CONNECTION_STATE_TIME_WAIT,
}

func stateProto(s tcp.State) starfishv1.ConnectionState { return states[s] }

// info is what ss shows.
func (d *Daemon) info(st *tcp.Status) *starfishv1.TcpInfo {
	since := func(t tcp.Time) *durationpb.Duration {
		if t == 0 {
			return nil
		}
		return durationpb.New(time.Since(d.network.Time(t)))
	}
	return &starfishv1.TcpInfo{
		SendQueue:          uint32(st.SendQueue),
		NotSent:            uint32(st.NotSent),
		RecvQueue:          uint32(st.RecvQueue),
		OutOfOrder:         uint32(st.OutOfOrder),
		SendBuffer:         uint32(st.SendBuffer),
		RecvBuffer:         uint32(st.RecvBuffer),
		SendWindow:         uint32(st.SendWindow),
		RecvWindow:         uint32(st.RecvWindow),
		SendWindowScale:    uint32(st.SendWScale),
		RecvWindowScale:    uint32(st.RecvWScale),
		Mss:                uint32(st.MSS),
		PathMtu:            uint32(st.PathMTU),
		Timestamps:         st.Timestamps,
		Sack:               st.SACK,
		WindowScale:        st.WindowScale,
		FastOpen:           st.FastOpen,
		CongestionControl:  congestionProto(st.Congestion),
		CongestionState:    st.CongestionState,
		CongestionWindow:   uint32(st.CongestionWindow),
		SlowStartThreshold: finite(st.SlowStartThresh),
		InFlight:           uint32(st.InFlight),
		Rtt:                durationpb.New(st.RTT),
		RttVariation:       durationpb.New(st.RTTVar),
		MinRtt:             durationpb.New(st.MinRTT),
		Rto:                durationpb.New(st.RTO),
		Backoff:            uint32(st.Backoff),
		DeliveryRate:       st.DeliveryRate,
		PacingRate:         st.PacingRate,
		BytesSent:          st.BytesSent,
		BytesAcked:         st.BytesAcked,
		BytesReceived:      st.BytesReceived,
		BytesRetransmitted: st.BytesRetrans,
		SegmentsSent:       st.SegmentsSent,
		SegmentsReceived:   st.SegmentsReceived,
		Retransmitted:      st.Retransmitted,
		Timeouts:           st.Timeouts,
		FastRecoveries:     st.FastRecoveries,
		Duplicates:         st.Duplicates,
		Reordered:          st.Reordered,
		ZeroWindowProbes:   st.ZeroWindowProbes,
		ChallengeAcks:      st.ChallengeAcks,
		Ecn:                st.ECN.String(),
		EcnCapable:         st.ECNCapable,
		CeReceived:         st.CEReceived,
		DeliveredCe:        st.DeliveredCE,
		CeBytesReceived:    st.ECNBytesReceived[wire.CE],
		DeliveredCeBytes:   st.ECNBytesDelivered[wire.CE],
		EcnReductions:      st.ECNReductions,
		Age:                since(st.Opened),
		LastSent:           since(st.LastSent),
		LastReceived:       since(st.LastReceived),
		UrgentBytes:        uint32(st.UrgentBytes),
	}
}

// finite maps the engine's "no threshold yet" to 0. A threshold above any buffer is none.
func finite(threshold int) uint32 {
	if threshold >= tcp.MaxBuffer {
		return 0
	}
	return uint32(threshold)
}
