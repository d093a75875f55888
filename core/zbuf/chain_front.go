package zbuf

// PushFront puts s before the first byte and takes its reference over; Start moves back. A slice that the first one
// continues in the same block is merged with it.
func (c *Chain) PushFront(s Slice) {
	if s.Len() == 0 {
		s.Release()
		return
	}
	c.start -= uint64(s.Len())
	if c.n > 0 {
		if first := c.at(0); first.s.b == s.b && s.end == first.s.off {
			first.s.off, first.pos = s.off, c.start
			s.Release()
			return
		}
	}
	c.prepend(piece{pos: c.start, s: s})
}

// Prepend copies bytes of data before the first byte, beginning with the last of them: first into the room before the
// first slice, if the chain owns its block alone, then into new blocks of p. It returns how many bytes it took.
func (c *Chain) Prepend(p *Pool, data []byte) int {
	total := len(data)
	if c.n > 0 {
		if first := c.at(0); first.s.off > 0 && first.s.Exclusive() {
			k := min(int(first.s.off), len(data))
			first.s.off -= uint32(k)
			data = data[:copyTail(first.s.Bytes()[:k], data)]
			c.start -= uint64(k)
			first.pos = c.start
		}
	}
	for len(data) > 0 {
		s, ok := p.Get(min(len(data), MaxBlock))
		if !ok {
			break
		}
		// At the block's end, so that the next ones find room before it.
		n := s.Len()
		s = s.Resize(s.capacity())
		s = s.Sub(s.Len()-n, s.Len())
		data = data[:copyTail(s.Bytes(), data)]
		c.PushFront(s)
	}
	return total - len(data)
}

// copyTail fills dst with the last bytes of src and returns how many are left before them.
func copyTail(dst, src []byte) int {
	left := len(src) - len(dst)
	copy(dst, src[left:])
	return left
}

// prepend adds a piece before the first.
func (c *Chain) prepend(p piece) {
	c.makeRoom()
	if c.ring != nil {
		c.head--
	}
	c.n++
	*c.at(0) = p
}

// popBack removes the last piece and returns its slice with the reference.
func (c *Chain) popBack() Slice {
	s := c.take(c.n - 1)
	c.end -= uint64(s.Len())
	c.shrink()
	return s
}

// Join puts two chains together, right behind left, in the one that has more pieces, which it returns: building a long chain
// in any order moves each piece a few times (logarithm of the number of pieces), whatever the order. The other one is empty
// then. A small slice at the seam is copied to the one before it if it fits.
func Join(left, right *Chain) *Chain {
	if right.n > 0 {
		if first := right.at(0).s; first.Len() <= min(left.tailRoom(), smallSlice) {
			right.Skip(left.Append(nil, first.Bytes()))
		}
	}
	if left.n >= right.n {
		right.MoveTo(left, right.Len())
		return left
	}
	for left.n > 0 {
		right.PushFront(left.popBack())
	}
	return right
}
