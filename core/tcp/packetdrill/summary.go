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
	passed      int
	other       int // failures that are no *Failure: the script could not be read
	causes      [numCauses]int
	unsupported map[string]int // what was asked for and is not there
}

// NewSummary returns an empty Summary.
func NewSummary() *Summary { return &Summary{unsupported: map[string]int{}} }

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
		if f.Cause == Unsupported {
			s.unsupported[f.Text]++
		}
	}
}

// Failed is the number of scripts that did not pass.
func (s *Summary) Failed() int {
	n := s.other
	for _, count := range s.causes {
		n += count
	}
	return n
}

// String lists causes with their counts, and what was not supported, the most frequent first.
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
	names := make([]string, 0, len(s.unsupported))
	for name := range s.unsupported {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(cmp.Compare(s.unsupported[y], s.unsupported[x]), strings.Compare(x, y))
	})
	const most = 20
	for _, name := range names[:min(len(names), most)] {
		fmt.Fprintf(&b, "%6d × unsupported: %s\n", s.unsupported[name], name)
	}
	return b.String()
}
