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
