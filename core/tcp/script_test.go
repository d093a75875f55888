package tcp_test

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// script plays one connection, segment by segment: the test is the peer, the network and the clock, the Stack is the
// other end. Every segment that leaves must be wanted, in its order, before the script ends.
//
// Both initial sequence numbers lie just below the wrap, so that every script counts over it.
type script struct {
	t        *testing.T
	stack    *tcp.Stack
	pool     *zbuf.Pool
	now      tcp.Time
	local    tcp.Endpoint
	remote   tcp.Endpoint
	opt      tcp.Options
	iss, irs seqnum.Value
	id       tcp.ConnID
	listener tcp.ListenerID
	out      []sent
	outAt    []tcp.Time
	events   tcp.EventFlags // of the connection, since the last wantEvent
	accepts  int            // events of the listener
	sent     uint64         // bytes that the user has sent
	received uint64
	tsVal    uint32 // the last timestamp that the Stack has sent
	window   int    // what the peer announces when a line doesn't say
	transmit tcp.Transmit
}

const (
	scriptISS = seqnum.Value(0xfffffff0)
	scriptIRS = seqnum.Value(0xfffff800)
	// scriptBuffer is the receive buffer of a script's connection, and so its window.
	scriptBuffer = 10_000
	// scriptMSS is what both sides announce.
	scriptMSS = 1000
	// tick is how late a timer may run: one tick of the timing wheel, rounded up.
	tick = 66 * time.Microsecond
)

// setting changes what a script is made with.
type setting func(*tcp.Config, *tcp.Options)

// with changes the options of the connection.
func with(change func(*tcp.Options)) setting {
	return func(_ *tcp.Config, o *tcp.Options) { change(o) }
}

// overIPv6 moves a script to IPv6.
func overIPv6(h *script) {
	h.local.Addr, h.remote.Addr = wire.Addr16([16]byte{0xfd, 15: 1}), wire.Addr16([16]byte{0xfd, 15: 2})
}

// newScript returns a script whose connection has no options but the MSS, and neither delays ACKs nor holds small segments
// back (Nagle).
func newScript(t *testing.T, settings ...setting) *script {
	t.Helper()
	iss := uint32(scriptISS)
	h := &script{
		t: t, pool: zbuf.NewPool(0), now: 1_000_000_000, iss: scriptISS, irs: scriptIRS, window: 65_535,
		local:  tcp.Endpoint{Addr: wire.Addr4([4]byte{10, 0, 0, 1}), Port: 80},
		remote: tcp.Endpoint{Addr: wire.Addr4([4]byte{10, 0, 0, 2}), Port: 4000},
		opt: tcp.Options{
			NoTimestamps: true, NoSACK: true, NoWindowScale: true, NoDelay: true, QuickAck: true, NoMTUProbing: true, NoPacing: true, FixedISN: &iss,
			RecvBuffer: scriptBuffer, SendBuffer: 100_000, MaxSegment: scriptMSS, Congestion: tcp.CongestionReno,
		},
	}
	cfg := tcp.Config{Pool: h.pool, Owns: func(a wire.Addr) bool { return a == h.local.Addr }}
	for _, change := range settings {
		change(&cfg, &h.opt)
	}
	var err error
	if h.stack, err = tcp.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.end)
	return h
}

// end checks that nothing is left over: no unwanted segment, and no buffer once everything is let go.
func (h *script) end() {
	if h.t.Failed() {
		return
	}
	h.wantNothing()
	for _, id := range h.stack.Connections(nil) {
		_ = h.stack.Abort(h.now, id) // an orphan can't be, and ends by its timer
	}
	if h.listener != 0 {
		_ = h.stack.CloseListener(h.now, h.listener)
	}
	h.drain()
	h.skip()
	for range 1000 {
		deadline := h.stack.PollTimeout()
		if deadline == tcp.Never {
			break
		}
		h.now = max(h.now, deadline)
		h.stack.HandleTimeout(h.now)
		h.drain()
	}
	if n := h.pool.InUse(); n != 0 {
		h.t.Errorf("%d bytes of buffers are left", n)
	}
}

// drain takes what the Stack sends and tells.
func (h *script) drain() {
	h.t.Helper()
	const enough = 10_000
	for range enough {
		if h.stack.PollTransmit(h.now, &h.transmit) {
			h.take(&h.transmit)
			continue
		}
		var e tcp.Event
		if !h.stack.PollEvent(&e) {
			return
		}
		switch {
		case e.Flags&tcp.EventAccepted != 0:
			h.accepts++
		case h.id == 0 || e.Conn == h.id:
			h.events |= e.Flags
		}
	}
	h.t.Fatal("the stack keeps sending or telling without end")
}

// take notes a segment that left, and checks what must be right in every one.
func (h *script) take(t *tcp.Transmit) {
	h.t.Helper()
	b := append([]byte(nil), t.Header...)
	for _, s := range t.Payload {
		b = append(b, s.Bytes()...)
	}
	var s sent
	if problem := wire.ParseIP(b, &s.ip); problem != wire.None || s.ip.TotalLen != len(b) {
		h.t.Fatalf("sent a bad network header (%v): % x", problem, b)
	}
	if s.ip.Src != h.local.Addr || s.ip.Protocol != wire.TCP {
		h.t.Fatalf("sent from %v, protocol %d", s.ip.Src, s.ip.Protocol)
	}
	segment := b[s.ip.HeaderLen:]
	if problem := wire.ParseSegment(segment, &s.tcp); problem != wire.None {
		h.t.Fatalf("sent a bad TCP header (%v): % x", problem, b)
	}
	if !wire.ChecksumOK(s.ip.Src, s.ip.Dst, wire.TCP, segment, nil) {
		h.t.Errorf("sent a wrong checksum: %s", s.format(h.iss, h.irs))
	}
	s.payload = segment[s.tcp.HeaderLen:]
	pos := uint64(h.iss.Add(1).Size(s.tcp.Seq))
	for i, c := range s.payload {
		if want := pattern(pos + uint64(i)); c != want {
			h.t.Errorf("%s: byte %d of the payload is %#x, the user sent %#x", s.format(h.iss, h.irs), i, c, want)
			break
		}
	}
	if s.tcp.Options.Set.Has(wire.OptTimestamps) {
		h.tsVal = s.tcp.Options.TSVal
	}
	h.out, h.outAt = append(h.out, s), append(h.outAt, h.now)
}

// pattern is the byte at a position of either stream.
func pattern(pos uint64) byte { return byte(pos*7 + pos>>8*13) }

// in lets a segment of the peer arrive.
func (h *script) in(text string) {
	h.t.Helper()
	h.inAs(text, nil)
}

// inAs lets a segment arrive after a change to its bytes: those of the packet, checksums complete, and where its TCP
// header is.
func (h *script) inAs(text string, change func(b []byte, transport int)) {
	h.t.Helper()
	l, err := parseLine(text)
	if err != nil {
		h.t.Fatal(err)
	}
	options, err := l.wireOptions(h.irs, h.iss, h.tsVal)
	if err != nil {
		h.t.Fatal(err)
	}
	seg := wire.Segment{
		SrcPort: h.remote.Port, DstPort: h.local.Port, Seq: l.seq.value(h.irs), Flags: l.flags, Window: uint16(h.window),
		Options: options,
	}
	if l.hasAck {
		seg.Ack = l.ack.value(h.iss)
	}
	if l.win >= 0 {
		seg.Window = uint16(l.win)
	}
	if l.urg >= 0 {
		seg.Urgent = uint16(l.urg)
	}
	first := seg.Seq
	if l.flags.Has(wire.SYN) {
		first++ // text in a SYN comes behind it
	}
	b := buildPacket(h.remote.Addr, h.local.Addr, &seg, l.length, uint64(h.irs.Add(1).Size(first)))
	if change != nil {
		change(b, len(b)-l.length-wire.TCPHeaderLen-options.WireLen())
	}
	h.deliver(b)
}

// buildPacket makes a packet whose payload continues the pattern at pos.
func buildPacket(src, dst wire.Addr, seg *wire.Segment, length int, pos uint64) []byte {
	b := make([]byte, wire.MaxHeaderLen+length)
	ip := wire.IP{Src: src, Dst: dst, Protocol: wire.TCP, TTL: 64}
	transport := wire.PutIP(b, &ip, wire.TCPHeaderLen+seg.Options.WireLen()+length)
	n := transport + wire.PutSegment(b[transport:], seg)
	for i := range length {
		b[n+i] = pattern(pos + uint64(i))
	}
	b = b[:n+length]
	sum := ^wire.Fold(wire.Sum(wire.PseudoHeaderSum(src, dst, wire.TCP, len(b)-transport), b[transport:]))
	b[transport+wire.TCPChecksumOffset], b[transport+wire.TCPChecksumOffset+1] = byte(sum>>8), byte(sum)
	return b
}

// deliver hands the bytes of a packet to the Stack.
func (h *script) deliver(b []byte) {
	h.t.Helper()
	s, ok := h.pool.Get(len(b))
	if !ok {
		h.t.Fatal("no buffer")
	}
	copy(s.Bytes(), b)
	h.stack.HandlePacket(h.now, tcp.Packet{Head: s})
	h.drain()
}

// want checks that this segment left next.
func (h *script) want(text string) {
	h.t.Helper()
	l, err := parseLine(text)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(h.out) == 0 {
		h.t.Fatalf("nothing left, want %s", text)
	}
	s := h.out[0]
	h.out, h.outAt = h.out[1:], h.outAt[1:]
	if !l.matches(&s, h.iss, h.irs) {
		h.t.Fatalf("left: %s\nwant: %s", s.format(h.iss, h.irs), text)
	}
}

// wantNothing checks that nothing left that was not wanted.
func (h *script) wantNothing() {
	h.t.Helper()
	if len(h.out) > 0 {
		h.t.Fatalf("left, and was not wanted: %s (%d in all)", h.out[0].format(h.iss, h.irs), len(h.out))
	}
}

// advance lets time pass, timer by timer.
func (h *script) advance(d time.Duration) {
	h.t.Helper()
	end := h.now.Add(d)
	for range 1_000_000 {
		deadline := h.stack.PollTimeout()
		if deadline > end {
			h.now = end
			return
		}
		h.now = max(h.now, deadline)
		h.stack.HandleTimeout(h.now)
		h.drain()
	}
	h.t.Fatal("timers without end")
}

// wantAfter checks that nothing leaves for d, and that this segment leaves then, within a tick. The time goes on to when
// it leaves.
func (h *script) wantAfter(d time.Duration, text string) {
	h.t.Helper()
	h.wantNothing()
	start := h.now
	for end := start.Add(d + tick); len(h.out) == 0; {
		deadline := h.stack.PollTimeout()
		if deadline > end {
			h.t.Fatalf("nothing left after %v, want %s", d, text)
		}
		h.now = max(h.now, deadline)
		h.stack.HandleTimeout(h.now)
		h.drain()
	}
	if waited := h.now.Sub(start); waited < d {
		h.t.Fatalf("left after %v: %s\nwant it after %v: %s", waited, h.out[0].format(h.iss, h.irs), d, text)
	}
	h.want(text)
}

// skip passes over what has left, where it is another test's matter.
func (h *script) skip() { h.out, h.outAt = nil, nil }
