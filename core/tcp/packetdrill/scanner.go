package packetdrill

import (
	"strings"
)

// scanner reads a script from left to right. Line breaks are space, as everywhere in the language.
type scanner struct {
	src string
	pos int
}

// line is the number of the line that pos is in.
func (s *scanner) line() int { return 1 + strings.Count(s.src[:min(s.pos, len(s.src))], "\n") }

func (s *scanner) errorf(format string, args ...any) error {
	return failf(ParseError, s.line(), format, args...)
}

func (s *scanner) rest() string { return s.src[s.pos:] }

// space passes over blanks and comments.
func (s *scanner) space() {
	for s.pos < len(s.src) {
		rest := s.rest()
		switch {
		case strings.IndexByte(" \t\r\n\f", rest[0]) >= 0:
			s.pos++
		case rest[0] == '#', strings.HasPrefix(rest, "//"):
			s.through("\n")
		case strings.HasPrefix(rest, "/*"):
			s.pos += 2
			s.through("*/")
		default:
			return
		}
	}
}

// through moves behind the next occurrence of mark, or to the end.
func (s *scanner) through(mark string) {
	if i := strings.Index(s.rest(), mark); i >= 0 {
		s.pos += i + len(mark)
		return
	}
	s.pos = len(s.src)
}

// peek returns the next byte behind space, and 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos == len(s.src) {
		return 0
	}
	return s.src[s.pos]
}

// accept takes text if it comes next.
func (s *scanner) accept(text string) bool {
	s.space()
	if !strings.HasPrefix(s.rest(), text) {
		return false
	}
	s.pos += len(text)
	return true
}

func (s *scanner) expect(text string) error {
	if !s.accept(text) {
		return s.errorf("want %q before %q", text, s.excerpt())
	}
	return nil
}

// excerpt is what comes next, for messages.
func (s *scanner) excerpt() string {
	text, _, _ := strings.Cut(s.rest(), "\n")
	const enough = 30
	return text[:min(len(text), enough)]
}

// until takes the text up to mark, and mark.
func (s *scanner) until(mark string) (string, error) {
	i := strings.Index(s.rest(), mark)
	if i < 0 {
		return "", s.errorf("%q is missing behind %q", mark, s.excerpt())
	}
	text := s.rest()[:i]
	s.pos += i + len(mark)
	return text, nil
}

func isWordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// word takes a name or a whole number, "" when there is none.
func (s *scanner) word() string {
	s.space()
	start := s.pos
	for s.pos < len(s.src) && isWordByte(s.src[s.pos]) {
		s.pos++
	}
	return s.src[start:s.pos]
}

// peekWord is word without taking it.
func (s *scanner) peekWord() string {
	pos := s.pos
	w := s.word()
	s.pos = pos
	return w
}

// number takes the text of a number, hexadecimal or with a fraction, "" when there is none. "0...1" is three tokens.
func (s *scanner) number() string {
	s.space()
	start := s.pos
	if strings.HasPrefix(s.rest(), "0x") {
		s.word()
		return s.src[start:s.pos]
	}
	digits := func() {
		for s.pos < len(s.src) && isDigit(s.src[s.pos]) {
			s.pos++
		}
	}
	digits()
	if rest := s.rest(); len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]) || rest == "." && s.pos > start {
		s.pos++
		digits()
	}
	return s.src[start:s.pos]
}
