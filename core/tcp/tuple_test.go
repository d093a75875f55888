package tcp

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

// TestFlowHashIsSymmetric: a shell computes it from a packet's source and destination, the stack from local and remote.
func TestFlowHashIsSymmetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	endpoint := func() Endpoint {
		if rng.IntN(2) == 0 {
			return Endpoint{wire.Addr4([4]byte{10, 0, byte(rng.Uint32()), byte(rng.Uint32())}), uint16(rng.Uint32())}
		}
		return Endpoint{wire.Addr16([16]byte{0: 0xfd, 14: byte(rng.Uint32()), 15: byte(rng.Uint32())}), uint16(rng.Uint32())}
	}
	for range 1000 {
		a, b := endpoint(), endpoint()
		if FlowHash(a, b) != FlowHash(b, a) {
			t.Fatalf("%v and %v hash differently each way", a, b)
		}
	}
}

// TestFlowHashSpreads: connections between two hosts that differ in one port only use all shards about equally.
func TestFlowHashSpreads(t *testing.T) {
	server := Endpoint{wire.Addr4([4]byte{10, 0, 0, 1}), 80}
	for _, shards := range []uint32{2, 3, 4, 8, 16} {
		const flows = 16_000
		count := make([]int, shards)
		for i := range flows {
			client := Endpoint{wire.Addr4([4]byte{10, 0, 0, 2}), uint16(20_000 + i)}
			count[FlowHash(client, server)%shards]++
		}
		for shard, n := range count {
			if mean := flows / int(shards); n < mean*8/10 || n > mean*12/10 {
				t.Errorf("shard %d of %d has %d flows, the mean is %d", shard, shards, n, mean)
			}
		}
	}
}

func TestEndpointConversion(t *testing.T) {
	for _, text := range []string{"10.1.2.3:80", "[fd00::1]:65535", "0.0.0.0:0", "[::]:1"} {
		want := netip.MustParseAddrPort(text)
		e := EndpointFrom(want)
		if e.AddrPort() != want || e.String() != text {
			t.Errorf("%s becomes %v", text, e)
		}
	}
}

// TestConnectStaysOnItsShard: an ephemeral port is one whose answers come back to this shard.
func TestConnectStaysOnItsShard(t *testing.T) {
	for shard := range 3 {
		p := newPair(t, func(c *Config) { c.Shard, c.Shards = shard, 3 })
		for range 50 {
			id, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, nil)
			if err != nil {
				t.Fatal(err)
			}
			tu := p.a.conn(id).tuple
			if got := FlowHash(tu.remoteEndpoint(), tu.localEndpoint()) % 3; got != uint32(shard) {
				t.Fatalf("port %d belongs to shard %d, not %d", tu.localPort, got, shard)
			}
		}
	}
}
