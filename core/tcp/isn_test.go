package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

func leafAddr(s string) wire.Addr { return wire.AddrFrom(netip.MustParseAddr(s)) }

func isnTuple() tuple {
	return tuple{local: leafAddr("169.254.144.2"), remote: leafAddr("192.0.2.1"), localPort: 40000, remotePort: 80}
}

// RFC 6528 §3: for one connection the numbers follow the 4 microsecond timer, once around in 4.77 hours.
func TestISNFollowsTheClock(t *testing.T) {
	g := newISNGenerator([16]byte{1, 2, 3})
	start := g.isn(0, isnTuple())
	for _, tt := range []struct {
		after time.Duration
		want  seqnum.Size
	}{
		{3999, 0},
		{4 * time.Microsecond, 1},
		{time.Millisecond, 250},
		{time.Second, 250_000},
		{4 * time.Microsecond << 32, 0},
		{4*time.Microsecond<<32 + 8*time.Microsecond, 2},
	} {
		if got := start.Size(g.isn(Time(tt.after), isnTuple())); got != tt.want {
			t.Errorf("after %v: ISN + %d, want + %d", tt.after, got, tt.want)
		}
	}
}

func TestISNDependsOnEachPartOfTheTupleAndTheSecret(t *testing.T) {
	g := newISNGenerator([16]byte{1, 2, 3})
	base := isnTuple()
	local, remote, localPort, remotePort, swapped := base, base, base, base, base
	local.local = leafAddr("169.254.144.3")
	remote.remote = leafAddr("2001:db8::1")
	localPort.localPort++
	remotePort.remotePort++
	swapped.localPort, swapped.remotePort = base.remotePort, base.localPort
	seen := map[seqnum.Value]bool{g.isn(0, base): true}
	for name, tup := range map[string]tuple{
		"local address": local, "remote address": remote, "local port": localPort, "remote port": remotePort, "ports swapped": swapped,
	} {
		if v := g.isn(0, tup); seen[v] {
			t.Errorf("%s: same ISN", name)
		} else {
			seen[v] = true
		}
	}
	other := newISNGenerator([16]byte{1, 2, 4})
	if seen[other.isn(0, base)] {
		t.Error("other secret: same ISN")
	}
}

// RFC 7323 §7.1: the offset tells peers apart; RFC 6191: it is one for all connections between two addresses.
func TestTimestampOffsetIsPerPeer(t *testing.T) {
	g := newISNGenerator([16]byte{1, 2, 3})
	other := newISNGenerator([16]byte{9})
	a, b, c := leafAddr("169.254.144.2"), leafAddr("192.0.2.1"), leafAddr("192.0.2.2")
	if g.tsOffset(a, b) != g.tsOffset(a, b) {
		t.Error("not stable")
	}
	if g.tsOffset(a, b) == g.tsOffset(a, c) || g.tsOffset(a, b) == g.tsOffset(b, a) || g.tsOffset(a, b) == other.tsOffset(a, b) {
		t.Error("same offset for another peer or secret")
	}
}

func TestISNDoesNotAllocate(t *testing.T) {
	g := newISNGenerator([16]byte{1})
	tup := isnTuple()
	var v seqnum.Value
	if got := testing.AllocsPerRun(100, func() { v += g.isn(5, tup) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
