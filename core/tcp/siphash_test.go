package tcp

import (
	"encoding/binary"
	"testing"
)

// The reference vectors of SipHash-2-4: key 00…0f, message 00, 01, …; those of whole words, bytes as published.
func TestSipHashReferenceVectors(t *testing.T) {
	var secret [16]byte
	for i := range secret {
		secret[i] = byte(i)
	}
	key := sipKey(secret)
	message := make([]byte, 56)
	for i := range message {
		message[i] = byte(i)
	}
	vectors := [][8]byte{
		{0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72},
		{0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93},
		{0xdb, 0x9b, 0xc2, 0x57, 0x7f, 0xcc, 0x2a, 0x3f},
		{0x94, 0xaf, 0x49, 0xf6, 0xc6, 0x50, 0xad, 0xb8},
		{0xce, 0x7c, 0xf2, 0x72, 0x2f, 0x51, 0x27, 0x71},
		{0xd0, 0xa7, 0x04, 0x53, 0x6b, 0xa9, 0x3e, 0x0e},
		{0x51, 0xa9, 0xcb, 0x9e, 0xcb, 0xa3, 0x12, 0xe6},
		{0xbd, 0x83, 0x8d, 0x3a, 0xaf, 0xbf, 0x8d, 0xb7},
	}
	var words []uint64
	for n, want := range vectors {
		if got := sipHash(key, words...); got != binary.LittleEndian.Uint64(want[:]) {
			t.Errorf("%d words: %016x, want bytes % x", n, got, want)
		}
		if n < len(message)/8 {
			words = append(words, binary.LittleEndian.Uint64(message[n*8:]))
		}
	}
}

func TestSipHashDoesNotAllocate(t *testing.T) {
	key := [2]uint64{1, 2}
	var sum uint64
	if got := testing.AllocsPerRun(100, func() { sum += sipHash(key, sum, 2, 3, 4, 5) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkSipHashTuple(b *testing.B) {
	key := [2]uint64{1, 2}
	var sum uint64
	for range b.N {
		sum += sipHash(key, sum, 2, 3, 4, 5)
	}
}
