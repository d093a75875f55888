package tcp

import (
	"testing"

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
