package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The devices of the relay: the near one is in the namespace of the senders, the far one in the sink's.
const nearDevice = "sfgnear"

var (
	wireLink   = link{Device: "sfgfar", MTU: 1500, Local: netip.MustParsePrefix("10.99.0.2/24"), Peer: netip.MustParsePrefix("10.99.0.1/24"), Onward: true}
	senderLink = link{Device: "sfgtun", MTU: 1500, Local: netip.MustParsePrefix("10.98.1.2/24"), Peer: netip.MustParsePrefix("10.98.1.1/24")}
)

// goodputCast are the processes: a kernel sink behind the relay, and a sender of each kind before it.
type goodputCast struct {
	settings *goodputSettings
	sink     *process
	workers  map[string]*process // by way
	wire     *wire
}

// goodput measures, of Starfish and of Linux, what one flow gets of a path and how two share one. It runs in the senders'
// namespace.
func goodput(ctx context.Context, s *goodputSettings) error {
	c := &goodputCast{settings: s, workers: make(map[string]*process)}
	if s.samples != "" {
		if err := os.MkdirAll(s.samples, 0o755); err != nil {
			return err
		}
	}
	if err := c.fill(ctx); err != nil {
		return err
	}
	d := newGoodputDocument(s)
	if err := errors.Join(c.measure(d), c.stop()); err != nil {
		return err
	}
	d.evaluate()
	if s.output != "" {
		if err := d.write(s.output); err != nil {
			return err
		}
	}
	return d.table(os.Stdout)
}

func (c *goodputCast) fill(ctx context.Context) error {
	if err := errors.Join(ipCommands("link set lo up"), tuneKernel()); err != nil {
		return err
	}
	var err error
	if c.sink, err = start(ctx, rolePeer, rolePeer, unix.CLONE_NEWNET); err != nil {
		return err
	}
	if c.wire, err = newWire(&wireLink, c.sink.pid()); err != nil {
		return err
	}
	if _, err := c.sink.do(order{Setup: &setup{Link: wireLink}}); err != nil {
		return err
	}
	for _, s := range []struct {
		way  string
		link link
	}{{wayKernel, link{}}, {wayInProcess, senderLink}} {
		p, err := start(ctx, s.way, roleWorker, 0)
		if err != nil {
			return err
		}
		if _, err := p.do(order{Setup: &setup{Way: s.way, Link: s.link, Peer: wireLink.Local.Addr()}}); err != nil {
			return err
		}
		c.workers[s.way] = p
	}
	return nil
}

func (c *goodputCast) stop() error {
	return errors.Join(c.workers[wayKernel].stop(), c.workers[wayInProcess].stop(), c.sink.stop(), c.wire.close())
}

// measure does all runs. The senders take turns, and the path does the same to the packets of both.
func (c *goodputCast) measure(d *goodputDocument) error {
	s := c.settings
	for run := range s.runs {
		for i := range s.paths {
			for _, cc := range s.congestion {
				progress(fmt.Sprintf("run %d of %d: %v, %s", run+1, s.runs, &s.paths[i], cc))
				for _, from := range inTurn(run, starfish, linux) {
					got, err := c.alone(&s.paths[i], from, cc, run)
					if err != nil {
						return fmt.Errorf("%v: %s %s: %w", &s.paths[i], from.title, cc, err)
					}
					d.addAlone(i, cc, from, got)
				}
			}
		}
		for i := range s.pairs {
			progress(fmt.Sprintf("run %d of %d: %v", run+1, s.runs, &s.pairs[i]))
			got, err := c.together(&s.pairs[i], run)
			if err != nil {
				return fmt.Errorf("%v: %w", &s.pairs[i], err)
			}
			d.addTogether(i, got)
		}
	}
	progress("")
	return nil
}

// inTurn has another one begin in each run.
func inTurn(run int, a, b sender) [2]sender {
	if run%2 == 0 {
		return [2]sender{a, b}
	}
	return [2]sender{b, a}
}

// alone measures a flow that has the path for itself.
func (c *goodputCast) alone(p *path, from sender, congestion string, run int) (*observation, error) {
	l := load{Work: workGoodput, Connections: 1, Duration: c.settings.duration, Congestion: congestion}
	return c.observe(p, &l, run, []sender{from})
}

// together measures two flows, the second a second after the first. Of two different ones another begins in each run.
func (c *goodputCast) together(p *pair, run int) (*observation, error) {
	shared := c.settings.shared
	l := load{
		Work: workGoodput, Connections: maxFlows, Congestion: p.congestion,
		Duration: shared, WarmUp: shared / 3, Stagger: min(time.Second, shared/3),
	}
	if p.first == p.second {
		return c.observe(&sharedPath, &l, run, []sender{p.first})
	}
	turns := inTurn(run, p.first, p.second)
	o, err := c.observe(&sharedPath, &l, run, turns[:])
	if err == nil && turns[0] != p.first {
		o.goodput[0], o.goodput[1] = o.goodput[1], o.goodput[0]
	}
	return o, err
}

// observe has the senders send over a path at the same time, each its part of the load's connections.
func (c *goodputCast) observe(p *path, l *load, run int, from []sender) (*observation, error) {
	stopPath, err := c.wire.emulate(p, c.settings.seed+uint64(run))
	if err != nil {
		return nil, err
	}
	type answer struct {
		figures map[string]float64
		err     error
	}
	answers := make(chan answer, len(from))
	for i, s := range from {
		part := *l
		part.Connections = l.Connections / len(from)
		part.First = i * part.Connections
		part.Samples = c.samplesFile(p, l, s, run, len(from))
		go func() {
			figures, err := c.workers[s.way].do(order{Load: &part})
			answers <- answer{figures, err}
		}()
	}
	counted, err := c.sink.do(order{Load: l})
	o := &observation{}
	for range from {
		a := <-answers
		err = errors.Join(err, a.err)
		o.addSender(a.figures)
	}
	stats, stopErr := stopPath()
	o.addPath(&stats)
	for i := range l.Connections {
		o.goodput = append(o.goodput, counted[goodputMetric(i)])
	}
	return o, errors.Join(err, stopErr)
}

// samplesFile names the file for what the flows of a sender look like, empty for none.
func (c *goodputCast) samplesFile(p *path, l *load, s sender, run, senders int) string {
	if c.settings.samples == "" {
		return ""
	}
	name := fmt.Sprintf("%v, %s %s, %d of %d flows, run %d.csv", p, s.title, l.Congestion, l.Connections/senders, l.Connections, run+1)
	return filepath.Join(c.settings.samples, strings.ReplaceAll(strings.ReplaceAll(name, "/", " per "), " ", "_"))
}
