package tcp

import (
	"errors"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// icmpAbout makes an ICMP error that a router sends about a segment of ours.
func (e *end) icmpAbout(t tuple, seq seqnum.Value, kind wire.ErrorKind, mtu int) Packet {
	e.t.Helper()
	quoted := make([]byte, 80)
	n := wire.PutIP(quoted, &wire.IP{Src: t.local, Dst: t.remote, Protocol: wire.TCP, TTL: 64}, wire.TCPHeaderLen)
	n += wire.PutSegment(quoted[n:], &wire.Segment{SrcPort: t.localPort, DstPort: t.remotePort, Seq: seq, Flags: wire.ACK})
	router := wire.Addr4([4]byte{10, 0, 0, 254})
	if !t.local.Is4() {
		router = wire.Addr16([16]byte{0: 0xfd, 15: 254})
	}
	s, ok := e.pool.Get(1280)
	if !ok {
		e.t.Fatal("the pool is exhausted")
	}
	n = wire.PutICMPError(s.Bytes(), router, kind, mtu, quoted[:n])
	if n == 0 {
		e.t.Fatal("no ICMP error about this")
	}
	return Packet{Head: s.Sub(0, n)}
}

func TestICMPEndsAnOpen(t *testing.T) {
	for kind, want := range map[wire.ErrorKind]error{
		wire.NetUnreachable: ErrNetUnreachable, wire.HostUnreachable: ErrHostUnreach, wire.AdminProhibited: ErrHostUnreach,
		wire.PortUnreachable: ErrRefused, wire.ProtocolUnreachable: ErrNoProtocol,
	} {
		p := newPair(t)
		id, err := p.a.stack.Connect(p.now, Endpoint{Addr: p.a.addr}, Endpoint{p.b.addr, 80}, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.a.stack.PollTransmit(p.now, &p.a.out)
		c := p.a.conn(id)
		p.a.stack.HandlePacket(p.now, p.a.icmpAbout(c.tuple, c.snd.iss.Add(5), kind, 0))
		if c.state != StateSynSent {
			t.Errorf("%v: ended by an error about a segment never sent", kind)
		}
		p.a.stack.HandlePacket(p.now, p.a.icmpAbout(c.tuple, c.snd.iss, kind, 0))
		p.a.mustCheck()
		if c.state != StateClosed || !errors.Is(c.err, want) {
			t.Errorf("%v: %v, %v", kind, c.state, c.err)
		}
		p.finish()
	}
}

func TestICMPIsSoftInSynchronizedStates(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	c := p.a.conn(ida)
	p.a.send(p.now, ida, 10_000)
	p.a.stack.PollTransmit(p.now, &p.a.out)
	for kind := wire.NetUnreachable; kind <= wire.ParameterProblem; kind++ {
		p.a.stack.HandlePacket(p.now, p.a.icmpAbout(c.tuple, c.snd.una, kind, 1500))
		p.a.mustCheck()
		if c.state != StateEstablished {
			t.Fatalf("%v ends an established connection", kind)
		}
	}
	if p.a.stack.stats.SoftICMPErrors == 0 {
		t.Error("no soft error is counted")
	}
	// What the network said is the reason when the connection times out (SHLD-25).
	p.a.stack.HandlePacket(p.now, p.a.icmpAbout(c.tuple, c.snd.una, wire.NetUnreachable, 0))
	var st Status
	if err := p.a.stack.Status(ida, &st); err != nil || st.Err != nil || !errors.Is(st.SoftError, ErrNetUnreachable) {
		t.Errorf("status says %v, soft %v: %v", st.Err, st.SoftError, err)
	}
	p.filter = func(*end, *Transmit) bool { return false }
	p.advance(time.Hour)
	if err := p.a.stack.Status(ida, &st); err != nil || !errors.Is(st.Err, ErrNetUnreachable) {
		t.Errorf("ended by %v: %v", st.Err, err)
	}
	if got, want := st.Err.Error(), ErrTimeout.Error()+"; last ICMP error: "+wire.NetUnreachable.String(); got != want {
		t.Errorf("the reason reads %q, want %q", got, want)
	}
	p.finish()
}

func TestICMPEndsAHandshake(t *testing.T) {
	p := newPair(t)
	p.listen(nil)
	tu, packet := synFrom(p.b, 1)
	p.b.stack.HandlePacket(p.now, packet)
	r := p.b.stack.syns.get(tu)
	p.b.stack.HandlePacket(p.now, p.b.icmpAbout(tu, r.iss, wire.TimeExceeded, 0))
	p.b.stack.HandlePacket(p.now, p.b.icmpAbout(tu, r.iss.Add(1), wire.HostUnreachable, 0))
	if p.b.stack.Handshakes() != 1 {
		t.Fatal("ended by a soft error or one about another segment")
	}
	p.b.stack.HandlePacket(p.now, p.b.icmpAbout(tu, r.iss, wire.HostUnreachable, 0))
	p.b.mustCheck()
	if p.b.stack.Handshakes() != 0 {
		t.Error("the handshake goes on")
	}
}

// TestPathMTU: a router with a smaller MTU: what it drops comes again in smaller segments, and everything arrives.
func TestPathMTU(t *testing.T) {
	for name, c := range map[string]struct {
		v6            bool
		offload       bool
		mtu, say      int // what the router carries, and what it says
		want          int // the path MTU found
		mayNotDeliver bool
	}{
		"IPv4":                            {mtu: 1000, say: 1000, want: 1000},
		"IPv4 in super-segments":          {offload: true, mtu: 1000, say: 1000, want: 1000},
		"IPv6":                            {v6: true, mtu: 1300, say: 1300, want: 1300},
		"before RFC 1191":                 {mtu: 1400, say: 0, want: minPathMTU4},
		"forged below IPv4's floor":       {mtu: 1400, say: 68, want: minPathMTU4},
		"forged below IPv6's floor":       {v6: true, mtu: 1400, say: 500, want: minPathMTU6},
		"larger than what is used, lying": {mtu: 1400, say: 9000, want: 1500, mayNotDeliver: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPathPair(t, c.v6, c.offload)
			p.check = true
			ida, idb := p.connect(nil)
			conn := p.a.conn(ida)
			window := conn.cc.cwnd()
			p.filter = func(to *end, out *Transmit) bool {
				size := out.SegmentSize
				if size == 0 {
					size = out.PayloadLen
				}
				if len(out.Header)+size <= c.mtu {
					return true
				}
				var seg wire.Segment
				wire.ParseSegment(out.Header[out.TransportStart:], &seg)
				from := p.peer(to)
				from.stack.HandlePacket(p.now, from.icmpAbout(conn.tuple, seg.Seq, wire.PacketTooBig, c.say))
				return false
			}
			const total = 100_000
			p.a.send(p.now, ida, total)
			p.flow()
			if c.mayNotDeliver {
				if int(conn.pathMTU) != c.want {
					t.Errorf("path MTU %d, want %d", conn.pathMTU, c.want)
				}
				return
			}
			p.advance(10 * time.Millisecond) // no timeout is needed
			if n := p.b.receive(p.now, idb); n != total {
				t.Errorf("%d bytes arrived of %d", n, total)
			}
			if int(conn.pathMTU) != c.want || p.a.stack.stats.PMTUUpdates != 1 {
				t.Errorf("path MTU %d after %d updates, want %d", conn.pathMTU, p.a.stack.stats.PMTUUpdates, c.want)
			}
			if conn.cc.cwnd() < window || conn.recovery.phase != phaseOpen {
				t.Errorf("taken for congestion: window %d of %d, %v", conn.cc.cwnd(), window, conn.recovery.phase)
			}
			p.finish()
		})
	}
}

// newPathPair returns a pair of a family.
func newPathPair(t *testing.T, v6, offload bool) *pair {
	p := newPair(t, func(c *Config) { c.SegmentationOffload4, c.SegmentationOffload6 = offload, offload })
	if v6 {
		for i, e := range []*end{p.a, p.b} {
			e.addr = wire.Addr16([16]byte{0: 0xfd, 15: byte(i + 1)})
			e.stack.cfg.Owns = func(a wire.Addr) bool { return a == e.addr }
		}
	}
	return p
}

func TestSetMTU(t *testing.T) {
	p := newPair(t)
	p.check = true
	ida, idb := p.connect(nil)
	p.a.send(p.now, ida, 50_000)
	p.a.stack.PollTransmit(p.now, &p.a.out) // lost
	if err := p.a.stack.SetMTU(p.now, 900); err != nil {
		t.Fatal(err)
	}
	p.filter = func(to *end, out *Transmit) bool {
		size := out.SegmentSize
		if size == 0 {
			size = out.PayloadLen
		}
		if to == p.b && len(out.Header)+size > 900 {
			t.Errorf("a segment of %d and %d bytes", len(out.Header), size)
		}
		return true
	}
	p.advance(time.Second)
	if n := p.b.receive(p.now, idb); n != 50_000 {
		t.Errorf("%d bytes arrived", n)
	}
	for _, mtu := range []int{minMTU - 1, maxMTU + 1, 0, -1} {
		if err := p.a.stack.SetMTU(p.now, mtu); !errors.Is(err, ErrInvalid) {
			t.Errorf("MTU %d: %v", mtu, err)
		}
	}
	p.finish()
}

// TestICMPForNobody: errors about nothing that we sent are counted, whatever they are about.
func TestICMPForNobody(t *testing.T) {
	p := newPair(t)
	for kind := wire.NetUnreachable; kind <= wire.ParameterProblem; kind++ {
		p.a.stack.HandlePacket(p.now, p.a.icmpAbout(stray(p.a), 1, kind, 1000))
	}
	if n := p.a.stack.stats.Drops[DropICMPNoMatch]; n != 8 {
		t.Errorf("%d errors match nothing, want 8", n)
	}
	echo, ok := p.a.pool.Get(28)
	if !ok {
		t.Fatal("the pool is exhausted")
	}
	n := wire.PutIP(echo.Bytes(), &wire.IP{Src: p.b.addr, Dst: p.a.addr, Protocol: wire.ICMP, TTL: 64}, 8)
	copy(echo.Bytes()[n:], []byte{wire.ICMPEchoRequest, 0, 0xf7, 0xff, 0, 0, 0, 0})
	p.a.stack.HandlePacket(p.now, Packet{Head: echo})
	if p.a.stack.PollTransmit(p.now, &p.a.out) {
		t.Error("the engine answers echo requests: that is the shell's")
	}
	p.finish()
}
