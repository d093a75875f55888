package zbuf

import (
	"fmt"
	"testing"
)

func sizeName(n int) string { return fmt.Sprintf("%dB", n) }

// fill returns a slice with the n bytes of a recognisable stream from absolute position pos on.
func fill(t testing.TB, p *Pool, pos uint64, n int) Slice {
	s := mustGet(t, p, n)
	for i := range s.Bytes() {
		s.Bytes()[i] = streamByte(pos + uint64(i))
	}
	return s
}

func streamByte(pos uint64) byte { return byte(pos*131 + pos>>8) }

func join(views []Slice) []byte {
	var out []byte
	for _, v := range views {
		out = append(out, v.Bytes()...)
	}
	return out
}

func TestChainGrowsAndShrinks(t *testing.T) {
	p := newTestPool(t, 0)
	c := new(Chain)
	c.Reset(1 << 40)
	for round := range 3 {
		for range 1000 << round {
			c.Push(fill(t, p, c.End(), 3))
		}
		for c.Len() > 7 {
			v := c.Views(nil, c.Start()+2, 5)
			for i, b := range join(v) {
				if b != streamByte(c.Start()+2+uint64(i)) {
					t.Fatalf("wrong byte at %d", c.Start()+2+uint64(i))
				}
			}
			c.Skip(5)
		}
	}
	c.Clear()
	if c.Pieces() != 0 || c.ring != nil {
		t.Error("an emptied chain holds slots")
	}
}

func TestMoveToSharesBoundary(t *testing.T) {
	p := newTestPool(t, 0)
	a, b := new(Chain), new(Chain)
	a.Push(fill(t, p, 0, 2000))
	if n := a.MoveTo(b, 500); n != 500 || p.InUse() != 2048 {
		t.Fatalf("moved %d, %d bytes in use", n, p.InUse())
	}
	if n := a.MoveTo(b, 500); n != 500 || b.Pieces() != 1 {
		t.Fatalf("moved %d into %d pieces, want the halves merged", n, b.Pieces())
	}
	b.Clear()
	if p.InUse() != 2048 || !a.Views(nil, 1000, 1)[0].Exclusive() {
		t.Error("the boundary block lost its other owner")
	}
	a.Clear()
}

func TestAppendStopsWithoutBlocks(t *testing.T) {
	p := newTestPool(t, 256)
	c := new(Chain)
	if n := c.Append(p, make([]byte, 200)); n != 200 {
		t.Fatalf("Append = %d", n)
	}
	if n := c.Append(p, make([]byte, 100)); n != 56 || c.Len() != 256 || c.Pieces() != 1 {
		t.Errorf("Append = %d into %d bytes, want the 56 that the block has left", n, c.Len())
	}
	c.Clear()
}

func TestAppendLeavesSharedTailAlone(t *testing.T) {
	p := newTestPool(t, 0)
	c := new(Chain)
	s := mustGet(t, p, 20)
	copy(s.Bytes(), "front and the rest..")
	c.Push(s.Sub(0, 5).Retain())
	c.Append(p, []byte("!!!"))
	if string(s.Bytes()) != "front and the rest.." || string(join(c.Views(nil, 0, 8))) != "front!!!" {
		t.Errorf("Append wrote over another owner's bytes: %q", s.Bytes())
	}
	s.Release()
	c.Clear()
}

func TestChainMisuse(t *testing.T) {
	p := newTestPool(t, 0)
	c := new(Chain)
	c.Push(fill(t, p, 0, 10))
	c.Skip(2)
	mustPanic(t, "Skip beyond the end", func() { c.Skip(9) })
	mustPanic(t, "negative Skip", func() { c.Skip(-1) })
	mustPanic(t, "Views before the front", func() { c.Views(nil, 1, 1) })
	mustPanic(t, "Views beyond the end", func() { c.Views(nil, 5, 6) })
	mustPanic(t, "CopyTo before the front", func() { c.CopyTo(make([]byte, 1), 1) })
	mustPanic(t, "MoveTo itself", func() { c.MoveTo(c, 1) })
	if v := c.Views(nil, c.End(), 0); v != nil {
		t.Error("views of nothing at the end")
	}
	c.Clear()
}

func TestChainDoesNotAllocate(t *testing.T) {
	if raceBuild {
		t.Skip("sync.Pool drops items at random under the race detector")
	}
	p := newTestPool(t, 0)
	c, d := new(Chain), new(Chain)
	views := make([]Slice, 0, 64)
	for _, burst := range []int{1, 2, 40} {
		if n := testing.AllocsPerRun(500, func() {
			for range burst {
				s, _ := p.Get(1448)
				c.Push(s)
			}
			views = c.Views(views[:0], c.Start(), c.Len())
			c.MoveTo(d, c.Len()-1)
			c.Clear()
			d.Clear()
		}); n != 0 {
			t.Errorf("%v allocations per burst of %d, want 0", n, burst)
		}
	}
}

func BenchmarkChainPushSkip(b *testing.B) {
	for _, depth := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			p := newTestPool(b, 0)
			c := new(Chain)
			for range depth {
				c.Push(mustGet(b, p, 1448))
			}
			for b.Loop() {
				s, _ := p.Get(1448)
				c.Push(s)
				c.Skip(1448)
			}
			c.Clear()
		})
	}
}

func BenchmarkChainViews(b *testing.B) {
	p := newTestPool(b, 0)
	c := new(Chain)
	for range 1000 {
		c.Push(mustGet(b, p, 1448))
	}
	views := make([]Slice, 0, 64)
	for b.Loop() {
		views = c.Views(views[:0], 700*1448+9, 20*1448)
	}
	c.Clear()
}
