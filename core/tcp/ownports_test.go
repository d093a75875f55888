package tcp

import (
	"errors"
	"testing"
)

// newOwnPorts returns an end that has the ports 40000 to 40002 to choose from.
func newOwnPorts(t *testing.T) *end {
	return newEnd(t, leafAddr("10.0.0.1"), []func(*Config){func(c *Config) { c.FirstPort, c.LastPort = 40000, 40002 }})
}

// A port that the stack chooses for a connection is none that a listener answers at, specific or wildcard: what comes
// back to it after the connection is gone would be taken for the listener's.
func TestChosenPortIsNotAListeners(t *testing.T) {
	for _, at := range []string{"10.0.0.1", "0.0.0.0", "::"} {
		e := newOwnPorts(t)
		for _, port := range []uint16{40000, 40002} {
			if _, err := e.stack.Listen(Endpoint{leafAddr(at), port}, 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		local, remote := Endpoint{Addr: e.addr}, Endpoint{leafAddr("10.0.0.2"), 80}
		id, err := e.stack.Connect(1, local, remote, nil)
		if err != nil {
			t.Fatal(err)
		}
		var st Status
		if err := e.stack.Status(id, &st); err != nil || st.Local.Port != 40001 {
			t.Errorf("beside listeners at %s: connects from %v, %v; want port 40001", at, st.Local, err)
		}
		if _, err := e.stack.Connect(1, local, remote, nil); !errors.Is(err, ErrNoPorts) {
			t.Errorf("beside listeners at %s: connects from their ports: %v", at, err)
		}
		l, err := e.stack.Listen(local, 0, nil)
		var ls ListenerStatus
		if at != "10.0.0.1" && (err != nil || e.stack.ListenerStatus(l, &ls) != nil || ls.Local.Port != 40001) {
			t.Errorf("beside listeners at %s: listens at %v, %v; want port 40001", at, ls.Local, err)
		}
	}
}

// A connection to one of our own ports that nobody listens at is refused, rather than joined to itself.
func TestChosenPortIsNotTheRemoteEndpoint(t *testing.T) {
	e := newOwnPorts(t)
	for want := range 2 {
		if _, err := e.stack.Connect(1, Endpoint{Addr: e.addr}, Endpoint{e.addr, 40001}, nil); err != nil {
			t.Fatalf("connection %d: %v", want, err)
		}
	}
	if _, err := e.stack.Connect(1, Endpoint{Addr: e.addr}, Endpoint{e.addr, 40001}, nil); !errors.Is(err, ErrNoPorts) {
		t.Errorf("connects to itself: %v", err)
	}
}

// RFC 9293 §3.5 (MUST-10): a user who names both ends alike opens simultaneously with itself, as a kernel socket does.
func TestSelfConnectWhenNamed(t *testing.T) {
	e := newEnd(t, leafAddr("10.0.0.1"), nil)
	self := Endpoint{e.addr, 40001}
	now := Time(1_000_000_000)
	id, err := e.stack.Connect(now, self, self, nil)
	if err != nil {
		t.Fatal(err)
	}
	loop := func() {
		for range 100 {
			if !e.stack.PollTransmit(now, &e.out) {
				e.poll()
				return
			}
			pkt, ok := packet(e.pool, &e.out)
			if !ok {
				t.Fatal("the pool is exhausted")
			}
			e.stack.HandlePacket(now, pkt)
		}
		t.Fatal("the connection answers itself for ever")
	}
	loop()
	if e.events[id]&EventEstablished == 0 {
		t.Fatalf("events %v, want established", e.events[id])
	}
	e.write(now, id, []byte("to myself"))
	loop()
	if got := e.read(now, id); string(got) != "to myself" {
		t.Errorf("received %q", got)
	}
	e.mustCheck()
}
