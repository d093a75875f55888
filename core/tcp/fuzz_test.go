package tcp

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// input deals out the bytes of a fuzzer's input; behind its end come zeros.
type input struct{ data []byte }

func (in *input) more() bool { return len(in.data) > 0 }

func (in *input) byte() byte {
	if len(in.data) == 0 {
		return 0
	}
	b := in.data[0]
	in.data = in.data[1:]
	return b
}

func (in *input) int(n int) int { return (int(in.byte())<<8 | int(in.byte())) % n }

// near returns a distance that is mostly small, of either sign.
func (in *input) near() seqnum.Size {
	b := in.byte()
	n := seqnum.Size(b & 15)
	switch b >> 4 & 3 {
	case 1:
		n *= 100
	case 2:
		n = n*1448 + seqnum.Size(in.byte())
	case 3:
		n = seqnum.Size(in.int(1<<16)) << (n * 2 % 20)
	}
	if b&0x80 != 0 {
		n = -n
	}
	return n
}

// fuzzed is a Stack whose peers are played by a fuzzer.
type fuzzed struct {
	*end
	now    Time
	ids    []ConnID
	tuples []tuple
	listen ListenerID
	other  ConnID // a connection that nobody touches
	before Status
	held   zbuf.Chain
	taken  int // received and not consumed
}

// newFuzzed returns a stack with one connection that is established and left alone, and a listener.
func newFuzzed(t *testing.T, opt Options) *fuzzed {
	x := &fuzzed{now: 1_000_000_000}
	x.end = newEnd(t, wire.Addr4([4]byte{10, 0, 0, 1}), []func(*Config){func(c *Config) {
		c.Defaults, c.MTU = opt, 1500
		c.SegmentationOffload4 = opt.RecvBuffer%2 == 0
		c.Limits = Limits{SynQueue: 4, AcceptQueue: 3, TimeWait: 4, OutOfOrder: 8, SentSegments: 32, Connections: 12}
	}})
	var err error
	if x.listen, err = x.stack.Listen(Endpoint{x.addr, 80}, 0, nil); err != nil {
		t.Fatal(err)
	}
	x.other = x.open(tuple{local: x.addr, remote: wire.Addr4([4]byte{10, 0, 0, 99}), localPort: 80, remotePort: 1})
	c := x.stack.conns.get(x.other)
	idle := *c.opt
	idle.KeepAlive = -1
	c.opt = &idle
	if err := x.stack.Status(x.other, &x.before); err != nil {
		t.Fatal(err)
	}
	return x
}

// open plays the peer of a passive open, up to Accept.
func (x *fuzzed) open(tu tuple) ConnID {
	x.t.Helper()
	options := wire.Options{
		Set: wire.OptMSS | wire.OptSACKPermitted | wire.OptTimestamps | wire.OptWindowScale, MSS: 1460, TSVal: 1, WindowScale: 2,
	}
	x.stack.HandlePacket(x.now, x.rawFrom(tu, wire.Segment{Seq: 0xffff_ff00, Flags: wire.SYN, Window: 40_000, Options: options}, nil))
	seg, _, ok := x.next(x.now)
	if !ok {
		x.t.Fatal("no SYN-ACK")
	}
	options.Set &= wire.OptTimestamps & seg.Options.Set
	options.TSEcr = seg.Options.TSVal
	x.stack.HandlePacket(x.now, x.rawFrom(tu, wire.Segment{
		Seq: 0xffff_ff01, Ack: seg.Seq.Add(1), Flags: wire.ACK, Window: 40_000, Options: options,
	}, nil))
	id, err := x.stack.Accept(x.listen)
	if err != nil {
		x.t.Fatal(err)
	}
	return id
}

// connect opens a connection actively, from a port on which nobody listens.
func (x *fuzzed) connect(tu tuple) {
	tu.localPort = 81
	if id, err := x.stack.Connect(x.now, tu.localEndpoint(), tu.remoteEndpoint(), nil); err == nil {
		x.ids = append(x.ids, id)
	}
	x.tuples = append(x.tuples, tu)
}

func (x *fuzzed) tuple(i int) tuple {
	return tuple{local: x.addr, remote: wire.Addr4([4]byte{10, 0, 0, 2}), localPort: 80, remotePort: uint16(1000 + i)}
}

// drain polls up to n segments, and all events.
func (x *fuzzed) drain(n int) {
	for range n {
		if _, _, ok := x.next(x.now); !ok {
			break
		}
	}
	x.poll()
	for {
		id, err := x.stack.Accept(x.listen)
		if err != nil {
			return
		}
		x.ids = append(x.ids, id)
	}
}

// check: what the stack derives is right, and the connection that nobody touches is as it was.
func (x *fuzzed) check() {
	x.t.Helper()
	x.mustCheck()
	var st Status
	if err := x.stack.Status(x.other, &st); err != nil || st != x.before {
		x.t.Fatalf("another connection was touched: %v\n%+v\nwas\n%+v", err, st, x.before)
	}
}

// finish ends everything and checks that no buffer is left.
func (x *fuzzed) finish() {
	for _, id := range x.stack.Connections(nil) {
		_ = x.stack.Abort(x.now, id)
	}
	_ = x.stack.CloseListener(x.now, x.listen)
	x.held.Clear()
	for range 100 {
		for x.stack.PollTransmit(x.now, &x.out) {
		}
		x.poll()
		if x.stack.PollTimeout() == Never {
			break
		}
		x.now = max(x.now, x.stack.PollTimeout())
		x.stack.HandleTimeout(x.now)
	}
	x.mustCheck()
	x.piece.Release()
	if n, left := x.pool.InUse(), len(x.stack.Connections(nil)); n != 0 || left != 0 {
		x.t.Fatalf("%d bytes of buffers and %d connections are left", n, left)
	}
}

// inStates opens connections in several states, all at fixed sequence numbers.
func (x *fuzzed) inStates() {
	iss := uint32(1000)
	opt := Options{FixedISN: &iss}
	for i, end := range []func(ConnID){
		func(ConnID) {},
		func(id ConnID) { x.send(x.now, id, 5000) },
		func(id ConnID) { _ = x.stack.CloseWrite(x.now, id) },
		func(id ConnID) { _ = x.stack.Close(x.now, id) },
	} {
		id := x.open(x.tuple(i))
		_ = x.stack.SetOptions(x.now, id, &opt)
		end(id)
		x.drain(10)
	}
	x.connect(x.tuple(10)) // SYN-SENT
	x.drain(10)
	x.stack.HandlePacket(x.now, x.rawFrom(x.tuple(11), wire.Segment{Seq: 7, Flags: wire.SYN, Window: 1000}, nil))
	x.drain(10)
}

// FuzzHandlePacket hands in any bytes as a packet.
func FuzzHandlePacket(f *testing.F) {
	f.Add([]byte{0})
	for _, seed := range packetSeeds() {
		f.Add(seed)
	}
	iss := uint32(1000)
	f.Fuzz(func(t *testing.T, data []byte) {
		x := newFuzzed(t, Options{FixedISN: &iss})
		x.inStates()
		x.check()
		in := input{data}
		for range 8 {
			mode := in.byte()
			n := min(len(in.data), in.int(1<<16), zbuf.MaxBlock)
			packet := Packet{Trusted: mode&1 != 0}
			if mode&2 != 0 {
				packet.SegmentSize = in.int(1 << 16)
			}
			n = min(n, len(in.data))
			split := n
			if mode&4 != 0 {
				split = min(in.int(1<<8), len(in.data))
				n = min(n, len(in.data))
				split = min(split, n)
			}
			packet.Head = x.block(in.data[:split])
			if split < n {
				packet.Body = x.block(in.data[split:n])
			}
			in.data = in.data[n:]
			x.stack.HandlePacket(x.now, packet)
			x.check()
			x.drain(100)
			x.check()
			if !in.more() {
				break
			}
		}
		x.finish()
	})
}

// block returns a block with a copy of b.
func (x *fuzzed) block(b []byte) zbuf.Slice {
	s, ok := x.pool.Get(len(b))
	if !ok {
		x.t.Fatal("the pool is exhausted")
	}
	copy(s.Bytes(), b)
	return s
}

// packetSeeds are packets for the connections of inStates, and ICMP errors about what they have sent.
func packetSeeds() (seeds [][]byte) {
	local, remote := wire.Addr4([4]byte{10, 0, 0, 1}), wire.Addr4([4]byte{10, 0, 0, 2})
	add := func(packet []byte) {
		seeds = append(seeds, append([]byte{1, byte(len(packet) >> 8), byte(len(packet))}, packet...))
	}
	for _, port := range []uint16{1000, 1001, 1002, 1003, 1010, 1011, 1012} {
		for _, flags := range []wire.Flags{
			wire.ACK, wire.SYN, wire.SYN | wire.ACK, wire.RST, wire.FIN | wire.ACK, wire.ACK | wire.URG | wire.PSH, 0,
		} {
			seg := wire.Segment{
				SrcPort: port, DstPort: 80, Seq: 0xffff_ff01, Ack: 1001, Flags: flags, Window: 1000, Urgent: 3,
				Options: wire.Options{Set: wire.OptTimestamps, TSVal: 2},
			}
			if flags.Has(wire.SYN) {
				seg.Options.Set |= wire.OptMSS | wire.OptWindowScale | wire.OptSACKPermitted
				seg.Options.MSS = 1000
			}
			if flags == wire.ACK {
				seg.Options.Set |= wire.OptSACK
				seg.Options.SACK[0] = wire.SACKBlock{Start: 1101, End: 1201}
				seg.Options.SACKBlocks = 1
			}
			b := make([]byte, 200)
			payload := 10
			n := wire.PutIP(b, &wire.IP{Src: remote, Dst: local, Protocol: wire.TCP, TTL: 64},
				wire.TCPHeaderLen+seg.Options.WireLen()+payload)
			n += wire.PutSegment(b[n:], &seg)
			add(b[:n+payload])
		}
		quoted := make([]byte, 60)
		n := wire.PutIP(quoted, &wire.IP{Src: local, Dst: remote, Protocol: wire.TCP, TTL: 64}, wire.TCPHeaderLen)
		n += wire.PutSegment(quoted[n:], &wire.Segment{SrcPort: 80, DstPort: port, Seq: 1001, Flags: wire.ACK})
		for _, kind := range []wire.ErrorKind{wire.PortUnreachable, wire.PacketTooBig, wire.TimeExceeded} {
			b := make([]byte, 200)
			add(b[:wire.PutICMPError(b, remote, kind, 600, quoted[:n])])
		}
	}
	return seeds
}

// FuzzSegments plays the peers of several connections: segments near the live sequence numbers, the user's calls, and time.
func FuzzSegments(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("\x01\x10\x00\x20\x00\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
	f.Fuzz(playSegments)
}

// TestRandomSegments is FuzzSegments without a fuzzer: random inputs get further than mutated ones in the same time.
func TestRandomSegments(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 7))
		data := make([]byte, 100+rng.IntN(1000))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { playSegments(t, data) })
	}
}

// playSegments is one run of what an input says.
func playSegments(t *testing.T, data []byte) {
	in := input{data}
	x := newFuzzed(t, fuzzOptions(&in))
	for i := range 1 + int(in.byte()%3) {
		if in.byte()%4 == 0 {
			x.connect(x.tuple(i))
		} else {
			x.tuples = append(x.tuples, x.tuple(i))
			x.ids = append(x.ids, x.open(x.tuple(i)))
		}
	}
	x.check()
	for range 200 {
		if !in.more() {
			break
		}
		x.step(&in)
		x.check()
	}
	x.finish()
}

func fuzzOptions(in *input) Options {
	bits := in.byte()
	opt := Options{
		NoTimestamps: bits&1 != 0, NoSACK: bits&2 != 0, NoWindowScale: bits&4 != 0, NoDelay: bits&8 != 0,
		QuickAck: bits&16 != 0, Pacing: bits&32 != 0, Congestion: CongestionReno + CongestionControl(bits>>6&1),
		RecvBuffer: 1 + in.int(1<<16)<<(in.byte()%8), SendBuffer: 1 + in.int(1<<16),
	}
	if bits&128 != 0 {
		opt.KeepAlive, opt.UserTimeout = time.Minute, 20*time.Second
	}
	return opt
}

// step does one thing that the input says.
func (x *fuzzed) step(in *input) {
	switch op := in.byte(); {
	case op < 128:
		x.segment(in)
	case op < 170:
		x.call(in)
	case op < 190:
		if next := x.stack.PollTimeout(); next != Never {
			x.now = max(x.now, next)
		}
		x.stack.HandleTimeout(x.now)
	case op < 210:
		x.now = x.now.Add(time.Duration(in.int(1<<16)) * time.Microsecond)
		x.stack.HandleTimeout(x.now)
	case op < 215:
		x.icmp(in)
	default:
		x.drain(1 + int(op%8)*4)
	}
}

// icmp hands in an ICMP error about a segment near SND.UNA.
func (x *fuzzed) icmp(in *input) {
	tu := x.tuples[int(in.byte())%len(x.tuples)]
	var seq seqnum.Value
	if c := x.stack.conns.byTuple[tu]; c != nil {
		seq = c.snd.una.Add(in.near())
	} else if r := x.stack.syns.get(tu); r != nil {
		seq = r.iss
	}
	kind := wire.NetUnreachable + wire.ErrorKind(in.byte())%8
	x.stack.HandlePacket(x.now, x.icmpAbout(tu, seq, kind, in.int(1<<11)))
}

// segment hands in a segment whose numbers lie near those of the connection that it is for.
func (x *fuzzed) segment(in *input) {
	tu := x.tuples[int(in.byte())%len(x.tuples)]
	seg := wire.Segment{Flags: wire.ACK, Window: uint16(in.int(1 << 16))}
	switch kind := in.byte(); kind % 8 {
	case 0:
		seg.Flags = wire.Flags(in.byte())
	case 1:
		seg.Flags |= wire.FIN
	case 2:
		seg.Flags |= wire.PSH
	case 3:
		seg.Window = 0
	}
	seg.Urgent = uint16(in.byte())
	var tsRecent uint32
	switch c, r := x.stack.conns.byTuple[tu], x.stack.syns.get(tu); {
	case c != nil:
		seg.Seq, seg.Ack, tsRecent = c.rcv.nxt, c.snd.una, c.rcv.tsRecent
		if in.byte()&1 != 0 {
			seg.Ack = c.snd.nxt
		}
	case r != nil:
		seg.Seq, seg.Ack, tsRecent = r.irs.Add(1), r.iss.Add(1), r.options.TSVal
	default:
		if w := x.stack.timeWait.get(tu); w != nil {
			seg.Seq, seg.Ack, tsRecent = w.rcvNxt, w.sndNxt, w.tsRecent
		}
	}
	where := in.byte()
	if where&1 != 0 {
		seg.Seq = seg.Seq.Add(in.near())
	}
	if where&2 != 0 {
		seg.Ack = seg.Ack.Add(in.near())
	}
	if where&4 == 0 {
		seg.Options.Set |= wire.OptTimestamps
		seg.Options.TSVal = tsRecent + uint32(int8(in.byte()))
		seg.Options.TSEcr = x.stack.tsNow(x.now, &tu) - uint32(int8(in.byte()))
	}
	if where&8 != 0 {
		seg.Options.Set |= wire.OptSACK
		seg.Options.SACKBlocks = 1 + in.byte()%3
		for i := range seg.Options.SACKBlocks {
			start := seg.Ack.Add(in.near())
			if b := in.byte(); b&3 != 0 {
				start = seg.Ack.Add(seqnum.Size(b>>2&7) * 1448)
			}
			seg.Options.SACK[i] = wire.SACKBlock{Start: start, End: start.Add(seqnum.Size(in.byte()&7)*724 + 1)}
		}
	}
	if seg.Flags.Has(wire.SYN) {
		seg.Options.Set |= wire.OptMSS | wire.OptWindowScale
		seg.Options.MSS, seg.Options.WindowScale = uint16(in.int(1<<16)), in.byte()%15
	}
	var payload []byte
	if where&64 == 0 {
		payload = make([]byte, in.near()%60_000)
	}
	packet := x.rawFrom(tu, seg, payload)
	if where&16 != 0 {
		packet.SegmentSize = in.int(3000)
	}
	if where&32 != 0 { // the payload in a block of its own
		n := wire.IPv4HeaderLen + wire.TCPHeaderLen + seg.Options.WireLen()
		packet.Body = packet.Head.Sub(n, packet.Head.Len()).Retain()
		packet.Head = packet.Head.Sub(0, n)
	}
	x.stack.HandlePacket(x.now, packet)
}

// call makes one call of the user's.
func (x *fuzzed) call(in *input) {
	if len(x.ids) == 0 {
		return
	}
	s, id := x.stack, x.ids[int(in.byte())%len(x.ids)]
	switch op := in.byte(); op % 12 {
	case 0, 1, 2:
		var chain zbuf.Chain
		chain.Append(x.pool, make([]byte, in.int(1<<15)))
		_, _ = s.Send(x.now, id, &chain)
		chain.Clear()
	case 3, 4:
		n, _ := s.Receive(id, &x.held, in.int(1<<16))
		x.taken += n
		x.held.Clear()
	case 5, 6:
		n := min(x.taken, in.int(1<<16))
		x.taken -= n
		s.Consumed(x.now, id, n)
	case 7:
		_ = s.CloseWrite(x.now, id)
	case 8:
		_ = s.CloseRead(x.now, id)
	case 9:
		_ = s.Close(x.now, id)
	case 10:
		if op&1 != 0 {
			_ = s.Abort(x.now, id)
		}
		x.connect(x.tuples[int(in.byte())%len(x.tuples)])
	case 11:
		opt := fuzzOptions(in)
		opt.Cork, opt.MaxSegment = in.byte()&1 != 0, 64+in.int(1400)
		_ = s.SetOptions(x.now, id, &opt)
	}
	if len(x.ids) > 64 {
		x.ids = x.ids[len(x.ids)-64:]
	}
}

// FuzzOptions: what Validate accepts, a connection can run with.
func FuzzOptions(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := input{data}
		opt := fuzzOptions(&in)
		opt.Cork = in.byte()&1 != 0
		opt.InitialRTO = time.Duration(int32(in.int(1<<16))<<16|int32(in.int(1<<16))) * time.Microsecond
		opt.MinRTO = time.Duration(int16(in.int(1<<16))) * time.Millisecond
		opt.KeepAliveInterval = time.Duration(int16(in.int(1<<16))) * time.Millisecond
		opt.KeepAliveCount, opt.SynRetries = int(int8(in.byte())), int(int8(in.byte()))
		opt.ConnectTimeout = time.Duration(int16(in.int(1<<16))) * time.Second
		opt.UserTimeout = time.Duration(int16(in.int(1<<16))) * time.Second
		opt.MaxSegment = int(int16(in.int(1 << 16)))
		opt.TTL, opt.TrafficClass = in.byte(), in.byte()
		opt.Congestion = CongestionControl(in.byte())
		if opt.Validate() != nil {
			return
		}
		p := newPair(t)
		p.check = true
		ida, idb := p.connect(&opt)
		const total = 3000
		got := 0
		for sent := 0; got < total; {
			if n := min(total-sent, p.a.stack.SendSpace(ida)); n > 0 {
				sent += p.a.send(p.now, ida, n)
			}
			if opt.Cork && sent == total {
				opt.Cork = false
				if err := p.a.stack.SetOptions(p.now, ida, &opt); err != nil {
					t.Fatal(err)
				}
			}
			p.advance(time.Second)
			n := p.b.receive(p.now, idb)
			got += n
			if n == 0 && !opt.Cork {
				t.Fatalf("stalled at %d of %d bytes with %+v", got, total, opt)
			}
			if got+total/10 < total && opt.SendBuffer < 10 || opt.RecvBuffer < 10 {
				break // byte by byte: it moves, that will do
			}
		}
		p.finish()
	})
}
