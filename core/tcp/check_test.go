package tcp

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
)

// TestCheckFinds damages what Check is to guard, one thing at a time.
func TestCheckFinds(t *testing.T) {
	type bench struct {
		*pair
		s        *Stack
		c        *conn // with data outstanding
		listener *listener
	}
	for name, damage := range map[string]func(*bench){
		"free list":            func(x *bench) { x.s.conns.free = append(x.s.conns.free, x.c.index) },
		"used":                 func(x *bench) { x.s.conns.used++ },
		"tuple":                func(x *bench) { delete(x.s.conns.byTuple, x.c.tuple) },
		"CurrEstab":            func(x *bench) { x.s.stats.CurrEstab++ },
		"state":                func(x *bench) { x.c.state = StateFinWait2 },
		"una":                  func(x *bench) { x.c.snd.una-- },
		"nxt":                  func(x *bench) { x.c.snd.nxt-- },
		"FIN":                  func(x *bench) { x.c.finSent = true },
		"record":               func(x *bench) { x.c.sent.at(0).end-- },
		"lost":                 func(x *bench) { x.c.sent.lost++ },
		"SACKed":               func(x *bench) { x.c.sent.at(0).flags |= recSacked },
		"send queue":           func(x *bench) { x.c.sendq.Skip(1) },
		"unconsumed":           func(x *bench) { x.c.rcv.unconsumed = -1 },
		"window":               func(x *bench) { x.c.rcv.adv = x.c.rcv.nxt.Sub(1) },
		"empty reassembly":     func(x *bench) { x.c.ooo = new(reassembly) },
		"no retransmit timer":  func(x *bench) { x.c.disarm(timerRetransmit) },
		"timer not in wheel":   func(x *bench) { x.s.wheel.cancel(&x.c.timers.node) },
		"timer too late":       func(x *bench) { x.c.timers.deadline[timerRetransmit] = 1 },
		"ACK not queued":       func(x *bench) { x.c.ackNow = true },
		"unacknowledged data":  func(x *bench) { x.c.rcv.ackedUpTo-- },
		"unlinked":             func(x *bench) { x.c.queued.inEvent = true },
		"transmit queue's end": func(x *bench) { x.s.transmitLast = x.c },
		"event queue's end":    func(x *bench) { x.s.eventLast = x.c },
		"waiting":              func(x *bench) { x.c.waiting, x.c.listener = true, x.listener },
		"waits for nobody":     func(x *bench) { x.c.waiting = true },
		"handshakes":           func(x *bench) { x.listener.synCount++ },
		"listener":             func(x *bench) { x.listener.closed = true },
		"lost handshake": func(x *bench) {
			for _, r := range x.s.syns.byTuple {
				r.waiting.leave()
			}
		},
		"TIME-WAIT place": func(x *bench) {
			for _, w := range x.s.timeWait.byTuple {
				w.place.leave()
			}
		},
		"TIME-WAIT user": func(x *bench) {
			for _, w := range x.s.timeWait.byTuple {
				w.user = x.c
			}
		},
	} {
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
			damage(&bench{pair: p, s: p.a.stack, c: p.a.conn(ida), listener: p.a.stack.listeners.get(id)})
			if p.a.stack.Check() == nil {
				t.Error("not found")
			}
		})
	}
}
