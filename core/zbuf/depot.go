package zbuf

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// depot is the process's stock of one class's free blocks, from which pools refill and to which they return.
// What it maps it keeps: no slice can ever point into unmapped memory, whatever becomes of its pool.
type depot struct {
	mu   sync.Mutex
	free stack
}

var (
	depots [numClasses]depot
	mapped atomic.Int64
)

// Mapped returns the bytes of address space that all pools of the process have mapped for blocks together.
func Mapped() int64 { return mapped.Load() }

// take moves up to one batch of free blocks into dst, mapping more when there are none.
// It moves nothing when the system refuses more memory.
func (d *depot) take(c int, dst *stack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free.top == nil {
		d.grow(c)
	}
	for range classes[c].perTake {
		b := d.free.pop()
		if b == nil {
			return
		}
		dst.push(b)
	}
}

// give takes free blocks back from src.
func (d *depot) give(src *stack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for b := src.pop(); b != nil; b = src.pop() {
		d.free.push(b)
	}
}

func (d *depot) grow(c int) {
	size := classes[c].size
	arena, err := mapArena(size * classes[c].perMap)
	if err != nil {
		return
	}
	mapped.Add(int64(len(arena)))
	slab := make([]block, classes[c].perMap)
	for i := range slab {
		b := &slab[len(slab)-1-i]
		b.class = uint8(c)
		b.data = unsafe.Pointer(&arena[(len(slab)-1-i)*size])
		d.free.push(b)
	}
}
