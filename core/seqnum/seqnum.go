// Package seqnum is modular arithmetic on 32-bit TCP sequence numbers.
//
// RFC 9293 §3.4: "all arithmetic dealing with sequence numbers must be performed modulo 2**32."
// Sequence numbers are compared here and nowhere else: a raw uint32 comparison is right until the space wraps.
package seqnum

// Value is a sequence number: a point in the 32-bit sequence space.
type Value uint32

// Size is a distance between two sequence numbers.
type Size uint32

// Add returns the sequence number s after v.
func (v Value) Add(s Size) Value { return v + Value(s) }

// Sub returns the sequence number s before v.
func (v Value) Sub(s Size) Value { return v - Value(s) }

// Size returns the distance from v forward to w.
func (v Value) Size(w Value) Size { return Size(w - v) }

// Less reports whether v comes before w: whether w is less than half the space ahead of v.
func (v Value) Less(w Value) bool { return int32(v-w) < 0 }

// LessEq reports whether v comes before w or is w.
func (v Value) LessEq(w Value) bool { return int32(v-w) <= 0 }

// In reports whether v lies in [first, last).
func (v Value) In(first, last Value) bool { return v-first < last-first }

// InWindow reports whether v lies in the window of size s that begins at first.
func (v Value) InWindow(first Value, s Size) bool { return v-first < Value(s) }

// Max returns the later of v and w.
func Max(v, w Value) Value {
	if v.Less(w) {
		return w
	}
	return v
}

// Min returns the earlier of v and w.
func Min(v, w Value) Value {
	if w.Less(v) {
		return w
	}
	return v
}
