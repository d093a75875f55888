package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// congestionNames are those that both sides have.
var congestionNames = []string{"reno", "cubic", "bbr"}

// goodputSettings are what the command line of goodput says.
type goodputSettings struct {
	runs       int
	duration   time.Duration // of a flow alone
	shared     time.Duration // of flows that share a path; a third more comes before
	congestion []string
	paths      []path
	pairs      []pair
	seed       uint64
	output     string
	samples    string // directory, empty for none
}

func parseGoodputFlags(args []string) (*goodputSettings, error) {
	var s goodputSettings
	var seconds, sharedSeconds float64
	var congestion, rows, fair string
	f := flag.NewFlagSet("bench goodput", flag.ContinueOnError)
	f.IntVar(&s.runs, "runs", 3, "how often everything is measured; the medians are printed")
	f.Float64Var(&seconds, "seconds", 6, "how long each flow is measured, from its beginning on")
	f.Float64Var(&sharedSeconds, "shared-seconds", 15, "how long flows that share a path are measured; 0 leaves them out")
	f.StringVar(&congestion, "congestion", strings.Join(congestionNames, ","), "congestion controls")
	f.StringVar(&rows, "rows", "", "only the paths whose names contain this; - for none")
	f.StringVar(&fair, "pairs", "", "only the flows sharing a path whose names contain this")
	f.Uint64Var(&s.seed, "seed", 1, "decides what the paths of the first run do to which packet")
	f.StringVar(&s.output, "o", "goodput.json", "file for the figures; empty for none")
	f.StringVar(&s.samples, "samples", "", "directory for what each flow looked like over time")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var err error
	if s.congestion, err = choose("congestion control", congestion, congestionNames); err != nil {
		return nil, err
	}
	s.duration, s.shared = fromSeconds(seconds), fromSeconds(sharedSeconds)
	s.paths = choosePaths(rows)
	if s.shared > 0 {
		s.pairs = choosePairs(s.congestion, fair)
	}
	if s.samples != "" {
		if s.samples, err = filepath.Abs(s.samples); err != nil {
			return nil, err
		}
	}
	return &s, s.validate()
}

func fromSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (s *goodputSettings) validate() error {
	switch {
	case s.runs < 1 || s.runs > 1000:
		return errors.New("-runs: use 1 to 1000")
	case s.duration < 100*time.Millisecond || s.duration > time.Hour:
		return errors.New("-seconds: use 0.1 to 3600")
	case s.shared != 0 && (s.shared < 100*time.Millisecond || s.shared > time.Hour):
		return errors.New("-shared-seconds: use 0.1 to 3600, or 0")
	case len(s.paths)+len(s.pairs) == 0:
		return errors.New("-rows and -pairs leave nothing to measure")
	}
	return nil
}
