package tcp

import (
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

func TestReplyQueueIsABoundedFIFO(t *testing.T) {
	var q replyQueue
	var stats Stats
	pushed, popped := seqnum.Value(0), seqnum.Value(0)
	for round := range 100 {
		for range 7 + round%5 {
			before := stats.Drops[DropReplyQueueFull]
			q.push(&stats, 50, reply{seq: pushed})
			if stats.Drops[DropReplyQueueFull] == before {
				pushed++
			} else if pushed-popped != 50 {
				t.Fatalf("dropped with %d waiting", pushed-popped)
			}
		}
		for range 5 {
			if r := q.pop(); r.seq != popped {
				t.Fatalf("popped %d, want %d", r.seq, popped)
			}
			popped++
		}
	}
	for popped != pushed {
		if r := q.pop(); r.seq != popped {
			t.Fatalf("popped %d, want %d", r.seq, popped)
		}
		popped++
	}
	if q.len() != 0 {
		t.Error("the queue is not empty")
	}
	if cap(q.list) > 200 {
		t.Errorf("room for %d replies of 50", cap(q.list))
	}
}

// stray is a tuple that nothing matches.
func stray(e *end) tuple {
	return tuple{local: e.addr, remote: wire.Addr4([4]byte{192, 0, 2, 1}), localPort: 9, remotePort: 9}
}

// TestReplyCarriesNoPayload: what was polled before leaves no trace in a reply.
func TestReplyCarriesNoPayload(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	p.a.send(p.now, ida, 10_000)
	if _, payload, ok := p.a.next(p.now); !ok || len(payload) == 0 {
		t.Fatal("no data sent")
	}
	p.a.stack.HandlePacket(p.now, p.a.rawFrom(stray(p.a), wire.Segment{Seq: 5, Ack: 6, Flags: wire.ACK}, nil))
	seg, payload, ok := p.a.next(p.now)
	if !ok || seg.Flags != wire.RST || seg.Seq != 6 {
		t.Fatalf("a stray ACK is answered by %v", seg)
	}
	var ip wire.IP
	if problem := wire.ParseIP(p.a.out.Header, &ip); problem != wire.None || len(payload) != 0 || p.a.out.SegmentSize != 0 {
		t.Errorf("RST with %d bytes of payload in segments of %d: %v", len(payload), p.a.out.SegmentSize, problem)
	}
}

func TestResetsForStrangers(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      wire.Segment
		payload int
		want    wire.Segment // no flags: no answer
	}{
		{"ACK", wire.Segment{Seq: 10, Ack: 99, Flags: wire.ACK}, 3, wire.Segment{Seq: 99, Flags: wire.RST}},
		{"SYN", wire.Segment{Seq: 10, Flags: wire.SYN}, 0, wire.Segment{Ack: 11, Flags: wire.RST | wire.ACK}},
		{"SYN, FIN and data", wire.Segment{Seq: 10, Flags: wire.SYN | wire.FIN}, 4, wire.Segment{Ack: 16, Flags: wire.RST | wire.ACK}},
		{"nothing", wire.Segment{Seq: 10}, 0, wire.Segment{Ack: 10, Flags: wire.RST | wire.ACK}},
		{"RST", wire.Segment{Seq: 10, Flags: wire.RST}, 0, wire.Segment{}},
		{"RST and ACK", wire.Segment{Seq: 10, Ack: 4, Flags: wire.RST | wire.ACK}, 0, wire.Segment{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			p.a.stack.HandlePacket(p.now, p.a.rawFrom(stray(p.a), c.in, make([]byte, c.payload)))
			seg, _, ok := p.a.next(p.now)
			if ok != (c.want.Flags != 0) || seg.Flags != c.want.Flags || seg.Seq != c.want.Seq || seg.Ack != c.want.Ack {
				t.Errorf("answered by %v seq %d ack %d, want %v seq %d ack %d",
					seg.Flags, seg.Seq, seg.Ack, c.want.Flags, c.want.Seq, c.want.Ack)
			}
			if ok && (seg.SrcPort != 9 || p.a.out.Dst != stray(p.a).remote) {
				t.Errorf("answered to %v port %d", p.a.out.Dst, seg.DstPort)
			}
		})
	}
}

func TestResetsAreRateLimited(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Limits.ResetsPerSec = 100 })
	for range 1000 {
		p.a.stack.HandlePacket(p.now, p.a.rawFrom(stray(p.a), wire.Segment{Flags: wire.SYN}, nil))
	}
	if n := p.a.stack.stats.OutRsts; n != 10 {
		t.Errorf("%d RSTs at once, want a tenth of a second's 100", n)
	}
	if n := p.a.stack.stats.Drops[DropResetRateLimit]; n != 990 {
		t.Errorf("%d answers left off, want 990", n)
	}
}

// TestReplyQueueFull: a device that takes nothing leaves a bounded number of replies.
func TestReplyQueueFull(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Limits.DroppedReplies, c.Limits.ResetsPerSec = 20, 1_000_000 })
	for range 100 {
		p.a.stack.HandlePacket(p.now, p.a.rawFrom(stray(p.a), wire.Segment{Flags: wire.SYN}, nil))
	}
	n := 0
	for p.a.stack.PollTransmit(p.now, &p.a.out) {
		n++
	}
	if n != 20 || p.a.stack.stats.Drops[DropReplyQueueFull] != 80 {
		t.Errorf("%d replies and %d drops, want 20 and 80", n, p.a.stack.stats.Drops[DropReplyQueueFull])
	}
}
