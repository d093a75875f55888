package tcp

import (
	"testing"
	"time"
	"unsafe"

	"github.com/MUCZ/Starfish/core/wire"
)

// steady is a pair with one connection, warmed up, and one round of traffic that is repeated.
type steady struct {
	*pair
	ida, idb ConnID
	held     []Packet // what filter holds back, to be delivered late
	seen     int      // data packets from a to b
	pinned   [8]Packet
}

func newSteady(t testing.TB, opt *Options, configure ...func(*Config)) *steady {
	x := &steady{pair: newPair(t, configure...)}
	x.held = x.pinned[:0]
	x.ida, x.idb = x.connect(opt)
	return x
}

// bulk sends n bytes from a to b and lets them arrive.
func (x *steady) bulk(n int) {
	x.a.send(x.now, x.ida, n)
	x.now = x.now.Add(100 * time.Microsecond)
	x.flow()
	x.b.receive(x.now, x.idb)
	x.flow()
}

// lose loses every 20th packet of data from a to b.
func (x *steady) lose() {
	x.filter = func(to *end, t *Transmit) bool {
		if to != x.b || t.PayloadLen == 0 {
			return true
		}
		x.seen++
		return x.seen%20 != 0
	}
}

// mark marks every 20th packet of data from a to b.
func (x *steady) mark() {
	x.filter = func(to *end, t *Transmit) bool {
		if to == x.b && t.PayloadLen > 0 && t.Header[1]&3 == uint8(wire.ECT0) {
			if x.seen++; x.seen%20 == 0 {
				markCE(t)
			}
		}
		return true
	}
}

// recovered sends n bytes, and lets a timeout bring back what SACK can't: a loss at the very end.
func (x *steady) recovered(n int) {
	x.bulk(n)
	x.advance(time.Second)
	x.b.receive(x.now, x.idb)
}

// reorder holds packets of data from a to b back until there are four, and delivers the last first.
func (x *steady) reorder() {
	x.filter = func(to *end, t *Transmit) bool {
		if to != x.b || t.PayloadLen == 0 {
			return true
		}
		pkt, ok := packet(to.pool, t)
		if !ok {
			x.t.Fatal("the pool is exhausted")
		}
		x.held = append(x.held, pkt)
		if len(x.held) == 4 {
			x.deliver()
		}
		return false
	}
}

// reordered sends n bytes and delivers in the end what is still held back.
func (x *steady) reordered(n int) {
	x.a.send(x.now, x.ida, n)
	x.now = x.now.Add(100 * time.Microsecond)
	for range 50 {
		x.flow()
		x.deliver()
	}
	x.b.receive(x.now, x.idb)
	x.flow()
}

func (x *steady) deliver() {
	for i := len(x.held) - 1; i >= 0; i-- {
		x.b.stack.HandlePacket(x.now, x.held[i])
	}
	x.held = x.held[:0]
}

// pingPong sends one byte each way.
func (x *steady) pingPong() {
	x.a.send(x.now, x.ida, 1)
	x.now = x.now.Add(100 * time.Microsecond)
	x.flow()
	x.b.receive(x.now, x.idb)
	x.b.send(x.now, x.idb, 1)
	x.now = x.now.Add(100 * time.Microsecond)
	x.flow()
	x.a.receive(x.now, x.ida)
}

func TestNoAllocationsPerSegment(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	plain := func(c *Config) { c.SegmentationOffload4, c.ChecksumOffload = false, false }
	super := func(*Config) {}
	ecn := func(c *Config) { c.Defaults.ECN = ECNOn }
	accurate := func(c *Config) { c.Defaults.ECN = ECNAccurate }
	for _, c := range []struct {
		name      string
		configure func(*Config)
		link      func(*steady) // what the link does, if anything
		round     func(*steady)
		control   CongestionControl // Reno if 0: it grows by what is acknowledged, CUBIC by time, which hardly passes here
	}{
		{"bulk in super-segments", super, nil, func(x *steady) { x.bulk(1 << 20) }, 0},
		{"bulk in segments", plain, nil, func(x *steady) { x.bulk(200_000) }, 0},
		{"ping-pong", super, nil, (*steady).pingPong, 0},
		{"losses and SACK", plain, (*steady).lose, func(x *steady) { x.recovered(200_000) }, 0},
		{"losses of super-segments", super, (*steady).lose, func(x *steady) { x.recovered(1 << 20) }, 0},
		{"marks", ecn, (*steady).mark, func(x *steady) { x.bulk(1 << 20) }, 0},
		{"marks and Accurate ECN", accurate, (*steady).mark, func(x *steady) { x.bulk(1 << 20) }, 0},
		{"reordered", plain, (*steady).reorder, func(x *steady) { x.reordered(60_000) }, 0},
		{"reordered super-segments", super, (*steady).reorder, func(x *steady) { x.reordered(1 << 20) }, 0},
		{"bulk by BBR", super, nil, func(x *steady) { x.bulk(1 << 20) }, CongestionBBR},
		{"losses and BBR", plain, (*steady).lose, func(x *steady) { x.recovered(200_000) }, CongestionBBR},
	} {
		t.Run(c.name, func(t *testing.T) {
			orDefault(&c.control, CongestionReno)
			x := newSteady(t, &Options{NoDelay: true, Congestion: c.control}, c.configure)
			if c.link != nil {
				c.link(x)
			}
			for range 50 {
				c.round(x)
			}
			segments := x.a.stack.stats.OutSegs + x.b.stack.stats.OutSegs
			if n := testing.AllocsPerRun(50, func() { c.round(x) }); n != 0 {
				t.Errorf("%v allocations a round", n)
			}
			if segments == x.a.stack.stats.OutSegs+x.b.stack.stats.OutSegs {
				t.Error("no segment was sent")
			}
			t.Logf("%d recoveries, %d timeouts, %d retransmissions, %d reductions by marks", x.a.stack.stats.FastRecoveries,
				x.a.stack.stats.Timeouts, x.a.stack.stats.RetransSegs, x.a.stack.stats.ECNReductions)
			x.deliver()
			x.finish()
		})
	}
}

// idleConnection is the most bytes that an idle established connection may take, with its places in the tables.
const idleConnection = 1088

// TestIdleConnectionSize adds up what a connection takes while it is idle: it holds no buffer, no record and no timer
// beyond its own.
func TestIdleConnectionSize(t *testing.T) {
	p := newPair(t)
	ida, idb := p.connect(nil)
	p.a.write(p.now, ida, make([]byte, 100_000))
	p.advance(time.Second)
	p.b.receive(p.now, idb)
	p.advance(time.Minute)
	c := p.a.conn(ida)
	if c.sent.recs != nil || c.ooo != nil || p.a.pool.InUse() != 0 {
		t.Errorf("an idle connection holds records %v, a reassembly queue %v, %d bytes of buffers",
			c.sent.recs != nil, c.ooo != nil, p.a.pool.InUse())
	}
	// A map keeps 7/8 of its slots at most in use, half of them after it has grown: key, pointer and a byte of control.
	const entry = unsafe.Sizeof(tuple{}) + 8 + 1
	size := unsafe.Sizeof(*c) + unsafe.Sizeof(cubic{}) + 2*entry
	if c.opt != &p.a.stack.cfg.Defaults {
		t.Error("options are not shared")
	}
	t.Logf("%d bytes: connection %d, congestion control %d, tuple table up to %d; a handshake %d, TIME-WAIT %d",
		size, unsafe.Sizeof(*c), unsafe.Sizeof(cubic{}), 2*entry, unsafe.Sizeof(synRecord{}), unsafe.Sizeof(timeWait{}))
	t.Logf("timers %d, options %d, send %d, receive %d, queues %d each, scoreboard %d, statistics %d", unsafe.Sizeof(timerTable{}),
		unsafe.Sizeof(Options{}), unsafe.Sizeof(sendVars{}), unsafe.Sizeof(recvVars{}), unsafe.Sizeof(c.sendq),
		unsafe.Sizeof(scoreboard{}), unsafe.Sizeof(connStats{}))
	if size > idleConnection {
		t.Errorf("an idle connection takes %d bytes, more than %d", size, idleConnection)
	}
	p.finish()
}
