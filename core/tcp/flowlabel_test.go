package tcp_test

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// TestFlowLabel: one label for all packets of a flow (RFC 6437 §3), and another after each timeout: where routers balance
// load by the label, the next transmission takes another path than the one that seems dead.
func TestFlowLabel(t *testing.T) {
	h := newScript(t)
	overIPv6(h)
	h.enter(tcp.StateEstablished)
	h.send(1000)
	first := h.out[len(h.out)-1].ip.FlowLabel
	h.want("P. 1:1001 ack 1")
	if first == 0 {
		t.Error("packets have no flow label")
	}
	h.in("P. 1:11 ack 1")
	if got := h.out[len(h.out)-1].ip.FlowLabel; got != first {
		t.Errorf("an ACK has label %#x, data %#x", got, first)
	}
	h.skip()
	seen := map[uint32]bool{first: true}
	for i := range 3 {
		for wait := 0; len(h.out) == 0 && wait < 100; wait++ {
			h.advance(time.Second)
		}
		if len(h.out) == 0 {
			t.Fatal("no retransmission")
		}
		label := h.out[len(h.out)-1].ip.FlowLabel
		if seen[label] {
			t.Errorf("timeout %d: label %#x again", i+1, label)
		}
		seen[label] = true
		h.skip()
	}
	h.in(". 11 ack 1001")
	h.recv(10)
	h.skip()
}

// TestFlowLabelOfSyn: a SYN is sent again with another label.
func TestFlowLabelOfSyn(t *testing.T) {
	h := newScript(t)
	overIPv6(h)
	h.connect()
	first := h.out[0].ip.FlowLabel
	h.skip()
	h.advance(1100 * time.Millisecond)
	if len(h.out) != 1 || h.out[0].ip.FlowLabel == first {
		t.Errorf("%d segments, want a SYN with another label than %#x", len(h.out), first)
	}
	h.skip()
}
