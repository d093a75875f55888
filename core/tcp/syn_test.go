package tcp

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// synFrom makes the i-th stranger's SYN to port 80.
func synFrom(e *end, i int) (tuple, Packet) {
	t := tuple{
		local: e.addr, remote: wire.Addr4([4]byte{192, 0, byte(i >> 8), byte(i)}), localPort: 80, remotePort: uint16(1000 + i),
	}
	return t, e.rawFrom(t, wire.Segment{Seq: seqnum.Value(i), Flags: wire.SYN, Window: 1000}, nil)
}

func TestSynQueueIsBounded(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Limits.SynQueue, c.SynCookies = 10, SynCookiesOff })
	p.listen(nil)
	s := p.b.stack
	for i := range 100 {
		_, packet := synFrom(p.b, i)
		s.HandlePacket(p.now, packet)
		p.b.mustCheck()
	}
	if s.Handshakes() != 10 || s.stats.Drops[DropSynQueueFull] != 90 {
		t.Errorf("%d handshakes and %d drops, want 10 and 90", s.Handshakes(), s.stats.Drops[DropSynQueueFull])
	}
}

// TestSynRetries: SYN-ACKs are sent again at the times of a doubling timeout, in the order of their deadlines, then given up.
func TestSynRetries(t *testing.T) {
	p := newPair(t)
	p.listen(&Options{SynAckRetries: 3})
	s := p.b.stack
	start := p.now
	sent := map[uint16][]time.Duration{}
	take := func() {
		for {
			seg, _, ok := p.b.next(p.now)
			if !ok {
				return
			}
			sent[seg.DstPort] = append(sent[seg.DstPort], p.now.Sub(start))
		}
	}
	for i := range 3 {
		_, packet := synFrom(p.b, i)
		p.now = start.Add(time.Duration(i) * 300 * time.Millisecond)
		s.HandlePacket(p.now, packet)
		take()
	}
	for s.PollTimeout() != Never {
		p.now = max(p.now, s.PollTimeout())
		s.HandleTimeout(p.now)
		p.b.mustCheck()
		take()
	}
	for i := range 3 {
		at := time.Duration(i) * 300 * time.Millisecond
		want := []time.Duration{at, at + time.Second, at + 3*time.Second, at + 7*time.Second}
		got := sent[uint16(1000+i)]
		if len(got) != len(want) {
			t.Fatalf("SYN-ACKs %d are sent at %v, want %v", i, got, want)
		}
		for k := range want {
			if late := got[k] - want[k]; late < 0 || late > time.Millisecond {
				t.Errorf("SYN-ACK %d.%d is sent at %v, want %v", i, k, got[k], want[k])
			}
		}
	}
	if s.Handshakes() != 0 || s.stats.AttemptFails != 3 {
		t.Errorf("%d handshakes, %d failed", s.Handshakes(), s.stats.AttemptFails)
	}
}

// TestSynFloodLeavesNothingBehind: SYNs that are reset at once occupy nothing, however many come before the next poll.
func TestSynFloodLeavesNothingBehind(t *testing.T) {
	p := newPair(t)
	p.listen(nil)
	s := p.b.stack
	for i := range 1000 {
		tu, packet := synFrom(p.b, i)
		s.HandlePacket(p.now, packet)
		s.HandlePacket(p.now, p.b.rawFrom(tu, wire.Segment{Seq: seqnum.Value(i + 1), Flags: wire.RST}, nil))
	}
	if s.Handshakes() != 0 || s.syns.owed.front() != nil || s.syns.waiting[0].front() != nil {
		t.Errorf("%d handshakes are left", s.Handshakes())
	}
	if s.PollTimeout() != Never {
		t.Error("a timer is left")
	}
	p.b.mustCheck()
}

// TestSynAgainEchoesItsTimestamp: the SYN-ACK that answers a repeated SYN echoes the newer timestamp.
func TestSynAgainEchoesItsTimestamp(t *testing.T) {
	p := newPair(t)
	p.listen(nil)
	tu, _ := synFrom(p.b, 1)
	for _, val := range []uint32{100, 1100} {
		seg := wire.Segment{Seq: 7, Flags: wire.SYN, Window: 1000, Options: wire.Options{Set: wire.OptTimestamps, TSVal: val}}
		p.b.stack.HandlePacket(p.now, p.b.rawFrom(tu, seg, nil))
		got, _, ok := p.b.next(p.now)
		if !ok || got.Options.TSEcr != val {
			t.Errorf("SYN with timestamp %d is answered with echo %d", val, got.Options.TSEcr)
		}
	}
	if n := p.b.stack.Handshakes(); n != 1 {
		t.Errorf("%d handshakes of one SYN", n)
	}
}
