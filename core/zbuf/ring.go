package zbuf

import (
	"math/bits"
	"sync"
)

// piece is a slice in a chain, with the absolute position of its first byte.
type piece struct {
	pos uint64
	s   Slice
}

// ring is a chain's array of pieces. Its length is a power of two.
type ring struct{ slots []piece }

// Rings have 1<<minRing to 1<<maxRing slots when they are recycled; a chain of more than 65,536 pieces leaves its
// array to the garbage collector.
const (
	minRing = 3
	maxRing = 16
)

// rings recycles arrays, all slots zero, so that a chain that keeps running empty neither holds one nor allocates.
var rings [maxRing + 1]sync.Pool

// newRing returns a ring of at least n slots.
func newRing(n int) *ring {
	c := max(minRing, bits.Len(uint(n-1)))
	if c <= maxRing {
		if r, ok := rings[c].Get().(*ring); ok {
			return r
		}
	}
	return &ring{slots: make([]piece, 1<<c)}
}

// recycle takes a ring whose slots are all zero.
func (r *ring) recycle() {
	if c := bits.Len(uint(len(r.slots) - 1)); c <= maxRing {
		rings[c].Put(r)
	}
}
