package differential

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var (
	seedFlag   = flag.Uint64("seed", 1, "first seed of the generated sequences")
	seedsFlag  = flag.Int("seeds", 4, "how many seeds to run, one after the other")
	countFlag  = flag.Int("sequences", 1000, "how many sequences to generate from each seed")
	mostFlag   = flag.Int("most", 12, "how many kinds of difference to shrink and report")
	replayFlag = flag.String("replay", "", "a file with one script to run, and show side by side")
)

const (
	// lanesBeside is how many sequences run beside each other.
	lanesBeside = 100
)

// Suite compares one subject with the engine.
type Suite struct {
	Subject Subject
	runner  Runner
	engine  Runner
}

// NewSuite returns one.
func NewSuite(subject Subject) *Suite {
	return &Suite{
		Subject: subject, runner: Runner{Subject: subject, Lanes: lanesBeside}, engine: Runner{Subject: &Engine{}, Lanes: 1},
	}
}

// Run replays the script of -replay if there is one. Otherwise it checks the list of leeways, runs the generated sequences,
// and fails the test for each kind of difference that nothing explains.
func (s *Suite) Run(t *testing.T) {
	if *replayFlag != "" {
		s.replay(t)
		return
	}
	s.checkLeeways(t)
	for i := range *seedsFlag {
		s.runSeed(t, *seedFlag+uint64(i))
	}
}

// runSeed compares what one seed generates.
func (s *Suite) runSeed(t *testing.T, seed uint64) {
	t.Helper()
	g, err := NewGenerator(seed)
	if err != nil {
		t.Fatal(err)
	}
	sequences, ours, err := g.Next(*countFlag)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := s.runner.Run(sequences)
	if err != nil {
		t.Fatal(err)
	}
	found, used, covered := make(map[string]*Difference), make(map[*Leeway]int), NewCoverage()
	for i, sequence := range sequences {
		covered.Add(sequence, theirs[i])
		d := Compare(s.Subject.Name(), sequence, ours[i], theirs[i], used)
		if d == nil {
			continue
		}
		if old := found[d.kind()]; old == nil || len(sequence.Steps) < len(old.Sequence.Steps) {
			found[d.kind()] = d
		}
	}
	s.report(t, found)
	explained := 0
	for _, n := range used {
		explained += n
	}
	t.Logf("seed %d, %d sequences: starfish reaches %d pairs of transitions (%d of them moves) and %d events, %s %d (%d) and %d; %d differences explained",
		seed, len(sequences), g.Coverage.Pairs(), g.Coverage.Moves(), g.Coverage.Events(),
		s.Subject.Name(), covered.Pairs(), covered.Moves(), covered.Events(), explained)
}

// report shrinks and shows what was found. What doesn't show itself again, alone, was the machine's doing.
func (s *Suite) report(t *testing.T, found map[string]*Difference) {
	t.Helper()
	shown := 0
	for _, kind := range slices.Sorted(maps.Keys(found)) {
		if shown == *mostFlag {
			t.Errorf("and more: %d kinds of difference in all", len(found))
			return
		}
		d, err := s.shrink(found[kind])
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			t.Logf("not seen again: %v", found[kind])
			continue
		}
		shown++
		t.Errorf("%v", d)
	}
}

// shrink leaves out steps as long as the same difference remains. It returns nil when it does not show itself again.
func (s *Suite) shrink(d *Difference) (*Difference, error) {
	cut := d.Sequence.clone()
	cut.Steps = cut.Steps[:d.Index+1]
	best, err := s.first(d.kind(), []Sequence{cut})
	for best != nil && err == nil && len(best.Sequence.Steps) > 1 {
		var candidates []Sequence
		for i := range best.Sequence.Steps[:len(best.Sequence.Steps)-1] {
			candidates = append(candidates, best.Sequence.without(i))
		}
		var smaller *Difference
		if smaller, err = s.first(d.kind(), candidates); smaller == nil {
			break
		}
		best = smaller
	}
	return best, err
}

// first returns the difference of this kind that the first of the sequences shows.
func (s *Suite) first(kind string, sequences []Sequence) (*Difference, error) {
	ours, err := s.engine.Run(sequences)
	if err != nil {
		return nil, err
	}
	theirs, err := s.runner.Run(sequences)
	if err != nil {
		return nil, err
	}
	for i, sequence := range sequences {
		if d := Compare(s.Subject.Name(), sequence, ours[i], theirs[i], make(map[*Leeway]int)); d != nil && d.kind() == kind {
			return d, nil
		}
	}
	return nil, nil
}

// checkLeeways runs every entry's script: one that shows nothing any more has to go.
func (s *Suite) checkLeeways(t *testing.T) {
	t.Helper()
	var entries []*Leeway
	var sequences []Sequence
	for i := range leeways {
		if l := &leeways[i]; l.of(s.Subject.Name()) {
			sequence, err := ParseSequence(l.Script)
			if err != nil {
				t.Fatal(err)
			}
			entries, sequences = append(entries, l), append(sequences, sequence)
		}
	}
	ours, err := s.engine.Run(sequences)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := s.runner.Run(sequences)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range entries {
		used := make(map[*Leeway]int)
		if d := Compare(s.Subject.Name(), sequences[i], ours[i], theirs[i], used); d != nil {
			t.Errorf("the script of %q shows something else: %v", l.Why, d)
		} else if used[l] == 0 && l.Since != "" {
			t.Logf("%s is not there yet (since %s): %s", s.Subject.Name(), l.Since, l.Why)
		} else if used[l] == 0 {
			t.Errorf("%q explains nothing that its script does; take it out of the list:\n%s", l.Why, sideBySide(sequences[i], ours[i], theirs[i]))
		}
	}
}

func (s *Suite) replay(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(*replayFlag)
	if err != nil {
		t.Fatal(err)
	}
	sequence, err := ParseSequence(string(text))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := s.engine.Run([]Sequence{sequence})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := s.runner.Run([]Sequence{sequence})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("starfish and %s:\n%s", s.Subject.Name(), sideBySide(sequence, ours[0], theirs[0]))
	if d := Compare(s.Subject.Name(), sequence, ours[0], theirs[0], make(map[*Leeway]int)); d != nil {
		t.Error(d)
	}
}

func sideBySide(s Sequence, ours, theirs Trace) string {
	var b strings.Builder
	for i, step := range s.Steps {
		b.WriteString(step.String() + "\n\t" + ours[i].String() + "\n\t" + theirs[i].String() + "\n")
	}
	return b.String()
}
