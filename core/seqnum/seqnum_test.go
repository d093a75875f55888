package seqnum

import (
	"math/rand/v2"
	"testing"
)

// space and half are the model's modulus and its middle, in integers too wide to wrap.
const (
	space int64 = 1 << 32
	half  int64 = 1 << 31
)

// forward is the model: the steps from v to w, going up only.
func forward(v, w Value) int64 { return ((int64(w)-int64(v))%space + space) % space }

// points are the places where arithmetic goes wrong first: the wrap, the middle, and their neighbours.
func points() []Value {
	var vs []Value
	for _, centre := range []int64{0, 1 << 16, half / 2, half, half + half/2} {
		for d := int64(-3); d <= 3; d++ {
			vs = append(vs, Value((centre+d+space)%space))
		}
	}
	return vs
}

func checkPair(t *testing.T, v, w Value) {
	t.Helper()
	d := forward(v, w)
	if got := v.Size(w); int64(got) != d {
		t.Fatalf("%d.Size(%d) is %d, want %d", v, w, got, d)
	}
	if got := v.Add(Size(d)); got != w {
		t.Fatalf("%d.Add(%d) is %d, want %d", v, d, got, w)
	}
	if got := w.Sub(Size(d)); got != v {
		t.Fatalf("%d.Sub(%d) is %d, want %d", w, d, got, v)
	}
	// At exactly half the space neither order is meaningful: see TestHalfTheSpace.
	if d == half {
		return
	}
	before := d > 0 && d < half
	if got := v.Less(w); got != before {
		t.Fatalf("%d.Less(%d) is %v", v, w, got)
	}
	if got := v.LessEq(w); got != (before || d == 0) {
		t.Fatalf("%d.LessEq(%d) is %v", v, w, got)
	}
	later, earlier := v, w
	if before {
		later, earlier = w, v
	}
	if Max(v, w) != later || Max(w, v) != later {
		t.Fatalf("Max(%d, %d) is %d, reversed %d, want %d", v, w, Max(v, w), Max(w, v), later)
	}
	if Min(v, w) != earlier || Min(w, v) != earlier {
		t.Fatalf("Min(%d, %d) is %d, reversed %d, want %d", v, w, Min(v, w), Min(w, v), earlier)
	}
}

func checkTriple(t *testing.T, v, first, last Value) {
	t.Helper()
	want := forward(first, v) < forward(first, last)
	if got := v.In(first, last); got != want {
		t.Fatalf("%d.In(%d, %d) is %v", v, first, last, got)
	}
	if got := v.InWindow(first, first.Size(last)); got != want {
		t.Fatalf("%d.InWindow(%d, %d) is %v", v, first, first.Size(last), got)
	}
}

func TestAroundTheWrap(t *testing.T) {
	ps := points()
	for _, v := range ps {
		for _, w := range ps {
			checkPair(t, v, w)
			for _, x := range ps {
				checkTriple(t, v, w, x)
			}
		}
	}
}

func TestAnywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500_000 {
		v, w, x := Value(r.Uint32()), Value(r.Uint32()), Value(r.Uint32())
		checkPair(t, v, w)
		checkTriple(t, v, w, x)
		// Near neighbours, as a connection has them.
		d := Value(r.Uint32N(1 << 16))
		checkPair(t, v, v+d)
		checkTriple(t, v+Value(r.Uint32N(1<<16)), v, v+d)
	}
}

func TestHalfTheSpace(t *testing.T) {
	// RFC 1982 §3.2 leaves the order of numbers 2^31 apart undefined. Here each comes before the other, so that
	// whoever asks must not depend on it; windows of at most 2^30 (RFC 7323 §2.3) keep connections away from it.
	for _, v := range points() {
		w := v.Add(Size(half))
		if !v.Less(w) || !w.Less(v) || !v.LessEq(w) || !w.LessEq(v) {
			t.Errorf("%d and %d are ordered", v, w)
		}
		if Max(v, w) != w || Min(v, w) != w {
			t.Errorf("Max and Min of %d and %d are %d and %d", v, w, Max(v, w), Min(v, w))
		}
	}
}

func TestEmptyAndFullRanges(t *testing.T) {
	for _, v := range points() {
		if v.In(v, v) || v.InWindow(v, 0) {
			t.Errorf("%d is in an empty range that begins there", v)
		}
		if !v.InWindow(v, 1) || v.Add(1).InWindow(v, 1) || v.Sub(1).InWindow(v, 1) {
			t.Errorf("a window of one at %d is wrong", v)
		}
		if v.Sub(1).InWindow(v, 1<<32-1) || !v.Sub(2).InWindow(v, 1<<32-1) {
			t.Errorf("the largest window at %d is wrong", v)
		}
	}
}

func TestOrderFollowsAConnectionRoundTheSpace(t *testing.T) {
	// Twice round in steps of any size below half: each step is later than the one before, however far it has come.
	r := rand.New(rand.NewPCG(3, 4))
	v := Value(0)
	for gone := int64(0); gone < 2*space; {
		step := Size(1 + r.Uint32N(1<<31-1))
		next := v.Add(step)
		if !v.Less(next) || next.LessEq(v) || Max(v, next) != next {
			t.Fatalf("%d is not before %d", v, next)
		}
		v, gone = next, gone+int64(step)
	}
}
