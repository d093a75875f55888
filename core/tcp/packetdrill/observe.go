package packetdrill

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// chronicle is what Linux's tcp_info adds up over the life of a connection, and the engine does not: by what the runner
// sees of the connection between the events, at the very times at which something changes.
type chronicle struct {
	at       tcp.Time
	limit    limit
	spent    [numLimits]time.Duration
	received uint64   // bytes, when lastData was noted
	lastData tcp.Time // when data came last, or the handshake ended
}

// limit is what a connection with data to send waits for.
type limit uint8

const (
	limitNone   limit = iota // nothing to send
	limitBusy                // the path
	limitWindow              // the peer's window
	limitBuffer              // room in the send buffer for a writer who waits
	numLimits
)

// observe looks at all connections after something may have changed.
func (r *runner) observe() {
	for _, s := range r.sockets {
		if s.conn == 0 {
			continue
		}
		st := r.status(s)
		c := &s.chronicle
		c.spent[c.limit] += r.now.Sub(c.at)
		c.at, c.limit = r.now, r.limitOf(s, &st)
		if established(&st) && (c.lastData == 0 || st.BytesReceived != c.received) {
			c.lastData, c.received = r.now, st.BytesReceived
		}
		s.errs.progress(r.now, s.errs.written-uint64(st.NotSent), st.BytesAcked)
	}
}

// limitOf is what a connection waits for now.
func (r *runner) limitOf(s *socket, st *tcp.Status) limit {
	inFlight := st.SendQueue - st.NotSent
	switch {
	case !established(st) || st.SendQueue == 0:
		return limitNone
	case st.NotSent > 0 && st.SendWindow-inFlight < min(st.MSS, st.NotSent) && st.CongestionWindow-st.InFlight >= min(st.MSS, st.NotSent):
		return limitWindow
	case st.NotSent == 0 && r.writerWaits(s):
		return limitBuffer
	default:
		return limitBusy
	}
}

// writerWaits says whether a write call on the socket is blocked.
func (r *runner) writerWaits(s *socket) bool {
	for _, p := range r.waiting {
		if p.socket == s && !p.done {
			return true
		}
	}
	return false
}

// chronicled are the fields of tcp_info that come from a chronicle, in microseconds or, those named last, milliseconds.
var chronicled = map[string]func(c *chronicle, st *tcp.Status, now tcp.Time) time.Duration{
	"busy_time": func(c *chronicle, _ *tcp.Status, now tcp.Time) time.Duration {
		d := c.spent[limitBusy] + c.spent[limitWindow] + c.spent[limitBuffer]
		if c.limit != limitNone {
			d += now.Sub(c.at)
		}
		return d / time.Microsecond
	},
	"rwnd_limited": func(c *chronicle, _ *tcp.Status, now tcp.Time) time.Duration {
		return c.total(limitWindow, now) / time.Microsecond
	},
	"sndbuf_limited": func(c *chronicle, _ *tcp.Status, now tcp.Time) time.Duration {
		return c.total(limitBuffer, now) / time.Microsecond
	},
	"last_data_recv": func(c *chronicle, _ *tcp.Status, now tcp.Time) time.Duration {
		return now.Sub(c.lastData) / time.Millisecond
	},
	"last_data_sent": func(_ *chronicle, st *tcp.Status, now tcp.Time) time.Duration {
		return now.Sub(st.LastSent) / time.Millisecond
	},
	"last_ack_recv": func(_ *chronicle, st *tcp.Status, now tcp.Time) time.Duration {
		return now.Sub(st.LastReceived) / time.Millisecond
	},
}

func (c *chronicle) total(l limit, now tcp.Time) time.Duration {
	d := c.spent[l]
	if c.limit == l {
		d += now.Sub(c.at)
	}
	return d
}

// chronicleOf is the value of a field for the connection of a flow.
func (r *runner) chronicleOf(name string, f *flow) (float64, bool) {
	field := chronicled[name]
	if field == nil {
		return 0, false
	}
	for _, s := range r.sockets {
		if s.conn != 0 && (f == nil || s.flow == f) {
			st := r.status(s)
			return float64(field(&s.chronicle, &st, r.now)), true
		}
	}
	return 0, true
}
