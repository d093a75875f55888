package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// reassemblyTest drives a reassembly queue and a model that keeps each byte: the one that came first.
type reassemblyTest struct {
	t     *testing.T
	rng   *rand.Rand
	pool  *zbuf.Pool
	queue reassembly
	nxt   seqnum.Value
	held  map[seqnum.Value]byte
	dst   zbuf.Chain
}

const reassemblyWindow = 400

func (x *reassemblyTest) insert(limit int) {
	n := 1 + x.rng.IntN(40)
	at := 1 + x.rng.IntN(reassemblyWindow-n)
	start := x.nxt.Add(seqnum.Size(at))
	s, _ := x.pool.Get(n)
	fill := byte(x.rng.Uint32())
	for i := range s.Bytes() {
		s.Bytes()[i] = fill
	}
	wantFresh := false
	fresh, room := x.queue.insert(start, s, limit)
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
	if !room && len(x.queue.ranges) < limit {
		x.t.Fatalf("no room with %d ranges of %d", len(x.queue.ranges), limit)
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
func (x *reassemblyTest) pull() {
	n := 1 + x.rng.IntN(60)
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
	nxt := x.queue.pull(x.nxt, &x.dst)
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
	if len(x.queue.ranges) == 0 {
		return
	}
	if err := x.queue.check(x.nxt, x.nxt.Add(2*reassemblyWindow)); err != nil {
		x.t.Fatal(err)
	}
	for i := range x.queue.ranges {
		r := &x.queue.ranges[i]
		for k, b := range r.data.Bytes() {
			if want := x.held[r.start.Add(seqnum.Size(k))]; b != want {
				x.t.Fatalf("byte at %d is %x, want %x: the one that came first", r.start.Add(seqnum.Size(k)), b, want)
			}
		}
	}
}

func TestReassemblyAgainstBytes(t *testing.T) {
	for seed := range uint64(300) {
		x := reassemblyTest{
			t: t, rng: rand.New(rand.NewPCG(seed, 2)), pool: zbuf.NewPool(0), held: map[seqnum.Value]byte{},
		}
		x.nxt = seqnum.Value(0).Sub(seqnum.Size(x.rng.IntN(1000)))
		for range 200 {
			if x.rng.IntN(4) > 0 {
				x.insert(1000)
			} else {
				x.pull()
			}
		}
		x.queue.clear()
		if n := x.pool.InUse(); n != 0 {
			t.Fatalf("%d bytes of buffers are left", n)
		}
	}
}

func TestReassemblyBoundsItsRanges(t *testing.T) {
	pool := zbuf.NewPool(0)
	var q reassembly
	for i := range seqnum.Value(10) {
		s, _ := pool.Get(1)
		fresh, room := q.insert(10+2*i, s, 4)
		if want := i < 4; fresh != want || room != want {
			t.Errorf("range %d: fresh %v, room %v, want %v", i, fresh, room, want)
		}
	}
	if len(q.ranges) != 4 || q.bytes != 4 {
		t.Errorf("%d ranges with %d bytes, want 4", len(q.ranges), q.bytes)
	}
	q.clear()
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d bytes of buffers are left", n)
	}
}

// TestReassemblyReportsMostRecentFirst is the example of RFC 2018 §4, case 2 and on: every second segment is lost.
func TestReassemblyReportsMostRecentFirst(t *testing.T) {
	pool := zbuf.NewPool(0)
	var q reassembly
	put := func(seq seqnum.Value) {
		s, _ := pool.Get(500)
		q.insert(seq, s, 100)
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
	if nxt := q.pull(9200, &dst); nxt != 9200 || dst.Len() != 0 {
		t.Errorf("pulled %d bytes up to %d", dst.Len(), nxt)
	}
	want(wire.SACKBlock{Start: 9500, End: 10_000})
	q.clear()
}

// TestReassemblyReportsWhatIsLeft: the runs that were reported last are pulled, older ones remain to be reported.
func TestReassemblyReportsWhatIsLeft(t *testing.T) {
	pool := zbuf.NewPool(0)
	var q reassembly
	for _, seq := range []seqnum.Value{5000, 1000, 1200, 1400, 1600} {
		s, _ := pool.Get(100)
		q.insert(seq, s, 100)
		q.report(seq)
	}
	var dst zbuf.Chain
	q.pull(1650, &dst)
	if q.nblocks != 1 || q.blocks[0] != (wire.SACKBlock{Start: 5000, End: 5100}) {
		t.Errorf("blocks are %v, want [5000, 5100)", q.blocks[:q.nblocks])
	}
	dst.Clear()
	q.clear()
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d bytes of buffers are left", n)
	}
}
