package zbuf

import "fmt"

// Chain is a byte stream made of slices, whose references it owns. The zero Chain is empty.
// Positions in it are absolute, modulo 2^64: they count from the first byte ever pushed, Skip moves the front, and
// PushFront moves it back.
//
// An empty chain holds no memory beyond itself, and one piece is kept in line. A Chain must not be copied.
type Chain struct {
	start, end uint64
	ring       *ring // nil while the chain has at most one piece, which is then in sole
	sole       piece
	head, n    uint32 // pieces: index of the first in the ring, and their number
}

// Len returns the bytes in the chain.
func (c *Chain) Len() int { return int(c.end - c.start) }

// Start returns the absolute position of the first byte.
func (c *Chain) Start() uint64 { return c.start }

// End returns the absolute position behind the last byte.
func (c *Chain) End() uint64 { return c.end }

// Pieces returns the number of slices in the chain.
func (c *Chain) Pieces() int { return int(c.n) }

// Push appends s and takes its reference over. A slice that continues the last one in the same block is merged with it.
func (c *Chain) Push(s Slice) {
	if s.Len() == 0 {
		s.Release()
		return
	}
	if c.n > 0 {
		if last := &c.at(c.n - 1).s; last.b == s.b && last.end == s.off {
			last.end = s.end
			c.end += uint64(s.Len())
			s.Release()
			return
		}
	}
	c.append(piece{pos: c.end, s: s})
	c.end += uint64(s.Len())
}

// Append copies bytes of data to the end of the chain, first into the unused tail of its last block if the chain owns that
// alone, then into new blocks of p. It returns how many bytes it took: fewer than len(data) when p has no blocks left.
func (c *Chain) Append(p *Pool, data []byte) int {
	total := len(data)
	if k := min(c.tailRoom(), len(data)); k > 0 {
		last := &c.at(c.n - 1).s
		*last = last.Resize(last.Len() + k)
		copy(last.Bytes()[last.Len()-k:], data)
		c.end += uint64(k)
		data = data[k:]
	}
	for len(data) > 0 {
		s, ok := p.Get(min(len(data), MaxBlock))
		if !ok {
			break
		}
		data = data[copy(s.Bytes(), data):]
		c.Push(s)
	}
	return total - len(data)
}

// tailRoom is how many bytes the last block has room for that the chain may write to.
func (c *Chain) tailRoom() int {
	if c.n == 0 {
		return 0
	}
	if last := &c.at(c.n - 1).s; last.Exclusive() {
		return last.capacity() - last.Len()
	}
	return 0
}

// Skip drops n bytes at the front, 0 ≤ n ≤ Len, and releases the blocks that are passed.
func (c *Chain) Skip(n int) {
	c.check(c.start, n)
	for n > 0 {
		front := c.at(0)
		if l := front.s.Len(); n >= l {
			c.start += uint64(l)
			n -= l
			c.pop().Release()
			continue
		}
		c.advance(front, n)
		return
	}
}

// Views appends to dst the slices that make up the n bytes from absolute position pos, which must all be in the chain.
// They are views, not references: they are valid until the chain drops those bytes, and to outlive that they are retained.
func (c *Chain) Views(dst []Slice, pos uint64, n int) []Slice {
	c.check(pos, n)
	if n == 0 {
		return dst
	}
	for i := c.find(pos); n > 0; i++ {
		p := c.at(i)
		from := int(pos - p.pos)
		to := min(p.s.Len(), from+n)
		dst = append(dst, p.s.Sub(from, to))
		pos += uint64(to - from)
		n -= to - from
	}
	return dst
}

// MoveTo moves up to n bytes from the front of c to the end of dst and returns how many. A slice that the cut goes
// through is shared by both from then on.
func (c *Chain) MoveTo(dst *Chain, n int) int {
	if c == dst {
		panic("zbuf: chain moved to itself")
	}
	n = max(0, min(n, c.Len()))
	for left := n; left > 0; {
		front := c.at(0)
		if l := front.s.Len(); l <= left {
			c.start += uint64(l)
			left -= l
			dst.Push(c.pop())
			continue
		}
		dst.Push(front.s.Sub(0, left).Retain())
		c.advance(front, left)
		left = 0
	}
	return n
}

// CopyTo copies bytes from absolute position pos on into p and returns how many: len(p), or what there is up to End.
func (c *Chain) CopyTo(p []byte, pos uint64) int {
	c.check(pos, 0)
	n := min(uint64(len(p)), c.end-pos)
	if n == 0 {
		return 0
	}
	done := 0
	for i := c.find(pos); done < int(n); i++ {
		from := c.at(i)
		done += copy(p[done:n], from.s.Bytes()[pos+uint64(done)-from.pos:])
	}
	return done
}

// Read moves bytes from the front into p and returns how many; 0 means that the chain or p is empty.
func (c *Chain) Read(p []byte) int {
	n := c.CopyTo(p, c.start)
	c.Skip(n)
	return n
}

// Clear releases everything: the front moves to the end.
func (c *Chain) Clear() { c.Skip(c.Len()) }

// Reset releases everything and sets the position of the next byte.
func (c *Chain) Reset(start uint64) {
	c.Clear()
	c.start, c.end = start, start
}

// at returns the i-th piece.
func (c *Chain) at(i uint32) *piece {
	if c.ring == nil {
		return &c.sole
	}
	return &c.ring.slots[(c.head+i)&uint32(len(c.ring.slots)-1)]
}

// find returns the index of the piece that holds position pos, start ≤ pos < end. The first piece begins at start.
func (c *Chain) find(pos uint64) uint32 {
	lo, hi := uint32(0), c.n-1
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		if c.at(mid).pos-c.start <= pos-c.start {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// append adds a piece behind the last.
func (c *Chain) append(p piece) {
	c.makeRoom()
	c.n++
	*c.at(c.n - 1) = p
}

// makeRoom makes sure that there is a slot for one more piece.
func (c *Chain) makeRoom() {
	switch {
	case c.ring == nil && c.n == 1:
		c.grow(2)
	case c.ring != nil && int(c.n) == len(c.ring.slots):
		c.grow(2 * len(c.ring.slots))
	}
}

// grow moves the pieces to a ring of at least n slots.
func (c *Chain) grow(n int) {
	r := newRing(n)
	for i := range c.n {
		p := c.at(i)
		r.slots[i] = *p
		*p = piece{}
	}
	if c.ring != nil {
		c.ring.recycle()
	}
	c.ring, c.head = r, 0
}

// pop removes the first piece and returns its slice with the reference.
func (c *Chain) pop() Slice {
	s := c.take(0)
	if c.ring != nil {
		c.head++
	}
	c.shrink()
	return s
}

// take empties the slot of a piece.
func (c *Chain) take(i uint32) Slice {
	p := c.at(i)
	s := p.s
	*p = piece{}
	return s
}

// shrink counts a piece less, and gives the ring back with the last one.
func (c *Chain) shrink() {
	c.n--
	if c.n == 0 && c.ring != nil {
		c.ring.recycle()
		c.ring, c.head = nil, 0
	}
}

// advance cuts n bytes off the first piece, which has more.
func (c *Chain) advance(front *piece, n int) {
	front.s = front.s.Sub(n, front.s.Len())
	front.pos += uint64(n)
	c.start += uint64(n)
}

// check panics unless [pos, pos+n) lies in the chain.
func (c *Chain) check(pos uint64, n int) {
	if n < 0 || pos-c.start > c.end-c.start || uint64(n) > c.end-pos {
		panic(fmt.Sprintf("zbuf: %d bytes at %d are not in the chain [%d, %d)", n, pos, c.start, c.end))
	}
}
