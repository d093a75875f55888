package wire

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit big-endian words of b to initial in one's complement arithmetic (RFC 1071 §1), an odd last byte
// padded with zero. The result is for Fold or for the next Sum; only the last piece of a sum may be of odd length, see
// Summer for the rest.
func Sum(initial uint32, b []byte) uint32 {
	return addSums(initial, uint32(bits.ReverseBytes16(fold64(sumWords(b)))))
}

// addSums adds partial sums. 2^32 is 1 modulo 2^16-1, so that a carry out of the word comes back in at its end.
func addSums(a, b uint32) uint32 {
	s, carry := bits.Add32(a, b, 0)
	return s + carry
}

// sumWords adds b as little-endian 64-bit words. RFC 1071 §2: the sum may be taken in either byte order and swapped
// at the end, and in words wider than 16 bits and folded at the end. Carries go round through the loop.
func sumWords(b []byte) uint64 {
	// Two chains: the carries of one hide behind the loads of the other.
	var x, y, cx, cy uint64
	for len(b) >= 128 {
		p, q := (*[64]byte)(b), (*[64]byte)(b[64:])
		x, cx = add64(x, cx, p)
		y, cy = add64(y, cy, q)
		b = b[128:]
	}
	if len(b) >= 64 {
		x, cx = add64(x, cx, (*[64]byte)(b))
		b = b[64:]
	}
	for len(b) >= 8 {
		y, cy = bits.Add64(y, binary.LittleEndian.Uint64(b), cy)
		b = b[8:]
	}
	x, cx = bits.Add64(x, lastWord(b), cx)
	x, cx = bits.Add64(x, y, cx)
	x, cx = bits.Add64(x, cy, cx)
	return x + cx
}

// add64 adds 64 bytes and a carry to sum, and returns the carry out.
func add64(sum, carry uint64, b *[64]byte) (uint64, uint64) {
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[0:8]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[8:16]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[16:24]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[24:32]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[32:40]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[40:48]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[48:56]), carry)
	return bits.Add64(sum, binary.LittleEndian.Uint64(b[56:64]), carry)
}

// lastWord is up to seven bytes as a little-endian word padded with zeros.
func lastWord(b []byte) uint64 {
	var w uint64
	if len(b) >= 4 {
		w = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
		return w | lastHalf(b)<<32
	}
	return lastHalf(b)
}

func lastHalf(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(b[0]) | uint64(b[1])<<8
	case 3:
		return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16
	}
	return 0
}

// fold64 reduces a 64-bit one's complement sum to 16 bits.
func fold64(s uint64) uint16 {
	s = s>>32 + s&0xffffffff // at most 33 bits
	s = s>>32 + s&0xffffffff
	return Fold(uint32(s))
}

// Fold reduces a partial sum to the 16 bits of the wire, not complemented: what a device that completes checksums wants
// in the field. The checksum itself is ^Fold(sum); a message that includes a right checksum folds to 0xffff.
func Fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum)
}

// PseudoHeaderSum is the partial sum of the pseudo-header of IPv4 (RFC 9293 §3.1) or IPv6 (RFC 8200 §8.1) for an upper
// layer of length bytes, its header included.
func PseudoHeaderSum(src, dst Addr, p Protocol, length int) uint32 {
	// In the mapped form the words that IPv4 doesn't have are ffff in either address: both are 0 modulo 2^16-1.
	// Both families then have the same sum.
	s, carry := bits.Add64(src.hi, src.lo, 0)
	s, carry = bits.Add64(s, dst.hi, carry)
	s, carry = bits.Add64(s, dst.lo, carry)
	s, carry = bits.Add64(s, uint64(length)+uint64(p), carry)
	return uint32(fold64(s + carry))
}

// Summer sums pieces of any length, odd ones in the middle included. The zero Summer is ready.
type Summer struct {
	sum uint32
	odd bool // the bytes so far end in the middle of a 16-bit word
}

// AddSum adds a partial sum, such as a pseudo-header's.
func (s *Summer) AddSum(sum uint32) { s.sum = addSums(s.sum, sum) }

// Add appends a piece.
func (s *Summer) Add(b []byte) {
	piece := fold64(sumWords(b))
	// RFC 1071 §2(B): a piece that starts at an odd byte has its sum with the bytes swapped. sumWords is in
	// little-endian order, where it is the even piece that needs the swap.
	if !s.odd {
		piece = bits.ReverseBytes16(piece)
	}
	s.sum = addSums(s.sum, uint32(piece))
	s.odd = s.odd != (len(b)&1 == 1)
}

// Sum returns the partial sum of the pieces so far.
func (s *Summer) Sum() uint32 { return s.sum }

// ChecksumOK reports whether the transport checksum over the pseudo-header and head and body holds. Body may be nil.
func ChecksumOK(src, dst Addr, p Protocol, head, body []byte) bool {
	sum := PseudoHeaderSum(src, dst, p, len(head)+len(body))
	if len(body) == 0 {
		return Fold(Sum(sum, head)) == 0xffff
	}
	s := Summer{sum: sum}
	s.Add(head)
	s.Add(body)
	return Fold(s.sum) == 0xffff
}
