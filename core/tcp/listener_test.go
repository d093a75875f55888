package tcp

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
)

func TestAcceptQueueIsFIFO(t *testing.T) {
	var q acceptQueue
	rng := rand.New(rand.NewPCG(1, 5))
	var want []*conn
	for range 10_000 {
		if rng.IntN(2) == 0 {
			c := new(conn)
			q.push(c)
			want = append(want, c)
		} else if c := q.pop(); len(want) == 0 && c != nil || len(want) > 0 && c != want[0] {
			t.Fatal("not the one that has waited longest")
		} else if c != nil {
			want = want[1:]
		}
		if q.len() != len(want) {
			t.Fatalf("length %d, want %d", q.len(), len(want))
		}
	}
	if cap(q.list) > 4096 {
		t.Errorf("the queue has grown to %d places", cap(q.list))
	}
}

func TestListenerMatchesMostSpecific(t *testing.T) {
	four, other := wire.Addr4([4]byte{10, 0, 0, 1}), wire.Addr4([4]byte{10, 0, 0, 2})
	six := wire.Addr16([16]byte{0: 0xfd, 15: 1})
	s := newEnd(t, four, []func(*Config){func(c *Config) { c.Owns = func(wire.Addr) bool { return true } }}).stack
	listen := func(a wire.Addr) ListenerID {
		t.Helper()
		id, err := s.Listen(Endpoint{a, 80}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	want := func(a wire.Addr, id ListenerID) {
		t.Helper()
		l := s.listeners.match(Endpoint{a, 80})
		if id == 0 && l != nil || id != 0 && (l == nil || l.id() != id) {
			t.Errorf("%v is matched by %v", a, l)
		}
	}
	want(four, 0)
	all := listen(any6)
	want(four, all)
	want(six, all)
	specific := listen(four)
	want(four, specific)
	want(other, all)
	if _, err := s.Listen(Endpoint{any4, 80}, 0, nil); !errors.Is(err, ErrAddrInUse) {
		t.Errorf("two wildcards share addresses: %v", err)
	}
	if err := s.CloseListener(1, all); err != nil {
		t.Fatal(err)
	}
	every4 := listen(any4)
	want(other, every4)
	want(six, 0)
	if _, err := s.Listen(Endpoint{any6, 80}, 0, nil); !errors.Is(err, ErrAddrInUse) {
		t.Errorf("two wildcards share addresses: %v", err)
	}
	if _, err := s.Listen(Endpoint{four, 80}, 0, nil); !errors.Is(err, ErrAddrInUse) {
		t.Errorf("twice the same endpoint: %v", err)
	}
}

func TestListenerHandlesGoStale(t *testing.T) {
	e := newEnd(t, any6, []func(*Config){func(c *Config) { c.Limits.Listeners = 3 }})
	s := e.stack
	var ids []ListenerID
	for i := range 4 {
		id, err := s.Listen(Endpoint{any6, uint16(1 + i)}, 0, nil)
		if want := i >= 3; (err != nil) != want || want && !errors.Is(err, ErrTooMany) {
			t.Fatalf("listener %d: %v", i, err)
		}
		if err == nil {
			ids = append(ids, id)
		}
	}
	if err := s.CloseListener(1, ids[1]); err != nil {
		t.Fatal(err)
	}
	again, err := s.Listen(Endpoint{any6, 2}, 0, nil)
	if err != nil || again == ids[1] || again.Index() != ids[1].Index() {
		t.Errorf("handle %x after %x: %v", again, ids[1], err)
	}
	for _, id := range []ListenerID{ids[1], 0, 77, ^ListenerID(0)} {
		var st ListenerStatus
		if err := s.CloseListener(1, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("stale handle %x closes: %v", id, err)
		}
		if err := s.ListenerStatus(id, &st); !errors.Is(err, ErrNotFound) {
			t.Errorf("stale handle %x has a status: %v", id, err)
		}
		if _, err := s.Accept(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("stale handle %x accepts: %v", id, err)
		}
	}
	if n := len(s.Listeners(nil)); n != 3 {
		t.Errorf("%d listeners, want 3", n)
	}
	e.mustCheck()
}

func TestListenChoosesAPort(t *testing.T) {
	s := newEnd(t, any6, []func(*Config){func(c *Config) { c.FirstPort, c.LastPort = 1000, 1002 }}).stack
	seen := map[uint16]bool{}
	for range 3 {
		id, err := s.Listen(Endpoint{Addr: any6}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		var st ListenerStatus
		if err := s.ListenerStatus(id, &st); err != nil || st.Local.Port < 1000 || st.Local.Port > 1002 || seen[st.Local.Port] {
			t.Errorf("port %d: %v", st.Local.Port, err)
		}
		seen[st.Local.Port] = true
	}
	if _, err := s.Listen(Endpoint{Addr: any6}, 0, nil); !errors.Is(err, ErrNoPorts) {
		t.Errorf("a fourth port of three: %v", err)
	}
}

// TestAcceptQueueFull: what has no place waits on the peer's side, and gets in once there is room.
func TestAcceptQueueFull(t *testing.T) {
	p := newPair(t)
	p.check = true
	l, err := p.b.stack.Listen(Endpoint{p.b.addr, 80}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.flow()
	var st ListenerStatus
	if err := p.b.stack.ListenerStatus(l, &st); err != nil || st.AcceptQueue != 2 || st.Overflows == 0 {
		t.Errorf("%+v: %v", st, err)
	}
	accepted := 0
	for range 10 {
		for {
			if _, err := p.b.stack.Accept(l); err != nil {
				break
			}
			accepted++
		}
		p.advance(10 * time.Second)
	}
	if accepted != 5 {
		t.Errorf("%d accepted, want 5", accepted)
	}
	p.finish()
}

// TestConnectionInAcceptQueueIsNobodysYet: Connections lists it, and its handle reaches nothing before Accept gives it.
func TestConnectionInAcceptQueueIsNobodysYet(t *testing.T) {
	p := newPair(t)
	p.check = true
	l := p.listen(nil)
	if _, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, nil); err != nil {
		t.Fatal(err)
	}
	p.flow()
	ids := p.b.stack.Connections(nil)
	if len(ids) != 1 {
		t.Fatalf("%d connections", len(ids))
	}
	if err := p.b.stack.Abort(p.now, ids[0]); err == nil {
		t.Error("aborted what waits for Accept")
	}
	p.b.mustCheck()
	if id, err := p.b.stack.Accept(l); err != nil || id != ids[0] {
		t.Errorf("accepted %x: %v", id, err)
	}
	p.finish()
}

// TestListenerClosesWithWhatWaits: connections that nobody has accepted are reset, handshakes are forgotten.
func TestListenerClosesWithWhatWaits(t *testing.T) {
	p := newPair(t)
	p.check = true
	l := p.listen(nil)
	ida, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.flow()
	half := tuple{local: p.b.addr, remote: p.a.addr, localPort: 80, remotePort: 7}
	p.b.stack.HandlePacket(p.now, p.b.rawFrom(half, wire.Segment{Seq: 1, Flags: wire.SYN, Window: 10}, nil))
	if p.b.stack.Handshakes() != 1 {
		t.Errorf("%d handshakes, want 1", p.b.stack.Handshakes())
	}
	if err := p.b.stack.CloseListener(p.now, l); err != nil {
		t.Fatal(err)
	}
	p.b.mustCheck()
	p.flow()
	var st Status
	if err := p.a.stack.Status(ida, &st); err != nil || !errors.Is(st.Err, ErrReset) {
		t.Errorf("the peer's connection ended by %v, %v", st.Err, err)
	}
	if p.b.stack.Handshakes() != 0 {
		t.Errorf("%d handshakes, want none", p.b.stack.Handshakes())
	}
	p.finish()
}
