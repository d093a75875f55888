package sim

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// bulk moves bytes over connections from host a to host b, with users who send and read as fast as they may.
type bulk struct {
	t        *testing.T
	net      *Network
	a, b     *Host
	piece    zbuf.Slice
	left     map[tcp.ConnID]int // to be sent on a's connections
	received map[tcp.ConnID]int // on b's connections
	finished int                // of b's connections, read to the end of the stream
	total    int                // received in all
	mostHeld int64              // in b's pool
}

const bulkPort = 80

// newBulk joins two hosts by a link, the same in both directions.
func newBulk(t *testing.T, link Link, configure ...func(a, b *HostConfig)) *bulk {
	t.Helper()
	x := &bulk{t: t, net: New(1), left: map[tcp.ConnID]int{}, received: map[tcp.ConnID]int{}}
	var cfg [2]HostConfig
	for i := range cfg {
		cfg[i] = HostConfig{
			Addrs: []wire.Addr{wire.Addr4([4]byte{10, 0, 0, byte(i + 1)})},
			Stack: tcp.Config{SegmentationOffload4: true, ChecksumOffload: true},
		}
	}
	for _, change := range configure {
		change(&cfg[0], &cfg[1])
	}
	x.a, x.b = x.host("a", cfg[0]), x.host("b", cfg[1])
	x.a.OnEvent, x.b.OnEvent = x.onSender, x.onReceiver
	x.net.Connect(x.a, x.b, link, link)
	if _, err := x.b.Stack.Listen(tcp.Endpoint{Addr: x.b.Addr(false), Port: bulkPort}, 0, nil); err != nil {
		t.Fatal(err)
	}
	x.piece, _ = x.a.Pool.Get(zbuf.MaxBlock)
	return x
}

func (x *bulk) host(name string, cfg HostConfig) *Host {
	h, err := x.net.AddHost(name, cfg)
	if err != nil {
		x.t.Fatal(err)
	}
	return h
}

// open opens a connection that carries n bytes.
func (x *bulk) open(n int) tcp.ConnID {
	id, err := x.a.Stack.Connect(x.net.now, tcp.Endpoint{Addr: x.a.Addr(false)}, tcp.Endpoint{Addr: x.b.Addr(false), Port: bulkPort}, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	x.left[id] = n
	return id
}

// onSender sends what there is room for.
func (x *bulk) onSender(e tcp.Event) {
	if e.Flags&tcp.EventWritable == 0 {
		return
	}
	var chain zbuf.Chain
	defer chain.Clear()
	for left := x.left[e.Conn]; left > 0; left = x.left[e.Conn] {
		chain.Push(x.piece.Sub(0, min(left, x.piece.Len())).Retain())
		took, err := x.a.Stack.Send(x.net.now, e.Conn, &chain)
		if err != nil {
			x.t.Errorf("send: %v", err)
			return
		}
		x.left[e.Conn] -= took
		if chain.Len() > 0 {
			return
		}
	}
	_ = x.a.Stack.Close(x.net.now, e.Conn)
}

// onReceiver reads what there is.
func (x *bulk) onReceiver(e tcp.Event) {
	x.mostHeld = max(x.mostHeld, x.b.Pool.InUse())
	if e.Flags&tcp.EventAccepted != 0 {
		for {
			id, err := x.b.Stack.Accept(e.Listener)
			if err != nil {
				return
			}
			x.received[id] = 0
			x.read(id)
		}
	}
	if _, ok := x.received[e.Conn]; ok && e.Flags&tcp.EventReadable != 0 {
		x.read(e.Conn)
	}
}

func (x *bulk) read(id tcp.ConnID) {
	var in zbuf.Chain
	defer in.Clear()
	for {
		n, err := x.b.Stack.Receive(id, &in, 1<<30)
		if err != nil {
			if err != tcp.ErrWouldBlock { //nolint:errorlint // it comes as it is
				x.finished++
				_ = x.b.Stack.Close(x.net.now, id)
				delete(x.received, id)
			}
			return
		}
		in.Clear()
		x.received[id] += n
		x.total += n
		x.b.Stack.Consumed(x.net.now, id, n)
	}
}

// run lets time pass until done says so.
func (x *bulk) run(done func() bool) {
	x.t.Helper()
	if err := x.net.Settle(); err != nil {
		x.t.Fatal(err)
	}
	for !done() {
		more, err := x.net.Step()
		if err != nil || !more {
			x.t.Fatalf("at %v: more %v, %v", time.Duration(x.net.now), more, err)
		}
	}
}

// Nothing needs to be configured for a long fat path: both buffers grow until it is full.
func TestLongFatPathIsFilled(t *testing.T) {
	const (
		rate = 1_000_000_000
		rtt  = 100 * time.Millisecond
	)
	for name, noTimestamps := range map[string]bool{"timestamps": false, "no timestamps": true} {
		t.Run(name, func(t *testing.T) {
			link := Link{Delay: rtt / 2, Rate: rate, Queue: rate / 8 / 10, Whole: true}
			x := newBulk(t, link, func(a, b *HostConfig) { a.Stack.Defaults.NoTimestamps = noTimestamps })
			id := x.open(1 << 40)
			until := func(t tcp.Time) func() bool { return func() bool { return x.net.now >= t } }
			x.run(until(tcp.Time(3 * time.Second))) // slow start, and the loss that ends it
			before := x.total
			x.run(until(tcp.Time(6 * time.Second)))
			goodput := float64(x.total-before) * 8 / 3
			var st tcp.Status
			if err := x.a.Stack.Status(id, &st); err != nil {
				t.Fatal(err)
			}
			t.Logf("%.0f Mbit/s; send buffer %d, peer's window %d, cwnd %d", goodput/1e6, st.SendBuffer, st.SendWindow, st.CongestionWindow)
			if goodput < 0.9*rate {
				t.Errorf("%.0f Mbit/s of %d", goodput/1e6, rate/1_000_000)
			}
		})
	}
}

// Many connections in a budget far below what they would take all finish, and hold no more than it and a least share each.
func TestManyConnectionsInASmallBudget(t *testing.T) {
	const (
		conns  = 1000
		each   = 200_000
		budget = 4 << 20
		share  = 4 << 10
	)
	link := Link{Delay: 10 * time.Millisecond, Rate: 1_000_000_000, Queue: 4 << 20}
	x := newBulk(t, link, func(_, b *HostConfig) {
		b.Stack.Limits.ReceiveMemory = budget
		b.Join = true
		b.Batch = time.Millisecond
	})
	for range conns {
		x.open(each)
	}
	x.run(func() bool { return x.finished == conns })
	if x.total != conns*each || x.b.PoolDrops > 0 {
		t.Errorf("%d bytes of %d came, %d packets found no buffer", x.total, conns*each, x.b.PoolDrops)
	}
	// A block may be a few times what it holds.
	if most := int64(zbuf.CompactRatio * (budget + conns*share)); x.mostHeld > most {
		t.Errorf("%d bytes of buffers were in use, more than %d", x.mostHeld, most)
	}
	t.Logf("all in %v, at most %d bytes held", time.Duration(x.net.now).Round(time.Millisecond), x.mostHeld)
}

// Two hosts whose budgets are as small as can be send to each other and read what comes: data to send must not keep
// windows closed.
func TestBothWaysInASpentBudget(t *testing.T) {
	const n = 2_000_000
	x := newBulk(t, Link{Delay: time.Millisecond}, func(a, b *HostConfig) {
		a.Stack.Limits.ReceiveMemory, b.Stack.Limits.ReceiveMemory = 1, 1
	})
	back := 0
	sent := map[tcp.ConnID]int{}
	x.b.OnEvent = func(e tcp.Event) {
		x.onReceiver(e)
		for id := range x.received {
			if sent[id] < n {
				var chain zbuf.Chain
				chain.Push(x.piece.Retain())
				took, _ := x.b.Stack.Send(x.net.now, id, &chain)
				sent[id] += took
				chain.Clear()
			}
		}
	}
	x.a.OnEvent = func(e tcp.Event) {
		if e.Flags&tcp.EventReadable != 0 {
			var in zbuf.Chain
			got, _ := x.a.Stack.Receive(e.Conn, &in, 1<<30)
			in.Clear()
			back += got
			x.a.Stack.Consumed(x.net.now, e.Conn, got)
		}
		x.onSender(e)
	}
	x.open(1 << 40)
	x.run(func() bool { return x.total >= n && back >= n })
}
