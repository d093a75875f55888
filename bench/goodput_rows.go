package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/sim"
)

// path is what a row of the table measures: a bottleneck, what it does to data, and its queue. ACKs come back by a link with
// the same rate and delay, and nothing else.
type path struct {
	name  string
	link  sim.Link
	queue float64 // in bandwidth-delay products
}

const mbit = 1_000_000

// Rates are moderate: two shared processors are to keep up with each, sender, receiver and relay together.
var paths = []path{
	{"clean", sim.Link{Rate: 10 * mbit, Delay: 10 * time.Millisecond}, 1},
	{"clean", sim.Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond}, 1},
	{"clean", sim.Link{Rate: 100 * mbit, Delay: 50 * time.Millisecond}, 1},
	{"clean", sim.Link{Rate: 200 * mbit, Delay: 5 * time.Millisecond}, 1},
	{"short queue", sim.Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond}, 0.1},
	{"long queue", sim.Link{Rate: 10 * mbit, Delay: 20 * time.Millisecond}, 8},
	{"0.1 % lost", sim.Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond, Loss: 0.001}, 1},
	{"1 % lost", sim.Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond, Loss: 0.01}, 1},
	{"1 % lost", sim.Link{Rate: 50 * mbit, Delay: 50 * time.Millisecond, Loss: 0.01}, 1},
	{"5 % lost", sim.Link{Rate: 20 * mbit, Delay: 25 * time.Millisecond, Loss: 0.05}, 1},
	{"1 % up to 5 ms late", sim.Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond, Reorder: 0.01, ReorderDelay: 5 * time.Millisecond}, 1},
	{"jitter 4 ms", sim.Link{Rate: 50 * mbit, Delay: 20 * time.Millisecond, Jitter: 4 * time.Millisecond}, 1},
}

// sharedPath is the one whose bottleneck two flows share.
var sharedPath = path{"clean", sim.Link{Rate: 50 * mbit, Delay: 10 * time.Millisecond}, 1}

// bdp is what is in flight on a full path, in bytes.
func (p *path) bdp() float64 { return float64(p.link.Rate) / 8 * (2 * p.link.Delay).Seconds() }

// leastQueue is that of any router, in bytes.
const leastQueue = 10 * 1500

// links are those of the relay, the way of the data first.
func (p *path) links() (there, back sim.Link) {
	there = p.link
	there.Queue = max(int(p.queue*p.bdp()), leastQueue)
	return there, sim.Link{Rate: p.link.Rate, Delay: p.link.Delay}
}

func (p *path) String() string {
	return fmt.Sprintf("%d Mbit/s, %v, %.1f BDP, %s", p.link.Rate/mbit, 2*p.link.Delay, p.queue, p.name)
}

// choosePaths returns those whose names contain the text; empty is contained in all.
func choosePaths(text string) []path {
	var chosen []path
	for i := range paths {
		if strings.Contains(paths[i].String(), text) {
			chosen = append(chosen, paths[i])
		}
	}
	return chosen
}

// sender is one of the two whose flows are compared.
type sender struct{ title, way string }

var (
	linux    = sender{"Linux", wayKernel}
	starfish = sender{"Starfish", wayInProcess}
)

// pair is two flows that share a path.
type pair struct {
	first, second sender
	congestion    string // of both
}

func (p *pair) String() string {
	return fmt.Sprintf("%s %s beside %s %s", p.first.title, p.congestion, p.second.title, p.congestion)
}

// choosePairs returns those whose names contain the text: like beside like, and ours beside the kernel's, for each congestion
// control.
func choosePairs(congestion []string, text string) []pair {
	var all []pair
	for _, cc := range congestion {
		for _, p := range []pair{{starfish, starfish, cc}, {linux, linux, cc}, {starfish, linux, cc}} {
			if strings.Contains(p.String(), text) {
				all = append(all, p)
			}
		}
	}
	return all
}
