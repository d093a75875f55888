package zbuf

import (
	"fmt"
	"unsafe"
)

// Slice is a view of a block. The zero Slice is empty and owns nothing. Copying a Slice does not add a reference.
type Slice struct {
	b        *block
	off, end uint32
}

// Bytes returns the viewed bytes, valid as long as the reference is held. They may be written to only while nobody
// else views them.
func (s Slice) Bytes() []byte {
	if s.b == nil {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(s.b.data, s.off)), s.end-s.off)
}

// Len returns the number of bytes viewed.
func (s Slice) Len() int { return int(s.end - s.off) }

// IsZero reports whether s is the zero Slice. An empty view of a block is not: it owns a reference.
func (s Slice) IsZero() bool { return s.b == nil }

// Footprint returns the bytes of the block that s keeps from being reused.
func (s Slice) Footprint() int {
	if s.b == nil {
		return 0
	}
	return s.b.size()
}

// Exclusive reports whether s holds the block's only reference.
func (s Slice) Exclusive() bool { return s.b != nil && s.b.refs.Load() == 1 }

// Retain adds a reference and returns the same view, for a second owner.
func (s Slice) Retain() Slice {
	if s.b != nil && s.b.refs.Add(1) <= 1 {
		panic("zbuf: retain of a released slice")
	}
	return s
}

// Release gives the reference up; the view must not be used any more. Releasing the zero Slice does nothing.
func (s Slice) Release() {
	if s.b == nil {
		return
	}
	switch n := s.b.refs.Add(-1); {
	case n == 0:
		s.b.pool.put(s.b)
	case n < 0:
		panic("zbuf: slice released twice")
	}
}

// Sub returns the view of the bytes [from, to) of s. It is the same reference: only one of the two is released.
func (s Slice) Sub(from, to int) Slice {
	if from < 0 || from > to || to > s.Len() {
		panic(fmt.Sprintf("zbuf: sub-slice [%d, %d) of %d bytes", from, to, s.Len()))
	}
	s.end = s.off + uint32(to)
	s.off += uint32(from)
	return s
}

// Resize returns the view that starts where s does and has n bytes, within the block's capacity. It is the same
// reference. Bytes beyond the former end belong to s only if its owner knows that nobody else views them.
func (s Slice) Resize(n int) Slice {
	if n < 0 || n > s.capacity() {
		panic(fmt.Sprintf("zbuf: slice resized to %d bytes, its block has room for %d", n, s.capacity()))
	}
	s.end = s.off + uint32(n)
	return s
}

// capacity returns the bytes from the start of s to the end of its block.
func (s Slice) capacity() int {
	if s.b == nil {
		return 0
	}
	return s.b.size() - int(s.off)
}
