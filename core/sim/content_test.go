package sim

import "testing"

func TestContentIsAFunctionOfThePosition(t *testing.T) {
	const key = content(7)
	whole := make([]byte, 1000)
	key.fill(whole, 0)
	for from := range 40 {
		piece := make([]byte, 100)
		key.fill(piece, uint64(from))
		if string(piece) != string(whole[from:from+100]) {
			t.Fatalf("a piece from %d on differs from the whole", from)
		}
		if i := key.mismatch(piece, uint64(from)); i != -1 {
			t.Fatalf("mismatch in a right piece from %d on, at %d", from, i)
		}
	}
}

func TestContentMismatch(t *testing.T) {
	const key = content(7)
	b := make([]byte, 64)
	for pos := range uint64(16) {
		for i := range b {
			key.fill(b, pos)
			b[i] ^= 0x40
			if got := key.mismatch(b, pos); got != i {
				t.Fatalf("a wrong byte at %d of the piece from %d on is reported at %d", i, pos, got)
			}
		}
		key.fill(b, pos)
		if got := key.mismatch(b, pos+1); got < 0 || got > 8 {
			t.Fatalf("a shift by one byte is reported at %d", got)
		}
		if got := content(8).mismatch(b, pos); got < 0 || got > 8 {
			t.Fatalf("another stream's bytes are reported at %d", got)
		}
	}
}
