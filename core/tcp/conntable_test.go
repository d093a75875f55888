package tcp

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

func TestConnTableHandles(t *testing.T) {
	var table connTable
	table.init(1000)
	rng := rand.New(rand.NewPCG(1, 4))
	live := map[ConnID]*conn{}
	var stale []ConnID
	for range 5000 {
		if rng.IntN(2) == 0 {
			c := table.take()
			if (c == nil) != (len(live) == 1000) {
				t.Fatalf("take gave %v with %d in use", c, len(live))
			}
			if c == nil {
				continue
			}
			c.released = false
			if live[c.id()] != nil || c.id() == 0 {
				t.Fatalf("handle %x is in use or zero", c.id())
			}
			live[c.id()] = c
			continue
		}
		for id, c := range live { // any
			delete(live, id)
			table.give(c)
			stale = append(stale, id)
			break
		}
	}
	for id, c := range live {
		if table.get(id) != c {
			t.Fatalf("handle %x does not reach its connection", id)
		}
	}
	for _, id := range stale {
		if table.get(id) != nil {
			t.Fatalf("stale handle %x reaches a connection", id)
		}
	}
	n := 0
	table.each(func(*conn) { n++ })
	if n != len(live) || table.used != n {
		t.Errorf("each visits %d, used is %d, want %d", n, table.used, len(live))
	}
}

// TestConnTableForgedHandles: a handle comes from outside and may be anything.
func TestConnTableForgedHandles(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	s := p.a.stack
	forged := []ConnID{0, 1, 5, connChunk, 1 << 31, ConnID(makeID(5, 1)), ConnID(makeID(1<<30, 1)), ida ^ 1<<32, ida + 1, ^ConnID(0)}
	for _, id := range forged {
		var st Status
		for name, err := range map[string]error{
			"Status": s.Status(id, &st), "Close": s.Close(p.now, id), "Abort": s.Abort(p.now, id),
			"CloseWrite": s.CloseWrite(p.now, id), "CloseRead": s.CloseRead(p.now, id),
			"SetOptions": s.SetOptions(p.now, id, &Options{}), "OrphanStatus": s.OrphanStatus(id, &st),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s of handle %x: %v, want %v", name, id, err, ErrNotFound)
			}
		}
		s.Consumed(p.now, id, 10)
		if n := s.SendSpace(id); n != 0 {
			t.Errorf("handle %x has room for %d bytes", id, n)
		}
		p.a.mustCheck()
	}
	p.finish()
}

// TestConnTableSlotNeverMoves: packets and timers hold pointers.
func TestConnTableSlotNeverMoves(t *testing.T) {
	var table connTable
	table.init(1 << 20)
	first := table.take()
	for range 10 * connChunk {
		table.take()
	}
	if table.slot(first.index) != first {
		t.Error("a slot has moved")
	}
}

func TestConnTableGenerationSkipsZero(t *testing.T) {
	var table connTable
	table.init(1)
	c := table.take()
	c.generation = 1<<32 - 1
	table.give(c)
	if c = table.take(); c.generation != 1 {
		t.Errorf("generation %d behind the last", c.generation)
	}
}

func TestTooManyConnections(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Limits.Connections = 2 })
	p.check = true
	p.listen(nil)
	remote := Endpoint{p.b.addr, 80}
	for i := range 3 {
		_, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, remote, nil)
		if want := i >= 2; (err != nil) != want || want && !errors.Is(err, ErrTooMany) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	p.flow()
	// The passive side is full too: one more handshake is dropped when it would become a connection.
	stranger := tuple{local: p.b.addr, remote: wire.Addr4([4]byte{10, 0, 0, 9}), localPort: 80, remotePort: 99}
	p.b.stack.HandlePacket(p.now, p.b.rawFrom(stranger, wire.Segment{Seq: 100, Flags: wire.SYN, Window: 1000}, nil))
	seg, _, ok := p.b.next(p.now)
	if !ok || seg.Flags != wire.SYN|wire.ACK {
		t.Fatalf("SYN answered by %v", seg.Flags)
	}
	p.b.stack.HandlePacket(p.now, p.b.rawFrom(stranger,
		wire.Segment{Seq: 101, Ack: seg.Seq.Add(1), Flags: wire.ACK, Window: 1000}, nil))
	p.b.mustCheck()
	if n := p.b.stack.stats.Drops[DropTooManyConnections]; n != 1 {
		t.Errorf("%d drops for too many connections, want 1", n)
	}
	p.filter = func(*end, *Transmit) bool { return true }
	p.finish()
}
