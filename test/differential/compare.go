package differential

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/MUCZ/Starfish/core/tcp"
)

// Difference is the first step of a sequence at which another implementation did something else than the engine.
type Difference struct {
	Subject      string
	Sequence     Sequence
	Index        int
	Before       tcp.State // of the engine
	Ours, Theirs Outcome
}

// Key is what leeways match: "STATE | step | the engine's outcome | theirs".
func (d *Difference) Key() string {
	return fmt.Sprintf("%v | %v | %v | %v", d.Before, d.Sequence.Steps[d.Index], d.Ours, d.Theirs)
}

// numbers are what differences of one kind differ in.
var numbers = regexp.MustCompile(` -?\d+(:-?\d+)?|ack | <[^>]*>`)

// kind is the key without numbers and options.
func (d *Difference) kind() string { return numbers.ReplaceAllString(d.Key(), "") }

// String describes the difference, with the script that shows it.
func (d *Difference) String() string {
	return fmt.Sprintf("%s differs: %s\nscript:\n%s", d.Subject, d.Key(), indent(d.Sequence.String()))
}

func indent(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n\t") + "\n"
}

// comparedResult reduces what a call gave to what is compared: errors are not TCP's business, that there is one is. On a
// connection that is no more, all is possible: a kernel tells the reason once.
func comparedResult(step Step, before tcp.State, result string) string {
	if before == tcp.StateClosed || before == tcp.StateListen {
		if step != Listen && step != Connect && step != Accept && step != CloseListener {
			return ""
		}
	}
	switch result {
	case "", "ok", "EAGAIN", "EOF":
		return result
	}
	if result[0] >= '0' && result[0] <= '9' {
		return result
	}
	return "error"
}

func sameOutcome(a, b Outcome) bool {
	return a.Result == b.Result && a.State == b.State && slices.Equal(a.Answers, b.Answers)
}

// Compare returns the first difference that no leeway explains, or nil. Leeways that matched are counted in used. After
// a difference that changes what follows, the rest of the sequence is not compared.
func Compare(subject string, s Sequence, ours, theirs Trace, used map[*Leeway]int) *Difference {
	before := tcp.StateClosed
	for i := range s.Steps {
		a, b := ours[i], theirs[i]
		a.Result = comparedResult(s.Steps[i], before, a.Result)
		b.Result = comparedResult(s.Steps[i], before, b.Result)
		if !sameOutcome(a, b) {
			d := &Difference{Subject: subject, Sequence: s, Index: i, Before: before, Ours: a, Theirs: b}
			leeway := explain(d)
			if leeway == nil {
				return d
			}
			used[leeway]++
			if !leeway.GoOn || a.State != b.State {
				return nil
			}
		}
		before = a.State
	}
	return nil
}
