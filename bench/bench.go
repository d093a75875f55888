package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

// command is what the arguments ask for, to be done in namespaces of its own.
type command struct {
	do     func(context.Context) error
	urgent bool // its processes had better not wait for others
}

func parse(args []string) (command, error) {
	if len(args) > 0 && args[0] == "goodput" {
		s, err := parseGoodputFlags(args[1:])
		return command{func(ctx context.Context) error { return goodput(ctx, s) }, true}, err
	}
	s, err := parseFlags(args)
	return command{do: func(ctx context.Context) error { return bench(ctx, &s) }}, err
}

// obey does what the arguments ask for.
func obey(args []string) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	return c.do(ctx)
}

// bench measures everything. It runs in the peer's namespace.
func bench(ctx context.Context, s *settings) error {
	c, err := newCast(ctx, s)
	if err != nil {
		return err
	}
	d := document{Machine: describeMachine(), MTU: s.mtu, Kernel: congestionControlHere(), Runs: s.runs, Seconds: s.duration.Seconds()}
	if err := measure(s, c, &d); err != nil {
		return err
	}
	if err := c.stop(); err != nil {
		return err
	}
	d.evaluate()
	if s.output != "" {
		if err := d.write(s.output); err != nil {
			return err
		}
	}
	return d.table(os.Stdout, s.ways)
}

// loads are the pieces of work of one run.
func loads(s *settings) []load {
	var all []load
	for _, work := range s.work {
		connections := s.connections
		switch work {
		case workPingPong:
			connections = []int{1}
		case workConnect:
			connections = []int{1, 64}
		}
		for _, n := range connections {
			all = append(all, load{Work: work, Connections: n, Duration: s.duration})
		}
	}
	return all
}

// measure does all runs. The ways take turns for each load, beginning with another one in each run, so that what changes
// on the machine meets all of them.
func measure(s *settings, c *cast, d *document) error {
	for run := range s.runs {
		turn := run % len(s.ways)
		turns := slices.Concat(s.ways[turn:], s.ways[:turn])
		for _, l := range loads(s) {
			progress(fmt.Sprintf("run %d of %d: %s, %d connections", run+1, s.runs, workTitles[l.Work], l.Connections))
			for _, way := range turns {
				l.Processes = c.processes(way)
				figures, err := c.workers[way].do(order{Load: &l})
				if err != nil {
					return fmt.Errorf("%s, %d connections: %w", l.Work, l.Connections, err)
				}
				d.add(&l, way, figures)
			}
		}
	}
	progress("")
	return nil
}

// progress shows a line in place of the last one, where somebody may be watching.
func progress(line string) {
	if _, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS); err == nil {
		fmt.Fprintf(os.Stderr, "\r%s\x1b[K", line)
	}
}
