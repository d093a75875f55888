package sim

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// situations are what scenarios are to explore: each is drawn by some seeds and left out by others.
var situations = map[string]func(*plan) bool{
	"no loss":        func(p *plan) bool { return p.links[0].Loss == 0 && p.links[0].Burst.Enter == 0 },
	"loss of a half": func(p *plan) bool { return p.links[0].Loss == 0.5 },
	"bursts of loss": func(p *plan) bool { return p.links[0].Burst.Enter > 0 },
	"reordering":     func(p *plan) bool { return p.links[0].Reorder > 0 },
	"duplication":    func(p *plan) bool { return p.links[0].Duplicate > 0 },
	"jitter":         func(p *plan) bool { return p.links[0].Jitter > 0 },
	"spikes": func(p *plan) bool {
		l := p.links[0]
		return l.Spike > 0 && l.SpikeDelay >= 300*time.Millisecond && l.SpikeDelay <= time.Second
	},
	"corruption": func(p *plan) bool { return p.links[0].Corrupt > 0 },
	"blackouts":  func(p *plan) bool { return len(p.links[0].Blackouts) > 0 },
	"asymmetric rates": func(p *plan) bool {
		a, b := p.links[0].Rate, p.links[1].Rate
		return min(a, b) > 0 && max(a, b) > 10*min(a, b)
	},
	"tail drop":        func(p *plan) bool { return p.links[0].Rate > 0 && p.links[0].Queue > 0 },
	"MTU changes":      func(p *plan) bool { return len(p.links[0].MTUChanges) > 0 },
	"black holes":      func(p *plan) bool { l := p.links[0]; return l.BlackHole && (l.MTU > 0 || len(l.MTUChanges) > 0) },
	"marks":            func(p *plan) bool { return p.links[0].Mark > 0 },
	"shrunk windows":   func(p *plan) bool { return p.links[0].Shrink > 0 },
	"clocks that jump": func(p *plan) bool { return len(p.hosts[0].Jumps) > 0 },
	"restarts":         func(p *plan) bool { return p.restart != nil },
	"stalls":           func(p *plan) bool { return p.conns[0].users[0].stall > 0 },
	"SYN cookies":      func(p *plan) bool { return p.hosts[0].Stack.SynCookies == tcp.SynCookiesAlways },
	"simultaneous":     func(p *plan) bool { return p.conns[0].opens == [2]bool{true, true} },
	"no timestamps":    func(p *plan) bool { return p.conns[0].users[0].options.NoTimestamps },
	"no SACK":          func(p *plan) bool { return p.conns[0].users[0].options.NoSACK },
	"no window scale":  func(p *plan) bool { return p.conns[0].users[0].options.NoWindowScale },
	"no pacing":        func(p *plan) bool { return p.conns[0].users[0].options.NoPacing },
	"fast open":        func(p *plan) bool { return p.conns[0].users[0].options.FastOpen },
	"ECN":              func(p *plan) bool { return p.conns[0].users[0].options.ECN == tcp.ECNOn },
	"accurate ECN":     func(p *plan) bool { return p.conns[0].users[0].options.ECN == tcp.ECNAccurate },
	"Reno":             func(p *plan) bool { return p.conns[0].users[0].options.Congestion == tcp.CongestionReno },
	"BBR":              func(p *plan) bool { return p.conns[0].users[0].options.Congestion == tcp.CongestionBBR },
	"tiny windows":     func(p *plan) bool { n := p.conns[0].users[0].options.RecvBuffer; return n > 0 && n < 10 },
	"rude users":       func(p *plan) bool { return !p.conns[0].polite() },
}

// TestScenariosExplore: no situation that the simulator is there for goes missing from what seeds draw.
func TestScenariosExplore(t *testing.T) {
	const seeds = 2000
	found := make(map[string]int)
	for seed := range uint64(seeds) {
		p := draw(New(seed).random(partScenario))
		for name, is := range situations {
			if is(p) {
				found[name]++
			}
		}
	}
	for name := range situations {
		if n := found[name]; n < seeds/200 || n > seeds*99/100 {
			t.Errorf("%s: in %d of %d scenarios", name, n, seeds)
		}
	}
}
