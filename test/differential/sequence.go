package differential

import (
	"fmt"
	"slices"
	"strings"
)

// Sequence is a script: what happens to one connection, step by step.
type Sequence struct {
	// Options says that the peer's SYN carries window scale, SACK-permitted and timestamps, and not the MSS alone.
	Options bool
	Steps   []Step
}

const optionsLine = "options"

// String writes the sequence as a script that ParseSequence reads: a step a line.
func (s Sequence) String() string {
	var b strings.Builder
	if s.Options {
		b.WriteString(optionsLine + "\n")
	}
	for _, step := range s.Steps {
		b.WriteString(step.String() + "\n")
	}
	return b.String()
}

// ParseSequence reads a script: steps, on lines of their own or separated by semicolons. What follows a '#' is a comment.
func ParseSequence(text string) (Sequence, error) {
	var s Sequence
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ';' }) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if line == optionsLine && len(s.Steps) == 0 {
			s.Options = true
			continue
		}
		step, err := parseStep(line)
		if err != nil {
			return s, err
		}
		s.Steps = append(s.Steps, step)
	}
	if len(s.Steps) == 0 {
		return s, fmt.Errorf("a script without a step")
	}
	return s, nil
}

func (s Sequence) clone() Sequence {
	s.Steps = slices.Clone(s.Steps)
	return s
}

// without returns the sequence with one step left out.
func (s Sequence) without(i int) Sequence {
	return Sequence{Options: s.Options, Steps: slices.Concat(s.Steps[:i], s.Steps[i+1:])}
}
