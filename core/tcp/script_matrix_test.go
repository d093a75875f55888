package tcp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// Requirements of RFC 9293 that no call and no state owns; docs/rfc/rfc9293.md says which test shows which.

// TestResetWithData: §3.5.3 (SHLD-2): a RST may carry text, an explanation for people; it resets all the same.
func TestResetWithData(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("R. 1:31 ack 1")
	h.wantNothing()
	h.wantClosed(tcp.ErrReset)
}

// TestTimeWaitReopensByTimestamp: RFC 6191 §2 (SHLD-4): a SYN with a later timestamp opens a new connection, although its
// number was used before; one with an old timestamp and an old number does not.
func TestTimeWaitReopensByTimestamp(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.NoTimestamps = false }))
	h.connect()
	h.want("S 0 <mss 1000,ts *:0>")
	h.in("S. 0 ack 1 <mss 1000,ts 500:?>")
	h.want(". 1 ack 1 <ts *:500>")
	h.closeWrite()
	h.want("F. 1 ack 1")
	h.in("F. 1 ack 2 <ts 510:?>")
	h.want(". 2 ack 2")
	h.wantState(tcp.StateTimeWait)
	h.listen()
	h.in("S -100 <mss 1000,ts 505:0>")
	h.want(". 2 ack 2")
	h.wantState(tcp.StateTimeWait)
	h.in("S -100 <mss 1000,ts 520:0>")
	h.want("S. 65539 ack -99 <mss 1000,ts *:520>")
	h.wantClosed(nil)
}

// TestListenBesideOpening: §3.9.1.1 (MUST-42, MUST-41): a port can be listened on while a connection from it is opening, and
// neither disturbs the other.
func TestListenBesideOpening(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.listen()
	opening, remote := h.id, h.remote
	h.id, h.remote.Port = 0, remote.Port+1
	h.in("S 0 <mss 1000>")
	h.want("S. 0 ack 1")
	h.in(". 1 ack 1")
	h.accept()
	h.wantState(tcp.StateEstablished)
	h.id, h.remote = opening, remote
	h.wantState(tcp.StateSynSent)
	h.in("S. 0 ack 1 <mss 1000>")
	h.want(". 1 ack 1")
	h.wantState(tcp.StateEstablished)
}

// TestGroupAddressesAreIgnored: §3.9.2.3: a SYN to a group's address (MUST-57) or from one (MUST-63) is discarded without a
// word, also when the stack is told that all addresses are its own.
func TestGroupAddressesAreIgnored(t *testing.T) {
	h := newScript(t, func(c *tcp.Config, _ *tcp.Options) { c.Owns = func(wire.Addr) bool { return true } })
	h.listen()
	peer, group, all, none := h.remote.Addr, wire.Addr4([4]byte{224, 0, 0, 1}), wire.Addr4([4]byte{255, 255, 255, 255}), wire.Addr4([4]byte{})
	for _, a := range []struct{ src, dst wire.Addr }{
		{peer, group}, {peer, all}, {peer, none}, {group, h.local.Addr}, {all, h.local.Addr}, {none, h.local.Addr},
	} {
		seg := wire.Segment{SrcPort: h.remote.Port, DstPort: h.local.Port, Flags: wire.SYN, Window: 1000}
		h.deliver(buildPacket(a.src, a.dst, &seg, 0, 0))
		h.wantNothing()
	}
	h.wantHandshakes(0)
}

// TestTTLAndTrafficClass: §3.9.2 (MUST-49) and §3.9.1.8 (MUST-48, SHLD-21, SHLD-22): every segment has what the user asked
// for, also the reset, and a change applies from the next one on.
func TestTTLAndTrafficClass(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.TTL, o.TrafficClass = 7, 0x28 }))
	wantIP := func(ttl, class uint8) {
		t.Helper()
		for _, s := range h.out {
			if s.ip.TTL != ttl || s.ip.TrafficClass != class {
				t.Errorf("%s: TTL %d, traffic class %#x; want %d, %#x", s.format(h.iss, h.irs), s.ip.TTL, s.ip.TrafficClass, ttl, class)
			}
		}
		if len(h.out) == 0 {
			t.Error("nothing left")
		}
		h.skip()
	}
	h.connect()
	wantIP(7, 0x28)
	h.in("S. 0 ack 1 <mss 1000>")
	h.send(10)
	wantIP(7, 0x28)
	h.opt.TTL, h.opt.TrafficClass = 200, 0xb8
	h.call("set options", h.stack.SetOptions(h.now, h.id, &h.opt), nil)
	h.send(10)
	wantIP(200, 0xb8)
	h.abort()
	wantIP(200, 0xb8)
}

// TestAcksAreAggregated: §3.10.7.4 (MUST-58, MUST-59): segments that wait together are all processed before one ACK is
// sent, even without delayed ACKs.
func TestAcksAreAggregated(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	for i := range 5 {
		seg := wire.Segment{
			SrcPort: h.remote.Port, DstPort: h.local.Port, Seq: number{n: uint32(1 + 100*i)}.value(h.irs),
			Ack: number{n: 1}.value(h.iss), Flags: wire.ACK, Window: 1000,
		}
		b := buildPacket(h.remote.Addr, h.local.Addr, &seg, 100, uint64(100*i))
		s, ok := h.pool.Get(len(b))
		if !ok {
			t.Fatal("no buffer")
		}
		copy(s.Bytes(), b)
		h.stack.HandlePacket(h.now, tcp.Packet{Head: s})
	}
	h.drain()
	h.want(". 1 ack 501")
	h.wantNothing()
}

// TestShrunkWindowBoundsRetransmissions: §3.8.6 (MUST-34, SHLD-16, MUST-35): once the peer has taken its window back, what
// still fits is sent again, and nothing behind the edge; with no window at all, a byte at SND.UNA asks.
func TestShrunkWindowBoundsRetransmissions(t *testing.T) {
	t.Run("to less", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateEstablished)
		h.send(3000)
		h.skip()
		h.in(". 1 ack 1 win 500")
		h.wantAfter(200*time.Millisecond, ". 1:501 ack 1")
		h.wantNothing()
	})
	t.Run("to nothing", func(t *testing.T) {
		h := newScript(t)
		h.enter(tcp.StateEstablished)
		h.send(3000)
		h.skip()
		h.in(". 1 ack 1 win 0")
		h.wantAfter(200*time.Millisecond, ". 1:2 ack 1")
		h.wantNothing()
	})
}

// TestUserTimeoutCanBeChanged: §3.8.3 (MUST-21): the user sets R2 of a connection that already waits.
func TestUserTimeoutCanBeChanged(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.opt.UserTimeout = time.Second
	h.call("set options", h.stack.SetOptions(h.now, h.id, &h.opt), nil)
	h.send(100)
	h.advance(time.Second + tick)
	h.skip()
	h.wantClosed(tcp.ErrTimeout)
}

// TestTimeoutsShowInStatus: §3.8.3 (SHLD-9, MUST-47): between R1 and R2 the user can see that nothing gets through.
func TestTimeoutsShowInStatus(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(100)
	h.advance(2 * time.Second)
	h.skip()
	if st := h.status(); st.Timeouts != 3 || st.Backoff != 3 || st.Retransmitted != 3 || st.State != tcp.StateEstablished {
		t.Errorf("%d timeouts, back-off %d, %d retransmitted, %v", st.Timeouts, st.Backoff, st.Retransmitted, st.State)
	}
}

// TestUrgentPointerIsBehindUrgentData: §3.8.5 (MUST-62, MUST-33): the pointer names the first byte that is not urgent, and
// the user can tell how much before it is still to be read.
func TestUrgentPointerIsBehindUrgentData(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("PU. 1:11 ack 1 urg 70") // more urgent data will follow (MUST-31)
	h.want(". 1 ack 11")
	if n := h.status().UrgentBytes; n != 70 {
		t.Errorf("%d urgent bytes are to come, want 70", n)
	}
	h.recv(10)
	h.in("P. 11:101 ack 1")
	h.want(". 1 ack 101")
	if n := h.status().UrgentBytes; n != 60 {
		t.Errorf("%d urgent bytes are left, want 60", n)
	}
	h.recv(90)
	if n := h.status().UrgentBytes; n != 0 {
		t.Errorf("%d urgent bytes are left after all was read", n)
	}
}

// TestAbortedConnectionSaysWhy: §3.6 (MUST-12): a connection that ended says why, on every call.
func TestAbortedConnectionSaysWhy(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("R 1")
	h.wantEvent(tcp.EventClosed)
	h.wantRecv(tcp.ErrReset)
	if _, err := h.trySend(1); !errors.Is(err, tcp.ErrReset) {
		t.Errorf("send: %v, want %v", err, tcp.ErrReset)
	}
}

// TestDefaultUserTimeout: §3.8.3 (SHLD-11): R2 is 100 s at least.
func TestDefaultUserTimeout(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(100)
	h.advance(100 * time.Second)
	h.wantState(tcp.StateEstablished)
	h.skip()
}

// TestLimitedTransmit: RFC 3042 §2: the first two duplicate ACKs each send a new segment beyond the congestion window.
func TestLimitedTransmit(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(13_000)
	if n := len(h.out); n != 10 {
		t.Fatalf("%d segments left, want the initial window of 10", n)
	}
	h.skip()
	h.in(". 1 ack 1")
	h.want(". 10001:11001 ack 1")
	h.in(". 1 ack 1")
	h.want(". 11001:12001 ack 1")
	h.wantNothing()
	h.in(". 1 ack 1")
	h.want(". 1:1001 ack 1")
	h.wantNothing()
}

// TestNoFastRetransmitAtRecoveryPoint: RFC 6582 §3.2 step 2: duplicate ACKs of what a timeout sent again needlessly are no
// new loss.
func TestNoFastRetransmitAtRecoveryPoint(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(5000)
	h.skip()
	h.wantAfter(200*time.Millisecond, ". 1:1001 ack 1")
	h.in(". 1 ack 5001")
	h.send(5000)
	h.skip()
	for range 4 {
		h.in(". 1 ack 5001")
	}
	h.skip()
	if st := h.status(); st.Retransmitted != 1 || st.FastRecoveries != 0 {
		t.Errorf("%d segments retransmitted, %d recoveries", st.Retransmitted, st.FastRecoveries)
	}
}

// TestPacketsAreNotFragmented: RFC 1191 §3: IPv4 packets carry DF, so that routers tell what does not fit.
func TestPacketsAreNotFragmented(t *testing.T) {
	h := newScript(t)
	h.connect()
	if !h.out[0].ip.DontFragment {
		t.Error("sent without DF")
	}
	h.want("S 0")
}
