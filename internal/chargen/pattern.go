// Package chargen sends and takes the characters of RFC 864's Character Generator Protocol, and counts them.
package chargen

import "io"

// The pattern that RFC 864 shows: lines of 72 of the 95 printing characters of ASCII, each line one character on.
const (
	firstCharacter = ' '
	characters     = 95
	lineCharacters = 72
	lineLength     = lineCharacters + len("\r\n")
	period         = characters * lineLength
)

// pattern holds some periods, so that one copy fills a large buffer.
var pattern = makePattern(256 << 10)

func makePattern(least int) []byte {
	lines := make([]byte, 0, period)
	for line := range characters {
		for column := range lineCharacters {
			lines = append(lines, byte(firstCharacter+(line+column)%characters))
		}
		lines = append(lines, "\r\n"...)
	}
	repeated := lines
	for len(repeated) < least {
		repeated = append(repeated, lines...)
	}
	return repeated
}

// Pattern is the first Size bytes of the characters, which start again and again.
type Pattern struct{ Size int64 }

// ReadAt implements io.ReaderAt.
func (s Pattern) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errNegativeOffset
	}
	wanted := p[:min(int64(len(p)), max(0, s.Size-offset))]
	n := 0
	for n < len(wanted) {
		n += copy(wanted[n:], from(offset+int64(n)))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// from returns the characters that stand at the offset and behind it.
func from(offset int64) []byte { return pattern[offset%int64(period):] }
