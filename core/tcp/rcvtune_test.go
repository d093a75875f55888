package tcp

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// rounds sends as much from a to b as goes, reads of it what read says, and lets a millisecond pass, n times.
func (p *pair) rounds(n int, ida, idb ConnID, read func(got int)) {
	for range n {
		p.a.send(p.now, ida, 1<<20)
		p.advance(time.Millisecond)
		read(p.b.receive(p.now, idb))
	}
}

func TestRecvBufferGrowsWithWhatIsRead(t *testing.T) {
	for name, noTimestamps := range map[string]bool{"timestamps": false, "no timestamps": true} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.check = true
			l := p.listen(&Options{NoTimestamps: noTimestamps})
			ida, idb := p.dial(l, &Options{SendBuffer: 8 << 20})
			b := p.b.conn(idb)
			if b.rcv.buffer != 128<<10 || b.tuning != nil {
				t.Errorf("begins with %d bytes and tuning %v", b.rcv.buffer, b.tuning != nil)
			}
			most := 0
			last := b.rcv.buffer
			p.rounds(50, ida, idb, func(got int) {
				if b.rcv.buffer < last {
					t.Fatalf("shrinks from %d to %d", last, b.rcv.buffer)
				}
				last, most = b.rcv.buffer, max(most, got)
			})
			if int(b.rcv.buffer) < 2*most || most < maxUnsent-64<<10 {
				t.Errorf("the buffer has %d bytes for %d in a round", b.rcv.buffer, most)
			}
			if rtt := b.tuning.rtt; rtt > 3*time.Millisecond {
				t.Errorf("a round trip of 1 ms is measured as %v", rtt)
			}
			p.finish()
		})
	}
}

// TestRecvBufferReachesItsMaximum: and the state of tuning is given back then.
func TestRecvBufferReachesItsMaximum(t *testing.T) {
	const most = 300_000
	p := newPair(t, func(c *Config) { c.RecvBuffer = Autotuning{Initial: 10_000, Max: most} })
	p.check = true
	ida, idb := p.connect(nil)
	b := p.b.conn(idb)
	p.rounds(50, ida, idb, func(int) {
		if int(b.rcv.buffer) > most {
			t.Fatalf("%d bytes of buffer", b.rcv.buffer)
		}
	})
	if b.rcv.buffer != most || b.tuning != nil || b.rcv.scale != windowScaleFor(most) {
		t.Errorf("%d bytes of buffer, tuning %v, scale %d", b.rcv.buffer, b.tuning != nil, b.rcv.scale)
	}
	p.finish()
}

// A user who reads slowly, one who fixed the size, and one who receives little get no more than they began with.
func TestRecvBufferStays(t *testing.T) {
	for _, tt := range []struct {
		name  string
		opt   Options
		want  int32
		drive func(p *pair, ida, idb ConnID)
	}{
		{"fixed", Options{RecvBuffer: 100_000}, 100_000, func(p *pair, ida, idb ConnID) {
			p.rounds(50, ida, idb, func(int) {})
		}},
		{"little is received", Options{}, 128 << 10, func(p *pair, ida, idb ConnID) {
			for range 100 {
				p.a.send(p.now, ida, 10_000)
				p.advance(time.Millisecond)
				p.b.receive(p.now, idb)
			}
		}},
		{"little is read", Options{}, 128 << 10, func(p *pair, ida, idb ConnID) {
			for range 100 {
				p.a.send(p.now, ida, 100_000)
				p.advance(time.Millisecond)
				n, _ := p.b.stack.Receive(idb, &p.b.received, 1000)
				p.b.received.Clear()
				p.b.stack.Consumed(p.now, idb, n)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			p.check = true
			ida, idb := p.connect(&tt.opt)
			tt.drive(p, ida, idb)
			if got := p.b.conn(idb).rcv.buffer; got != tt.want {
				t.Errorf("the buffer has %d bytes, want %d", got, tt.want)
			}
			p.finish()
		})
	}
}

// SetOptions fixes the buffer as SO_RCVBUF does, and ends tuning.
func TestSetOptionsFixesRecvBuffer(t *testing.T) {
	p := newPair(t)
	p.check = true
	ida, idb := p.connect(nil)
	b := p.b.conn(idb)
	p.rounds(10, ida, idb, func(int) {})
	grown := b.rcv.buffer
	if err := p.b.stack.SetOptions(p.now, idb, &Options{RecvBuffer: 200_000}); err != nil {
		t.Fatal(err)
	}
	p.rounds(50, ida, idb, func(int) {})
	if grown <= 200_000 || b.rcv.buffer != 200_000 || b.tuning != nil {
		t.Errorf("%d bytes before, %d after, tuning %v", grown, b.rcv.buffer, b.tuning != nil)
	}
	if w := int(b.rcvWindow()); w > 200_000 {
		t.Errorf("the window stays at %d", w)
	}
	p.finish()
}

func TestRecvBufferWanted(t *testing.T) {
	c := &conn{rcv: recvVars{mss: 1000}}
	for _, tt := range []struct {
		name                       string
		space, consumed, gap, want int
	}{
		{"a little more", 100_000, 101_000, 0, 202_000 + 2020 + 16_000},
		{"slow start", 100_000, 200_000, 0, 800_000 + 16_000},
		{"no more than slow start", 100_000, 1_000_000, 0, 4_000_000 + 16_000},
		{"data out of order", 100_000, 200_000, 50_000, 850_000 + 16_000},
		{"no overflow", 1 << 29, 1 << 30, 0, 4<<30 + 16_000},
	} {
		c.ooo = nil
		if tt.gap > 0 {
			c.ooo = &reassembly{bytes: tt.gap}
		}
		tuning := rcvTuning{space: tt.space}
		if got := tuning.want(c, tt.consumed); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// The round-trip time of a receiver: the least echo of a round with timestamps, else the time that a window takes.
func TestReceiverRoundTrip(t *testing.T) {
	var r rcvTuning
	r.echo = 5
	r.sampleEcho(100, 5) // measured before: the sender has waited
	if r.least != 0 {
		t.Errorf("an old echo gave %v", r.least)
	}
	r.sampleEcho(100, 60)
	r.sampleEcho(150, 130)
	r.sampleEcho(190, 155)
	if r.least != 20*time.Millisecond || r.rtt != 40*time.Millisecond {
		t.Errorf("least %v, first %v", r.least, r.rtt)
	}
	r.sampleEcho(10, 20) // from the future
	r.sampleEcho(30, 30) // less than a tick
	if r.least != tsTick {
		t.Errorf("less than a tick gave %v", r.least)
	}
}

func TestWindowTimeIsRoundTrip(t *testing.T) {
	p := newPair(t)
	_, idb := p.connect(&Options{NoTimestamps: true})
	c := p.b.conn(idb)
	c.rtt = rttEstimator{} // as after a handshake whose SYN-ACK was repeated
	sent := 0
	arrive := func(n int) {
		seg := wire.Segment{Seq: c.rcv.irs.Add(1).Add(seqnum.Size(sent)), Ack: c.snd.nxt, Flags: wire.ACK, Window: 65_535}
		p.b.stack.HandlePacket(p.now, p.b.raw(c, seg, make([]byte, n)))
		sent += n
		p.b.receive(p.now, idb)
		p.advance(10 * time.Millisecond)
	}
	for range 5 * (128 << 10) / 10_000 { // a window comes in some 130 ms
		arrive(10_000)
	}
	if rtt := c.tuning.rtt; rtt < 100*time.Millisecond || rtt > 200*time.Millisecond {
		t.Errorf("measured %v", rtt)
	}
	p.finish()
}
