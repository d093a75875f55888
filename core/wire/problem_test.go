package wire

import "testing"

func TestEveryProblemHasItsOwnName(t *testing.T) {
	seen := map[string]bool{}
	for p := range Problem(NumProblems) {
		if name := p.String(); name == "" || seen[name] {
			t.Errorf("problem %d is named %q", p, name)
		} else {
			seen[name] = true
		}
	}
	if got := Problem(NumProblems).String(); got != "problem 14" {
		t.Errorf("a problem that doesn't exist is named %q", got)
	}
}
