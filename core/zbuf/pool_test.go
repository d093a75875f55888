package zbuf

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// newTestPool returns a pool that must be without references at the end of the test.
func newTestPool(t testing.TB, limit int64) *Pool {
	t.Helper()
	p := NewPool(limit)
	t.Cleanup(func() {
		if got := p.InUse(); got != 0 {
			t.Errorf("%d bytes still in use: %+v", got, p.Stats())
		}
	})
	return p
}

func mustGet(t testing.TB, p *Pool, n int) Slice {
	t.Helper()
	s, ok := p.Get(n)
	if !ok {
		t.Fatalf("Get(%d) refused with %d of %d bytes in use", n, p.InUse(), p.Limit())
	}
	return s
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestGetPicksSmallestClass(t *testing.T) {
	p := newTestPool(t, 0)
	if p.Limit() != DefaultLimit {
		t.Errorf("Limit() = %d, want the default %d", p.Limit(), DefaultLimit)
	}
	for _, tc := range []struct{ n, size int }{
		{0, 256},
		{1, 256},
		{256, 256},
		{257, 2048},
		{2048, 2048},
		{2049, 16384},
		{16384, 16384},
		{16385, MaxBlock},
		{65535 + 1024, MaxBlock},
		{MaxBlock, MaxBlock},
	} {
		s := mustGet(t, p, tc.n)
		if s.Len() != tc.n || len(s.Bytes()) != tc.n || s.Footprint() != tc.size || s.IsZero() {
			t.Errorf("Get(%d): Len %d, Footprint %d, want block of %d", tc.n, s.Len(), s.Footprint(), tc.size)
		}
		if got := p.InUse(); got != int64(tc.size) {
			t.Errorf("Get(%d): InUse = %d, want %d", tc.n, got, tc.size)
		}
		s.Release()
	}
	mustPanic(t, "Get above MaxBlock", func() { p.Get(MaxBlock + 1) })
	mustPanic(t, "Get of a negative length", func() { p.Get(-1) })
	mustPanic(t, "negative limit", func() { NewPool(-1) })
}

func TestGetStopsAtLimit(t *testing.T) {
	p := newTestPool(t, 3*2048)
	var held []Slice
	for range 3 {
		held = append(held, mustGet(t, p, 2000))
	}
	if _, ok := p.Get(1); ok {
		t.Fatal("Get succeeded above the limit")
	}
	held[0].Release()
	held[0] = mustGet(t, p, 2000)
	st := p.Stats()
	if st.InUse != 3*2048 || st.Limit != 3*2048 || st.Refused != 1 || st.Classes[1].Used != 3 || st.Classes[1].Size != 2048 {
		t.Errorf("Stats() = %+v", st)
	}
	for _, s := range held {
		s.Release()
	}
}

func TestBlocksDoNotOverlap(t *testing.T) {
	p := newTestPool(t, 0)
	var all []Slice
	for i := range 300 {
		s := mustGet(t, p, classes[i%numClasses].size)
		for j := range s.Bytes() {
			s.Bytes()[j] = byte(i)
		}
		all = append(all, s)
	}
	for i, s := range all {
		for j, b := range s.Bytes() {
			if b != byte(i) {
				t.Fatalf("block %d byte %d = %d", i, j, b)
			}
		}
		s.Release()
	}
}

func TestTrimReturnsMemory(t *testing.T) {
	p := newTestPool(t, 0)
	var all []Slice
	for range 20 {
		s := mustGet(t, p, MaxBlock)
		clear(s.Bytes())
		all = append(all, s)
	}
	for _, s := range all[1:] {
		s.Release()
	}
	all[0].Bytes()[5] = 42
	got := p.Trim()
	if want := int64(19 * MaxBlock); discardWorks && got < want {
		t.Errorf("Trim() = %d bytes, want at least %d", got, want)
	}
	if again := p.Trim(); again != 0 {
		t.Errorf("second Trim() = %d, want 0", again)
	}
	if st := p.Stats(); st.Classes[numClasses-1].Free != 0 || st.Classes[numClasses-1].Used != 1 {
		t.Errorf("after Trim: %+v", st)
	}
	if all[0].Bytes()[5] != 42 {
		t.Error("Trim touched a referenced block")
	}
	all[0].Release()
}

// TestDeadPoolReturnsBlocks makes pools in sequence, as a simulator does: they must not map memory each.
func TestDeadPoolReturnsBlocks(t *testing.T) {
	use := func() {
		p := NewPool(0)
		for range 30 {
			s, _ := p.Get(MaxBlock)
			defer s.Release()
		}
	}
	use()
	before := Mapped()
	for range 50 {
		use()
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run on their own goroutine
	}
	if grown, most := Mapped()-before, int64(20*60*MaxBlock/2); grown > most {
		t.Errorf("50 dead pools of 2 MiB left %d bytes mapped, want at most %d", grown, most)
	}
}

func TestPoolConcurrent(t *testing.T) {
	p := newTestPool(t, 8<<20)
	var wg sync.WaitGroup
	hand := make(chan Slice, 64)
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 3000 {
				s, ok := p.Get(r.IntN(3000))
				if !ok {
					continue
				}
				for i := range s.Bytes() {
					s.Bytes()[i] = byte(s.Len())
				}
				select {
				case hand <- s.Retain(): // the other side reads and releases its reference
				default:
					s.Release()
				}
				select {
				case o := <-hand:
					for _, b := range o.Bytes() {
						if b != byte(o.Len()) {
							t.Errorf("foreign byte %d in a slice of %d", b, o.Len())
							break
						}
					}
					o.Release()
				default:
				}
				s.Release()
				if r.IntN(500) == 0 {
					p.Trim()
				}
			}
		})
	}
	wg.Wait()
	close(hand)
	for s := range hand {
		s.Release()
	}
}

func TestGetReleaseDoesNotAllocate(t *testing.T) {
	p := newTestPool(t, 0)
	if n := testing.AllocsPerRun(1000, func() {
		for c := range classes {
			s, _ := p.Get(classes[c].size)
			s.Retain().Release()
			s.Release()
		}
	}); n != 0 {
		t.Errorf("%v allocations per Get and Release, want 0", n)
	}
}

func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(Slice{}); got != 16 {
		t.Errorf("Slice has %d bytes, want 16", got)
	}
	if got := unsafe.Sizeof(Chain{}); got > 64 {
		t.Errorf("Chain has %d bytes, want at most 64", got)
	}
}

func BenchmarkGetRelease(b *testing.B) {
	for _, n := range []int{64, 1500, 16384, 65535} {
		b.Run(sizeName(n), func(b *testing.B) {
			p := newTestPool(b, 0)
			for b.Loop() {
				s, _ := p.Get(n)
				s.Release()
			}
		})
	}
}

func BenchmarkGetReleaseParallel(b *testing.B) {
	p := newTestPool(b, 0)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s, _ := p.Get(1500)
			s.Release()
		}
	})
}
