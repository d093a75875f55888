package sim

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// superSegment builds a packet with a payload that continues the stream of key at seq.
func superSegment(v6 bool, size, payload int, flags wire.Flags, seq seqnum.Value) packet {
	ip := wire.IP{Protocol: wire.TCP, TTL: 64, ID: 0xfffe}
	if v6 {
		ip.Src, ip.Dst = wire.Addr16([16]byte{0xfd, 15: 1}), wire.Addr16([16]byte{0xfd, 15: 2})
	} else {
		ip.Src, ip.Dst = wire.Addr4([4]byte{10, 0, 0, 1}), wire.Addr4([4]byte{10, 0, 0, 2})
	}
	s := wire.Segment{SrcPort: 1, DstPort: 2, Seq: seq, Ack: 7, Flags: flags, Window: 9}
	s.Options.Set, s.Options.TSVal = wire.OptTimestamps, 5
	b := make([]byte, wire.MaxHeaderLen+payload)
	n := wire.PutIP(b, &ip, wire.TCPHeaderLen+s.Options.WireLen()+payload)
	n += wire.PutSegment(b[n:], &s)
	content(1).fill(b[n:n+payload], uint64(seq))
	return packet{data: b[:n+payload], segmentSize: size, trusted: true}
}

func cutAll(p packet) []packet {
	var out []packet
	alloc := func(n int) []byte { return make([]byte, n) }
	cut(p, transportStart(p.data), alloc, func(q packet) { out = append(out, q) })
	return out
}

func TestCut(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		const size, total = 1000, 4500
		p := superSegment(v6, size, total, wire.ACK|wire.PSH|wire.FIN|wire.CWR, 0xfffffc00)
		pieces := cutAll(p)
		if len(pieces) != 5 {
			t.Fatalf("cut into %d segments, want 5", len(pieces))
		}
		for i, q := range pieces {
			var v parsed
			if !v.parse(&q) {
				t.Fatalf("segment %d doesn't parse: %s", i, describe(q.data))
			}
			last := i == len(pieces)-1
			if want := seqnum.Value(0xfffffc00 + uint32(i*size)); v.tcp.Seq != want {
				t.Errorf("segment %d begins at %d, want %d", i, v.tcp.Seq, want)
			}
			if !checksumOK(&q, &v.ip) {
				t.Errorf("segment %d has a wrong checksum", i)
			}
			if v.tcp.Flags.Has(wire.FIN) != last || v.tcp.Flags.Has(wire.PSH) != last || v.tcp.Flags.Has(wire.CWR) != (i == 0) {
				t.Errorf("segment %d has the flags %v", i, v.tcp.Flags)
			}
			if want := uint32(uint16(0xfffe + i)); !v6 && v.ip.ID != want {
				t.Errorf("segment %d has the identifier %#x, want %#x", i, v.ip.ID, want)
			}
			if v.tcp.Options.TSVal != 5 || v.tcp.Window != 9 || v.tcp.Ack != 7 {
				t.Errorf("segment %d has another header: %s", i, describe(q.data))
			}
			if j := content(1).mismatch(q.data[len(q.data)-v.payload:], 0xfffffc00+uint64(i*size)); j >= 0 {
				t.Errorf("segment %d has other payload at %d", i, j)
			}
		}
	}
}

func TestCutLeavesSingleSegmentsAlone(t *testing.T) {
	for _, size := range []int{0, 1000, 2000} {
		p := superSegment(false, size, 1000, wire.ACK|wire.PSH, 5)
		pieces := cutAll(p)
		if len(pieces) != 1 {
			t.Fatalf("size %d: cut into %d", size, len(pieces))
		}
		var v parsed
		if !v.parse(&pieces[0]) || !checksumOK(&pieces[0], &v.ip) || !v.tcp.Flags.Has(wire.PSH) {
			t.Errorf("size %d: came out as %s", size, describe(pieces[0].data))
		}
	}
}

func TestJoinUndoesCut(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p := superSegment(v6, 700, 3000, wire.ACK|wire.PSH|wire.FIN, 0xffffff00)
		before := bytes.Clone(p.data)
		joined := join(cutAll(p))
		if len(joined) != 1 || joined[0].segmentSize != 700 || !joined[0].trusted {
			t.Fatalf("joined into %d packets, segments of %d", len(joined), joined[0].segmentSize)
		}
		// The checksum of a super-segment means nothing.
		field := transportStart(p.data) + wire.TCPChecksumOffset
		binary.BigEndian.PutUint16(before[field:], 0)
		binary.BigEndian.PutUint16(joined[0].data[field:], 0)
		if !bytes.Equal(before, joined[0].data) {
			t.Errorf("came back as %s, was %s", describe(joined[0].data), describe(before))
		}
	}
}

func TestJoinKeepsApart(t *testing.T) {
	first := func() packet { return cutAll(superSegment(false, 0, 100, wire.ACK, 1000))[0] }
	for _, c := range []struct {
		name   string
		second packet
	}{
		{"a gap", cutAll(superSegment(false, 0, 100, wire.ACK, 1101))[0]},
		{"a longer segment", cutAll(superSegment(false, 0, 101, wire.ACK, 1100))[0]},
		{"no payload", cutAll(superSegment(false, 0, 0, wire.ACK, 1100))[0]},
		{"a RST", cutAll(superSegment(false, 0, 100, wire.ACK|wire.RST, 1100))[0]},
		{"URG", cutAll(superSegment(false, 0, 100, wire.ACK|wire.URG, 1100))[0]},
		{"another family", cutAll(superSegment(true, 0, 100, wire.ACK, 1100))[0]},
	} {
		if got := join([]packet{first(), c.second}); len(got) != 2 {
			t.Errorf("joined over %s", c.name)
		}
	}
	damaged := cutAll(superSegment(false, 0, 100, wire.ACK, 1100))[0]
	damaged.data[len(damaged.data)-1] ^= 1
	if got := join([]packet{first(), damaged}); len(got) != 2 {
		t.Error("joined a segment with a wrong checksum")
	}
	pushed := cutAll(superSegment(false, 0, 100, wire.ACK|wire.PSH, 1000))[0]
	next := cutAll(superSegment(false, 0, 100, wire.ACK, 1100))[0]
	if got := join([]packet{pushed, next}); len(got) != 2 {
		t.Error("joined behind a PSH")
	}
}
