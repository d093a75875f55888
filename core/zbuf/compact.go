package zbuf

// CompactRatio is how many times its length a slice's block must be for Compact to copy the slice out. Below 4 the copy
// costs more cache traffic than the memory it frees is worth; from 4 on, a peer that sends tiny segments in large
// packets would pin several times the window it was granted.
const CompactRatio = 4

// Compact returns s, or a copy of it in the smallest block that fits when s pins at least CompactRatio times its length
// and a smaller block exists for it. The reference of s passes to the result. When p has no block left, s stays as
// it is.
func Compact(p *Pool, s Slice) Slice {
	if s.Footprint() < CompactRatio*s.Len() || s.Footprint() <= classes[classFor(s.Len())].size {
		return s
	}
	small, ok := p.Get(s.Len())
	if !ok {
		return s
	}
	copy(small.Bytes(), s.Bytes())
	s.Release()
	return small
}

// smallSlice is the size up to which copying bytes costs no more than keeping a reference.
const smallSlice = 256

// PushView adds a reference to what s views to the end of the chain. What is small is copied behind the last slice if
// there is room, so that a stream of tiny packets neither pins a block for each nor makes a piece for each; what pins much
// is copied as Compact does.
func (c *Chain) PushView(p *Pool, s Slice) {
	if s.Len() <= smallSlice {
		s = s.Sub(c.Append(p, s.Bytes()), s.Len()) // what the pool had no room for
	}
	if s.Len() > 0 {
		c.Push(Compact(p, s.Retain()))
	}
}

// PushViewFront is PushView at the front.
func (c *Chain) PushViewFront(p *Pool, s Slice) {
	if s.Len() <= smallSlice {
		s = s.Sub(0, s.Len()-c.Prepend(p, s.Bytes()))
	}
	if s.Len() > 0 {
		c.PushFront(Compact(p, s.Retain()))
	}
}
