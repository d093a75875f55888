package tcp

import (
	"errors"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

func always(c *Config) { c.SynCookies = SynCookiesAlways }

func TestSynCookiesByName(t *testing.T) {
	for c := range numSynCookies {
		var got SynCookies
		text, _ := c.MarshalText()
		if err := got.UnmarshalText(text); err != nil || got != c {
			t.Errorf("%v is read as %v, %v", c, got, err)
		}
	}
	unknown := numSynCookies
	if err := unknown.UnmarshalText([]byte(unknown.String())); !errors.Is(err, ErrInvalid) {
		t.Errorf("an unknown name: %v", err)
	}
}

// TestCookieComesBack: what a cookie says is read from it, for two periods of the counter at most.
func TestCookieComesBack(t *testing.T) {
	g := newISNGenerator([16]byte{1})
	tu := isnTuple()
	for _, start := range []Time{1, 5*cookiePeriod - 1, 1 << 60} { // and through the wrap of two bits
		for mss, want := range map[uint16]uint16{0: 64, 535: 64, 536: 536, 1219: 536, 1460: 1460, 9000: 8940, 65535: 8940} {
			iss := g.cookie(start, &tu, 77, mss)
			for age := range Time(6) {
				now := start + age*cookiePeriod
				got, fit := g.openCookie(now, &tu, 77, iss)
				if fresh := age <= cookieAge; (fit == cookieGood) != fresh || fresh && got != want {
					t.Errorf("MSS %d after %d periods: %d, %v, want %d", mss, age, got, fit, want)
				}
			}
		}
	}
}

// TestCookieIsBound: a cookie is good for the connection that it was made for and no other.
func TestCookieIsBound(t *testing.T) {
	g, other := newISNGenerator([16]byte{1}), newISNGenerator([16]byte{2})
	tu := isnTuple()
	iss := g.cookie(1, &tu, 77, 1460)
	if _, fit := other.openCookie(1, &tu, 77, iss); fit == cookieGood {
		t.Error("good for another secret")
	}
	for name, change := range map[string]func(*tuple){
		"local address":  func(t *tuple) { t.local = leafAddr("169.254.144.3") },
		"remote address": func(t *tuple) { t.remote = leafAddr("192.0.2.9") },
		"local port":     func(t *tuple) { t.localPort++ },
		"remote port":    func(t *tuple) { t.remotePort++ },
	} {
		changed := tu
		change(&changed)
		if _, fit := g.openCookie(1, &changed, 77, iss); fit == cookieGood {
			t.Errorf("good for another %s", name)
		}
	}
	for bit := range 32 {
		if _, fit := g.openCookie(1, &tu, 77^1<<bit, iss); fit != cookieEarly {
			t.Errorf("another initial sequence number of the peer, by bit %d: %v", bit, fit)
		}
		if _, fit := g.openCookie(1, &tu, 77, iss^1<<bit); fit == cookieGood {
			t.Errorf("good with bit %d changed", bit)
		}
	}
}

// TestCookieTimestamp: the options come back from the timestamp, which is never ahead of the clock and less than two
// ranges of its lowest bits behind.
func TestCookieTimestamp(t *testing.T) {
	for scale := uint8(0); scale <= maxScale+1; scale++ {
		for _, sack := range []wire.OptionSet{0, wire.OptSACKPermitted} {
			for _, clock := range []uint32{0, 1, 63, 64, 100_000, 1 << 31, ^uint32(0)} {
				peer := wire.Options{Set: sack, WindowScale: scale}
				if scale <= maxScale {
					peer.Set |= wire.OptWindowScale
				} else {
					peer.WindowScale = 0
				}
				const offset = 0xdeadbeef
				ecn := ECNFeedback(clock & 1)
				ts := cookieTimestamp(clock, &peer, ecn)
				if behind := clock - ts; behind > 2*cookieTSMask {
					t.Errorf("timestamp %d is off the clock %d", ts, clock)
				}
				ack := wire.Options{Set: wire.OptTimestamps, TSVal: 5, TSEcr: ts + offset}
				got, gotECN := cookieOptions(1460, &ack, offset)
				want := peer
				want.Set |= wire.OptMSS | wire.OptTimestamps
				want.MSS, want.TSVal = 1460, 5
				if got != want || gotECN != ecn {
					t.Errorf("options %+v come back as %+v", want, got)
				}
			}
		}
	}
}

// TestCookieHandshake: a connection by a cookie has the options of its SYN, and carries data.
func TestCookieHandshake(t *testing.T) {
	for _, plain := range []bool{false, true} {
		p := newPair(t, always)
		p.check = true
		ida, idb := p.connect(&Options{NoTimestamps: plain, ECN: ECNOn})
		var a, b Status
		if p.a.stack.Status(ida, &a) != nil || p.b.stack.Status(idb, &b) != nil {
			t.Fatal("no connection")
		}
		if want := !plain; a.SACK != want || b.SACK != want || a.WindowScale != want || b.WindowScale != want || a.Timestamps != want || b.Timestamps != want {
			t.Errorf("timestamps refused %v: %+v, %+v", plain, a, b)
		}
		if ca, cb := p.a.conn(ida), p.b.conn(idb); (ca.ecn != nil) != !plain || (cb.ecn != nil) != !plain {
			t.Errorf("timestamps refused %v: ECN of a %v, of b %v", plain, ca.ecn != nil, cb.ecn != nil)
		}
		if a.MSS != b.MSS || a.SendWScale != b.RecvWScale || b.SendWScale != a.RecvWScale {
			t.Errorf("segments of %d and %d, scales %d/%d and %d/%d", a.MSS, b.MSS, a.SendWScale, a.RecvWScale, b.SendWScale, b.RecvWScale)
		}
		p.a.write(p.now, ida, []byte("one way"))
		p.b.write(p.now, idb, []byte("the other"))
		p.flow()
		if got := string(p.b.read(p.now, idb)) + "," + string(p.a.read(p.now, ida)); got != "one way,the other" {
			t.Errorf("received %q", got)
		}
		if st := p.b.stack.stats; st.SynCookiesSent != 1 || st.SynCookiesReceived != 1 || st.SynCookiesFailed != 0 || p.b.stack.Handshakes() != 0 {
			t.Errorf("%d cookies sent, %d received, %d failed", st.SynCookiesSent, st.SynCookiesReceived, st.SynCookiesFailed)
		}
	}
}

// TestSynFloodLetsOthersIn: 20,000 SYNs of strangers who never answer cost the memory of a full SYN queue and no more, and
// a peer who does answer gets its connection in between.
func TestSynFloodLetsOthersIn(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Limits.SynQueue, c.Limits.DroppedReplies = 100, 200 })
	l := p.listen(nil)
	s := p.b.stack
	flood := func(from int) {
		for i := from; i < from+10_000; i++ {
			_, packet := synFrom(p.b, i)
			s.HandlePacket(p.now, packet)
			if s.Handshakes() > 100 || s.replies.len() > 200 {
				t.Fatalf("%d handshakes and %d replies are held", s.Handshakes(), s.replies.len())
			}
			if i%100 == 0 {
				for s.PollTransmit(p.now, &p.b.out) {
				}
			}
		}
		for s.PollTransmit(p.now, &p.b.out) {
		}
	}
	flood(0)
	ida, idb := p.dial(l, nil)
	flood(10_000)
	p.a.write(p.now, ida, []byte("still here"))
	p.flow()
	if got := string(p.b.read(p.now, idb)); got != "still here" {
		t.Errorf("received %q", got)
	}
	p.b.mustCheck()
}

// TestCookieWithFullAcceptQueue: the ACK is dropped while nobody accepts; the data behind it bring the cookie again.
func TestCookieWithFullAcceptQueue(t *testing.T) {
	p := newPair(t, always)
	l, err := p.b.stack.Listen(Endpoint{p.b.addr, 80}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	open := func() ConnID {
		id, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	open()
	second := open()
	p.flow()
	p.a.write(p.now, second, []byte("again"))
	p.flow()
	if _, err := p.b.stack.Accept(l); err != nil {
		t.Fatal(err)
	}
	if _, err := p.b.stack.Accept(l); !errors.Is(err, ErrWouldBlock) || p.b.stack.stats.ListenOverflows == 0 {
		t.Fatalf("the second is there too: %v", err)
	}
	p.advance(2 * time.Second)
	id, err := p.b.stack.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(p.b.read(p.now, id)); got != "again" {
		t.Errorf("received %q", got)
	}
}

// TestCookieGuesses: an ACK that brings back nothing of ours is answered by RST, and looked into only while a cookie is
// on its way.
func TestCookieGuesses(t *testing.T) {
	p := newPair(t, always)
	p.listen(nil)
	s := p.b.stack
	tu, syn := synFrom(p.b, 1)
	ack := func(seq, ack seqnum.Value) wire.Flags {
		s.HandlePacket(p.now, p.b.rawFrom(tu, wire.Segment{Seq: seq, Ack: ack, Flags: wire.ACK, Window: 1000}, nil))
		seg, _, _ := p.b.next(p.now)
		return seg.Flags
	}
	if got := ack(2, 3); got != wire.RST || s.stats.SynCookiesFailed != 0 {
		t.Errorf("before any cookie: answered by %v, %d failed", got, s.stats.SynCookiesFailed)
	}
	s.HandlePacket(p.now, syn)
	synAck, _, _ := p.b.next(p.now)
	if got := ack(2, synAck.Seq); got != wire.RST || s.stats.SynCookiesFailed != 1 {
		t.Errorf("a wrong one: answered by %v, %d failed", got, s.stats.SynCookiesFailed)
	}
	p.now += (cookieAge + 1) * cookiePeriod
	if got := ack(2, synAck.Seq.Add(1)); got != wire.RST || s.stats.CurrEstab != 0 {
		t.Errorf("one too old: answered by %v", got)
	}
	s.HandlePacket(p.now, p.b.rawFrom(tu, wire.Segment{Seq: 1, Flags: wire.SYN, Window: 1000}, nil))
	synAck, _, _ = p.b.next(p.now)
	if got := ack(2, synAck.Seq.Add(1)); got != 0 || s.stats.CurrEstab != 1 {
		t.Errorf("the right one: answered by %v, %d connections", got, s.stats.CurrEstab)
	}
}

// TestCookieBehindItsData: data that overtake the ACK of the handshake draw no RST; that ACK, or the first data sent
// again, makes the connection.
func TestCookieBehindItsData(t *testing.T) {
	p := newPair(t, always)
	p.listen(nil)
	s := p.b.stack
	tu, syn := synFrom(p.b, 1)
	s.HandlePacket(p.now, syn)
	synAck, _, _ := p.b.next(p.now)
	data := wire.Segment{Seq: 12, Ack: synAck.Seq.Add(1), Flags: wire.ACK, Window: 1000}
	s.HandlePacket(p.now, p.b.rawFrom(tu, data, []byte("later")))
	if seg, _, ok := p.b.next(p.now); ok || s.stats.Drops[DropEarly] != 1 || s.stats.SynCookiesFailed != 0 {
		t.Errorf("answered by %v", seg)
	}
	data.Seq = 2
	s.HandlePacket(p.now, p.b.rawFrom(tu, data, []byte("the first,")))
	if s.stats.CurrEstab != 1 {
		t.Error("no connection")
	}
}

// TestCookieIsNotTakenEarly: of the segments that may come ahead of the first, none is taken for it.
func TestCookieIsNotTakenEarly(t *testing.T) {
	g := newISNGenerator([16]byte{1})
	tu := isnTuple()
	iss := g.cookie(1, &tu, 77, 1460)
	for ahead := seqnum.Value(1); ahead < 100_000; ahead++ {
		if _, fit := g.openCookie(1, &tu, 77+ahead, iss); fit != cookieEarly {
			t.Fatalf("%d bytes ahead: %v", ahead, fit)
		}
	}
}
