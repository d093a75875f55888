package tcp_test

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// withMTUSearch gives a script's connection full-sized segments of an Ethernet.
var withMTUSearch = with(func(o *tcp.Options) {
	o.NoMTUProbing, o.NoSACK, o.MaxSegment = false, false, 1460
})

// enterLarge opens a connection whose peer takes 1460 bytes in a segment.
func (h *script) enterLarge() {
	h.t.Helper()
	h.connect()
	h.want("S 0 <mss 1460,sackOK>")
	h.in("S. 0 ack 1 <mss 1460,sackOK>")
	h.want(". 1 ack 1")
}

// timeouts lets n retransmission timers expire.
func (h *script) timeouts(n uint64) {
	h.t.Helper()
	for target := h.status().Timeouts + n; h.status().Timeouts < target; {
		h.skip()
		h.now = h.stack.PollTimeout()
		h.stack.HandleTimeout(h.now)
		h.drain()
	}
}

// TestBlackHole: large segments that vanish without an ICMP message are sent again in smaller ones (RFC 4821 §7.7), and
// the search finds what the path carries without another timeout or a smaller congestion window.
func TestBlackHole(t *testing.T) {
	for name, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) {
			h := newScript(t, withMTUSearch)
			if v6 {
				overIPv6(h)
				h.opt.MaxSegment = 1440
			}
			const path = 1400
			h.connect()
			h.skip()
			h.in("S. 0 ack 1 <mss 1440,sackOK>")
			h.skip()
			h.carry(path, 1_000_000)
			st := h.status()
			if st.PathMTU > path || st.PathMTU < path-8 {
				t.Errorf("path MTU %d, the path carries %d", st.PathMTU, path)
			}
			if got := h.stack.Stats().MTUBlackHoles; got != 1 {
				t.Errorf("a black hole was suspected %d times", got)
			}
			if st.Timeouts != 3 || st.FastRecoveries != 0 {
				t.Errorf("%d timeouts and %d recoveries: probes cost no window", st.Timeouts, st.FastRecoveries)
			}
		})
	}
}

// carry sends n bytes over a path of mtu that drops larger packets silently, and acknowledges what arrives, with SACK, a
// round trip later.
func (h *script) carry(mtu, n int) {
	h.t.Helper()
	received := int(h.status().BytesAcked)
	end := int(h.sent) + n
	ahead := make(map[int]int) // start → end of what arrived behind a gap
	for range 10_000 {
		if received == end {
			return
		}
		if n > 0 {
			taken, _ := h.trySend(min(n, 50_000)) // a full buffer takes nothing
			n -= taken
		}
		if len(h.out) == 0 {
			h.now = h.stack.PollTimeout()
			h.stack.HandleTimeout(h.now)
			h.drain()
			continue
		}
		flight := h.out
		h.skip()
		h.now = h.now.Add(10 * time.Millisecond)
		for i := range flight {
			s := &flight[i]
			if s.ip.TotalLen > mtu || len(s.payload) == 0 {
				continue
			}
			start := int(h.iss.Add(1).Size(s.tcp.Seq))
			ahead[start] = max(ahead[start], start+len(s.payload))
			received = extent(ahead, received)
			ack := linef(". 1 ack %d", received+1)
			if low := firstBehind(ahead, received); low > 0 {
				ack = linef(". 1 ack %d <sack %d:%d>", received+1, low+1, extent(ahead, low)+1)
			}
			h.in(ack)
		}
	}
	h.t.Fatalf("%d of %d bytes came through", received, end)
}

// extent returns how far what arrived reaches from at on without a gap.
func extent(arrived map[int]int, at int) int {
	for end, ok := arrived[at]; ok; end, ok = arrived[at] {
		at = end
	}
	return at
}

// firstBehind returns where the first run behind a gap begins, 0 when there is none.
func firstBehind(arrived map[int]int, at int) (low int) {
	for start := range arrived {
		if start > at && (low == 0 || start < low) {
			low = start
		}
	}
	return low
}

// TestBlackHoleSuspectedWrongly: after an outage one probe of the full size brings the path MTU back.
func TestBlackHoleSuspectedWrongly(t *testing.T) {
	h := newScript(t, withMTUSearch)
	h.enterLarge()
	h.send(1460)
	h.timeouts(3)
	if got := h.status().PathMTU; got != 1200 {
		t.Fatalf("path MTU %d after three timeouts, want 1200", got)
	}
	h.skip()
	h.in(". 1 ack 1461")
	h.carry(1500, 100_000)
	if got, probes := h.status().PathMTU, h.stack.Stats().MTUProbes; got != 1500 || probes != 1 {
		t.Errorf("path MTU %d after %d probes, want 1500 after 1", got, probes)
	}
}

// TestMTUProbingOff: nothing but ICMP changes the path MTU.
func TestMTUProbingOff(t *testing.T) {
	h := newScript(t, withMTUSearch, with(func(o *tcp.Options) { o.NoMTUProbing = true }))
	h.enterLarge()
	h.send(1460)
	h.timeouts(8)
	if got := h.status().PathMTU; got != 1500 {
		t.Errorf("path MTU %d", got)
	}
	h.skip()
	h.in(". 1 ack 1461")
}

// TestMTURaise: what ICMP lowered is tried again after ten minutes (RFC 1191 §6.3), and not before.
func TestMTURaise(t *testing.T) {
	h := newScript(t, withMTUSearch, with(func(o *tcp.Options) { o.KeepAlive = -1 }))
	h.enterLarge()
	h.send(1460)
	h.want("P. 1:1461 ack 1")
	h.tooBig(1, 1300)
	h.skip()
	h.in(". 1 ack 1461")
	if h.carry(1500, 50_000); h.status().PathMTU != 1300 {
		t.Errorf("path MTU %d", h.status().PathMTU)
	}
	h.advance(10 * time.Minute)
	if h.carry(1500, 50_000); h.status().PathMTU != 1500 {
		t.Errorf("after ten minutes: path MTU %d", h.status().PathMTU)
	}
}

// TestMTUProbeAnsweredByICMP: a router's answer to a probe ends its part of the search at once, and nothing is lost by it.
func TestMTUProbeAnsweredByICMP(t *testing.T) {
	h := newScript(t, withMTUSearch)
	h.enterLarge()
	h.send(1460)
	h.timeouts(3)
	h.skip()
	h.in(". 1 ack 1461")
	h.send(20_000)
	probe := -1
	for i := range h.out {
		if h.out[i].ip.TotalLen == 1500 {
			probe = int(h.iss.Size(h.out[i].tcp.Seq))
		}
	}
	if probe < 0 {
		t.Fatal("no probe of 1500 bytes")
	}
	arrived := h.out
	h.skip()
	h.tooBig(probe, 1350)
	resent := h.out
	h.want(linef(". %d:%d ack 1", probe, probe+1160))
	h.out = append(arrived, resent...)
	if h.carry(1350, 50_000); h.status().PathMTU != 1350 {
		t.Errorf("path MTU %d, the router said 1350", h.status().PathMTU)
	}
	if st := h.status(); st.FastRecoveries != 0 {
		t.Errorf("%d recoveries", st.FastRecoveries)
	}
}

// tooBig delivers a router's ICMP error about the segment at seq, counted from our initial sequence number.
func (h *script) tooBig(seq, mtu int) {
	h.t.Helper()
	quoted := make([]byte, wire.IPv4HeaderLen+wire.TCPHeaderLen)
	n := wire.PutIP(quoted, &wire.IP{Src: h.local.Addr, Dst: h.remote.Addr, Protocol: wire.TCP, TTL: 60}, wire.TCPHeaderLen)
	wire.PutSegment(quoted[n:], &wire.Segment{SrcPort: h.local.Port, DstPort: h.remote.Port, Seq: h.iss.Add(seqnum.Size(seq)), Flags: wire.ACK})
	b := make([]byte, 128)
	router := wire.Addr4([4]byte{10, 9, 9, 9})
	h.deliver(b[:wire.PutICMPError(b, router, wire.PacketTooBig, mtu, quoted)])
}
