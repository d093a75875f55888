package tcp

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// reassemblyTest drives a reassembly queue and a model that keeps each byte: the one that came first.
type reassemblyTest struct {
	t      *testing.T
	rng    *rand.Rand
	pool   *zbuf.Pool
	stock  reassemblyStock
	queue  reassembly
	nxt    seqnum.Value
	window int
	held   map[seqnum.Value]byte
	dst    zbuf.Chain
}

func (x *reassemblyTest) insert(largest int) {
	n := 1 + x.rng.IntN(largest)
	at := 1 + x.rng.IntN(x.window-n)
	start := x.nxt.Add(seqnum.Size(at))
	s, _ := x.pool.Get(n)
	fill := byte(x.rng.Uint32())
	for i := range s.Bytes() {
		s.Bytes()[i] = fill
	}
	wantFresh := false
	fresh, room := x.queue.insert(&x.stock, start, s)
	s.Release()
	for i := range n {
		if _, ok := x.held[start.Add(seqnum.Size(i))]; !ok {
			wantFresh = true
			if room {
				x.held[start.Add(seqnum.Size(i))] = fill
			}
		}
	}
	if room && fresh != wantFresh {
		x.t.Fatalf("fresh: %v, want %v", fresh, wantFresh)
	}
	if !room && len(x.queue.runs) < x.stock.limit {
		x.t.Fatalf("no room with %d runs of %d", len(x.queue.runs), x.stock.limit)
	}
	if room {
		x.queue.report(start)
		x.wantFirstBlock(start)
	}
	x.check()
}

// wantFirstBlock: RFC 2018 §4: the first block is the contiguous run that holds the segment that came last.
func (x *reassemblyTest) wantFirstBlock(seq seqnum.Value) {
	want := wire.SACKBlock{Start: seq, End: seq}
	for {
		if _, ok := x.held[want.Start.Sub(1)]; !ok {
			break
		}
		want.Start = want.Start.Sub(1)
	}
	for {
		if _, ok := x.held[want.End]; !ok {
			break
		}
		want.End = want.End.Add(1)
	}
	if got := x.queue.blocks[0]; got != want {
		x.t.Fatalf("first SACK block is %v, want %v", got, want)
	}
	for i, a := range x.queue.blocks[:x.queue.nblocks] {
		for _, b := range x.queue.blocks[:i] {
			if a.Start.Less(b.End) && b.Start.Less(a.End) {
				x.t.Fatalf("SACK blocks %v and %v overlap", a, b)
			}
		}
	}
}

// pull fills the gap at nxt with n bytes and takes what continues them.
func (x *reassemblyTest) pull(most int) {
	n := 1 + x.rng.IntN(most)
	x.nxt = x.nxt.Add(seqnum.Size(n))
	for i := range n {
		delete(x.held, x.nxt.Sub(seqnum.Size(i+1)))
	}
	want := []byte{}
	for {
		b, ok := x.held[x.nxt.Add(seqnum.Size(len(want)))]
		if !ok {
			break
		}
		delete(x.held, x.nxt.Add(seqnum.Size(len(want))))
		want = append(want, b)
	}
	nxt := x.queue.pull(&x.stock, x.nxt, &x.dst)
	if nxt != x.nxt.Add(seqnum.Size(len(want))) {
		x.t.Fatalf("pulled up to %d, want %d", nxt, x.nxt.Add(seqnum.Size(len(want))))
	}
	x.nxt = nxt
	got := make([]byte, x.dst.Len())
	x.dst.Read(got)
	if string(got) != string(want) {
		x.t.Fatalf("pulled % x, want % x", got, want)
	}
	x.check()
}

func (x *reassemblyTest) check() {
	x.t.Helper()
	if len(x.held) != x.queue.bytes {
		x.t.Fatalf("%d bytes held, want %d", x.queue.bytes, len(x.held))
	}
	if len(x.queue.runs) == 0 {
		return
	}
	if err := x.queue.check(x.nxt, x.nxt.Add(seqnum.Size(2*x.window))); err != nil {
		x.t.Fatal(err)
	}
	for _, r := range x.queue.runs {
		held := make([]byte, r.data.Len())
		r.data.CopyTo(held, r.data.Start())
		for k, b := range held {
			if want := x.held[r.start.Add(seqnum.Size(k))]; b != want {
				x.t.Fatalf("byte at %d is %x, want %x: the one that came first", r.start.Add(seqnum.Size(k)), b, want)
			}
		}
	}
}

func TestReassemblyAgainstBytes(t *testing.T) {
	for _, tt := range []struct {
		name                          string
		window, largest, limit, seeds int
	}{
		{"small pieces", 400, 40, 1000, 300},
		{"few runs", 400, 20, 4, 100},
		{"large pieces", 8000, 1200, 1000, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(tt.seeds) {
				pool := zbuf.NewPool(0)
				x := reassemblyTest{
					t: t, rng: rand.New(rand.NewPCG(seed, 2)), pool: pool, window: tt.window, held: map[seqnum.Value]byte{},
					stock: reassemblyStock{pool: pool, limit: tt.limit},
				}
				x.nxt = seqnum.Value(0).Sub(seqnum.Size(x.rng.IntN(1000)))
				for range 200 {
					if x.rng.IntN(4) > 0 {
						x.insert(tt.largest)
					} else {
						x.pull(2 * tt.largest)
					}
				}
				x.queue.clear(&x.stock)
				if n := x.pool.InUse(); n != 0 {
					t.Fatalf("seed %d: %d bytes of buffers are left", seed, n)
				}
			}
		})
	}
}

func TestReassemblyBoundsItsRuns(t *testing.T) {
	q := newTestReassembly(4)
	for i := range seqnum.Value(10) {
		fresh, room := q.insert(10+2*i, 1)
		if want := i < 4; fresh != want || room != want {
			t.Errorf("run %d: fresh %v, room %v, want %v", i, fresh, room, want)
		}
	}
	if len(q.runs) != 4 || q.bytes != 4 {
		t.Errorf("%d runs with %d bytes, want 4", len(q.runs), q.bytes)
	}
	for _, at := range []seqnum.Value{9, 17} {
		if fresh, room := q.insert(at, 1); !fresh || !room {
			t.Errorf("what touches a run at %d finds no room", at)
		}
	}
	q.wantEmpty(t)
}

// TestReassemblyOfAWindow fills a window behind a lost segment: whatever the order, all of it is kept, in memory that
// follows the bytes and not the number of segments.
func TestReassemblyOfAWindow(t *testing.T) {
	evenFirst := func(i, n int) int {
		if half := (n + 1) / 2; i >= half {
			return 2*(i-half) + 1
		}
		return 2 * i
	}
	for name, order := range map[string]func(i, n int) int{
		"forwards":   func(i, _ int) int { return i },
		"backwards":  func(i, n int) int { return n - 1 - i },
		"even first": evenFirst,
		"scattered":  func(i, n int) int { return i * 7919 % n },
		"in blocks":  func(i, n int) int { return (n - 1 - i) ^ 15 },
	} {
		for size, n := range map[int]int{1: 1 << 13, 100: 1 << 11, 1448: 1 << 11} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, size), func(t *testing.T) {
				q := newTestReassembly(n)
				for i := range n {
					q.insert(seqnum.Value(1+size*order(i, n)), size)
				}
				if len(q.runs) != 1 || q.bytes != n*size {
					t.Fatalf("%d runs with %d bytes, want 1 with %d", len(q.runs), q.bytes, n*size)
				}
				// A block of 2 KiB for each 1,448 bytes; of 256 for small ones, half full at worst.
				if most := int64(n*size*2 + 1024); q.pool.InUse() > most {
					t.Errorf("%d bytes of buffers for %d, want at most %d", q.pool.InUse(), n*size, most)
				}
				q.wantEmpty(t)
			})
		}
	}
}

// testReassembly is a queue with what it needs.
type testReassembly struct {
	reassembly
	stock reassemblyStock
	pool  *zbuf.Pool
}

func newTestReassembly(limit int) *testReassembly {
	pool := zbuf.NewPool(0)
	return &testReassembly{pool: pool, stock: reassemblyStock{pool: pool, limit: limit}}
}

func (q *testReassembly) insert(seq seqnum.Value, n int) (fresh, room bool) {
	s, _ := q.pool.Get(n)
	defer s.Release()
	return q.reassembly.insert(&q.stock, seq, s)
}

func (q *testReassembly) wantEmpty(t *testing.T) {
	t.Helper()
	q.clear(&q.stock)
	if n := q.pool.InUse(); n != 0 {
		t.Errorf("%d bytes of buffers are left", n)
	}
}

// TestReassemblyReportsMostRecentFirst is the example of RFC 2018 §4, case 2 and on: every second segment is lost.
func TestReassemblyReportsMostRecentFirst(t *testing.T) {
	q := newTestReassembly(100)
	put := func(seq seqnum.Value) {
		q.insert(seq, 500)
		q.report(seq)
	}
	want := func(blocks ...wire.SACKBlock) {
		t.Helper()
		if q.nblocks != len(blocks) {
			t.Fatalf("%d blocks %v, want %v", q.nblocks, q.blocks[:q.nblocks], blocks)
		}
		for i, b := range blocks {
			if q.blocks[i] != b {
				t.Errorf("block %d is %v, want %v", i, q.blocks[i], b)
			}
		}
	}
	put(5500)
	want(wire.SACKBlock{Start: 5500, End: 6000})
	put(6500)
	want(wire.SACKBlock{Start: 6500, End: 7000}, wire.SACKBlock{Start: 5500, End: 6000})
	put(7500)
	put(8500)
	put(9500) // a fifth run: the oldest report goes
	want(wire.SACKBlock{Start: 9500, End: 10_000}, wire.SACKBlock{Start: 8500, End: 9000},
		wire.SACKBlock{Start: 7500, End: 8000}, wire.SACKBlock{Start: 6500, End: 7000})
	put(7000) // joins two runs
	want(wire.SACKBlock{Start: 6500, End: 8000}, wire.SACKBlock{Start: 9500, End: 10_000}, wire.SACKBlock{Start: 8500, End: 9000})
	put(8600) // nothing new, and still what came last
	want(wire.SACKBlock{Start: 8500, End: 9100}, wire.SACKBlock{Start: 6500, End: 8000}, wire.SACKBlock{Start: 9500, End: 10_000})

	var dst zbuf.Chain
	if nxt := q.pull(&q.stock, 9200, &dst); nxt != 9200 || dst.Len() != 0 {
		t.Errorf("pulled %d bytes up to %d", dst.Len(), nxt)
	}
	want(wire.SACKBlock{Start: 9500, End: 10_000})
	q.wantEmpty(t)
}

// TestReassemblyReportsWhatIsLeft: the runs that were reported last are pulled, older ones remain to be reported.
func TestReassemblyReportsWhatIsLeft(t *testing.T) {
	q := newTestReassembly(100)
	for _, seq := range []seqnum.Value{5000, 1000, 1200, 1400, 1600} {
		q.insert(seq, 100)
		q.report(seq)
	}
	var dst zbuf.Chain
	q.pull(&q.stock, 1650, &dst)
	if q.nblocks != 1 || q.blocks[0] != (wire.SACKBlock{Start: 5000, End: 5100}) {
		t.Errorf("blocks are %v, want [5000, 5100)", q.blocks[:q.nblocks])
	}
	dst.Clear()
	q.wantEmpty(t)
}
