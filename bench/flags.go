package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are what the command line says.
type settings struct {
	runs        int
	duration    time.Duration
	ways        []string
	work        []string
	connections []int
	mtu         int
	congestion  string // the kernel's
	output      string
	profiles    string // directory, empty for none
}

// quickDuration is what -quick measures each figure for: enough to see that it works, too little to compare.
const quickDuration = 100 * time.Millisecond

func parseFlags(args []string) (settings, error) {
	var s settings
	var seconds float64
	var quick bool
	var ways, work, connections string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&s.runs, "runs", 5, "how often everything is measured; the medians are printed")
	f.Float64Var(&seconds, "seconds", 1, "how long each figure is measured in each run")
	f.BoolVar(&quick, "quick", false, "one short run, to see that everything works")
	f.StringVar(&ways, "ways", strings.Join(wayNames, ","), "ways to use TCP")
	f.StringVar(&work, "work", strings.Join(workNames, ","), "kinds of work")
	f.StringVar(&connections, "connections", "1,8,64", "numbers of connections for bulk work")
	f.IntVar(&s.mtu, "mtu", 1500, "MTU in bytes of all devices")
	f.StringVar(&s.congestion, "congestion", "", "congestion control of the kernel's TCP; empty for the system's default")
	f.StringVar(&s.output, "o", "bench.json", "file for the figures; empty for none")
	f.StringVar(&s.profiles, "cpuprofile", "", "directory for a CPU profile of each process")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	s.duration = time.Duration(seconds * float64(time.Second))
	if quick {
		s.runs, s.duration = 1, quickDuration
	}
	var err error
	if s.ways, err = choose("way", ways, wayNames); err != nil {
		return s, err
	}
	if s.work, err = choose("kind of work", work, workNames); err != nil {
		return s, err
	}
	for _, field := range strings.Split(connections, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 || n > maxConnections {
			return s, fmt.Errorf("%q connections: use 1 to %d", field, maxConnections)
		}
		s.connections = append(s.connections, n)
	}
	if s.profiles != "" {
		if s.profiles, err = filepath.Abs(s.profiles); err != nil {
			return s, err
		}
	}
	return s, s.validate()
}

// maxConnections bounds the connections of one load: they are opened before anything is measured, all at once.
const maxConnections = 1000

func (s *settings) validate() error {
	switch {
	case s.runs < 1 || s.runs > 1000:
		return errors.New("-runs: use 1 to 1000")
	case s.duration < 10*time.Millisecond || s.duration > time.Hour:
		return errors.New("-seconds: use 0.01 to 3600")
	}
	return nil
}

// choose splits a list of names of which all must be known.
func choose(what, list string, known []string) ([]string, error) {
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown %s %q: use %s", what, name, strings.Join(known, ", "))
		}
	}
	return names, nil
}
