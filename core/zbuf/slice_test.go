package zbuf

import (
	"bytes"
	"testing"
)

func TestZeroSlice(t *testing.T) {
	var s Slice
	if !s.IsZero() || s.Len() != 0 || s.Bytes() != nil || s.Footprint() != 0 || s.Exclusive() {
		t.Error("the zero Slice is not empty")
	}
	s.Retain().Release()
	s.Release()
	if !s.Sub(0, 0).IsZero() || !s.Resize(0).IsZero() {
		t.Error("views of the zero Slice are not zero")
	}
	mustPanic(t, "Resize of the zero Slice", func() { s.Resize(1) })
}

func TestSubAndResize(t *testing.T) {
	p := newTestPool(t, 0)
	s := mustGet(t, p, 10)
	defer s.Release()
	copy(s.Bytes(), "0123456789")
	if got := s.Sub(2, 5); string(got.Bytes()) != "234" || cap(got.Bytes()) != 3 {
		t.Errorf("Sub(2, 5) = %q with capacity %d", got.Bytes(), cap(got.Bytes()))
	}
	if got := s.Sub(2, 5).Sub(1, 3).Resize(6); string(got.Bytes()) != "345678" {
		t.Errorf("Resize(6) = %q", got.Bytes())
	}
	if got := s.Sub(10, 10); got.Len() != 0 || got.IsZero() {
		t.Error("empty view of a block is zero")
	}
	if got := s.Sub(6, 6).Resize(250).Len(); got != 250 {
		t.Errorf("Resize to the block's end gave %d bytes", got)
	}
	mustPanic(t, "Sub beyond the end", func() { s.Sub(0, 11) })
	mustPanic(t, "Sub before the start", func() { s.Sub(-1, 3) })
	mustPanic(t, "Sub inside out", func() { s.Sub(3, 2) })
	mustPanic(t, "Resize beyond the block", func() { s.Sub(6, 6).Resize(251) })
	mustPanic(t, "Resize to less than nothing", func() { s.Resize(-1) })
}

func TestReferences(t *testing.T) {
	p := newTestPool(t, 0)
	s := mustGet(t, p, 10)
	if !s.Exclusive() {
		t.Error("a fresh slice is not exclusive")
	}
	other := s.Retain()
	if s.Exclusive() {
		t.Error("a shared slice is exclusive")
	}
	s.Release()
	if !other.Exclusive() || p.InUse() != 256 {
		t.Error("the remaining reference does not hold the block alone")
	}
	other.Release()
	if p.InUse() != 0 {
		t.Errorf("InUse = %d after the last release", p.InUse())
	}
}

func TestDoubleReleasePanics(t *testing.T) {
	// Not from a shared pool: the block is spoilt afterwards.
	s := mustGet(t, NewPool(0), 10)
	s.Release()
	mustPanic(t, "double release", func() { s.Release() })
	mustPanic(t, "retain after release", func() { s.Retain() })
}

func TestPoison(t *testing.T) {
	defer PoisonReleased(PoisonReleased(true))
	p := NewPool(0)
	s := mustGet(t, p, 2048)
	stale := s.Bytes()
	clear(stale)
	s.Release()
	if !bytes.Equal(stale, poisonPattern[:2048]) {
		t.Error("the released block is not poisoned")
	}
	mustGet(t, p, 2048).Release()
	stale[77] = 1
	mustPanic(t, "write after release", func() { p.Get(2048) })
}

func TestCompact(t *testing.T) {
	p := newTestPool(t, 0)
	for _, tc := range []struct{ block, n, want int }{
		{256, 1, 256}, // nothing smaller
		{2048, 256, 256},
		{2048, 257, 2048},
		{16384, 2048, 2048},
		{16384, 2049, 16384},
		{MaxBlock, 1448, 2048},
		{MaxBlock, 16384, 16384},
		{MaxBlock, 16385, MaxBlock},
		{MaxBlock, 0, 256},
	} {
		s := mustGet(t, p, tc.block)
		for i := range s.Bytes() {
			s.Bytes()[i] = byte(i * 7)
		}
		want := append([]byte(nil), s.Bytes()[tc.block-tc.n:]...)
		got := Compact(p, s.Sub(tc.block-tc.n, tc.block))
		if got.Footprint() != tc.want || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("Compact of %d bytes in a block of %d: block of %d, want %d", tc.n, tc.block, got.Footprint(), tc.want)
		}
		got.Release()
	}
}

func TestCompactWithoutMemoryKeepsSlice(t *testing.T) {
	p := newTestPool(t, MaxBlock)
	s := mustGet(t, p, MaxBlock).Sub(0, 10)
	if got := Compact(p, s); got != s {
		t.Error("Compact changed the slice although the pool is empty")
	}
	s.Release()
	if z := Compact(p, Slice{}); !z.IsZero() {
		t.Error("Compact of the zero Slice is not zero")
	}
}
