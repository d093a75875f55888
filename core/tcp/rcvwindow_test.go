package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
)

func TestWindowScaleForBuffer(t *testing.T) {
	for buffer, want := range map[int]uint8{
		1: 0, 65_535: 0, 65_536: 1, 131_070: 1, 131_071: 2, 4 << 20: 7, MaxBuffer: 14, 1 << 40: 14,
	} {
		if got := windowScaleFor(buffer); got != want {
			t.Errorf("scale for %d bytes is %d, want %d", buffer, got, want)
		}
	}
}

// windowTest plays a user who reads and a peer who fills the window, byte-exactly.
type windowTest struct {
	t    *testing.T
	rng  *rand.Rand
	s    *Stack
	c    *conn
	edge seqnum.Value // the rightmost that the peer has seen
}

func (x *windowTest) announce() {
	before, room := x.c.rcv.adv, x.c.grantable(x.s.recvLimit(x.c))
	field := x.s.announceWindow(x.c)
	c := x.c
	unit := seqnum.Size(1) << c.rcv.scale
	edge := c.rcv.nxt.Add(seqnum.Size(field) << c.rcv.scale)
	if c.rcv.adv.Less(before) {
		x.t.Fatalf("the window moved left from %d to %d", before, c.rcv.adv)
	}
	if edge.Add(unit - 1).Less(x.edge) {
		x.t.Fatalf("the peer sees the edge retreat from %d to %d, by a unit of %d or more", x.edge, edge, unit)
	}
	if promised := int(c.rcv.nxt.Size(c.rcv.adv)) + c.rcv.unconsumed; promised > int(c.rcv.buffer) {
		x.t.Fatalf("%d bytes promised and held, the buffer has %d", promised, c.rcv.buffer)
	}
	if x.edge.Less(edge) {
		step := min(int(c.rcv.buffer)/2, c.announcedMSS())
		if gain := int(before.Size(edge)); gain < step && gain >= int(unit) {
			x.t.Fatalf("the edge moves by %d, silly below %d (granted %d)", gain, step, before.Size(room))
		}
		x.edge = edge
	}
}

func (x *windowTest) step() {
	c := x.c
	switch x.rng.IntN(4) {
	case 0, 1: // the peer sends, up to the edge that it has seen
		most := int(c.rcv.nxt.Size(x.edge))
		if c.rcv.adv.Less(x.edge) {
			x.t.Fatalf("the peer may send up to %d, the window ends at %d", x.edge, c.rcv.adv)
		}
		if n := min(most, 1+x.rng.IntN(3000)); n > 0 {
			c.rcv.nxt = c.rcv.nxt.Add(seqnum.Size(n))
			c.rcv.unconsumed += n
		}
		x.announce()
	case 2: // the user reads
		if c.rcv.unconsumed > 0 {
			c.rcv.unconsumed -= 1 + x.rng.IntN(min(c.rcv.unconsumed, 5000))
		}
		x.s.updateWindow(c)
		if c.ackNow {
			c.ackNow = false
			x.announce()
		}
	case 3:
		x.announce()
	}
}

func TestReceiveWindowAgainstBuffer(t *testing.T) {
	for seed := range uint64(300) {
		p := newPair(t)
		rng := rand.New(rand.NewPCG(seed, 3))
		opt := Options{RecvBuffer: 1 + rng.IntN(1<<rng.IntN(24))}
		ida, _ := p.connect(&opt)
		x := windowTest{t: t, rng: rng, s: p.a.stack, c: p.a.conn(ida)}
		x.c.rcv.nxt = seqnum.Value(rng.Uint32())
		x.c.rcv.adv = x.c.rcv.nxt
		x.edge = x.c.rcv.nxt
		for range 500 {
			x.step()
		}
		x.c.rcv.unconsumed = 0
		x.announce()
		if x.c.rcvWindow() == 0 {
			t.Fatalf("seed %d: an empty buffer of %d bytes leaves the window closed", seed, opt.RecvBuffer)
		}
	}
}

// TestReceiveWindowCannotCreep: a peer that sends byte by byte to a user who does not read gets no more than the buffer,
// although each ACK rounds the window up to its unit.
func TestReceiveWindowCannotCreep(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(&Options{RecvBuffer: 1 << 20})
	c := p.a.conn(ida)
	got := 0
	for range 3 << 20 {
		if c.rcvWindow() == 0 {
			break
		}
		c.rcv.nxt = c.rcv.nxt.Add(1)
		c.rcv.unconsumed++
		got++
		p.a.stack.announceWindow(c)
	}
	if got > 1<<20 {
		t.Errorf("%d bytes fit into a buffer of %d", got, 1<<20)
	}
}

// TestReceiveBufferBelowTheScale: a buffer set later can't be smaller than what a window field can say.
func TestReceiveBufferBelowTheScale(t *testing.T) {
	p := newPair(t)
	p.check = true
	ida, idb := p.connect(nil)
	if err := p.b.stack.SetOptions(p.now, idb, &Options{RecvBuffer: 1, NoDelay: true}); err != nil {
		t.Fatal(err)
	}
	p.a.send(p.now, ida, 100_000) // more than the window that was promised before
	for range 10 {
		// What the sender holds back against silly windows, its persist timer lets go.
		p.advance(1e9)
		if p.b.receive(p.now, idb) == 0 {
			t.Fatal("stalled with a small buffer")
		}
	}
	p.finish()
}
