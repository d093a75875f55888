package differential

import (
	"reflect"
	"testing"
)

func TestSeedGivesTheSameSequences(t *testing.T) {
	var runs [2][]Sequence
	for i := range runs {
		g, err := NewGenerator(7)
		if err != nil {
			t.Fatal(err)
		}
		if runs[i], _, err = g.Next(50); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(runs[0], runs[1]) {
		t.Error("two runs of one seed differ")
	}
}

// What coverage guides to must go beyond where all begin.
func TestGenerationReachesEveryState(t *testing.T) {
	g, err := NewGenerator(1)
	if err != nil {
		t.Fatal(err)
	}
	_, traces, err := g.Next(1000)
	if err != nil {
		t.Fatal(err)
	}
	reached := make(map[string]bool)
	for _, trace := range traces {
		for _, o := range trace {
			reached[o.State.String()] = true
		}
	}
	const all = 11
	if len(reached) != all {
		t.Errorf("reached %v, want all %d states", reached, all)
	}
}
