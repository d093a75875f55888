package sim

import (
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

// segmentWith is a packet with options, whose checksum is complete unless partial.
func segmentWith(o wire.Options, partial bool) *packet {
	ip := wire.IP{Src: wire.Addr4([4]byte{10, 0, 0, 1}), Dst: wire.Addr4([4]byte{10, 0, 0, 2}), Protocol: wire.TCP, TTL: 64}
	seg := wire.Segment{SrcPort: 1, DstPort: 2, Flags: wire.ACK, Options: o}
	b := make([]byte, 200)
	const payload = 10
	start := wire.PutIP(b, &ip, wire.TCPHeaderLen+o.WireLen()+payload)
	b = b[:start+wire.PutSegment(b[start:], &seg)+payload]
	if !partial {
		finishChecksum(b, start)
	}
	return &packet{data: b, trusted: partial}
}

func TestMiddlebox(t *testing.T) {
	counters := wire.AccECN{Fields: 2, Bytes: [4]uint32{wire.ECT0: 7, wire.CE: 9}}
	with := wire.Options{Set: wire.OptTimestamps | wire.OptAccECN, TSVal: 3, TSEcr: 4, AccECN: counters}
	without, cleared := with, with
	without.Set, without.AccECN = wire.OptTimestamps, wire.AccECN{}
	cleared.AccECN.Bytes = [4]uint32{}
	for _, partial := range []bool{false, true} {
		for _, test := range []struct {
			box        Middlebox
			sent, want wire.Options
			passes     bool
		}{
			{MiddleboxNone, with, with, true},
			{MiddleboxStrips, with, without, true},
			{MiddleboxClears, with, cleared, true},
			{MiddleboxDrops, with, with, false},
			{MiddleboxStrips, without, without, true},
			{MiddleboxClears, without, without, true},
			{MiddleboxDrops, without, without, true},
		} {
			p := segmentWith(test.sent, partial)
			if got := test.box.pass(p); got != test.passes {
				t.Errorf("box %d, partial %v: passes %v", test.box, partial, got)
			}
			var v parsed
			if !v.parse(p) || v.tcp.Options != test.want || !checksumOK(p, &v.ip) {
				t.Errorf("box %d, partial %v: options %+v, checksum %v", test.box, partial, v.tcp.Options, checksumOK(p, &v.ip))
			}
		}
	}
}
