package fragment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

var (
	v4 = [2]wire.Addr{wire.Addr4([4]byte{10, 0, 0, 1}), wire.Addr4([4]byte{10, 0, 0, 2})}
	v6 = [2]wire.Addr{wire.Addr16([16]byte{0xfd, 15: 1}), wire.Addr16([16]byte{0xfd, 15: 2})}
)

// bench is a Reassembler whose buffers are counted.
type bench struct {
	*Reassembler
	t    *testing.T
	pool *zbuf.Pool
	now  time.Duration
	lost int
}

func newBench(t *testing.T, limits Limits) *bench {
	t.Helper()
	pool := zbuf.NewPool(0)
	b := &bench{Reassembler: New(pool, limits), t: t, pool: pool}
	t.Cleanup(func() {
		b.Clear()
		if n := pool.InUse(); n != 0 {
			t.Errorf("%d bytes of buffers are left", n)
		}
	})
	return b
}

// part is a fragment of payload: [from, to) of it.
type part struct {
	from, to int
	more     bool
	ecn      wire.ECN
	id       uint32
}

// add gives the Reassembler a fragment and returns the whole packet's bytes, nil while there is none.
func (b *bench) add(ends [2]wire.Addr, payload []byte, p part) []byte {
	b.t.Helper()
	ip := wire.IP{
		Src: ends[0], Dst: ends[1], Protocol: wire.TCP, TTL: 9, TrafficClass: 0x20 | uint8(p.ecn), ID: p.id,
		MoreFragments: p.more, FragmentOffset: p.from, HeaderLen: 24, TotalLen: 24 + p.to - p.from,
	}
	packet := append(make([]byte, ip.HeaderLen), payload[p.from:p.to]...)
	cut := rand.IntN(len(packet) + 1)
	whole, lost := b.Add(b.now, &ip, packet[:cut], packet[cut:])
	b.lost += lost
	if whole.IsZero() {
		return nil
	}
	defer whole.Release()
	return bytes.Clone(whole.Bytes())
}

func content(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7)
	}
	return p
}

// split cuts a payload into fragments of size bytes.
func split(n, size int) (parts []part) {
	for from := 0; from < n; from += size {
		to := min(from+size, n)
		parts = append(parts, part{from: from, to: to, more: to < n})
	}
	return parts
}

// TestReassemble: fragments in any order, some of them twice, give the packet once, and nothing is left.
func TestReassemble(t *testing.T) {
	for name, ends := range map[string][2]wire.Addr{"IPv4": v4, "IPv6": v6} {
		for _, n := range []int{9, 1000, 3000, 65_000} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				b := newBench(t, Limits{})
				payload := content(n)
				parts := split(n, max(8, n/20&^7))
				parts = append(parts, parts[:len(parts)/2]...)
				rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
				var got []byte
				for _, p := range parts {
					if whole := b.add(ends, payload, p); whole != nil {
						got = whole
						break
					}
				}
				var ip wire.IP
				if problem := wire.ParseIP(got, &ip); problem != wire.None {
					t.Fatal(problem)
				}
				if ip.IsFragment() || ip.Src != ends[0] || ip.Dst != ends[1] || ip.Protocol != wire.TCP || ip.TTL != 9 || ip.TrafficClass != 0x20 {
					t.Errorf("%+v", ip)
				}
				if !bytes.Equal(got[ip.HeaderLen:], payload) {
					t.Error("the payload differs")
				}
				if b.lost != 0 || len(b.packets) != 0 {
					t.Errorf("%d lost, %d left", b.lost, len(b.packets))
				}
			})
		}
	}
}

// TestReassembleKeepsApart: fragments of different packets are not mixed.
func TestReassembleKeepsApart(t *testing.T) {
	b := newBench(t, Limits{})
	payload := content(64)
	b.add(v4, payload, part{from: 0, to: 32, more: true, id: 1})
	for name, whole := range map[string][]byte{
		"identifier": b.add(v4, payload, part{from: 32, to: 64, id: 2}),
		"family":     b.add(v6, payload, part{from: 32, to: 64, id: 1}),
		"direction":  b.add([2]wire.Addr{v4[1], v4[0]}, payload, part{from: 32, to: 64, id: 1}),
	} {
		if whole != nil {
			t.Errorf("another %s: joined", name)
		}
	}
	if b.add(v4, payload, part{from: 32, to: 64, id: 1}) == nil {
		t.Error("the packet's own fragment: not joined")
	}
}

// TestReassembleRefuses: what can't come of a packet that was sent whole drops all of it (RFC 5722 §4).
func TestReassembleRefuses(t *testing.T) {
	payload := content(2000)
	for name, parts := range map[string][]part{
		"overlap behind":      {{from: 0, to: 16, more: true}, {from: 8, to: 24, more: true}},
		"overlap before":      {{from: 16, to: 32, more: true}, {from: 8, to: 24, more: true}},
		"inside":              {{from: 0, to: 64, more: true}, {from: 16, to: 32, more: true}},
		"around":              {{from: 16, to: 32, more: true}, {from: 0, to: 64, more: true}},
		"same start":          {{from: 0, to: 16, more: true}, {from: 0, to: 24, more: true}},
		"two ends":            {{from: 8, to: 16}, {from: 16, to: 30}},
		"data behind the end": {{from: 8, to: 16}, {from: 16, to: 32, more: true}},
		"end before data":     {{from: 16, to: 32, more: true}, {from: 8, to: 16}},
		"congestion of what can't say so": {
			{from: 0, to: 16, more: true, ecn: wire.CE}, {from: 16, to: 32, ecn: wire.NotECT},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Limits{})
			for _, p := range parts {
				if b.add(v6, payload, p) != nil {
					t.Fatal("joined")
				}
			}
			if b.lost != 1 || len(b.packets) != 0 {
				t.Errorf("%d lost, %d left", b.lost, len(b.packets))
			}
		})
	}
	t.Run("too many pieces", func(t *testing.T) {
		b := newBench(t, Limits{})
		for i := range maxPieces + 1 {
			b.add(v4, payload, part{from: 8 * i, to: 8*i + 8, more: true})
		}
		if b.lost != 1 {
			t.Errorf("%d lost", b.lost)
		}
	})
	t.Run("larger than any packet", func(t *testing.T) {
		b := newBench(t, Limits{})
		large := content(65_530)
		for _, p := range split(len(large), 8192) {
			if b.add(v4, large, p) != nil {
				t.Error("joined")
			}
		}
		if b.lost != 1 {
			t.Errorf("%d lost", b.lost)
		}
	})
}

// TestReassembleLimits: packets that stay incomplete are dropped by age, number and size.
func TestReassembleLimits(t *testing.T) {
	payload := content(4096)
	t.Run("time", func(t *testing.T) {
		b := newBench(t, Limits{Timeout: time.Second})
		b.add(v4, payload, part{from: 0, to: 8, more: true, id: 1})
		b.now = 999 * time.Millisecond
		b.add(v4, payload, part{from: 16, to: 24, more: true, id: 1})
		if b.lost != 0 {
			t.Error("lost before its time")
		}
		b.now = time.Second
		if b.add(v4, payload, part{from: 8, to: 16, id: 1}) != nil || b.lost != 1 {
			t.Errorf("%d lost after its time", b.lost)
		}
	})
	t.Run("number", func(t *testing.T) {
		b := newBench(t, Limits{Packets: 3})
		for id := range uint32(5) {
			b.add(v4, payload, part{from: 0, to: 8, more: true, id: id})
		}
		if b.lost != 2 || len(b.packets) != 3 {
			t.Errorf("%d lost, %d left", b.lost, len(b.packets))
		}
		if b.add(v4, payload, part{from: 8, to: 16, id: 4}) == nil {
			t.Error("the newest is gone")
		}
	})
	t.Run("bytes", func(t *testing.T) {
		b := newBench(t, Limits{Bytes: 8192})
		for id := range uint32(5) {
			b.add(v4, payload, part{from: 0, to: 4096, more: true, id: id})
		}
		if b.lost != 3 || b.bytes != 8192 {
			t.Errorf("%d lost, %d bytes left", b.lost, b.bytes)
		}
	})
	t.Run("buffers", func(t *testing.T) {
		r := New(zbuf.NewPool(1), Limits{})
		ip := wire.IP{Src: v4[0], Dst: v4[1], HeaderLen: 20, TotalLen: 1520, MoreFragments: true}
		if whole, lost := r.Add(0, &ip, make([]byte, 1520), nil); !whole.IsZero() || lost != 1 {
			t.Errorf("%d lost", lost)
		}
	})
}

// FuzzReassembler: whatever comes, the bounds hold and no buffer is lost.
func FuzzReassembler(f *testing.F) {
	f.Add([]byte{0, 1, 1, 1, 1, 0, 2, 8, 0})
	f.Add([]byte{0, 8, 1, 4, 8, 1, 8, 8, 0, 255, 255, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		pool := zbuf.NewPool(1 << 20)
		r := New(pool, Limits{Packets: 4, Bytes: 1 << 16, Timeout: 100})
		body := make([]byte, 1<<12)
		var now time.Duration
		for ; len(ops) >= 3; ops = ops[3:] {
			now += time.Duration(ops[2] >> 4)
			n := 8 * (1 + int(ops[1]))
			ip := wire.IP{
				Src: v4[0], Dst: v4[1], HeaderLen: 20, TotalLen: 20 + n, ID: uint32(ops[2] >> 1 & 7),
				FragmentOffset: 8 * int(ops[0]), MoreFragments: ops[2]&1 != 0,
			}
			whole, _ := r.Add(now, &ip, body[:20], body[:n])
			var parsed wire.IP
			if !whole.IsZero() && wire.ParseIP(whole.Bytes(), &parsed) != wire.None {
				t.Fatal("the whole packet is none")
			}
			whole.Release()
			if r.bytes > 1<<16 || len(r.packets) > 4 {
				t.Fatalf("%d bytes of %d packets", r.bytes, len(r.packets))
			}
		}
		r.Clear()
		if pool.InUse() != 0 || r.bytes != 0 || r.newest != nil {
			t.Fatalf("%d bytes are left", pool.InUse())
		}
	})
}
