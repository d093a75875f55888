package sim

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// trouble adds what happens to hosts and paths while connections live. It comes behind all other draws.
func (d dice) trouble(p *plan) {
	for i := range p.links {
		l := &p.links[i]
		if !l.Whole && d.oneIn(8) {
			d.changeMTU(l, p.v6, min(p.hosts[0].Stack.MTU, p.hosts[1].Stack.MTU))
		}
		if d.oneIn(10) {
			l.Shrink = pick(d, 0.01, 0.1, 0.5)
		}
		if d.oneIn(40) {
			l.Loss = 0.5
		}
		if d.oneIn(20) {
			l.Spike, l.SpikeDelay = 0.02, d.duration(300*time.Millisecond, time.Second)
		}
		if d.oneIn(20) {
			l.Rate, l.Queue = int64(d.scale(64_000, 1_000_000)), d.scale(4000, 1<<18)
			if l.Whole {
				l.Queue = 1 << 20
			}
		}
	}
	for i := range p.hosts {
		if d.oneIn(10) {
			p.hosts[i].Jumps = d.jumps()
		}
	}
	for i := range p.conns {
		for side := range p.conns[i].users {
			if u := &p.conns[i].users[side]; d.oneIn(10) {
				u.stallAfter, u.stall = d.scale(1, 100_000), d.duration(time.Second, 20*time.Minute)
			}
		}
	}
	if d.oneIn(10) {
		d.restart(p)
	}
}

// changeMTU draws routes of other MTUs than a path has at first.
func (d dice) changeMTU(l *Link, v6 bool, most int) {
	least := 576
	if v6 {
		least = 1280
	}
	for at := tcp.Time(0); len(l.MTUChanges) < 3; {
		at = at.Add(d.duration(time.Millisecond, 30*time.Second))
		l.MTUChanges = append(l.MTUChanges, MTUChange{From: at, MTU: least + d.IntN(max(1, most-least+1))})
	}
	l.BlackHole = l.BlackHole || d.oneIn(3)
}

// jumps draws leaps of a clock.
func (d dice) jumps() []Jump {
	var list []Jump
	for range 1 + d.IntN(3) {
		list = append(list, Jump{At: tcp.Time(d.duration(time.Millisecond, 30*time.Second)), By: d.duration(time.Millisecond, time.Hour)})
	}
	return list
}

// strangersTimeout ends what a restart and SYN cookies can make: an old ACK has its cookie make a connection of before the
// restart, while the peer believes in the new one. Each answers the other and neither resets (RFC 9293 §3.5.1 knows but one end
// that is out of step): only data that is never acknowledged shows it. It is longer than all else that keeps data from getting
// through: the leaps of clocks come to 3 h.
const strangersTimeout = 6 * time.Hour

// restart draws a host that loses all it knows. Its peer notices by what it sends, and by keep-alive when that is nothing.
func (d dice) restart(p *plan) {
	p.restart = &restartPlan{
		host: d.IntN(2), at: d.duration(time.Millisecond, 10*time.Second), again: d.duration(time.Microsecond, time.Second),
	}
	cookies := p.hosts[0].Stack.SynCookies == tcp.SynCookiesAlways || p.hosts[1].Stack.SynCookies == tcp.SynCookiesAlways
	for i := range p.conns {
		for side := range p.conns[i].users {
			// With initial sequence numbers that don't differ, old segments would pass for new ones.
			o := &p.conns[i].users[side].options
			o.FixedISN = nil
			o.KeepAlive, o.KeepAliveInterval, o.KeepAliveCount = 30*time.Second, 10*time.Second, 127
			if cookies {
				o.UserTimeout = strangersTimeout
			}
		}
	}
}
