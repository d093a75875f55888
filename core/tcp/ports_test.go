package tcp

import (
	"math/rand/v2"
	"testing"
)

func newTestPorts(secret byte, first, last uint16) *ports {
	p := new(ports)
	p.init([16]byte{secret}, first, last)
	return p
}

func noneInUse(uint16) bool { return false }

func TestPortsUseTheWholeRangeThenReportFalse(t *testing.T) {
	local, remote := leafAddr("169.254.144.2"), leafAddr("192.0.2.1")
	for _, tt := range []struct{ first, last uint16 }{
		{32768, 60999}, {1, 65535}, {65535, 65535}, {65000, 65535}, {1024, 1025},
	} {
		p := newTestPorts(7, tt.first, tt.last)
		used := map[uint16]bool{}
		size := int(tt.last-tt.first) + 1
		for i := range size {
			port, ok := p.pick(local, remote, 80, func(p uint16) bool { return used[p] })
			if !ok || used[port] || port < tt.first || port > tt.last {
				t.Fatalf("range %d-%d, connection %d: port %d, %v", tt.first, tt.last, i, port, ok)
			}
			used[port] = true
		}
		asked := 0
		if _, ok := p.pick(local, remote, 80, func(uint16) bool { asked++; return true }); ok || asked != size {
			t.Errorf("range %d-%d full: %v after %d questions, want false after %d", tt.first, tt.last, ok, asked, size)
		}
	}
}

// Sequential connections, each of which leaves its port in TIME-WAIT: each new one finds a port with one question,
// and ports come again as late as possible.
func TestPortsInSequenceRestBeforeReuse(t *testing.T) {
	p := newTestPorts(7, 32768, 60999)
	local, remote := leafAddr("169.254.144.2"), leafAddr("192.0.2.1")
	used := map[uint16]bool{}
	asked := 0
	for range 10_000 {
		port, ok := p.pick(local, remote, 80, func(p uint16) bool { asked++; return used[p] })
		if !ok {
			t.Fatal("out of ports")
		}
		used[port] = true
	}
	if asked != 10_000 {
		t.Errorf("%d questions for 10,000 ports", asked)
	}
}

func TestPortsFindTheOnlyFreeOne(t *testing.T) {
	p := newTestPorts(7, 32768, 60999)
	local, remote := leafAddr("169.254.144.2"), leafAddr("192.0.2.1")
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		free := uint16(32768 + r.IntN(60999-32768+1))
		port, ok := p.pick(local, remote, 443, func(p uint16) bool { return p != free })
		if !ok || port != free {
			t.Fatalf("port %d, %v, want %d", port, ok, free)
		}
	}
}

// RFC 6056 §3.3.4: where the sequence starts depends on the destination and the secret.
func TestPortsStartElsewhereForEachDestination(t *testing.T) {
	local, remote := leafAddr("169.254.144.2"), leafAddr("192.0.2.1")
	first := func(secret byte, remotePort uint16, remoteAddr string) uint16 {
		port, _ := newTestPorts(secret, 1024, 65535).pick(local, leafAddr(remoteAddr), remotePort, noneInUse)
		return port
	}
	base := first(1, 80, "192.0.2.1")
	if base == first(2, 80, "192.0.2.1") || base == first(1, 81, "192.0.2.1") || base == first(1, 80, "192.0.2.2") {
		t.Error("sequences start at the same port")
	}
	p := newTestPorts(1, 1024, 65535)
	a, _ := p.pick(local, remote, 80, noneInUse)
	p.pick(local, leafAddr("198.51.100.7"), 22, noneInUse)
	if b, _ := p.pick(local, remote, 80, noneInUse); b != a+1 {
		t.Errorf("ports %d and %d: another destination left a gap", a, b)
	}
}
