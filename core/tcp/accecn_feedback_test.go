package tcp

import (
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

// counted is an option with one counter.
func counted(mark wire.ECN, n uint32) *wire.Options {
	o := &wire.Options{Set: wire.OptAccECN, AccECN: wire.AccECN{Fields: wire.MaxAccECNFields}}
	for m, first := range accInitial {
		o.AccECN.Bytes[m] = uint32(first)
	}
	o.AccECN.Bytes[mark] = n
	return o
}

// The counters go around at 2^24 (RFC 9768 §3.2.3.1), and what is half of that behind is late.
func TestAccReceiverReadsOverWrap(t *testing.T) {
	a := &accReceiver{}
	total := uint64(0)
	for _, step := range []uint32{1000, wire.AccECNModulus/2 - 1, 1, wire.AccECNModulus/2 - 1, wire.AccECNModulus / 4, 0, 7} {
		total += uint64(step)
		marked, ok := a.read(counted(wire.CE, uint32(total%wire.AccECNModulus)))
		if !ok || marked != int(step) || a.delivered[wire.CE] != total {
			t.Fatalf("a step of %d: %d marked, %d in all, want %d", step, marked, a.delivered[wire.CE], total)
		}
	}
	if marked, _ := a.read(counted(wire.CE, uint32((total-1)%wire.AccECNModulus))); marked != 0 || a.delivered[wire.CE] != total {
		t.Errorf("an old option: %d marked, %d in all", marked, a.delivered[wire.CE])
	}
	if a.delivered[wire.ECT0] != 0 || a.delivered[wire.ECT1] != 0 {
		t.Errorf("unmarked bytes %v", a.delivered)
	}
}

func TestAccReceiverAverage(t *testing.T) {
	a := &accReceiver{}
	a.note(0)
	if a.average != 0 {
		t.Errorf("an ACK for nothing makes an average of %d", a.average)
	}
	for _, step := range []struct {
		packets, times int
		rare           bool
	}{{10, 1, false}, {1, 30, true}, {10, 2, true}, {10, 10, false}, {1 << 20, 1, false}} {
		for range step.times {
			a.note(step.packets)
		}
		if got := a.average < rareAcks; got != step.rare {
			t.Errorf("after ACKs for %d: average %d/%d", step.packets, a.average, averageUnit)
		}
	}
}

// RFC 9768 §A.2: how many packets were marked, of those that an ACK is for.
func TestMarksOf(t *testing.T) {
	const mss = 1000
	for _, test := range []struct {
		name           string
		packets, marks int
		bytes          int // marked; -1 without an option
		average        int // packets
		want           int
	}{
		{"the RFC's nine packets", 9, 2, -1, 1, 2},
		{"the RFC's ten packets", 10, 2, -1, 1, 10},
		{"more marks than packets", 2, 5, -1, 1, 5},
		{"ACKs for many packets are the rule", 10, 2, -1, 8, 2},
		{"no mark, but room for eight", 9, 0, -1, 1, 8},
		{"no mark, room for seven", 7, 0, -1, 1, 0},
		{"no mark and no bytes", 9, 0, 0, 1, 0},
		{"no mark, but bytes", 9, 0, 8000, 1, 8},
		{"two segments' bytes", 10, 2, 2000, 1, 2},
		{"too many bytes for two segments", 10, 2, 2001, 1, 10},
		{"ten segments' bytes", 10, 2, 10_000, 8, 10},
		{"gone around twice", 17, 2, 17_000, 8, 10},
	} {
		a := &accReceiver{average: uint16(test.average * averageUnit)}
		p := accProgress{packets: test.packets, mss: mss}
		if got := a.marksOf(test.marks, max(test.bytes, 0), test.bytes >= 0, &p); got != test.want {
			t.Errorf("%s: %d marks, want %d", test.name, got, test.want)
		}
	}
}

// Records of segments of one size say how many packets they were; others are estimated.
func TestCountPackets(t *testing.T) {
	var a acked
	a.countPackets(&record{segment: 100}, 950, 1000)
	if a.packets != 10 || a.estimated {
		t.Errorf("%d packets, estimated %v", a.packets, a.estimated)
	}
	a.countPackets(&record{}, 2500, 1000)
	if a.packets != 13 || !a.estimated {
		t.Errorf("%d packets, estimated %v", a.packets, a.estimated)
	}
}
