package tcp

import (
	"errors"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

func TestECNNames(t *testing.T) {
	for e := ECNOff; e < numECN; e++ {
		if got, err := ParseECN(e.String()); err != nil || got != e {
			t.Errorf("ParseECN(%q) = %v, %v", e, got, err)
		}
	}
	for _, name := range []string{"", "On", "ECN 0"} {
		if _, err := ParseECN(name); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseECN(%q): %v", name, err)
		}
	}
	for _, e := range []ECN{0, numECN} {
		if e.String() == "" {
			t.Errorf("ECN %d has no name", uint8(e))
		}
	}
}

// Only ECE with CWR asks, only ECE without CWR grants (RFC 3168 §6.1.1).
func TestECNSetupFlags(t *testing.T) {
	for flags, want := range map[wire.Flags][2]bool{
		0:                             {false, false},
		wire.ECE:                      {false, true},
		wire.CWR:                      {false, false},
		wire.ECE | wire.CWR:           {true, false},
		wire.ECE | wire.AE:            {false, true},
		wire.ECE | wire.CWR | wire.AE: {true, false},
	} {
		if got := [2]bool{asksECN(flags), grantsECN(flags)}; got != want {
			t.Errorf("%v: asks and grants %v, want %v", flags, got, want)
		}
	}
}

// A super-segment whose first segment has CWR, of which all are marked: the flag is taken first, and every segment counts.
func TestECNSuperSegment(t *testing.T) {
	e := &ecnState{feedback: ECNFeedbackClassic, echo: true}
	pool := zbuf.NewPool(0)
	payload, _ := pool.Get(4000)
	defer payload.Release()
	seg := &segment{mark: wire.CE, count: 4, size: 1000}
	seg.payload.body = payload
	seg.Flags = wire.ACK | wire.CWR
	if !e.arrived(seg, false) || !e.echo || e.received != 4 {
		t.Errorf("echo %v, %d marks", e.echo, e.received)
	}
	seg.mark = wire.ECT0
	if !e.arrived(seg, false) || e.echo {
		t.Error("CWR does not end the echo")
	}
}

// The reduction covers what was outstanding, over the wrap of sequence numbers.
func TestECNReductionOverWrap(t *testing.T) {
	s := &Stack{}
	c := &conn{ecn: &ecnState{feedback: ECNFeedbackClassic, capable: true}, cc: newCongestionControl(CongestionReno, 1), mss: ccMSS}
	c.cc.init(0, ccMSS, 40*ccMSS)
	c.snd.una, c.snd.nxt = seqnum.Value(0xffffff00), seqnum.Value(0x100)
	for _, step := range []struct {
		una  seqnum.Value
		want int
	}{
		{0xffffff80, 20}, {0xffffffff, 20}, {0x100, 20}, {0x101, 10},
	} {
		c.snd.una = step.una
		s.heedECN(c, 0, true, 40*ccMSS)
		if got := c.cc.cwnd() / ccMSS; got != step.want {
			t.Errorf("una %#x: window of %d segments, want %d", uint32(step.una), got, step.want)
		}
	}
	if c.ecn.reductions != 2 || s.stats.ECNReductions != 2 {
		t.Errorf("%d reductions, %d in all", c.ecn.reductions, s.stats.ECNReductions)
	}
}

// Connections without ECN have no state of it.
func TestECNStateIsRare(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	if c := p.a.conn(ida); c.ecn != nil {
		t.Error("a connection without ECN has state of it")
	}
	p.finish()
}

// The field's values in the handshake (RFC 9768 tables 2 and 3) are flags and back.
func TestACEField(t *testing.T) {
	for ace := range uint8(8) {
		if got := aceOf(aceFlags(ace) | wire.ACK | wire.FIN); got != ace {
			t.Errorf("%d becomes %d", ace, got)
		}
	}
	for mark, want := range map[wire.ECN]wire.Flags{
		wire.NotECT: wire.CWR, wire.ECT1: wire.CWR | wire.ECE, wire.ECT0: wire.AE, wire.CE: wire.AE | wire.CWR,
	} {
		if got := aceFlags(aceEcho(mark)); got != want {
			t.Errorf("codepoint %d is echoed as %v, want %v", mark, got, want)
		}
	}
}

// While the counter has the bit that is CWR, nothing is joined into super-segments: whoever cuts them clears it.
func TestECNAccurateIsNotCut(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Defaults.ECN, c.Defaults.NoPacing = ECNAccurate, true })
	ida, idb := p.connect(nil)
	if st := p.a.conn(ida).ecn; st == nil || st.feedback != ECNFeedbackAccurate || !st.capable {
		t.Fatalf("ECN of a: %+v", st)
	}
	super := false
	p.filter = func(to *end, out *Transmit) bool {
		if out.SegmentSize == 0 || to != p.b {
			return true
		}
		super = true
		if out.Header[out.TransportStart+13]&0x80 != 0 {
			t.Error("a super-segment has CWR")
		}
		return true
	}
	p.a.write(p.now, ida, make([]byte, 50_000))
	p.advance(time.Second)
	p.b.receive(p.now, idb)
	if !super {
		t.Error("no super-segment without CWR")
	}
	super = false
	p.a.conn(ida).ecn.acc.ours = 6
	p.b.conn(idb).ecn.acc.peers = 6
	p.a.write(p.now, ida, make([]byte, 50_000))
	p.advance(time.Second)
	if super {
		t.Error("a super-segment although the counter is 6")
	}
	p.b.receive(p.now, idb)
	p.finish()
}
