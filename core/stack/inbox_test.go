package stack

import (
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestInboxIsBoundedAndOrdered(t *testing.T) {
	var b inbox
	from := new(shard)
	for round := range 3 {
		for i := range inboxSize {
			if !b.put(tcp.Packet{SegmentSize: i}, from) {
				t.Fatalf("round %d: full at %d", round, i)
			}
		}
		if b.put(tcp.Packet{}, from) || b.put(tcp.Packet{}, from) || b.hasRoom() {
			t.Fatal("takes more than its size")
		}
		if len(b.blocked) != 1 {
			t.Errorf("a blocked shard is listed %d times", len(b.blocked))
		}
		packets := b.take()
		if len(packets) != inboxSize || b.waiting() || !b.hasRoom() || len(b.blocked) != 0 {
			t.Fatalf("%d packets taken, waiting %v", len(packets), b.waiting())
		}
		for i, p := range packets {
			if p.SegmentSize != i {
				t.Fatalf("packet %d at place %d", p.SegmentSize, i)
			}
		}
	}
}

func TestInboxDoesNotAllocate(t *testing.T) {
	var b inbox
	from := new(shard)
	cycle := func() {
		for range 8 {
			b.put(tcp.Packet{}, from)
		}
		b.take()
	}
	cycle()
	cycle()
	if n := testing.AllocsPerRun(100, cycle); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
