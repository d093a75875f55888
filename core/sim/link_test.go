package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// bench is a link between two hosts without stacks; what arrives is read from the event heap.
func bench(cfg Link) (*Network, *direction) {
	n := New(1)
	a := &Host{Name: "a", net: n, routes: map[wire.Addr]*direction{}}
	b := &Host{Name: "b", net: n, index: 1, routes: map[wire.Addr]*direction{}}
	b.cfg.Addrs = []wire.Addr{wire.Addr4([4]byte{10, 0, 0, 2})}
	n.Connect(a, b, cfg, Link{})
	return n, a.routes[b.cfg.Addrs[0]]
}

type arrived struct {
	at tcp.Time
	id int
	to *Host
	p  packet
}

func drain(n *Network) []arrived {
	var out []arrived
	for len(n.events) > 0 {
		e := n.events.pop()
		out = append(out, arrived{at: e.at, id: int(e.packet.data[5]), to: e.host, p: e.packet})
	}
	return out
}

// sendMany sends packets of 1,040 bytes, numbered in their IPv4 identifiers, with a gap between them.
func sendMany(n *Network, d *direction, count int, gap time.Duration) {
	for i := range count {
		p := cutAll(superSegment(false, 0, 988, wire.ACK, 1))[0]
		p.data[5] = byte(i)
		d.send(p)
		n.now = n.now.Add(gap)
	}
}

func TestLinkDelaysAndKeepsOrder(t *testing.T) {
	n, d := bench(Link{Delay: 5 * time.Millisecond})
	sendMany(n, d, 10, time.Millisecond)
	for i, a := range drain(n) {
		if want := tcp.Time(1).Add(time.Duration(i+5) * time.Millisecond); a.at != want || a.id != i {
			t.Errorf("packet %d arrived at %v as the %dth, want %v", a.id, a.at, i, want)
		}
	}
}

func TestLinkRateAndQueue(t *testing.T) {
	// 8 Mbit/s is a byte each microsecond.
	n, d := bench(Link{Rate: 8_000_000, Queue: 5 * 1040})
	sendMany(n, d, 10, 0)
	got := drain(n)
	if len(got) != 5 || d.stats.QueueDrops != 5 {
		t.Fatalf("%d packets passed and %d were dropped, want 5 and 5", len(got), d.stats.QueueDrops)
	}
	for i, a := range got {
		if want := tcp.Time(1).Add(time.Duration(i+1) * 1040 * time.Microsecond); a.at != want {
			t.Errorf("packet %d arrived at %v, want %v", i, a.at, want)
		}
	}
	// The queue has emptied by then.
	n.now = n.now.Add(time.Second)
	sendMany(n, d, 1, 0)
	if got := drain(n); len(got) != 1 || got[0].at != n.now.Add(1040*time.Microsecond) {
		t.Errorf("after a pause: %v", got)
	}
}

func TestLinkImpairments(t *testing.T) {
	const count = 2000
	for _, c := range []struct {
		name  string
		cfg   Link
		count func(LinkStats) uint64
	}{
		{"loss", Link{Loss: 0.1}, func(s LinkStats) uint64 { return s.Lost }},
		{"burst", Link{Burst: Burst{Enter: 0.05, Leave: 0.45, LossBad: 1}}, func(s LinkStats) uint64 { return s.Lost }},
		{"duplicate", Link{Duplicate: 0.1}, func(s LinkStats) uint64 { return s.Duplicated }},
		{"reorder", Link{Reorder: 0.1, ReorderDelay: time.Second}, func(s LinkStats) uint64 { return s.Delayed }},
		{"corrupt", Link{Corrupt: 0.1}, func(s LinkStats) uint64 { return s.Corrupted }},
	} {
		n, d := bench(c.cfg)
		sendMany(n, d, count, time.Millisecond)
		got := drain(n)
		s := d.stats
		if hit := c.count(s); hit < count/14 || hit > count/7 {
			t.Errorf("%s: happened to %d of %d packets, want about a tenth", c.name, hit, count)
		}
		if uint64(len(got)) != s.Delivered || s.Sent != count || s.Delivered != count-s.Lost+s.Duplicated {
			t.Errorf("%s: %d arrived, counters %+v", c.name, len(got), s)
		}
		overtaken := !slices.IsSortedFunc(got, func(a, b arrived) int { return int(int8(a.id - b.id)) })
		if overtaken != (c.name == "reorder") {
			t.Errorf("%s: packets overtook each other: %t", c.name, overtaken)
		}
	}
}

// TestCorruptionIsAlwaysCaught: what the link damages never passes the checksums, else a wrong byte received would not
// be the engine's fault.
func TestCorruptionIsAlwaysCaught(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		n, d := bench(Link{Corrupt: 1})
		for range 20_000 {
			d.send(cutAll(superSegment(v6, 0, 40, wire.ACK, 1))[0])
		}
		for _, a := range drain(n) {
			var ip wire.IP
			if wire.ParseIP(a.p.data, &ip) != wire.None || ip.Protocol != wire.TCP {
				continue
			}
			if wire.ChecksumOK(ip.Src, ip.Dst, wire.TCP, a.p.data[ip.HeaderLen:ip.TotalLen], nil) {
				t.Fatalf("passed: % x", a.p.data)
			}
		}
	}
}

func TestLinkBlackout(t *testing.T) {
	n, d := bench(Link{Blackouts: []Period{{tcp.Time(1).Add(3 * time.Millisecond), tcp.Time(1).Add(6 * time.Millisecond)}}})
	sendMany(n, d, 10, time.Millisecond)
	var ids []int
	for _, a := range drain(n) {
		ids = append(ids, a.id)
	}
	if want := []int{0, 1, 2, 6, 7, 8, 9}; !slices.Equal(ids, want) {
		t.Errorf("passed %v, want %v", ids, want)
	}
}

func TestLinkSpikeHoldsEverythingBack(t *testing.T) {
	n, d := bench(Link{Spike: 0.01, SpikeDelay: 50 * time.Millisecond})
	sendMany(n, d, 250, time.Millisecond)
	got := drain(n)
	held := 0
	for i, a := range got {
		if a.id != i {
			t.Fatalf("packet %d arrived as the %dth", a.id, i)
		}
		if a.at > tcp.Time(1).Add(time.Duration(i)*time.Millisecond) {
			held++
		}
	}
	if held < 50 {
		t.Errorf("only %d packets were held back", held)
	}
}

func TestLinkMTU(t *testing.T) {
	for _, blackHole := range []bool{false, true} {
		n, d := bench(Link{MTU: 1000, BlackHole: blackHole})
		sendMany(n, d, 1, 0)
		got := drain(n)
		if blackHole {
			if len(got) != 0 {
				t.Errorf("a black hole let %d packets out", len(got))
			}
			continue
		}
		if len(got) != 1 || got[0].to != d.from {
			t.Fatalf("%d packets came, want an ICMP message to the sender", len(got))
		}
		var ip wire.IP
		var e wire.ICMPError
		data := got[0].p.data
		if wire.ParseIP(data, &ip) != wire.None || wire.ParseICMPError(&ip, data[ip.HeaderLen:ip.TotalLen], &e) != wire.None {
			t.Fatalf("came as %s", describe(data))
		}
		if e.Kind != wire.PacketTooBig || e.MTU != 1000 || e.SrcPort != 1 || e.DstPort != 2 {
			t.Errorf("came as %+v", e)
		}
	}
}

func TestLinkMTUChanges(t *testing.T) {
	n, d := bench(Link{BlackHole: true, MTUChanges: []MTUChange{
		{From: tcp.Time(3 * time.Millisecond), MTU: 1000}, {From: tcp.Time(6 * time.Millisecond), MTU: 1500},
	}})
	sendMany(n, d, 9, time.Millisecond)
	var got []int
	for _, a := range drain(n) {
		got = append(got, a.id)
	}
	if want := []int{0, 1, 2, 6, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("packets %v arrived, want %v", got, want)
	}
}
