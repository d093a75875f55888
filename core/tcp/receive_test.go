package tcp

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// ackTo is the segment header that the peer of c would send now, with n sequence numbers skipped.
func ackTo(c *conn, skip seqnum.Size) wire.Segment {
	seg := wire.Segment{Seq: c.rcv.nxt.Add(skip), Ack: c.snd.nxt, Flags: wire.ACK, Window: 60_000}
	if c.timestampsOn {
		seg.Options = wire.Options{Set: wire.OptTimestamps, TSVal: c.rcv.tsRecent}
	}
	return seg
}

// TestDSACKReportsOnlyWhatIsHeld: what was dropped must not be reported, or the sender would never send it again
// (RFC 2883 §4).
func TestDSACKReportsOnlyWhatIsHeld(t *testing.T) {
	type block = wire.SACKBlock
	for _, c := range []struct {
		name string
		seg  func(c *conn, base seqnum.Value) (wire.Segment, int)
		want func(base seqnum.Value) []block
	}{
		{"beyond the window", func(c *conn, _ seqnum.Value) (wire.Segment, int) {
			return ackTo(c, c.rcvWindow()+100), 50
		}, func(seqnum.Value) []block { return nil }},
		{"old timestamp", func(c *conn, _ seqnum.Value) (wire.Segment, int) {
			seg := ackTo(c, 0)
			seg.Options.TSVal -= 10
			return seg, 50
		}, func(seqnum.Value) []block { return nil }},
		{"old timestamp, old data", func(c *conn, base seqnum.Value) (wire.Segment, int) {
			seg := ackTo(c, 0)
			seg.Seq = base
			seg.Options.TSVal -= 10
			return seg, 50
		}, func(base seqnum.Value) []block { return []block{{Start: base, End: base.Add(50)}} }},
		{"received before", func(c *conn, base seqnum.Value) (wire.Segment, int) {
			seg := ackTo(c, 0)
			seg.Seq = base.Add(10)
			return seg, 20
		}, func(base seqnum.Value) []block { return []block{{Start: base.Add(10), End: base.Add(30)}} }},
		{"received in part", func(c *conn, base seqnum.Value) (wire.Segment, int) {
			seg := ackTo(c, 0)
			seg.Seq = base.Add(60)
			return seg, 100
		}, func(base seqnum.Value) []block { return []block{{Start: base.Add(60), End: base.Add(100)}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			ida, _ := p.connect(nil)
			conn := p.a.conn(ida)
			base := conn.rcv.nxt
			p.a.stack.HandlePacket(p.now, p.a.raw(conn, ackTo(conn, 0), make([]byte, 100)))
			p.a.next(p.now)
			seg, n := c.seg(conn, base)
			p.a.stack.HandlePacket(p.now, p.a.raw(conn, seg, make([]byte, n)))
			p.a.mustCheck()
			got, _, ok := p.a.next(p.now)
			want := c.want(base)
			if !ok || int(got.Options.SACKBlocks) != len(want) || got.Options.Set.Has(wire.OptSACK) != (len(want) > 0) {
				t.Fatalf("SACK blocks %v, want %v", got.Options.SACK[:got.Options.SACKBlocks], want)
			}
			for i, b := range want {
				if got.Options.SACK[i] != b {
					t.Errorf("SACK block %v, want %v", got.Options.SACK[i], b)
				}
			}
			p.finish()
		})
	}
}

// TestDSACKOfOutOfOrderData: a duplicate ahead of a gap is reported first, then the run that it lies in (RFC 2883 §4.1.1).
func TestDSACKOfOutOfOrderData(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	c := p.a.conn(ida)
	for range 2 {
		p.a.stack.HandlePacket(p.now, p.a.raw(c, ackTo(c, 1000), make([]byte, 200)))
		p.a.mustCheck()
	}
	got, _, _ := p.a.next(p.now)
	run := wire.SACKBlock{Start: c.rcv.nxt.Add(1000), End: c.rcv.nxt.Add(1200)}
	if got.Options.SACKBlocks != 2 || got.Options.SACK[0] != run || got.Options.SACK[1] != run {
		t.Errorf("SACK blocks %v, want %v twice", got.Options.SACK[:got.Options.SACKBlocks], run)
	}
	p.finish()
}

// TestPureACKsOutsideTheWindowAreLimited: two ends that disagree about sequence numbers don't acknowledge each other's
// acknowledgments for ever.
func TestPureACKsOutsideTheWindowAreLimited(t *testing.T) {
	p := newPair(t)
	ida, idb := p.connect(nil)
	ca, cb := p.a.conn(ida), p.b.conn(idb)
	ca.rcv.nxt, ca.rcv.adv = ca.rcv.nxt.Add(1<<30), ca.rcv.adv.Add(1<<30)
	cb.rcv.nxt, cb.rcv.adv = cb.rcv.nxt.Add(1<<30), cb.rcv.adv.Add(1<<30)
	segments := p.a.stack.stats.OutSegs
	ca.ackNow = true
	p.a.stack.wantTransmit(ca)
	for range 10_000 {
		if !p.carry(p.a) && !p.carry(p.b) {
			break
		}
	}
	if n := p.a.stack.stats.OutSegs - segments; n > 10 {
		t.Errorf("%d acknowledgments at once", n)
	}
}

// TestSmallPiecesWithoutMemory: when the pool runs empty in the middle of a small piece, nothing is kept twice.
func TestSmallPiecesWithoutMemory(t *testing.T) {
	for free := range 3 {
		p := newPair(t, func(c *Config) { c.Pool = zbuf.NewPool(1 << 20) })
		ida, _ := p.connect(nil)
		c := p.a.conn(ida)
		var want []byte
		chunk := make([]byte, 200)
		for i := range 40 {
			for j := range chunk {
				chunk[j] = byte(i*7 + j)
			}
			want = append(want, chunk...)
			pkt := p.a.raw(c, ackTo(c, 0), chunk)
			var hog []zbuf.Slice
			for s, ok := p.a.pool.Get(1); ok; s, ok = p.a.pool.Get(1) {
				hog = append(hog, s)
			}
			for _, s := range hog[:free] {
				s.Release()
			}
			p.a.stack.HandlePacket(p.now, pkt)
			for _, s := range hog[free:] {
				s.Release()
			}
		}
		got := p.a.read(p.now, ida)
		if string(got) != string(want) {
			t.Errorf("%d blocks free: received %d bytes of %d, or others", free, len(got), len(want))
		}
		p.finish()
	}
}

// TestUrgentDataStaysInLine: RFC 6093 §2.2, and MUST-32: the user is told.
func TestUrgentDataStaysInLine(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	c := p.a.conn(ida)
	seg := ackTo(c, 0)
	seg.Flags |= wire.URG
	seg.Urgent = 30
	p.a.stack.HandlePacket(p.now, p.a.raw(c, seg, []byte("0123456789")))
	p.a.poll()
	var st Status
	if err := p.a.stack.Status(ida, &st); err != nil || st.UrgentBytes != 30 || p.a.events[ida]&EventUrgent == 0 {
		t.Errorf("urgent bytes %d, events %b: %v", st.UrgentBytes, p.a.events[ida], err)
	}
	if got := p.a.read(p.now, ida); string(got) != "0123456789" {
		t.Errorf("received %q", got)
	}
	p.a.stack.HandlePacket(p.now, p.a.raw(c, ackTo(c, 0), make([]byte, 25)))
	p.a.read(p.now, ida)
	if err := p.a.stack.Status(ida, &st); err != nil || st.UrgentBytes != 0 || c.urgent {
		t.Errorf("urgent bytes %d behind the pointer", st.UrgentBytes)
	}
	p.finish()
}

// TestCloseInSynReceived: after a simultaneous open, the FIN waits for ESTABLISHED (RFC 9293 §3.10.4).
func TestCloseInSynReceived(t *testing.T) {
	p := newPair(t)
	p.check = true
	a, b := Endpoint{p.a.addr, 1000}, Endpoint{p.b.addr, 2000}
	ida, err := p.a.stack.Connect(p.now, a, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	idb, err := p.b.stack.Connect(p.now, b, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.a.stack.PollTransmit(p.now, &p.a.out) // the SYNs cross
	p.b.stack.PollTransmit(p.now, &p.b.out)
	toA, _ := packet(p.a.pool, &p.b.out)
	toB, _ := packet(p.b.pool, &p.a.out)
	p.a.stack.HandlePacket(p.now, toA)
	p.b.stack.HandlePacket(p.now, toB)
	if s := p.a.conn(ida).state; s != StateSynReceived {
		t.Fatalf("state %v", s)
	}
	if err := p.a.stack.Close(p.now, ida); err != nil {
		t.Fatal(err)
	}
	p.a.mustCheck()
	p.advance(time.Millisecond)
	var st Status
	if err := p.b.stack.Status(idb, &st); err != nil || st.State != StateCloseWait {
		t.Errorf("the peer is in %v: %v", st.State, err)
	}
	p.finish()
}
