package sim

import (
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// watched is a watch over one connection whose segments the test makes up.
type watched struct {
	run *run
	iss [2]seqnum.Value
}

func newWatched() *watched {
	r := &run{net: New(1), plan: &plan{conns: []connPlan{{ports: [2]uint16{1000, 80}, contentKeys: [2]content{1, 2}}}}}
	for i := range r.hosts {
		r.hosts[i] = &Host{Name: string(rune('a' + i)), net: r.net, index: i}
		r.hosts[i].cfg = HostConfig{Addrs: []wire.Addr{wire.Addr4([4]byte{10, 0, 0, byte(i + 1)})}, Stack: tcp.Config{MTU: 1500}}
		r.plan.conns[0].users[i].options = tcp.Options{RecvBuffer: 50_000}
	}
	r.users, r.renewals = make([][2]*user, 1), make([]renewal, 1)
	r.watch = newWatch(r)
	return &watched{run: r, iss: [2]seqnum.Value{0xffffff00, 5000}}
}

// segment is one segment of a side, with numbers relative to the initial ones.
type segment struct {
	side     int
	flags    wire.Flags
	seq, ack int
	length   int
	window   int
	options  wire.Options
	spoil    bool // a byte of the payload
}

func (w *watched) build(s segment) []byte {
	from, to := w.run.endpoint(0, s.side), w.run.endpoint(0, 1-s.side)
	seg := wire.Segment{
		SrcPort: from.Port, DstPort: to.Port, Flags: s.flags, Window: uint16(s.window), Options: s.options,
		Seq: w.iss[s.side] + seqnum.Value(s.seq),
	}
	if s.flags.Has(wire.ACK) {
		seg.Ack = w.iss[1-s.side] + seqnum.Value(s.ack)
	}
	b := make([]byte, wire.MaxHeaderLen+s.length)
	ip := wire.IP{Src: from.Addr, Dst: to.Addr, Protocol: wire.TCP, TTL: 64}
	n := wire.PutIP(b, &ip, wire.TCPHeaderLen+seg.Options.WireLen()+s.length)
	n += wire.PutSegment(b[n:], &seg)
	w.run.plan.conns[0].contentKeys[s.side].fill(b[n:n+s.length], uint64(s.seq-1))
	if s.spoil {
		b[n] ^= 1
	}
	b = b[:n+s.length]
	finishChecksum(b, transportStart(b))
	return b
}

// pass lets a segment be sent and arrive, and returns what the watch has against it.
func (w *watched) pass(s segment) string {
	p := Seen{Data: w.build(s)}
	w.run.watch.onSend(w.run.hosts[s.side], p)
	w.run.watch.onDeliver(w.run.hosts[1-s.side], p)
	if w.run.err == nil {
		return ""
	}
	return w.run.err.Error()
}

var synOptions = wire.Options{
	Set: wire.OptMSS | wire.OptSACKPermitted | wire.OptTimestamps | wire.OptWindowScale, MSS: 1000, TSVal: 100, WindowScale: 1,
}

func stamps(value, echo uint32) wire.Options {
	return wire.Options{Set: wire.OptTimestamps, TSVal: value, TSEcr: echo}
}

func withSACK(o wire.Options, iss seqnum.Value, ranges ...int) wire.Options {
	o.Set |= wire.OptSACK
	for i := 0; i < len(ranges); i += 2 {
		o.SACK[o.SACKBlocks] = wire.SACKBlock{Start: iss + seqnum.Value(ranges[i]), End: iss + seqnum.Value(ranges[i+1])}
		o.SACKBlocks++
	}
	return o
}

// handshake is a's active open; b's window is 20,000 bytes and 10,000 units of two after it.
func (w *watched) handshake(t *testing.T) {
	t.Helper()
	answer := synOptions
	answer.TSEcr = 100
	for _, s := range []segment{
		{side: 0, flags: wire.SYN, window: 40_000, options: synOptions},
		{side: 1, flags: wire.SYN | wire.ACK, ack: 1, window: 20_000, options: answer},
		{side: 0, flags: wire.ACK, seq: 1, ack: 1, window: 20_000, options: stamps(101, 100)},
		{side: 1, flags: wire.ACK, seq: 1, ack: 1, window: 10_000, options: stamps(101, 101)},
		{side: 0, flags: wire.ACK, seq: 1, ack: 1, length: 100, window: 20_000, options: stamps(101, 101)},
	} {
		if got := w.pass(s); got != "" {
			t.Fatal(got)
		}
	}
}

// TestWatchFindsViolations: each rule that a peer relies on is held by a check that notices when it is broken.
func TestWatchFindsViolations(t *testing.T) {
	good := stamps(102, 101)
	a := newWatched().iss[0]
	for _, c := range []struct {
		want string // in the violation; "" for none
		s    segment
	}{
		{"", segment{side: 0, flags: wire.ACK, seq: 101, ack: 1, length: 900, window: 20_000, options: good}},
		{"", segment{side: 1, flags: wire.ACK, seq: 1, ack: 101, length: 30, window: 9_950, options: good}},
		{"", segment{side: 1, flags: wire.ACK, seq: 1, ack: 1, window: 10_000, options: withSACK(good, a, 51, 101)}},
		{"no ACK", segment{side: 0, flags: wire.PSH, seq: 101, length: 10, window: 20_000, options: good}},
		{"leaves a gap", segment{side: 0, flags: wire.ACK, seq: 102, ack: 1, length: 10, window: 20_000, options: good}},
		{"before its initial", segment{side: 0, flags: wire.ACK, seq: -1, ack: 1, window: 20_000, options: good}},
		{"not the user's", segment{side: 0, flags: wire.ACK, seq: 101, ack: 1, length: 10, window: 20_000, options: good, spoil: true}},
		{"the peer's MSS is 1000", segment{side: 0, flags: wire.ACK, seq: 101, ack: 1, length: 989, window: 20_000, options: good}},
		{"acknowledges beyond", segment{side: 1, flags: wire.ACK, seq: 1, ack: 102, window: 9_000, options: good}},
		{"less than the SYN", segment{side: 1, flags: wire.ACK, seq: 1, ack: 0, window: 10_000, options: good}},
		{"right edge of its window back", segment{side: 1, flags: wire.ACK, seq: 1, ack: 101, window: 9_949, options: good}},
		{"the buffer ends at", segment{side: 1, flags: wire.ACK, seq: 1, ack: 1, window: 25_001, options: good}},
		{"lacks the timestamps", segment{side: 0, flags: wire.ACK, seq: 101, ack: 1, length: 10, window: 20_000}},
		{"timestamp older", segment{side: 0, flags: wire.ACK, seq: 101, ack: 1, window: 20_000, options: stamps(100, 101)}},
		{"that the peer has not sent", segment{side: 0, flags: wire.ACK, seq: 101, ack: 1, window: 20_000, options: stamps(102, 102)}},
		{"empty SACK", segment{side: 1, flags: wire.ACK, seq: 1, ack: 1, window: 10_000, options: withSACK(good, a, 51, 51)}},
		{"SACK block beyond", segment{side: 1, flags: wire.ACK, seq: 1, ack: 1, window: 10_000, options: withSACK(good, a, 51, 102)}},
		{"below its ack", segment{side: 1, flags: wire.ACK, seq: 1, ack: 51, window: 10_000, options: withSACK(good, a, 71, 81, 1, 21)}},
	} {
		w := newWatched()
		w.handshake(t)
		got := w.pass(c.s)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%+v:\ngot  %q\nwant %q", c.s, got, c.want)
		}
	}
}

// TestWatchFindsWindowOverrun: no byte but a probe's beyond the right edge that has arrived.
func TestWatchFindsWindowOverrun(t *testing.T) {
	for beyond, want := range map[int]string{0: "", 1: "", 2: "beyond the peer's window"} {
		w := newWatched()
		w.handshake(t)
		seq := 101
		for ; seq < 19_901; seq += 900 {
			if got := w.pass(segment{side: 0, flags: wire.ACK, seq: seq, ack: 1, length: 900, window: 20_000, options: stamps(102, 101)}); got != "" {
				t.Fatal(got)
			}
		}
		rest := 20_001 - seq + beyond
		got := w.pass(segment{side: 0, flags: wire.ACK, seq: seq, ack: 1, length: rest, window: 20_000, options: stamps(102, 101)})
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%d bytes beyond: got %q, want %q", beyond, got, want)
		}
	}
}

// TestWatchFindsDataBehindFin: a FIN is the last of a stream.
func TestWatchFindsDataBehindFin(t *testing.T) {
	for _, c := range []struct {
		want string
		s    segment
	}{
		{"", segment{side: 0, flags: wire.ACK | wire.FIN, seq: 101, ack: 1, window: 20_000, options: stamps(103, 101)}},
		{"beyond its FIN", segment{side: 0, flags: wire.ACK, seq: 102, ack: 1, length: 5, window: 20_000, options: stamps(103, 101)}},
		{"a second FIN", segment{side: 0, flags: wire.ACK | wire.FIN, seq: 91, ack: 1, length: 5, window: 20_000, options: stamps(103, 101)}},
	} {
		w := newWatched()
		w.handshake(t)
		fin := segment{side: 0, flags: wire.ACK | wire.FIN, seq: 101, ack: 1, window: 20_000, options: stamps(102, 101)}
		if got := w.pass(fin); got != "" {
			t.Fatal(got)
		}
		if got := w.pass(c.s); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestWatchFindsAckTakenBack: RCV.NXT only grows.
func TestWatchFindsAckTakenBack(t *testing.T) {
	w := newWatched()
	w.handshake(t)
	if got := w.pass(segment{side: 1, flags: wire.ACK, seq: 1, ack: 101, window: 10_000, options: stamps(102, 101)}); got != "" {
		t.Fatal(got)
	}
	got := w.pass(segment{side: 1, flags: wire.ACK, seq: 1, ack: 51, window: 11_000, options: stamps(102, 101)})
	if !strings.Contains(got, "takes back") {
		t.Errorf("got %q", got)
	}
}

// TestWatchLeavesResetsAlone: what a host says after its RST is said without a connection.
func TestWatchLeavesResetsAlone(t *testing.T) {
	w := newWatched()
	w.handshake(t)
	for _, s := range []segment{
		{side: 0, flags: wire.RST, seq: 5000},
		{side: 0, flags: wire.ACK, seq: 9000, ack: 7000, window: 1},
	} {
		if got := w.pass(s); got != "" {
			t.Error(got)
		}
	}
}

// TestWatchAllowsCookies: what an end that sends SYN cookies says may go back in two ways, which are violations for any other.
func TestWatchAllowsCookies(t *testing.T) {
	for _, cookies := range []tcp.SynCookies{tcp.SynCookiesAuto, tcp.SynCookiesAlways} {
		prepare := func() *watched {
			w := newWatched()
			w.run.plan.hosts[1].Stack.SynCookies = cookies
			w.run.plan.conns[0].opens[0] = true
			w.handshake(t)
			w.run.users[0][1] = &user{run: w.run, host: w.run.hosts[1], side: 1, released: true}
			return w
		}
		// An old ACK of the handshake has brought a cookie back a second time.
		w := prepare()
		_ = w.pass(segment{side: 1, flags: wire.ACK, seq: 1, ack: 101, window: 10_000, options: stamps(102, 101)})
		got := w.pass(segment{side: 1, flags: wire.ACK, seq: 1, ack: 1, window: 10_000, options: stamps(103, 101)})
		if found := strings.Contains(got, "takes back"); found != (cookies == tcp.SynCookiesAuto) {
			t.Errorf("%v: a ghost's ACK: %q", cookies, got)
		}
		// Two SYNs with different options, within a few milliseconds.
		w = newWatched()
		w.run.plan.hosts[1].Stack.SynCookies = cookies
		for _, s := range []segment{
			{side: 0, flags: wire.SYN, window: 40_000, options: synOptions},
			{side: 1, flags: wire.SYN | wire.ACK, ack: 1, window: 20_000, options: answer(100)},
			{side: 1, flags: wire.SYN | wire.ACK, ack: 1, window: 20_000, options: answer(68)},
		} {
			got = w.pass(s)
		}
		if found := strings.Contains(got, "timestamp older"); found != (cookies == tcp.SynCookiesAuto) {
			t.Errorf("%v: an older timestamp: %q", cookies, got)
		}
	}
}

// answer are the options of a SYN-ACK at a time of the timestamp clock.
func answer(stamp uint32) wire.Options {
	o := synOptions
	o.TSVal, o.TSEcr = stamp, 100
	return o
}

// TestWatchKnowsGhosts: a SYN-ACK that acknowledges less than before is of a ghost only if the initial sequence number is fixed, so
// that the ghost has the connection's.
func TestWatchKnowsGhosts(t *testing.T) {
	for _, fixed := range []bool{false, true} {
		w := newWatched()
		if fixed {
			w.run.plan.conns[0].users[1].options.FixedISN = new(uint32)
		}
		w.handshake(t)
		_ = w.pass(segment{side: 1, flags: wire.ACK, seq: 1, ack: 101, window: 10_000, options: stamps(102, 101)})
		got := w.pass(segment{side: 1, flags: wire.SYN | wire.ACK, ack: 1, window: 20_000, options: answer(103)})
		if found := strings.Contains(got, "takes back"); found == fixed {
			t.Errorf("fixed %t: %q", fixed, got)
		}
	}
}
