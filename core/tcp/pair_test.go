package tcp

import (
	"errors"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// end is one Stack of a pair, with its memory.
type end struct {
	t     testing.TB
	stack *Stack
	pool  *zbuf.Pool
	addr  wire.Addr
	out   Transmit
	// events are joined for each connection since they were last looked at.
	events map[ConnID]EventFlags
	// received is where receive puts bytes.
	received zbuf.Chain
	piece    zbuf.Slice // what send sends, by reference
}

// pair joins two Stacks by a link in memory without delay but what the test lets pass, and without loss but what
// filter drops.
type pair struct {
	t    testing.TB
	a, b *end
	now  Time
	// filter, when set, sees each packet before it is delivered and says whether it is.
	filter func(to *end, t *Transmit) bool
	check  bool // Check after each packet
}

// newPair returns two Stacks that complete checksums and take super-segments, as on a device with offload.
func newPair(t testing.TB, configure ...func(*Config)) *pair {
	t.Helper()
	p := &pair{t: t, now: 1_000_000_000}
	p.a = newEnd(t, wire.Addr4([4]byte{10, 0, 0, 1}), configure)
	p.b = newEnd(t, wire.Addr4([4]byte{10, 0, 0, 2}), configure)
	return p
}

func newEnd(t testing.TB, addr wire.Addr, configure []func(*Config)) *end {
	t.Helper()
	e := &end{t: t, pool: zbuf.NewPool(1 << 30), addr: addr, events: map[ConnID]EventFlags{}}
	cfg := Config{
		Pool: e.pool, Owns: func(a wire.Addr) bool { return a == addr }, SegmentationOffload4: true, ChecksumOffload: true,
	}
	for _, change := range configure {
		change(&cfg)
	}
	e.pool = cfg.Pool
	var err error
	if e.stack, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return e
}

func (p *pair) peer(e *end) *end {
	if e == p.a {
		return p.b
	}
	return p.a
}

// packet copies what leaves into a packet, as a device does.
func packet(pool *zbuf.Pool, t *Transmit) (Packet, bool) {
	s, ok := pool.Get(len(t.Header) + t.PayloadLen)
	if !ok {
		return Packet{}, false
	}
	b := s.Bytes()
	b = b[copy(b, t.Header):]
	for _, piece := range t.Payload {
		b = b[copy(b, piece.Bytes()):]
	}
	return Packet{Head: s, SegmentSize: t.SegmentSize, Trusted: t.ChecksumPartial}, true
}

// markCE marks an IPv4 packet, as a router does.
func markCE(t *Transmit) {
	h := t.Header[:wire.IPv4HeaderLen]
	h[1] |= uint8(wire.CE)
	putUint16(h[10:], 0)
	putUint16(h[10:], ^wire.Fold(wire.Sum(0, h)))
}

// flow carries packets until neither end has any to send now.
func (p *pair) flow() {
	for busy := true; busy; {
		busy = p.carry(p.a)
		busy = p.carry(p.b) || busy
	}
}

// carry takes one packet from e to its peer.
func (p *pair) carry(from *end) bool {
	if !from.stack.PollTransmit(p.now, &from.out) {
		from.poll()
		return false
	}
	to := p.peer(from)
	if p.filter == nil || p.filter(to, &from.out) {
		pkt, ok := packet(to.pool, &from.out)
		if !ok {
			p.t.Fatal("the pool is exhausted")
		}
		to.stack.HandlePacket(p.now, pkt)
	}
	to.poll()
	if p.check {
		from.mustCheck()
		to.mustCheck()
	}
	return true
}

// poll takes the events.
func (e *end) poll() {
	var ev Event
	for e.stack.PollEvent(&ev) {
		if ev.Conn != 0 {
			e.events[ev.Conn] |= ev.Flags
		}
	}
}

func (e *end) mustCheck() {
	e.t.Helper()
	if err := e.stack.Check(); err != nil {
		e.t.Fatal(err)
	}
}

// advance lets time pass from deadline to deadline, and carries what there is at each.
func (p *pair) advance(d time.Duration) {
	end := p.now.Add(d)
	for {
		p.flow()
		next := min(p.a.stack.PollTimeout(), p.b.stack.PollTimeout())
		if next > end {
			break
		}
		p.now = max(p.now, next)
		p.a.stack.HandleTimeout(p.now)
		p.b.stack.HandleTimeout(p.now)
	}
	p.now = end
}

// connect opens a connection from a to b.
func (p *pair) connect(opt *Options) (ida, idb ConnID) {
	p.t.Helper()
	l := p.listen(opt)
	return p.dial(l, opt)
}

// listen opens port 80 of b.
func (p *pair) listen(opt *Options) ListenerID {
	p.t.Helper()
	l, err := p.b.stack.Listen(Endpoint{p.b.addr, 80}, 0, opt)
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

func (p *pair) dial(l ListenerID, opt *Options) (ida, idb ConnID) {
	p.t.Helper()
	ida, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, opt)
	if err != nil {
		p.t.Fatal(err)
	}
	p.flow()
	if idb, err = p.b.stack.Accept(l); err != nil {
		p.t.Fatal(err)
	}
	return ida, idb
}

// conn returns the connection behind a handle.
func (e *end) conn(id ConnID) *conn {
	e.t.Helper()
	c := e.stack.conns.get(id)
	if c == nil {
		e.t.Fatalf("no connection %x", id)
	}
	return c
}

// send queues n bytes of e's piece and returns how many were taken.
func (e *end) send(now Time, id ConnID, n int) int {
	if e.piece.IsZero() {
		e.piece, _ = e.pool.Get(zbuf.MaxBlock)
	}
	var chain zbuf.Chain
	for left := n; left > 0; {
		k := min(left, e.piece.Len())
		chain.Push(e.piece.Sub(0, k).Retain())
		left -= k
	}
	taken, err := e.stack.Send(now, id, &chain)
	if err != nil {
		e.t.Fatal(err)
	}
	chain.Clear()
	return taken
}

// write queues data, all of it.
func (e *end) write(now Time, id ConnID, data []byte) {
	e.t.Helper()
	var chain zbuf.Chain
	chain.Append(e.pool, data)
	if n, err := e.stack.Send(now, id, &chain); err != nil || n != len(data) {
		e.t.Fatalf("sent %d of %d bytes: %v", n, len(data), err)
	}
}

// receive takes and consumes everything that is there, and returns how much that was.
func (e *end) receive(now Time, id ConnID) int {
	n, err := e.stack.Receive(id, &e.received, 1<<30)
	if err != nil && !errors.Is(err, ErrWouldBlock) {
		return 0
	}
	e.received.Clear()
	e.stack.Consumed(now, id, n)
	return n
}

// read takes and consumes everything that is there.
func (e *end) read(now Time, id ConnID) []byte {
	_, _ = e.stack.Receive(id, &e.received, 1<<30)
	b := make([]byte, e.received.Len())
	e.stack.Consumed(now, id, e.received.Read(b))
	return b
}

// raw makes a packet of a segment from the peer of e at the other end of c, as it would come off the wire.
func (e *end) raw(c *conn, seg wire.Segment, payload []byte) Packet {
	return e.rawFrom(c.tuple, seg, payload)
}

func (e *end) rawFrom(t tuple, seg wire.Segment, payload []byte) Packet {
	e.t.Helper()
	seg.SrcPort, seg.DstPort = t.remotePort, t.localPort
	ip := wire.IP{Src: t.remote, Dst: t.local, Protocol: wire.TCP, TTL: 64}
	var b [MaxHeaderLen]byte
	n := wire.PutIP(b[:], &ip, wire.TCPHeaderLen+seg.Options.WireLen()+len(payload))
	n += wire.PutSegment(b[n:], &seg)
	s, ok := e.pool.Get(n + len(payload))
	if !ok {
		e.t.Fatal("the pool is exhausted")
	}
	copy(s.Bytes()[copy(s.Bytes(), b[:n]):], payload)
	return Packet{Head: s, Trusted: true}
}

// next polls the next segment that e sends, without carrying it.
func (e *end) next(now Time) (seg wire.Segment, payload []byte, ok bool) {
	e.t.Helper()
	if !e.stack.PollTransmit(now, &e.out) {
		return seg, nil, false
	}
	if problem := wire.ParseSegment(e.out.Header[e.out.TransportStart:], &seg); problem != wire.None {
		e.t.Fatalf("sent a bad segment: %v", problem)
	}
	for _, piece := range e.out.Payload {
		payload = append(payload, piece.Bytes()...)
	}
	return seg, payload, true
}

// finish ends everything and checks that no buffer is left.
func (p *pair) finish() {
	p.t.Helper()
	p.filter = nil
	for _, e := range []*end{p.a, p.b} {
		for _, id := range e.stack.Connections(nil) {
			_ = e.stack.Abort(p.now, id)
		}
		for _, id := range e.stack.Listeners(nil) {
			_ = e.stack.CloseListener(p.now, id)
		}
	}
	p.advance(time.Hour)
	for _, e := range []*end{p.a, p.b} {
		e.mustCheck()
		e.piece.Release()
		e.piece = zbuf.Slice{}
		if n := e.pool.InUse(); n != 0 {
			p.t.Errorf("%d bytes of buffers are left", n)
		}
		if n := len(e.stack.Connections(nil)); n != 0 {
			p.t.Errorf("%d connections are left", n)
		}
	}
}

func TestPairTransfersBothWays(t *testing.T) {
	for name, configure := range map[string]func(*Config){
		"offload": func(*Config) {},
		"plain":   func(c *Config) { c.SegmentationOffload4, c.ChecksumOffload = false, false },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, configure)
			p.check = true
			ida, idb := p.connect(nil)
			var wantA, wantB, gotA, gotB []byte
			for i := range 50 {
				chunk := make([]byte, 1+i*i*7)
				for j := range chunk {
					chunk[j] = byte(i + j)
				}
				p.a.write(p.now, ida, chunk)
				p.b.write(p.now, idb, chunk[:len(chunk)/2+1])
				wantB = append(wantB, chunk...)
				wantA = append(wantA, chunk[:len(chunk)/2+1]...)
				p.advance(time.Millisecond)
				gotB = append(gotB, p.b.read(p.now, idb)...)
				gotA = append(gotA, p.a.read(p.now, ida)...)
			}
			p.advance(time.Second)
			gotB = append(gotB, p.b.read(p.now, idb)...)
			gotA = append(gotA, p.a.read(p.now, ida)...)
			if string(gotA) != string(wantA) || string(gotB) != string(wantB) {
				t.Errorf("received %d of %d and %d of %d bytes, or others", len(gotA), len(wantA), len(gotB), len(wantB))
			}
			p.finish()
		})
	}
}

// status returns what the connection behind a handle looks like.
func (e *end) status(id ConnID) (st Status) {
	e.t.Helper()
	if err := e.stack.Status(id, &st); err != nil {
		e.t.Fatal(err)
	}
	return st
}
