package zbuf

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// DefaultLimit is the limit in bytes of a pool made without one: room for some thousand super-segments, or for
// 40 connections with 6 MiB in flight each.
const DefaultLimit = 256 << 20

// Pool hands out blocks of a few size classes, up to a limit of bytes in all.
type Pool struct {
	limit   int64
	inUse   atomic.Int64
	refused atomic.Int64
	shelves *[numClasses]shelf
}

// shelf is a pool's stock of one class.
type shelf struct {
	mu   sync.Mutex
	free stack
	used int
}

// Stats is a snapshot of a pool. The fields are read one after the other, not at one instant.
type Stats struct {
	InUse   int64 // bytes of blocks with references
	Limit   int64 // bytes
	Refused int64 // calls of Get that found the limit reached or the system out of memory
	Classes [numClasses]ClassStats
}

// ClassStats counts the blocks of one size.
type ClassStats struct {
	Size int // bytes in a block
	Used int // blocks with references
	Free int // blocks kept for the next Get
}

// NewPool returns a pool whose referenced blocks never exceed limit bytes; 0 stands for DefaultLimit.
// Free blocks don't count: they stay with the pool until Trim, or until the pool is garbage.
func NewPool(limit int64) *Pool {
	if limit < 0 {
		panic("zbuf: negative pool limit")
	}
	if limit == 0 {
		limit = DefaultLimit
	}
	p := &Pool{limit: limit, shelves: new([numClasses]shelf)}
	// A referenced block keeps its pool reachable and a free one does not, so this runs once every slice is gone.
	runtime.AddCleanup(p, func(s *[numClasses]shelf) { returnFree(s) }, p.shelves)
	return p
}

// Get returns a slice of n bytes, 0 ≤ n ≤ MaxBlock, in the smallest block that holds them, with one reference.
// The bytes are whatever the block's last user left. It never blocks: it reports false when the limit is reached.
func (p *Pool) Get(n int) (Slice, bool) {
	c := classFor(n)
	size := int64(classes[c].size)
	if p.inUse.Add(size) > p.limit {
		p.inUse.Add(-size)
		p.refused.Add(1)
		return Slice{}, false
	}
	b := p.shelves[c].get(c)
	if b == nil {
		p.inUse.Add(-size)
		p.refused.Add(1)
		return Slice{}, false
	}
	b.checkPoison()
	b.absent = false
	b.pool = p
	b.refs.Store(1)
	return Slice{b: b, end: uint32(n)}, true
}

// InUse returns the bytes of all blocks that have references: 0 when nothing leaks.
func (p *Pool) InUse() int64 { return p.inUse.Load() }

// Limit returns the most bytes that InUse can reach.
func (p *Pool) Limit() int64 { return p.limit }

// Stats returns the pool's counters.
func (p *Pool) Stats() Stats {
	st := Stats{InUse: p.inUse.Load(), Limit: p.limit, Refused: p.refused.Load()}
	for c := range p.shelves {
		s := &p.shelves[c]
		s.mu.Lock()
		st.Classes[c] = ClassStats{Size: classes[c].size, Used: s.used, Free: s.free.n}
		s.mu.Unlock()
	}
	return st
}

// Trim gives the pool's free blocks back to the process and the memory of the large ones back to the system. It
// returns the bytes that the system got. It makes a system call per large block, so it is for idle times.
func (p *Pool) Trim() int64 { return returnFree(p.shelves) }

// put takes a block whose last reference is gone.
func (p *Pool) put(b *block) {
	b.poison()
	b.pool = nil
	s := &p.shelves[b.class]
	s.mu.Lock()
	s.free.push(b)
	s.used--
	s.mu.Unlock()
	p.inUse.Add(-int64(b.size()))
}

func (s *shelf) get(c int) *block {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free.top == nil {
		depots[c].take(c, &s.free)
	}
	b := s.free.pop()
	if b != nil {
		s.used++
	}
	return b
}

func returnFree(shelves *[numClasses]shelf) (discarded int64) {
	for c := range shelves {
		s := &shelves[c]
		s.mu.Lock()
		free := s.free
		s.free = stack{}
		s.mu.Unlock()
		for b := free.top; b != nil; b = b.next {
			discarded += b.discard()
		}
		depots[c].give(&free)
	}
	return discarded
}

// pageSize divides the sizes of the classes whose blocks are whole pages. A system with larger pages refuses to
// discard a part of one, and then nothing is lost but the saving.
const pageSize = 4 << 10

func (b *block) discard() int64 {
	if b.absent || b.size()%pageSize != 0 || !discard(b.bytes()) {
		return 0
	}
	b.absent, b.poisoned = true, false
	return int64(b.size())
}
