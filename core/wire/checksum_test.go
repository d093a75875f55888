package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// naiveSum is RFC 1071 §1 read literally.
func naiveSum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestSumOfRFC1071Example(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7} // RFC 1071 §3
	if got := Fold(Sum(0, b)); got != 0xddf2 {
		t.Errorf("sum is %#x, want 0xddf2", got)
	}
}

func TestSumMatchesNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	fill := map[string]func(n int) []byte{
		"random": func(n int) []byte { return randomBytes(r, n) },
		"zeros":  func(n int) []byte { return make([]byte, n) },
		"ones":   func(n int) []byte { return bytes.Repeat([]byte{0xff}, n) },
	}
	for name, f := range fill {
		for n := range 600 {
			b := f(n + 3)[n%4:] // unaligned starts
			b = b[:min(n, len(b))]
			if got, want := Fold(Sum(0, b)), naiveSum(b); got != want {
				t.Fatalf("%s, %d bytes: %#x, want %#x", name, len(b), got, want)
			}
		}
		b := f(MaxPacketLen)
		if got, want := Fold(Sum(0, b)), naiveSum(b); got != want {
			t.Fatalf("%s, %d bytes: %#x, want %#x", name, len(b), got, want)
		}
	}
}

func TestSumContinues(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		b := randomBytes(r, r.IntN(300))
		cut := r.IntN(len(b)+1) &^ 1
		if got, want := Fold(Sum(Sum(0, b[:cut]), b[cut:])), naiveSum(b); got != want {
			t.Fatalf("%d bytes cut at %d: %#x, want %#x", len(b), cut, got, want)
		}
	}
}

func TestSumCarriesOutOfInitial(t *testing.T) {
	for _, initial := range []uint32{0, 1, 0xffff, 0x10000, 0xfffffffe, 0xffffffff} {
		for _, b := range [][]byte{{}, {0xff, 0xff}, {0xff, 0xfe}, {1}, bytes.Repeat([]byte{0xff}, 64)} {
			got := uint64(Fold(Sum(initial, b))) % 0xffff
			want := (uint64(initial) + uint64(naiveSum(b))) % 0xffff
			if got != want {
				t.Errorf("initial %#x and % x: %#x, want %#x modulo 0xffff", initial, b, got, want)
			}
		}
	}
}

func TestSummerWithOddPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		var s Summer
		var whole []byte
		for range r.IntN(8) {
			piece := randomBytes(r, r.IntN(200))
			s.Add(piece)
			whole = append(whole, piece...)
		}
		if got, want := Fold(s.Sum()), naiveSum(whole); got != want {
			t.Fatalf("%d bytes: %#x, want %#x", len(whole), got, want)
		}
	}
}

func TestSummerAddSum(t *testing.T) {
	head, body := []byte{1, 2, 3, 4}, []byte{5, 6, 7}
	var s Summer
	s.AddSum(Sum(0, head))
	s.Add(body)
	if got, want := Fold(s.Sum()), naiveSum(append(head, body...)); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

func pseudoHeader(src, dst Addr, p Protocol, length int) []byte {
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		b := append(s[:], d[:]...)
		return append(b, 0, byte(p), byte(length>>8), byte(length))
	}
	s, d := src.As16(), dst.As16()
	b := append(s[:], d[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, byte(p))
}

func TestPseudoHeaderSumMatchesNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		src, dst := randomAddrs(r)
		p, length := Protocol(1+r.IntN(255)), r.IntN(MaxPacketLen+1)
		got, want := Fold(PseudoHeaderSum(src, dst, p, length)), naiveSum(pseudoHeader(src, dst, p, length))
		if got != want {
			t.Fatalf("%v to %v, protocol %d, %d bytes: %#x, want %#x", src, dst, p, length, got, want)
		}
	}
}

func TestChecksumOK(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 2000 {
		src, dst := randomAddrs(r)
		b := randomBytes(r, TCPHeaderLen+r.IntN(100))
		binary.BigEndian.PutUint16(b[TCPChecksumOffset:], 0)
		sum := Sum(PseudoHeaderSum(src, dst, TCP, len(b)), b)
		binary.BigEndian.PutUint16(b[TCPChecksumOffset:], ^Fold(sum))
		cut := r.IntN(len(b) + 1)
		if !ChecksumOK(src, dst, TCP, b, nil) || !ChecksumOK(src, dst, TCP, b[:cut], b[cut:]) {
			t.Fatalf("right checksum over %d bytes cut at %d rejected", len(b), cut)
		}
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		if ChecksumOK(src, dst, TCP, b, nil) || ChecksumOK(src, dst, TCP, b[:cut], b[cut:]) {
			t.Fatalf("checksum over %d bytes with one bit flipped accepted", len(b))
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 40, 1460, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := randomBytes(rand.New(rand.NewPCG(1, 1)), n)
			b.SetBytes(int64(n))
			var s uint32
			for b.Loop() {
				s = Sum(s, data)
			}
			_ = s
		})
	}
}
