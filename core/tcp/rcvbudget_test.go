package tcp

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// crowd is a pair with n connections, from a to b.
type crowd struct {
	*pair
	ida, idb []ConnID
}

func newCrowd(t *testing.T, n int, opt *Options, configure ...func(*Config)) *crowd {
	x := &crowd{pair: newPair(t, configure...)}
	l := x.listen(opt)
	for range n {
		x.join(l, opt)
	}
	return x
}

func (x *crowd) join(l ListenerID, opt *Options) {
	ida, idb := x.dial(l, opt)
	x.ida, x.idb = append(x.ida, ida), append(x.idb, idb)
}

// spoken is what the connections of b hold and promise in all.
func (x *crowd) spoken() int {
	sum := 0
	for _, id := range x.idb {
		sum += extent(x.b.conn(id))
	}
	return sum
}

// extent is what c holds and promises.
func extent(c *conn) int { return int(c.consumedTo().Size(c.rcv.adv)) }

func budget(n int64) func(*Config) { return func(c *Config) { c.Limits.ReceiveMemory = n } }

// Connections that read as fast as they can share a budget equally, and promise no more than it has and a least share each.
func TestBudgetIsShared(t *testing.T) {
	const n, limit = 16, 2 << 20
	x := newCrowd(t, n, &Options{RecvBuffer: 1 << 20, SendBuffer: 1 << 20}, budget(limit))
	x.check = true
	const most = limit + n*minShare
	check := func() {
		if sum := x.spoken(); sum > most {
			t.Fatalf("%d bytes are held or promised of %d", sum, most)
		}
	}
	for range 40 {
		for _, id := range x.ida {
			x.a.send(x.now, id, 1<<20)
		}
		x.advance(10 * time.Millisecond)
		check()
		for _, id := range x.idb {
			x.b.receive(x.now, id)
		}
		x.advance(10 * time.Millisecond)
		check()
	}
	for i, id := range x.idb {
		if got, fair := extent(x.b.conn(id)), limit/(n+1); got < fair*4/5 || got > fair*6/5 {
			t.Errorf("connection %d has %d bytes, a fair share is %d", i, got, fair)
		}
	}
	x.finish()
}

// What nobody reads takes the windows from those who come later, down to the least share; they open when it is read.
func TestWindowWaitsForMemory(t *testing.T) {
	const limit = 256 << 10
	opt := &Options{RecvBuffer: 1 << 20, SendBuffer: 1 << 20}
	p := newPair(t, budget(limit))
	l := p.listen(opt)
	x := &crowd{pair: p}
	for range 8 {
		x.join(l, opt)
		x.a.send(x.now, x.ida[len(x.ida)-1], 1<<20)
		x.advance(time.Second)
	}
	last := x.b.conn(x.idb[7])
	if got := extent(last); got > minShare {
		t.Errorf("the last one got %d bytes", got)
	}
	if used := x.b.stack.budget.used(); used > limit+8*minShare {
		t.Errorf("%d bytes are in use of %d", used, limit)
	}
	for range 20 {
		for _, id := range x.idb[:7] {
			x.b.receive(x.now, id)
		}
		x.advance(time.Second)
	}
	for range 4 {
		x.b.receive(x.now, x.idb[7])
		x.advance(time.Second)
	}
	if got := extent(last); got < limit/10 {
		t.Errorf("with memory again it has %d bytes, less than a fair share", got)
	}
	x.finish()
}

// Blocks that something else has taken, such as data to send, leave windows alone: both ends of a connection would wait
// for each other.
func TestDataToSendDoesNotCloseWindows(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Pool, c.Limits.ReceiveMemory = zbuf.NewPool(4<<20), 1<<20 })
	ida, idb := p.connect(&Options{RecvBuffer: 100_000, SendBuffer: 1 << 20})
	hog := make([]Packet, 0, 48)
	for range 48 {
		s, ok := p.b.pool.Get(60_000)
		if !ok {
			t.Fatal("the pool is exhausted")
		}
		hog = append(hog, Packet{Head: s})
	}
	got := 0
	for range 10 {
		p.a.send(p.now, ida, 200_000)
		p.advance(time.Millisecond)
		got += p.b.receive(p.now, idb)
	}
	if got < 500_000 {
		t.Errorf("%d bytes got through in ten round trips", got)
	}
	for i := range hog {
		hog[i].Release()
	}
	p.finish()
}

// The windows of idle connections do not count, and count again with their next data.
func TestIdleWindowsDoNotCount(t *testing.T) {
	const limit = 1 << 20
	x := newCrowd(t, 100, nil, budget(limit))
	if x.b.stack.budget.used() < limit/2 {
		t.Errorf("%d bytes are in use by windows that were just opened", x.b.stack.budget.used())
	}
	x.advance(2 * budgetEpoch)
	x.a.send(x.now, x.ida[0], 1)
	x.advance(time.Millisecond)
	if used, own := x.b.stack.budget.used(), int64(extent(x.b.conn(x.idb[0]))); used != own {
		t.Errorf("%d bytes are in use, the only active connection has %d", used, own)
	}
	x.finish()
}

// Data out of order are dropped when memory is spent; data in order never.
func TestOutOfOrderWithoutMemory(t *testing.T) {
	p := newPair(t, budget(1000))
	_, idb := p.connect(nil)
	c := p.b.conn(idb)
	arrive := func(at int) {
		seg := wire.Segment{Seq: c.rcv.irs.Add(1).Add(seqnum.Size(at)), Ack: c.snd.nxt, Flags: wire.ACK, Window: 65_535}
		p.b.stack.HandlePacket(p.now, p.b.raw(c, seg, make([]byte, 1000)))
	}
	arrive(0)
	arrive(2000)
	if c.ooo != nil {
		t.Error("data out of order were kept beyond the budget")
	}
	arrive(1000)
	if c.rcv.unconsumed != 2000 {
		t.Errorf("%d bytes were kept in order, want 2000", c.rcv.unconsumed)
	}
	p.b.receive(p.now, idb)
	arrive(3000)
	if c.ooo == nil || c.ooo.bytes != 1000 {
		t.Error("data out of order were dropped although there is memory")
	}
	p.b.mustCheck()
	p.finish()
}
