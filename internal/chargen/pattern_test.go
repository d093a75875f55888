package chargen

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestPattern(t *testing.T) {
	content, err := io.ReadAll(io.NewSectionReader(Pattern{Size: 1 << 20}, 0, 1<<20))
	if err != nil || len(content) != 1<<20 {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	lines := strings.Split(string(content), "\r\n")
	for i, line := range lines[:len(lines)-1] {
		if len(line) != 72 || line[0] != byte(' '+i%95) {
			t.Fatalf("line %d is %q", i, line)
		}
		for j := 1; j < len(line); j++ {
			if next := line[j-1] + 1; line[j] != next && (line[j-1] != '~' || line[j] != ' ') {
				t.Fatalf("line %d has %q after %q", i, line[j], line[j-1])
			}
		}
	}
	if err := iotest.TestReader(io.NewSectionReader(Pattern{Size: 20_000}, 0, 20_000), content[:20_000]); err != nil {
		t.Error(err)
	}
}

func TestPatternReadAt(t *testing.T) {
	whole := make([]byte, 600_000)
	if n, err := (Pattern{Size: 600_000}).ReadAt(whole, 0); n != len(whole) || err != nil {
		t.Fatal(n, err)
	}
	for _, c := range []struct {
		offset int64
		length int
		err    error
	}{{0, 10, nil}, {7029, 2, nil}, {262_140, 100, nil}, {599_990, 10, nil}, {599_990, 11, io.EOF}, {600_000, 1, io.EOF}, {1 << 60, 1, io.EOF}} {
		p := make([]byte, c.length)
		n, err := (Pattern{Size: 600_000}).ReadAt(p, c.offset)
		want := whole[min(c.offset, 600_000):]
		want = want[:min(len(want), c.length)]
		if !errors.Is(err, c.err) || !bytes.Equal(p[:n], want) {
			t.Errorf("%d bytes at %d: %v, %d bytes, want %v, %d", c.length, c.offset, err, n, c.err, len(want))
		}
	}
	if _, err := (Pattern{Size: 1}).ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset is taken")
	}
}
