package zbuf

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// model is the naive chain.
type model struct {
	start uint64
	data  []byte
}

func (m *model) skip(n int) {
	m.start += uint64(n)
	m.data = m.data[n:]
}

func (m *model) prepend(data []byte) {
	m.start -= uint64(len(data))
	m.data = append(append([]byte{}, data...), m.data...)
}

// comparison runs operations on two chains and on their models.
type comparison struct {
	t      *testing.T
	r      *rand.Rand
	p      *Pool
	chains [2]Chain
	models [2]model
	pushed uint64
}

// next returns a slice with the next n bytes of the stream.
func (x *comparison) next(n int) Slice {
	s := fill(x.t, x.p, x.pushed, n)
	x.pushed += uint64(n)
	return s
}

func (x *comparison) push(c *Chain, m *model) {
	s := x.next(x.r.IntN(400))
	m.data = append(m.data, s.Bytes()...)
	c.Push(s)
}

// pushHalves pushes one block in two halves, which must become one piece.
func (x *comparison) pushHalves(c *Chain, m *model) {
	s := x.next(300)
	m.data = append(m.data, s.Bytes()...)
	cut, before := x.r.IntN(301), c.Pieces()
	c.Push(s.Sub(0, cut).Retain())
	c.Push(s.Sub(cut, 300))
	if c.Pieces() != before+1 {
		x.t.Fatalf("two halves of a block make %d pieces", c.Pieces()-before)
	}
}

func (x *comparison) append(c *Chain, m *model) {
	s := x.next(x.r.IntN(600))
	defer s.Release()
	m.data = append(m.data, s.Bytes()...)
	if k := c.Append(x.p, s.Bytes()); k != s.Len() {
		x.t.Fatalf("Append took %d of %d", k, s.Len())
	}
}

// before returns n bytes that go in front of the chain.
func (x *comparison) before(n int) Slice {
	return fill(x.t, x.p, x.r.Uint64(), n)
}

func (x *comparison) pushFront(c *Chain, m *model) {
	s := x.before(x.r.IntN(400))
	m.prepend(s.Bytes())
	c.PushFront(s)
}

// pushFrontHalves pushes one block in two halves, the second first, which must become one piece.
func (x *comparison) pushFrontHalves(c *Chain, m *model) {
	s := x.before(300)
	m.prepend(s.Bytes())
	cut, before := x.r.IntN(301), c.Pieces()
	c.PushFront(s.Sub(cut, 300).Retain())
	c.PushFront(s.Sub(0, cut))
	if c.Pieces() != before+1 {
		x.t.Fatalf("two halves of a block make %d pieces", c.Pieces()-before)
	}
}

func (x *comparison) prepend(c *Chain, m *model) {
	s := x.before(x.r.IntN(600))
	defer s.Release()
	m.prepend(s.Bytes())
	if k := c.Prepend(x.p, s.Bytes()); k != s.Len() {
		x.t.Fatalf("Prepend took %d of %d", k, s.Len())
	}
}

func (x *comparison) pushViews(c *Chain, m *model) {
	s := x.before(x.r.IntN(600))
	defer s.Release()
	cut := x.r.IntN(s.Len() + 1)
	m.prepend(s.Bytes()[:cut])
	c.PushViewFront(x.p, s.Sub(0, cut))
	m.data = append(m.data, s.Bytes()[cut:]...)
	c.PushView(x.p, s.Sub(cut, s.Len()))
}

// join puts the two chains together and leaves the other one empty.
func (x *comparison) join() {
	l, r := &x.chains[0], &x.chains[1]
	all := append(append([]byte{}, x.models[0].data...), x.models[1].data...)
	got := Join(l, r)
	for i := range x.chains {
		x.models[i] = model{start: x.chains[i].Start()}
		if got == &x.chains[i] {
			x.models[i].data = all
		}
		x.check(&x.chains[i], &x.models[i])
	}
}

func (x *comparison) skip(c *Chain, m *model) {
	n := x.r.IntN(len(m.data) + 1)
	c.Skip(n)
	m.skip(n)
}

func (x *comparison) move(c, dst *Chain, m, dstModel *model) {
	n := x.r.IntN(len(m.data) + 100)
	moved := c.MoveTo(dst, n)
	if moved != min(n, len(m.data)) {
		x.t.Fatalf("MoveTo(%d) = %d of %d", n, moved, len(m.data))
	}
	dstModel.data = append(dstModel.data, m.data[:moved]...)
	m.skip(moved)
	x.check(dst, dstModel)
}

func (x *comparison) look(c *Chain, m *model) {
	from := x.r.IntN(len(m.data) + 1)
	n := x.r.IntN(len(m.data) - from + 1)
	if got := join(c.Views(nil, m.start+uint64(from), n)); !bytes.Equal(got, m.data[from:from+n]) {
		x.t.Fatalf("Views(%d, %d) differ", from, n)
	}
	buf := make([]byte, x.r.IntN(500))
	if k := c.CopyTo(buf, m.start+uint64(from)); k != min(len(buf), len(m.data)-from) || !bytes.Equal(buf[:k], m.data[from:from+k]) {
		x.t.Fatalf("CopyTo(%d bytes at %d) = %d", len(buf), from, k)
	}
}

func (x *comparison) read(c *Chain, m *model) {
	buf := make([]byte, x.r.IntN(500))
	k := c.Read(buf)
	if k != min(len(buf), len(m.data)) || !bytes.Equal(buf[:k], m.data[:k]) {
		x.t.Fatalf("Read gave %d wrong bytes", k)
	}
	m.skip(k)
}

func (x *comparison) reset(c *Chain, m *model) {
	at := x.r.Uint64N(1 << 60)
	c.Reset(at)
	*m = model{start: at}
}

func (x *comparison) check(c *Chain, m *model) {
	x.t.Helper()
	if c.Start() != m.start || c.Len() != len(m.data) || c.End() != m.start+uint64(len(m.data)) {
		x.t.Fatalf("chain is [%d, %d), want [%d, %d)", c.Start(), c.End(), m.start, m.start+uint64(len(m.data)))
	}
	if got := join(c.Views(nil, c.Start(), c.Len())); !bytes.Equal(got, m.data) {
		x.t.Fatalf("chain holds %d wrong bytes", len(got))
	}
	if c.n == 0 && c.ring != nil {
		x.t.Fatal("an empty chain holds a ring")
	}
}

func (x *comparison) step() {
	i := x.r.IntN(2)
	c, m := &x.chains[i], &x.models[i]
	switch op := x.r.IntN(111); {
	case op < 20:
		x.push(c, m)
	case op < 30:
		x.pushHalves(c, m)
	case op < 40:
		x.append(c, m)
	case op < 45:
		x.skip(c, m)
	case op < 55:
		x.move(c, &x.chains[1-i], m, &x.models[1-i])
	case op < 65:
		x.look(c, m)
	case op < 70:
		x.read(c, m)
	case op < 80:
		x.pushFront(c, m)
	case op < 87:
		x.pushFrontHalves(c, m)
	case op < 95:
		x.prepend(c, m)
	case op < 103:
		x.pushViews(c, m)
	case op < 110:
		x.join()
	default:
		x.reset(c, m)
	}
	x.check(c, m)
}

// TestChainAgainstModel runs random operations on two chains and on byte slices.
func TestChainAgainstModel(t *testing.T) {
	defer PoisonReleased(PoisonReleased(true))
	for seed := range uint64(60) {
		x := &comparison{t: t, r: rand.New(rand.NewPCG(seed, 7)), p: newTestPool(t, 0)}
		for range 400 {
			x.step()
		}
		x.chains[0].Clear()
		x.chains[1].Clear()
		if n := x.p.InUse(); n != 0 {
			t.Fatalf("seed %d: %d bytes leaked", seed, n)
		}
	}
}
