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
			ida, idb := p.connect(&Options{SendBuffer: tt.sendBuffer, RecvBuffer: 8 << 20})
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

// A send buffer without a size of its own takes what is in flight and one congestion window, between its bounds.
func TestSendBufferFollowsCongestionWindow(t *testing.T) {
	const initial, most = 64 << 10, 500_000
	for _, tt := range []struct {
		name               string
		cwnd, flight, want int
	}{
		{"a young connection", 14_480, 0, initial},
		{"idle with a wide window", 200_000, 0, 200_000},
		{"a window in flight", 200_000, 200_000, 400_000},
		{"in recovery", 100_000, 200_000, 300_000},
		{"a wide path", 400_000, 400_000, most},
		{"after a timeout", 1448, 400_000, 401_448},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, func(c *Config) { c.SendBuffer = Autotuning{Initial: initial, Max: most} })
			p.check = true
			ida, _ := p.connect(&Options{RecvBuffer: 1 << 20, Congestion: CongestionReno})
			c := p.a.conn(ida)
			window := &c.cc.(*reno).window
			*window, c.snd.wnd = 1<<20, 1<<20
			if n := p.a.send(p.now, ida, tt.flight); n != tt.flight {
				t.Fatalf("Send took %d bytes", n)
			}
			p.filter = func(to *end, _ *Transmit) bool { return to != p.b }
			p.flow()
			*window = tt.cwnd
			if got := p.a.status(ida).SendBuffer; got != tt.want || c.flight() != tt.flight {
				t.Errorf("%d bytes with %d in flight, want %d with %d", got, c.flight(), tt.want, tt.flight)
			}
			if n := p.a.send(p.now, ida, 1<<20); n != tt.want-tt.flight {
				t.Errorf("Send took %d bytes beside %d in flight, want %d in all", n, tt.flight, tt.want)
			}
			if err := p.a.stack.SetOptions(p.now, ida, &Options{SendBuffer: 1 << 20}); err != nil || p.a.status(ida).SendBuffer != 1<<20 {
				t.Errorf("a fixed size came to %d, %v", p.a.status(ida).SendBuffer, err)
			}
			p.finish()
		})
	}
}

// A user who waits is woken once a third is free, and not before.
func TestWritableAtAThird(t *testing.T) {
	const size = 90_000
	p := newPair(t, func(c *Config) { c.SegmentationOffload4 = false })
	ida, _ := p.connect(&Options{SendBuffer: size, RecvBuffer: 1 << 20, NoTimestamps: true})
	p.a.send(p.now, ida, size+1)
	clear(p.a.events)
	for freed := false; !freed; {
		if !p.carry(p.a) {
			p.carry(p.b)
		}
		free := p.a.stack.SendSpace(ida)
		freed = p.a.events[ida]&EventWritable != 0
		if freed != (free >= size/3) {
			t.Fatalf("%d bytes free of %d, writable: %v", free, size, freed)
		}
	}
	p.finish()
}

// A mark in the sequence space lies ahead again once 2^31 bytes have passed it, if nobody moves it along.
func TestMarksDoNotGoStale(t *testing.T) {
	p := newPair(t)
	ida, idb := p.connect(&Options{SendBuffer: 4 << 20, RecvBuffer: 4 << 20})
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
