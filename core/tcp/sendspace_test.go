package tcp

import (
	"testing"
)

// What can't be sent yet stays with its owner, up to a bound that the send buffer may lower.
func TestSendTakesWhatMayLeaveSoon(t *testing.T) {
	for _, tt := range []struct {
		name       string
		sendBuffer int
		want       int
	}{
		{"large buffer", 8 << 20, maxUnsent},
		{"small buffer", 100_000, 100_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			ida, idb := p.connect(&Options{SendBuffer: tt.sendBuffer})
			if n := p.a.send(p.now, ida, 16<<20); n != tt.want {
				t.Errorf("Send took %d bytes before any left, want %d", n, tt.want)
			}
			if n := p.a.stack.SendSpace(ida); n != 0 {
				t.Errorf("SendSpace = %d, want 0", n)
			}
			clear(p.a.events)
			p.flow()
			if p.a.events[ida]&EventWritable == 0 {
				t.Error("no EventWritable though bytes left")
			}
			p.b.receive(p.now, idb)
			p.flow()
			if got := p.a.stack.SendSpace(ida); got != tt.want {
				t.Errorf("SendSpace = %d after all was acknowledged, want %d", got, tt.want)
			}
		})
	}
}

// A mark in the sequence space lies ahead again once 2^31 bytes have passed it, if nobody moves it along.
func TestMarksDoNotGoStale(t *testing.T) {
	p := newPair(t)
	ida, idb := p.connect(nil)
	c := p.a.conn(ida)
	move := func(n int) {
		for n > 0 {
			n -= p.a.send(p.now, ida, n)
			p.flow()
			p.b.receive(p.now, idb)
			p.flow()
		}
	}
	move(1) // a segment that is not full: Nagle's algorithm waits for its acknowledgment
	p.advance(c.rto())
	whole := maxUnsent / c.mss * c.mss
	for moved := 0; moved <= 1<<31; moved += whole {
		move(whole)
	}
	p.advance(c.rto())

	if c.snd.una.Less(c.snd.limitedUntil) {
		t.Errorf("what was limited by cwnd ends at %d, beyond SND.UNA %d with nothing outstanding", c.snd.limitedUntil, c.snd.una)
	}
	p.a.send(p.now, ida, 1)
	if _, payload, ok := p.a.next(p.now); !ok || len(payload) != 1 {
		t.Error("a byte waits though nothing is outstanding")
	}
}
