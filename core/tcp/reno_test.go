package tcp

import (
	"testing"
	"time"
)

// RFC 5681 §3.1, RFC 3465 §2.1: congestion avoidance grows by SMSS for each window acknowledged, however it is cut.
func TestRenoGrowsOneSegmentPerWindow(t *testing.T) {
	for _, ackSize := range []int{1, 7, ccMSS, 2 * ccMSS, 10 * ccMSS, 64 * ccMSS} {
		cc := ccStart(CongestionReno, 10*ccMSS, 10*ccMSS)
		for acked := 0; cc.cwnd() < 20*ccMSS; {
			cc.onAck(ccAck(1, ackSize, time.Millisecond))
			acked += ackSize
			// Windows of 10, 11, … segments were acknowledged one after the other.
			need, window := 0, 10*ccMSS
			for need+window <= acked {
				need += window
				window += ccMSS
			}
			if cc.cwnd() != window {
				t.Fatalf("ACKs of %d: cwnd %d after %d bytes, want %d", ackSize, cc.cwnd(), acked, window)
			}
		}
	}
}

// RFC 3465 §2.1: a loss begins the count anew.
func TestRenoForgetsPartialWindowsOnLoss(t *testing.T) {
	cc := ccStart(CongestionReno, 10*ccMSS, 5*ccMSS)
	cc.onAck(ccAck(1, 9*ccMSS, time.Millisecond))
	cc.onLoss(2, 10*ccMSS)
	cc.onRecoveryExit(3)
	cc.onAck(ccAck(4, 4*ccMSS, time.Millisecond))
	if cc.cwnd() != 5*ccMSS {
		t.Errorf("cwnd %d", cc.cwnd())
	}
}
