package sim

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// politePlan is one connection from host 0 to host 1 over a clean link of 10 ms, with a few bytes each way.
func politePlan() *plan {
	p := &plan{conns: []connPlan{{
		opens: [2]bool{true, false}, ports: [2]uint16{40_000, 80}, contentKeys: [2]content{1, 2},
	}}}
	for side := range 2 {
		p.hosts[side] = HostConfig{
			Addrs: []wire.Addr{wire.Addr4([4]byte{10, 0, 0, byte(side + 1)})},
			Stack: tcp.Config{MTU: 1500, RecvBuffer: tcp.Autotuning{Initial: 128 << 10, Max: 8 << 20}, SendBuffer: tcp.Autotuning{Initial: 128 << 10, Max: 8 << 20}},
		}
		p.links[side] = Link{Delay: 10 * time.Millisecond}
		p.conns[0].users[side] = userPlan{
			total: 3000, piece: 1000, limit: 10_000, ending: endHalfClose,
			options: tcp.Options{UserTimeout: 24 * time.Hour, ConnectTimeout: 24 * time.Hour},
		}
	}
	return p
}

// TestForgottenByCookie (found by seed 5699): what a SYN cookie was to become is lost when nothing that the link lets
// through within the cookie's life brings it back. Short of that, the connection is there.
func TestForgottenByCookie(t *testing.T) {
	for _, c := range []struct {
		silence   time.Duration
		forgotten int
	}{{0, 0}, {time.Minute, 0}, {5 * time.Minute, 1}} {
		p := politePlan()
		p.hosts[1].Stack.SynCookies = tcp.SynCookiesAlways
		p.links[0].Blackouts = []Period{{From: tcp.Time(5 * time.Millisecond), To: tcp.Time(c.silence)}}
		res, trace, err := playPlan(New(1), p, traceLines)
		if err != nil {
			t.Fatalf("after a silence of %v: %v\n%s", c.silence, err, trace)
		}
		if res.Forgotten != c.forgotten {
			t.Errorf("after a silence of %v: %d connections forgotten, want %d\n%s", c.silence, res.Forgotten, c.forgotten, trace)
		}
	}
}

// TestRestart: who opened a connection opens it again from the same port, past what the end that lives on still holds of
// the old one (RFC 9293 §3.5.1), and everything arrives once more.
func TestRestart(t *testing.T) {
	for host := range 2 {
		p := politePlan()
		p.restart = &restartPlan{host: host, at: 100 * time.Millisecond, again: 10 * time.Millisecond}
		for side := range 2 {
			u := &p.conns[0].users[side]
			u.total, u.sendPause = 50_000, 10*time.Millisecond
			u.options.KeepAlive, u.options.KeepAliveInterval, u.options.KeepAliveCount = 30*time.Second, 10*time.Second, 10
		}
		res, trace, err := playPlan(New(1), p, traceLines)
		if err != nil {
			t.Fatalf("host %d: %v\n%s", host, err, trace)
		}
		if res.Renewed != 1 || res.Bytes < 100_000 {
			t.Errorf("host %d: %d connections opened again, %d bytes received\n%s", host, res.Renewed, res.Bytes, trace)
		}
	}
}

// TestStall: a user that reads nothing for long closes its window, and the peer asks until it opens again (RFC 9293 §3.8.6.1).
func TestStall(t *testing.T) {
	const stall = 30 * time.Minute
	p := politePlan()
	p.conns[0].users[0].total = 100_000
	p.conns[0].users[1].options.RecvBuffer = 10_000
	p.conns[0].users[1].stallAfter, p.conns[0].users[1].stall = 20_000, stall
	res, trace, err := playPlan(New(1), p, traceLines)
	if err != nil {
		t.Fatalf("%v\n%s", err, trace)
	}
	if res.Elapsed < stall || res.Bytes != 103_000 {
		t.Errorf("after %v: %d bytes received\n%s", res.Elapsed, res.Bytes, trace)
	}
}

// TestClockJumps: timers that a leap of the clock makes due all at once do no harm to a transfer.
func TestClockJumps(t *testing.T) {
	for host := range 2 {
		p := politePlan()
		p.hosts[host].Jumps = []Jump{{At: tcp.Time(35 * time.Millisecond), By: time.Hour}, {At: tcp.Time(45 * time.Millisecond), By: time.Second}}
		for side := range 2 {
			p.conns[0].users[side].total = 200_000
		}
		res, trace, err := playPlan(New(1), p, traceLines)
		if err != nil {
			t.Fatalf("host %d: %v\n%s", host, err, trace)
		}
		if res.Bytes != 400_000 {
			t.Errorf("host %d: %d bytes received\n%s", host, res.Bytes, trace)
		}
	}
}

// TestWindowsShrinkUnderTransfer: a sender copes with a peer that takes back half of what it promises (RFC 9293 §3.8.6, MUST-34).
func TestWindowsShrinkUnderTransfer(t *testing.T) {
	p := politePlan()
	p.links[1].Shrink = 0.5
	p.conns[0].users[0].total = 200_000
	res, trace, err := playPlan(New(1), p, traceLines)
	if err != nil || res.Bytes != 203_000 {
		t.Fatalf("%d bytes received, %v\n%s", res.Bytes, err, trace)
	}
}

// foundSeeds are seeds that failed once, and what their scenarios are about, as far as no test above plays it by itself. What a seed
// draws changes with the plans, so that these are a memory of what was found and no more.
var foundSeeds = map[uint64]string{
	16096:  "a passive end restarts while SYNs of both times are under way",
	20237:  "a half-open connection answers the SYN after a restart",
	29154:  "an old ACK brings a SYN cookie back after the connection is over",
	42106:  "the same after a restart",
	68071:  "the ACK of before a restart is accepted after it, by a cookie",
	106599: "an old SYN makes a ghost with the fixed initial sequence number",
	143365: "the same after an abort, whose reset is lost",
	261702: "a user has not read all when its connection has ended, and the peer restarts",
	324450: "the ghost of a SYN cookie asks whether its peer is alive",
	345894: "SYN cookies of two periods behind a reset for an old segment",
	405307: "the same while the user has not read all",
	693558: "two ends of different connections after a restart with SYN cookies",
	721835: "data is sent again without the Accurate ECN option, beside SACK blocks, in small segments",
	191389: "an old ACK brings back the SYN cookie of before a restart, while the new one is on its way",
}

func TestFoundSeeds(t *testing.T) {
	for seed, about := range foundSeeds {
		if _, err := Run(seed); err != nil {
			t.Errorf("%s: %v", about, err)
		}
	}
}
