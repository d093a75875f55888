package tcp

import (
	"errors"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// enterTimeWait closes a connection from a's side first, so that a waits.
func (p *pair) enterTimeWait(ida, idb ConnID) {
	p.t.Helper()
	if err := p.a.stack.CloseWrite(p.now, ida); err != nil {
		p.t.Fatal(err)
	}
	p.flow()
	if err := p.b.stack.Close(p.now, idb); err != nil {
		p.t.Fatal(err)
	}
	p.flow()
}

func TestTimeWaitRecordsExpireInOrder(t *testing.T) {
	p := newPair(t)
	p.check = true
	l := p.listen(nil)
	for i := range 5 {
		ida, idb := p.dial(l, nil)
		p.enterTimeWait(ida, idb)
		if i%2 == 0 {
			if err := p.a.stack.Close(p.now, ida); err != nil {
				t.Fatal(err)
			}
		}
		p.advance(time.Second)
	}
	if n := p.a.stack.TimeWaits(); n != 5 {
		t.Fatalf("%d records, want 5", n)
	}
	p.advance(56 * time.Second)
	for want := 3; want >= 0; want-- {
		if n := p.a.stack.TimeWaits(); n != want {
			t.Errorf("%d records, want %d", n, want)
		}
		p.advance(time.Second)
	}
	// Handles that their users kept show CLOSED, without an error.
	for _, id := range p.a.stack.Connections(nil) {
		var st Status
		if err := p.a.stack.Status(id, &st); err != nil || st.State != StateClosed || st.Err != nil {
			t.Errorf("after TIME-WAIT: %v, %v, %v", st.State, st.Err, err)
		}
	}
	p.finish()
}

func TestTimeWaitOldestGoesAtTheLimit(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Limits.TimeWait = 3 })
	p.check = true
	l := p.listen(nil)
	var first ConnID
	for i := range 5 {
		ida, idb := p.dial(l, nil)
		p.enterTimeWait(ida, idb)
		if i == 0 {
			first = ida
		}
	}
	s := p.a.stack
	if s.TimeWaits() != 3 || s.stats.TimeWaitOverflows != 2 {
		t.Errorf("%d records after %d overflows, want 3 and 2", s.TimeWaits(), s.stats.TimeWaitOverflows)
	}
	var st Status
	if err := s.Status(first, &st); err != nil || st.State != StateClosed {
		t.Errorf("the first is in %v: %v", st.State, err)
	}
	p.finish()
}

// TestTimeWaitRestartsWithoutGrowing: each repeated FIN restarts the time, and takes no memory.
func TestTimeWaitRestartsWithoutGrowing(t *testing.T) {
	p := newPair(t)
	l := p.listen(nil)
	ida, idb := p.dial(l, nil)
	peer := *p.b.conn(idb)
	p.enterTimeWait(ida, idb)
	s := p.a.stack
	tu := tuple{local: peer.tuple.remote, remote: peer.tuple.local, localPort: peer.tuple.remotePort, remotePort: peer.tuple.localPort}
	w := s.timeWait.get(tu)
	if w == nil {
		t.Fatal("no record")
	}
	for range 100 {
		p.now = p.now.Add(time.Second)
		s.HandleTimeout(p.now)
		s.HandlePacket(p.now, p.a.rawFrom(tu, wire.Segment{
			Seq: w.rcvNxt.Sub(1), Ack: w.sndNxt, Flags: wire.FIN | wire.ACK, Window: 1000,
			Options: wire.Options{Set: wire.OptTimestamps, TSVal: w.tsRecent + 1},
		}, nil))
		p.a.mustCheck()
		if seg, _, ok := p.a.next(p.now); !ok || seg.Flags != wire.ACK || seg.Ack != w.rcvNxt {
			t.Fatalf("FIN answered by %v", seg)
		}
	}
	if s.timeWait.get(tu) != w || w.expires != p.now.Add(time.Minute) {
		t.Errorf("expires in %v, want a minute", w.expires.Sub(p.now))
	}
	p.finish()
}

// TestTimeWaitReopensBeyondOldSequence: MAY-2: the new incarnation's ISS is beyond all that the old one used, although
// the clock of RFC 6528 is behind after a fast transfer.
func TestTimeWaitReopensBeyondOldSequence(t *testing.T) {
	p := newPair(t)
	if _, err := p.a.stack.Listen(Endpoint{p.a.addr, 5000}, 0, nil); err != nil {
		t.Fatal(err)
	}
	large := &Options{RecvBuffer: 4 << 20, SendBuffer: 4 << 20}
	l := p.listen(large)
	ida, err := p.a.stack.Connect(p.now, Endpoint{p.a.addr, 5001}, Endpoint{p.b.addr, 80}, large)
	if err != nil {
		t.Fatal(err)
	}
	p.flow()
	idb, err := p.b.stack.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		p.a.send(p.now, ida, 1<<20)
		p.flow()
		p.b.receive(p.now, idb)
	}
	p.enterTimeWait(ida, idb)
	if err := p.a.stack.Close(p.now, ida); err != nil {
		t.Fatal(err)
	}
	if _, err := p.a.stack.Listen(Endpoint{p.a.addr, 5001}, 0, nil); err != nil {
		t.Fatal(err)
	}
	tu := tuple{local: p.a.addr, remote: p.b.addr, localPort: 5001, remotePort: 80}
	w := p.a.stack.timeWait.get(tu)
	p.a.stack.HandlePacket(p.now, p.a.rawFrom(tu, wire.Segment{
		Seq: w.rcvNxt.Add(1000), Flags: wire.SYN, Window: 1000,
		Options: wire.Options{Set: wire.OptTimestamps, TSVal: w.tsRecent + 1},
	}, nil))
	p.a.mustCheck()
	seg, _, ok := p.a.next(p.now)
	if !ok || seg.Flags != wire.SYN|wire.ACK || !w.sndNxt.Less(seg.Seq) {
		t.Errorf("%v at %d opens anew, the old connection had used up to %d", seg.Flags, seg.Seq, w.sndNxt)
	}
}

// TestTimeWaitIsNotAssassinated: only the exact sequence number of an RST ends it (RFC 1337, RFC 5961 §3.2).
func TestTimeWaitIsNotAssassinated(t *testing.T) {
	p := newPair(t)
	l := p.listen(nil)
	ida, idb := p.dial(l, nil)
	p.enterTimeWait(ida, idb)
	s := p.a.stack
	var w *timeWait
	for _, w = range s.timeWait.byTuple {
	}
	for _, off := range []seqnum.Size{1, 100, 1 << 31, 1<<32 - 1} {
		s.HandlePacket(p.now, p.a.rawFrom(w.tuple, wire.Segment{Seq: w.rcvNxt.Add(off), Flags: wire.RST}, nil))
		if s.TimeWaits() != 1 {
			t.Fatalf("ended by an RST %d off", off)
		}
	}
	s.HandlePacket(p.now, p.a.rawFrom(w.tuple, wire.Segment{Seq: w.rcvNxt, Flags: wire.RST}, nil))
	if s.TimeWaits() != 0 {
		t.Error("the exact RST does not end it")
	}
	p.finish()
}

// TestTimeWaitHoldsItsTuple: the same connection can't be opened again from our side meanwhile.
func TestTimeWaitHoldsItsTuple(t *testing.T) {
	p := newPair(t)
	l := p.listen(nil)
	ida, idb := p.dial(l, nil)
	local := p.a.conn(ida).tuple.localEndpoint()
	p.enterTimeWait(ida, idb)
	if _, err := p.a.stack.Connect(p.now, local, Endpoint{p.b.addr, 80}, nil); !errors.Is(err, ErrAddrInUse) {
		t.Errorf("opened in TIME-WAIT: %v", err)
	}
	p.advance(time.Minute)
	if _, err := p.a.stack.Connect(p.now, local, Endpoint{p.b.addr, 80}, nil); err != nil {
		t.Errorf("not opened after TIME-WAIT: %v", err)
	}
	p.finish()
}

// TestTimeWaitReopensBySequence: RFC 6191 §2: with the timestamp that came last, a SYN reopens by its sequence number.
func TestTimeWaitReopensBySequence(t *testing.T) {
	w := &timeWait{tsOn: true, tsRecent: 100, rcvNxt: 5000}
	for _, c := range []struct {
		ts   uint32
		seq  seqnum.Value
		want bool
	}{
		{101, 0, true},
		{101, 6000, true},
		{100, 5001, true},
		{100, 5000, false},
		{100, 0, false},
		{99, 6000, false},
		{1<<31 + 101, 6000, false},
	} {
		seg := &segment{Segment: wire.Segment{Seq: c.seq, Options: wire.Options{Set: wire.OptTimestamps, TSVal: c.ts}}}
		if got := new(Stack).reopens(w, seg); got != c.want {
			t.Errorf("timestamp %d, sequence %d: %v, want %v", c.ts, c.seq, got, c.want)
		}
	}
}

// dialFrom opens a connection from a port of a.
func (p *pair) dialFrom(l ListenerID, port uint16, opt *Options) (ida, idb ConnID, err error) {
	if ida, err = p.a.stack.Connect(p.now, Endpoint{p.a.addr, port}, Endpoint{p.b.addr, 80}, opt); err != nil {
		return 0, 0, err
	}
	p.flow()
	idb, err = p.b.stack.Accept(l)
	return ida, idb, err
}

// TestConnectReusesTimeWait: RFC 6191 §3: a tuple in TIME-WAIT can be connected from again after a second. Sequence numbers
// and timestamps go on from the old connection's, and the old handle shows CLOSED.
func TestConnectReusesTimeWait(t *testing.T) {
	p := newPair(t)
	p.check = true
	large := &Options{RecvBuffer: 4 << 20, SendBuffer: 4 << 20}
	l := p.listen(large)
	ida, idb, err := p.dialFrom(l, 5001, large)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		p.a.send(p.now, ida, 1<<20)
		p.flow()
		p.b.receive(p.now, idb)
	}
	p.enterTimeWait(ida, idb)
	w := *p.a.stack.timeWait.get(tuple{local: p.a.addr, remote: p.b.addr, localPort: 5001, remotePort: 80})
	p.advance(time.Second)
	if _, _, err := p.dialFrom(l, 5001, nil); !errors.Is(err, ErrAddrInUse) {
		t.Errorf("within the second: %v", err)
	}
	p.advance(time.Millisecond)
	again, _, err := p.dialFrom(l, 5001, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := p.a.conn(again); !w.sndNxt.Less(c.snd.iss) || c.tsOffset != w.tsOffset {
		t.Errorf("starts at %d after %d, timestamps from %d after %d", c.snd.iss, w.sndNxt, c.tsOffset, w.tsOffset)
	}
	var st Status
	if err := p.a.stack.Status(ida, &st); err != nil || st.State != StateClosed || st.Err != nil {
		t.Errorf("the old one is in %v: %v, %v", st.State, st.Err, err)
	}
	if n := p.a.stack.stats.TimeWaitReused; n != 1 || p.a.stack.TimeWaits() != 0 {
		t.Errorf("%d reused, %d wait", n, p.a.stack.TimeWaits())
	}
	p.finish()
}

// TestConnectLeavesTimeWaitAlone: without timestamps on either incarnation nothing tells old segments from new ones.
func TestConnectLeavesTimeWaitAlone(t *testing.T) {
	for _, plain := range [][2]bool{{true, false}, {false, true}} {
		p := newPair(t)
		l := p.listen(nil)
		ida, idb, err := p.dialFrom(l, 5001, &Options{NoTimestamps: plain[0]})
		if err != nil {
			t.Fatal(err)
		}
		p.enterTimeWait(ida, idb)
		p.advance(2 * time.Second)
		if _, _, err := p.dialFrom(l, 5001, &Options{NoTimestamps: plain[1]}); !errors.Is(err, ErrAddrInUse) {
			t.Errorf("without timestamps %v: %v", plain, err)
		}
		p.finish()
	}
}

// TestConnectReusesTimeWaitOfLastAck: the peer has not got our last ACK, and is still in LAST-ACK: it challenges the new SYN,
// our RST ends it, and the next SYN opens.
func TestConnectReusesTimeWaitOfLastAck(t *testing.T) {
	p := newPair(t)
	l := p.listen(nil)
	ida, idb, err := p.dialFrom(l, 5001, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.a.stack.CloseWrite(p.now, ida); err != nil {
		t.Fatal(err)
	}
	p.flow()
	p.filter = func(to *end, _ *Transmit) bool { return to != p.b }
	if err := p.b.stack.Close(p.now, idb); err != nil {
		t.Fatal(err)
	}
	p.flow()
	p.now += Time(2 * time.Second)
	p.filter = nil
	again, err := p.a.stack.Connect(p.now, Endpoint{p.a.addr, 5001}, Endpoint{p.b.addr, 80}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.advance(2 * time.Second)
	if p.a.events[again]&EventEstablished == 0 {
		t.Errorf("events %v, want established", p.a.events[again])
	}
	if _, err := p.b.stack.Accept(l); err != nil {
		t.Error(err)
	}
}

// TestConnectsInSequenceNeverRunOut: 10,000 connections one after the other through 100 ports, each closed by us first.
func TestConnectsInSequenceNeverRunOut(t *testing.T) {
	p := newPair(t, func(c *Config) { c.FirstPort, c.LastPort = 40000, 40099 })
	l := p.listen(nil)
	for i := range 10_000 {
		ida, idb, err := p.dialFrom(l, 0, nil)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		p.enterTimeWait(ida, idb)
		if err := p.a.stack.Close(p.now, ida); err != nil {
			t.Fatal(err)
		}
		p.advance(11 * time.Millisecond)
	}
	p.finish()
}
