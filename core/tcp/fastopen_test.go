package tcp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

var fastOpenOptions = &Options{FastOpen: true}

// fastOpenPair returns a pair whose a has a cookie of b's listener.
func fastOpenPair(t *testing.T, configure ...func(*Config)) (*pair, ListenerID) {
	p := newPair(t, configure...)
	p.check = true
	l := p.listen(fastOpenOptions)
	ida, idb := p.dial(l, fastOpenOptions)
	if len(p.a.stack.fastOpenCookies.entries) != 1 || p.b.stack.stats.FastOpenCookieRequests != 1 {
		t.Fatal("no cookie was asked for and given")
	}
	for _, err := range []error{p.a.stack.Abort(p.now, ida), p.b.stack.Abort(p.now, idb)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.flow()
	return p, l
}

// open connects from a to b and sends data before anything has left.
func (p *pair) open(data string, opt *Options) ConnID {
	p.t.Helper()
	id, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, opt)
	if err != nil {
		p.t.Fatal(err)
	}
	p.a.write(p.now, id, []byte(data))
	return id
}

// exchange sends data both ways and compares.
func (p *pair) exchange(ida, idb ConnID, soFar string) {
	p.t.Helper()
	p.flow()
	p.a.write(p.now, ida, []byte(", and more"))
	p.b.write(p.now, idb, []byte("answer"))
	p.advance(time.Second)
	if got := string(p.b.read(p.now, idb)); got != soFar+", and more" {
		p.t.Errorf("received %q", got)
	}
	if got := string(p.a.read(p.now, ida)); got != "answer" {
		p.t.Errorf("answered by %q", got)
	}
}

// TestFastOpen: RFC 7413 §4.2.2: data with the SYN are there before the handshake is over, and so is the answer.
func TestFastOpen(t *testing.T) {
	p, l := fastOpenPair(t)
	ida := p.open("hello", fastOpenOptions)
	p.carry(p.a) // the SYN
	idb, err := p.b.stack.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(p.b.read(p.now, idb)); got != "hello" {
		t.Fatalf("the SYN brought %q", got)
	}
	p.b.write(p.now, idb, []byte("hi"))
	p.carry(p.b) // the SYN-ACK
	p.carry(p.b) // the answer
	if got := string(p.a.read(p.now, ida)); got != "hi" {
		t.Errorf("answered by %q", got)
	}
	if p.b.stack.Handshakes() != 1 || p.b.conn(idb).fastOpening != true {
		t.Error("the handshake is over")
	}
	p.exchange(ida, idb, "")
	if p.b.stack.Handshakes() != 0 || p.b.conn(idb).rtt.srtt == 0 {
		t.Errorf("%d handshakes", p.b.stack.Handshakes())
	}
	if a, b := p.a.stack.stats, p.b.stack.stats; a.FastOpenActive != 1 || a.FastOpenActiveFails != 0 || b.FastOpenPassive != 1 || b.FastOpenPassiveFails != 0 {
		t.Errorf("%d active, %d failed; %d passive, %d failed", a.FastOpenActive, a.FastOpenActiveFails, b.FastOpenPassive, b.FastOpenPassiveFails)
	}
	p.finish()
}

// TestFastOpenWithoutCookie: §4.2.1: the first connection asks for a cookie, and what is sent before waits for the handshake.
func TestFastOpenWithoutCookie(t *testing.T) {
	p := newPair(t)
	p.check = true
	l := p.listen(fastOpenOptions)
	ida := p.open("hello", fastOpenOptions)
	p.carry(p.a)
	if _, err := p.b.stack.Accept(l); !errors.Is(err, ErrWouldBlock) {
		t.Fatalf("a connection without a cookie: %v", err)
	}
	p.flow()
	idb, err := p.b.stack.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	p.exchange(ida, idb, "hello")
	p.finish()
}

// TestFastOpenRefused: where the listener does not take the data, they are sent again after the handshake.
func TestFastOpenRefused(t *testing.T) {
	for name, change := range map[string]func(*pair){
		"cookie of another secret": func(p *pair) {
			for key, e := range p.a.stack.fastOpenCookies.entries {
				e.cookie[0]++
				p.a.stack.fastOpenCookies.entries[key] = e
			}
		},
		"switched off": func(p *pair) { p.b.stack.listeners.match(Endpoint{p.b.addr, 80}).opt = &p.b.stack.cfg.Defaults },
		"queue full":   func(p *pair) { p.b.stack.cfg.Limits.FastOpenQueue = 0 },
	} {
		p, l := fastOpenPair(t)
		change(p)
		ida := p.open("hello", fastOpenOptions)
		p.flow()
		idb, err := p.b.stack.Accept(l)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p.exchange(ida, idb, "hello")
		if a, b := p.a.stack.stats, p.b.stack.stats; a.FastOpenActiveFails != 1 || b.FastOpenPassive != 0 {
			t.Errorf("%s: %d failed, %d passive", name, a.FastOpenActiveFails, b.FastOpenPassive)
		}
		if name == "cookie of another secret" {
			want := p.b.stack.fastOpenCookie(&tuple{local: p.b.addr, remote: p.a.addr})
			for _, e := range p.a.stack.fastOpenCookies.entries {
				if e.cookie != want.FastOpenCookie {
					t.Error("a bad cookie is not replaced")
				}
			}
		}
		p.finish()
	}
}

// TestFastOpenLoss: whichever of the first segments is lost, the data arrive once.
func TestFastOpenLoss(t *testing.T) {
	for lose := range 5 {
		p, l := fastOpenPair(t)
		ida := p.open("hello", fastOpenOptions)
		n := 0
		p.filter = func(*end, *Transmit) bool { n++; return n-1 != lose }
		p.advance(5 * time.Second)
		idb, err := p.b.stack.Accept(l)
		if err != nil {
			t.Fatalf("segment %d lost: %v", lose, err)
		}
		p.exchange(ida, idb, "hello")
		if spoilt := p.a.stack.fastOpenCookies.entries[cookieKey{p.a.addr, p.b.addr}].len == 0; spoilt != (lose == 0) {
			t.Errorf("segment %d lost: the cookie is gone: %v", lose, spoilt)
		}
		p.finish()
	}
}

// TestFastOpenLargeData: as much goes with the SYN as a segment holds; the rest follows.
func TestFastOpenLargeData(t *testing.T) {
	p, l := fastOpenPair(t)
	data := strings.Repeat("0123456789", 1000)
	ida := p.open(data, fastOpenOptions)
	p.carry(p.a)
	idb, err := p.b.stack.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	var chain zbuf.Chain
	n, err := p.b.stack.Receive(idb, &chain, 1<<20)
	if err != nil || n < 1300 || n > 1460 {
		t.Errorf("the SYN brought %d bytes: %v", n, err)
	}
	p.b.stack.Consumed(p.now, idb, n)
	chain.Clear()
	p.exchange(ida, idb, data[n:])
	p.finish()
}

// TestFastOpenNeverAnswered: §5.1: SYNs with a stolen cookie occupy a bounded number of connections, and those end.
func TestFastOpenNeverAnswered(t *testing.T) {
	p, l := fastOpenPair(t, func(c *Config) { c.Limits.FastOpenQueue = 3 })
	p.filter = func(to *end, _ *Transmit) bool { return to == p.b }
	for range 10 {
		p.open("hello", fastOpenOptions)
		p.carry(p.a)
	}
	s := p.b.stack
	if s.stats.FastOpenPassive != 3 || s.stats.FastOpenOverflows != 7 || s.Handshakes() != 10 {
		t.Errorf("%d connections, %d overflows, %d handshakes", s.stats.FastOpenPassive, s.stats.FastOpenOverflows, s.Handshakes())
	}
	taken, err := s.Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CloseListener(p.now, l); err != nil { // what was accepted remains
		t.Fatal(err)
	}
	p.b.mustCheck()
	if s.Handshakes() != 1 {
		t.Errorf("%d handshakes after the listener", s.Handshakes())
	}
	p.filter = func(*end, *Transmit) bool { return false }
	p.advance(2 * time.Minute)
	var st Status
	if err := s.Status(taken, &st); err != nil || !errors.Is(st.Err, ErrTimeout) || s.Handshakes() != 0 {
		t.Errorf("in %v, %v, %v; %d handshakes", st.State, st.Err, err, s.Handshakes())
	}
}

// TestFastOpenCookieCache: the cache is bounded, and the oldest cookie goes first.
func TestFastOpenCookieCache(t *testing.T) {
	var f cookieCache
	key := func(i int) cookieKey { return cookieKey{remote: wire.Addr4([4]byte{10, 0, 0, byte(i)})} }
	for i := range 10 {
		f.put(key(i), cookieEntry{len: 8}, 4)
		f.put(key(i), cookieEntry{len: 6}, 4)
		if len(f.entries) != min(i+1, 4) || f.order.len() != len(f.entries) {
			t.Fatalf("%d cookies in %d places", len(f.entries), f.order.len())
		}
	}
	f.spoil(key(1))
	f.spoil(key(9))
	if f.entries[key(6)].len != 6 || f.entries[key(9)].len != 0 || len(f.entries) != 4 {
		t.Errorf("cookies: %v", f.entries)
	}
}

// TestFastOpenCookieIsPerAddress: §4.1.2: another address's cookie is not good.
func TestFastOpenCookieIsPerAddress(t *testing.T) {
	s := newPair(t).b.stack
	one := tuple{local: leafAddr("10.0.0.2"), remote: leafAddr("10.0.0.1"), localPort: 80, remotePort: 1000}
	same, other := one, one
	same.remotePort, same.localPort = 2000, 443
	other.remote = leafAddr("10.0.0.3")
	cookie := s.fastOpenCookie(&one)
	if !s.knowsFastOpenCookie(&same, &cookie) || s.knowsFastOpenCookie(&other, &cookie) {
		t.Error("a cookie is bound to its addresses and nothing else")
	}
	cookie.FastOpenLen = 6
	if s.knowsFastOpenCookie(&one, &cookie) {
		t.Error("a cut cookie is good")
	}
}
