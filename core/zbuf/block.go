package zbuf

import (
	"sync/atomic"
	"unsafe"
)

// block is the header of one allocation unit. Headers live in slabs on the Go heap, their bytes do not (see arena).
type block struct {
	next *block // in a free list
	pool *Pool  // whose limit it counts against while it has references, else nil
	data unsafe.Pointer
	refs atomic.Int32

	class    uint8
	poisoned bool // the bytes hold the poison pattern; set only while the block is free
	absent   bool // the pages were given back to the system and not touched since
}

func (b *block) size() int { return classes[b.class].size }

func (b *block) bytes() []byte { return unsafe.Slice((*byte)(b.data), b.size()) }

// stack is a last-in first-out list of free blocks: the block released last is the one still in the cache.
type stack struct {
	top *block
	n   int
}

func (s *stack) push(b *block) {
	b.next, s.top = s.top, b
	s.n++
}

func (s *stack) pop() *block {
	b := s.top
	if b == nil {
		return nil
	}
	s.top, b.next = b.next, nil
	s.n--
	return b
}
