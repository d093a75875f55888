package differential

import (
	"regexp"
	"slices"
	"strings"
)

// Leeway explains differences by what an RFC leaves to the implementation, or by what another implementation does against
// it.
type Leeway struct {
	Subject string         // whose differences: one name, or several
	Pattern *regexp.Regexp // of Difference.Key
	Section string
	Why     string
	// GoOn says that what follows can still be compared.
	GoOn bool
	// Since is the version of the subject that brought the difference, where others are in use that lack it: then a script
	// that shows nothing is no failure.
	Since string
	// Script shows the difference, so that the entry can be checked.
	Script string
}

// of says whether the leeway is about a subject.
func (l *Leeway) of(subject string) bool { return slices.Contains(strings.Fields(l.Subject), subject) }

// shorthand is what patterns abbreviate.
var shorthand = strings.NewReplacer(
	"{ack}", `\. -?\d+ ack -?\d+(?: win 0)?(?: <[a-zA-Z,]+>)?`,
	"{rst}", `R -?\d+`,
	"{rstack}", `R\. -?\d+ ack -?\d+(?: <ts>)?`,
	"{state}", `[A-Z0-9-]+`,
	"{any}", `.*`,
	" | ", ` \| `,
)

// pattern compiles the parts of a key: state, step, the engine's outcome, theirs.
func pattern(before, step, ours, theirs string) *regexp.Regexp {
	return regexp.MustCompile("^" + shorthand.Replace("(?:"+before+") | < (?:"+step+") | (?:"+ours+") | (?:"+theirs+")") + "$")
}

// callPattern is pattern for a call.
func callPattern(before, call, ours, theirs string) *regexp.Regexp {
	return regexp.MustCompile("^" + shorthand.Replace("(?:"+before+") | (?:"+call+") | (?:"+ours+") | (?:"+theirs+")") + "$")
}

// sackPattern is a step at which theirs differs by a SACK option alone.
func sackPattern(step string) *regexp.Regexp {
	const answer = `(?:ok; |\d+; )?[FR]?\. \d+(?::\d+)? ack \d+(?: win 0)?`
	return regexp.MustCompile("^" + shorthand.Replace("{state} | (?:"+step+") | "+answer+" <ts> → {state} | "+answer+" <sack,ts> → {state}") + "$")
}

// sackLackPattern is a step at which the engine's answer has a SACK option, and theirs, otherwise the same, has none.
var sackLackPattern = regexp.MustCompile(`^[A-Z0-9-]+ \| .* \| (.*) <sack,ts> → [A-Z0-9-]+ \| .* <ts> → [A-Z0-9-]+$`)

var leeways = slices.Concat(sharedLeeways, kernelLeeways, gvisorLeeways)

// explain returns the first leeway for a difference.
func explain(d *Difference) *Leeway {
	key := d.Key()
	for i := range leeways {
		l := &leeways[i]
		if l.of(d.Subject) && l.Pattern.MatchString(key) {
			return l
		}
	}
	return nil
}
