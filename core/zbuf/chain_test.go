package zbuf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
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

// model is the naive chain.
type model struct {
	start uint64
	data  []byte
}

func (m *model) check(t *testing.T, c *Chain) {
	t.Helper()
	if c.Start() != m.start || c.Len() != len(m.data) || c.End() != m.start+uint64(len(m.data)) {
		t.Fatalf("chain is [%d, %d), want [%d, %d)", c.Start(), c.End(), m.start, m.start+uint64(len(m.data)))
	}
	if got := join(c.Views(nil, c.Start(), c.Len())); !bytes.Equal(got, m.data) {
		t.Fatalf("chain holds %d wrong bytes", len(got))
	}
	if c.n == 0 && c.ring != nil {
		t.Fatal("an empty chain holds a ring")
	}
}

// TestChainAgainstModel runs random operations on two chains and on byte slices.
func TestChainAgainstModel(t *testing.T) {
	defer PoisonReleased(PoisonReleased(true))
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		p := newTestPool(t, 0)
		chains, models := new([2]Chain), new([2]model)
		var pushed uint64
		for range 400 {
			i := r.IntN(2)
			c, m := &chains[i], &models[i]
			switch r.IntN(9) {
			case 0, 1:
				s := fill(t, p, pushed, r.IntN(400))
				pushed += uint64(s.Len())
				m.data = append(m.data, s.Bytes()...)
				c.Push(s)
			case 2: // one block in several pushes, the continuing ones of which merge
				s := fill(t, p, pushed, 300)
				pushed += 300
				m.data = append(m.data, s.Bytes()...)
				cut := r.IntN(301)
				before := c.Pieces()
				c.Push(s.Sub(0, cut).Retain())
				c.Push(s.Sub(cut, 300))
				if c.Pieces() != before+1 {
					t.Fatalf("two halves of a block make %d pieces", c.Pieces()-before)
				}
			case 3:
				n := r.IntN(len(m.data) + 1)
				c.Skip(n)
				m.start += uint64(n)
				m.data = m.data[n:]
			case 4:
				n := r.IntN(len(m.data) + 100)
				o, om := &chains[1-i], &models[1-i]
				moved := c.MoveTo(o, n)
				if moved != min(n, len(m.data)) {
					t.Fatalf("MoveTo(%d) = %d of %d", n, moved, len(m.data))
				}
				om.data = append(om.data, m.data[:moved]...)
				m.data = m.data[moved:]
				m.start += uint64(moved)
				om.check(t, o)
			case 5:
				from := r.IntN(len(m.data) + 1)
				n := r.IntN(len(m.data) - from + 1)
				if got := join(c.Views(nil, m.start+uint64(from), n)); !bytes.Equal(got, m.data[from:from+n]) {
					t.Fatalf("Views(%d, %d) differ", from, n)
				}
				buf := make([]byte, r.IntN(500))
				if k := c.CopyTo(buf, m.start+uint64(from)); k != min(len(buf), len(m.data)-from) || !bytes.Equal(buf[:k], m.data[from:from+k]) {
					t.Fatalf("CopyTo(%d bytes at %d) = %d", len(buf), from, k)
				}
			case 6:
				buf := make([]byte, r.IntN(500))
				k := c.Read(buf)
				if !bytes.Equal(buf[:k], m.data[:k]) || k != min(len(buf), len(m.data)) {
					t.Fatalf("Read gave %d wrong bytes", k)
				}
				m.start += uint64(k)
				m.data = m.data[k:]
			case 7:
				data := make([]byte, r.IntN(600))
				for j := range data {
					data[j] = streamByte(pushed + uint64(j))
				}
				pushed += uint64(len(data))
				m.data = append(m.data, data...)
				if k := c.Append(p, data); k != len(data) {
					t.Fatalf("Append took %d of %d", k, len(data))
				}
			case 8:
				if r.IntN(10) == 0 {
					at := r.Uint64N(1 << 60)
					c.Reset(at)
					*m = model{start: at}
				}
			}
			m.check(t, c)
		}
		chains[0].Clear()
		chains[1].Clear()
		if p.InUse() != 0 {
			t.Fatalf("seed %d: %d bytes leaked", seed, p.InUse())
		}
	}
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
