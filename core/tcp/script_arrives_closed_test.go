package tcp_test

import (
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

// RFC 9293 §3.10.7.1 to §3.10.7.3: a segment arrives in CLOSED, LISTEN or SYN-SENT.

// arrival is a segment that arrives, and what comes of it.
type arrival struct {
	name  string
	in    string
	reply string // "" for none
}

func (a *arrival) play(h *script) {
	h.t.Helper()
	h.in(a.in)
	if a.reply != "" {
		h.want(a.reply)
	}
	h.wantNothing()
}

// TestSegmentArrivesClosed: §3.10.7.1, and §3.5.2 group 1.
func TestSegmentArrivesClosed(t *testing.T) {
	for _, a := range []arrival{
		{"RST is discarded", "R 5", ""},
		{"RST with ACK is discarded", "R. 5 ack 9", ""},
		{"without ACK: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>", "S 0", "R. =0 ack 1"},
		{"the length counts text", "P 100:150", "R. =0 ack 150"},
		{"the length counts text, SYN and FIN", "SF 100:150", "R. =0 ack 152"},
		{"with ACK: <SEQ=SEG.ACK><CTL=RST>", ". 7 ack 300", "R 300"},
		{"SYN with ACK", "S. 7 ack 300", "R 300"},
		{"data with ACK", "P. 7:1007 ack 300", "R 300"},
		{"no flags at all", "- 20", "R. =0 ack 20"},
	} {
		t.Run(a.name, func(t *testing.T) { a.play(newScript(t)) })
	}
}

// TestSegmentArrivesListen: §3.10.7.2.
func TestSegmentArrivesListen(t *testing.T) {
	for _, a := range []arrival{
		{"first, RST: ignored", "R 5", ""},
		{"first, RST with ACK: ignored", "R. 5 ack 1", ""},
		{"second, ACK: <SEQ=SEG.ACK><CTL=RST>", ". 5 ack 300", "R 300"},
		{"second, SYN with ACK: reset too", "S. 0 ack 300", "R 300"},
		{"third, SYN: <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>", "S 0", "S. 0 ack 1 win 10000 <mss 1000>"},
		{"third, SYN with ECN bits is no reason to refuse (RFC 3168 §6.1.1)", "SEW 0", "S.E 0 ack 1"},
		{"third, text with the SYN is left to be sent again", "S 0:10", "S. 0 ack 1"},
		{"fourth, FIN: dropped", "F 5", ""},
		{"fourth, text: dropped", "P 5:10", ""},
		{"fourth, URG: dropped", "U 5:10 urg 3", ""},
		{"SYN with FIN is what scanners send: dropped", "SF 0", ""},
		{"no flags at all: dropped", "- 5", ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			h := newScript(t)
			h.enter(tcp.StateListen)
			a.play(h)
			handshakes := 0
			if a.reply != "" && a.reply[0] == 'S' {
				handshakes = 1
			}
			h.wantHandshakes(handshakes)
		})
	}
}

// TestSegmentArrivesSynSent: §3.10.7.3, segments that leave the connection in SYN-SENT.
func TestSegmentArrivesSynSent(t *testing.T) {
	for _, a := range []arrival{
		{"first, SEG.ACK =< ISS: <SEQ=SEG.ACK><CTL=RST>", ". 0 ack 0", "R 0"},
		{"first, SEG.ACK > SND.NXT", ". 0 ack 2", "R 2"},
		{"first, SYN with an ACK of something never sent", "S. 0 ack 5000", "R 5000"},
		{"first, RST with a bad ACK: dropped (RFC 5961 §3.2)", "R. 0 ack 2", ""},
		{"second, RST without ACK: dropped", "R 0", ""},
		{"fifth, neither SYN nor RST: dropped", ". 1 ack 1", ""},
		{"fifth, FIN alone: dropped", "F. 1 ack 1", ""},
		{"fifth, text alone: dropped", "P. 1:100 ack 1", ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			h := newScript(t)
			h.enter(tcp.StateSynSent)
			a.play(h)
			h.wantState(tcp.StateSynSent)
		})
	}
}

// TestSegmentArrivesSynSentRefused: §3.10.7.3, second: "If the ACK was acceptable, then signal to the user 'error:
// connection reset'", which on an active open is a refusal.
func TestSegmentArrivesSynSentRefused(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.in("R. 0 ack 1")
	h.wantNothing()
	h.wantClosed(tcp.ErrRefused)
	h.wantEvent(tcp.EventClosed)
}

// TestSegmentArrivesSynSentSynAck: §3.10.7.3, fourth: "If SND.UNA > ISS …, change the connection state to ESTABLISHED".
func TestSegmentArrivesSynSentSynAck(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.in("S. 0 ack 1 win 700 <mss 300>")
	h.want(". 1 ack 1 win 10000 <>")
	h.wantNothing()
	h.wantState(tcp.StateEstablished)
	h.wantEvent(tcp.EventEstablished | tcp.EventWritable)
	// The peer's window and MSS hold from now on (MUST-16).
	h.send(600)
	h.want(". 1:301 ack 1")
	h.want("P. 301:601 ack 1")
	h.wantNothing()
}

// TestSegmentArrivesSynSentWithControls: §3.10.7.3, fourth: "If there are other controls or text in the segment, then
// continue processing at the sixth step".
func TestSegmentArrivesSynSentWithControls(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.in("SF. 0:100 ack 1")
	h.want(". 1 ack 102")
	h.wantNothing()
	h.wantState(tcp.StateCloseWait)
	h.recv(100)
	h.wantEOF()
}

// TestSegmentArrivesSynSentSimultaneous: §3.10.7.3, fourth: "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment
// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>"; §3.5, figure 8.
func TestSegmentArrivesSynSentSimultaneous(t *testing.T) {
	for _, a := range []struct{ name, last, reply string }{
		{"its SYN,ACK", "S. 0 ack 1", ". 1 ack 1"},
		{"its ACK alone", ". 1 ack 1", ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			h := newScript(t)
			h.enter(tcp.StateSynSent)
			h.in("S 0 <mss 1000>")
			h.want("S. 0 ack 1 win 10000 <mss 1000>")
			h.wantState(tcp.StateSynReceived)
			h.in(a.last)
			if a.reply != "" {
				h.want(a.reply)
			}
			h.wantNothing()
			h.wantState(tcp.StateEstablished)
			h.wantEvent(tcp.EventEstablished)
		})
	}
}

// TestDefaultMSS: RFC 9293 §3.7.1 (MUST-15): 536 when the SYN names no MSS.
func TestDefaultMSS(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.MaxSegment = 1400 }))
	h.enter(tcp.StateSynSent)
	h.in("S. 0 ack 1")
	h.want(". 1 ack 1")
	h.send(600)
	h.want(". 1:537 ack 1")
	h.want("P. 537:601 ack 1")
}
