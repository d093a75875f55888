package tcp

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
)

// damaged is a stack with a connection that has data outstanding, a handshake and a TIME-WAIT record.
type damaged struct {
	*pair
	s        *Stack
	c        *conn
	listener *listener
}

// damages are what Check is to find.
var damages = map[string]func(*damaged){
	"free list":            func(x *damaged) { x.s.conns.free = append(x.s.conns.free, x.c.index) },
	"used":                 func(x *damaged) { x.s.conns.used++ },
	"tuple":                func(x *damaged) { delete(x.s.conns.byTuple, x.c.tuple) },
	"CurrEstab":            func(x *damaged) { x.s.stats.CurrEstab++ },
	"orphans":              func(x *damaged) { x.s.stats.Orphans++ },
	"orphan":               func(x *damaged) { x.c.orphan = true; x.s.stats.Orphans++ },
	"state":                func(x *damaged) { x.c.state = StateFinWait2 },
	"una":                  func(x *damaged) { x.c.snd.una-- },
	"nxt":                  func(x *damaged) { x.c.snd.nxt-- },
	"FIN":                  func(x *damaged) { x.c.finSent = true },
	"record":               func(x *damaged) { x.c.sent.at(0).end-- },
	"lost":                 func(x *damaged) { x.c.sent.lost++ },
	"SACKed":               func(x *damaged) { x.c.sent.at(0).flags |= recSacked },
	"send queue":           func(x *damaged) { x.c.sendq.Skip(1) },
	"unconsumed":           func(x *damaged) { x.c.rcv.unconsumed = -1 },
	"window":               func(x *damaged) { x.c.rcv.adv = x.c.rcv.nxt.Sub(1) },
	"empty reassembly":     func(x *damaged) { x.c.ooo = new(reassembly) },
	"no retransmit timer":  func(x *damaged) { x.c.disarm(timerRetransmit) },
	"timer not in wheel":   func(x *damaged) { x.s.wheel.cancel(&x.c.timers.node) },
	"timer too late":       func(x *damaged) { x.c.timers.deadline[timerRetransmit] = 1 },
	"ACK not queued":       func(x *damaged) { x.c.ackNow = true },
	"unacknowledged data":  func(x *damaged) { x.c.rcv.ackedUpTo-- },
	"unlinked":             func(x *damaged) { x.c.queued.inEvent = true },
	"transmit queue's end": func(x *damaged) { x.s.transmitLast = x.c },
	"event queue's end":    func(x *damaged) { x.s.eventLast = x.c },
	"waiting":              func(x *damaged) { x.c.waiting, x.c.listener = true, x.listener },
	"waits for nobody":     func(x *damaged) { x.c.waiting = true },
	"handshakes":           func(x *damaged) { x.listener.synCount++ },
	"listener":             func(x *damaged) { x.listener.closed = true },
	"lost handshake": func(x *damaged) {
		for _, r := range x.s.syns.byTuple {
			r.waiting.leave()
		}
	},
	"TIME-WAIT place": func(x *damaged) {
		for _, w := range x.s.timeWait.byTuple {
			w.place.leave()
		}
	},
	"TIME-WAIT user": func(x *damaged) {
		for _, w := range x.s.timeWait.byTuple {
			w.user = x.c
		}
	},
}

// TestCheckFinds damages what Check is to guard, one thing at a time.
func TestCheckFinds(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			l := p.listen(nil)
			ida, idb := p.dial(l, nil)
			p.enterTimeWait(ida, idb) // a waits
			ida, _ = p.dial(l, nil)
			id, err := p.a.stack.Listen(Endpoint{p.a.addr, 81}, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			half := tuple{local: p.a.addr, remote: p.b.addr, localPort: 81, remotePort: 7}
			p.advance(time.Millisecond)
			p.a.stack.HandlePacket(p.now, p.a.rawFrom(half, wire.Segment{Flags: wire.SYN, Window: 10}, nil))
			p.a.send(p.now, ida, 1000)
			for p.a.stack.PollTransmit(p.now, &p.a.out) {
			}
			p.a.poll()
			p.a.mustCheck()
			damage(&damaged{pair: p, s: p.a.stack, c: p.a.conn(ida), listener: p.a.stack.listeners.get(id)})
			if p.a.stack.Check() == nil {
				t.Error("not found")
			}
		})
	}
}
