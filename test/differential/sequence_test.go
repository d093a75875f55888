package differential

import (
	"slices"
	"testing"
)

func TestScriptsAreReadAsWritten(t *testing.T) {
	s := Sequence{Options: true}
	for step := range numSteps {
		s.Steps = append(s.Steps, step)
	}
	got, err := ParseSequence(s.String())
	if err != nil || got.Options != s.Options || !slices.Equal(got.Steps, s.Steps) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "# nothing", "< SIN", "listen; options"} {
		if _, err := ParseSequence(bad); err == nil {
			t.Errorf("%q is a script", bad)
		}
	}
}
