package zbuf

import (
	"strings"
	"testing"
)

func TestPrependStopsWithoutBlocks(t *testing.T) {
	p := newTestPool(t, 256)
	c := new(Chain)
	if n := c.Prepend(p, make([]byte, 200)); n != 200 {
		t.Fatalf("Prepend = %d", n)
	}
	text := strings.Repeat("no room ", 5) + "and the last 56 bytes go where there is room before them"
	if n := c.Prepend(p, []byte(text)); n != 56 || c.Len() != 256 || c.Pieces() != 1 {
		t.Errorf("Prepend = %d into %d bytes, want the 56 that the block has left", n, c.Len())
	}
	if got := string(join(c.Views(nil, c.Start(), 5))); got != "and t" {
		t.Errorf("the chain begins with %q", got)
	}
	c.Clear()
}

func TestPrependLeavesSharedFrontAlone(t *testing.T) {
	p := newTestPool(t, 0)
	c := new(Chain)
	s := mustGet(t, p, 20)
	copy(s.Bytes(), "front and the rest..")
	c.Push(s.Sub(5, 20).Retain())
	c.Prepend(p, []byte("!!!"))
	if string(s.Bytes()) != "front and the rest.." || string(join(c.Views(nil, c.Start(), 8))) != "!!! and " {
		t.Errorf("Prepend wrote over another owner's bytes: %q", s.Bytes())
	}
	s.Release()
	c.Clear()
}

// TestJoinMovesTheShorter: a long chain is not moved for a short one, on whichever side that is.
func TestJoinMovesTheShorter(t *testing.T) {
	p := newTestPool(t, 0)
	for _, leftPieces := range []int{1, 20} {
		l, r := new(Chain), new(Chain)
		for i := range 21 {
			c := l
			if i >= leftPieces {
				c = r
			}
			c.Push(fill(t, p, uint64(1000*i), 1000))
		}
		longer := l
		if leftPieces == 1 {
			longer = r
		}
		all := Join(l, r)
		if all != longer || all.Pieces() != 21 || l.Len()+r.Len() != all.Len() {
			t.Errorf("%d pieces before %d: joined in the shorter one, with %d", leftPieces, 21-leftPieces, all.Pieces())
		}
		for i, b := range join(all.Views(nil, all.Start(), all.Len())) {
			if b != streamByte(uint64(i)) {
				t.Fatalf("wrong byte at %d", i)
			}
		}
		all.Clear()
	}
}
