package differential

import (
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

func parsePacket(t *testing.T, b []byte) (wire.Segment, int) {
	t.Helper()
	var ip wire.IP
	var seg wire.Segment
	if wire.ParseIP(b, &ip) != wire.None || wire.ParseSegment(b[ip.HeaderLen:], &seg) != wire.None {
		t.Fatalf("% x is no segment", b)
	}
	if !wire.ChecksumOK(ip.Src, ip.Dst, wire.TCP, b[ip.HeaderLen:], nil) {
		t.Errorf("%v has a wrong checksum", seg)
	}
	return seg, ip.TotalLen - ip.HeaderLen - seg.HeaderLen
}

// Once a connection is there, each step's segment is where its name says.
func TestSegmentsOfSteps(t *testing.T) {
	const iss, window = seqnum.Value(5000), 1000
	next := peerISS.Add(1)
	tests := []struct {
		step   Step
		flags  wire.Flags
		seq    seqnum.Value
		ack    seqnum.Value
		length int
	}{
		{Data, wire.ACK | wire.PSH, next, iss + 11, dataLength},
		{DataAhead, wire.ACK | wire.PSH, next + dataLength, iss + 11, dataLength},
		{DataDuplicate, wire.ACK | wire.PSH, next - dataLength, iss + 11, dataLength},
		{DataBeyond, wire.ACK | wire.PSH, next + window, iss + 11, dataLength},
		{DataStraddle, wire.ACK | wire.PSH, next + window - dataLength/2, iss + 11, dataLength},
		{ACKFuture, wire.ACK, next, iss + 11 + farAway, 0},
		{ACKOld, wire.ACK, next, iss - 1, 0},
		{FIN, wire.FIN | wire.ACK, next, iss + 11, 0},
		{RST, wire.RST, next, 0, 0},
		{RSTInWindow, wire.RST, next + 10, 0, 0},
		{RSTBeyond, wire.RST, next + window, 0, 0},
		{SYNInWindow, wire.SYN, next + 5, 0, 0},
		{KeepAlive, wire.ACK, next - 1, iss + 11, 0},
		{NoFlags, 0, next, 0, 0},
	}
	for _, tt := range tests {
		p := newPeer(place(0).Local, place(0).Remote, false)
		p.take(&wire.Segment{Seq: iss, Ack: next, Flags: wire.SYN | wire.ACK, Window: window}, 0)
		p.take(&wire.Segment{Seq: iss + 1, Ack: next, Flags: wire.ACK, Window: window}, 10)
		seg, length := parsePacket(t, p.packet(tt.step))
		if seg.Flags != tt.flags || seg.Seq != tt.seq || seg.Ack != tt.ack || length != tt.length {
			t.Errorf("%v: %v seq %v ack %v, %d bytes", tt.step, seg.Flags, seg.Seq, seg.Ack, length)
		}
	}
}
