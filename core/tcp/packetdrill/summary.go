package packetdrill

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Summary counts how scripts ended.
type Summary struct {
	passed  int
	other   int // failures that are no *Failure: the script could not be read
	causes  [numCauses]int
	reasons map[string]int // what was asked for and is not there, and in what packets differed
}

// NewSummary returns an empty Summary.
func NewSummary() *Summary { return &Summary{reasons: map[string]int{}} }

// Add counts a script by what Run returned.
func (s *Summary) Add(err error) {
	var f *Failure
	switch {
	case err == nil:
		s.passed++
	case !errors.As(err, &f):
		s.other++
	default:
		s.causes[f.Cause]++
		if reason := f.reason(); reason != "" {
			s.reasons[fmt.Sprintf("%v: %s", f.Cause, reason)]++
		}
	}
}

// reason is what of a failure other scripts may share: what is not supported, or the field in which a packet differed.
func (f *Failure) reason() string {
	switch f.Cause {
	case Unsupported:
		return f.Text
	case WrongPacket:
		field, _, differs := strings.Cut(f.Text, ": left ")
		if differs {
			return field
		}
	default:
	}
	return ""
}

// Failed is the number of scripts that did not pass.
func (s *Summary) Failed() int {
	n := s.other
	for _, count := range s.causes {
		n += count
	}
	return n
}

// String lists causes with their counts, and reasons that scripts may share, the most frequent first.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d scripts: %d passed", s.passed+s.Failed(), s.passed)
	for c := ParseError; c < numCauses; c++ {
		if s.causes[c] > 0 {
			fmt.Fprintf(&b, ", %d %s", s.causes[c], c)
		}
	}
	if s.other > 0 {
		fmt.Fprintf(&b, ", %d not readable", s.other)
	}
	b.WriteByte('\n')
	names := make([]string, 0, len(s.reasons))
	for name := range s.reasons {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(cmp.Compare(s.reasons[y], s.reasons[x]), strings.Compare(x, y))
	})
	const most = 20
	for _, name := range names[:min(len(names), most)] {
		fmt.Fprintf(&b, "%6d × %s\n", s.reasons[name], name)
	}
	return b.String()
}
