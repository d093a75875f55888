package tcp_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// RFC 9293 §3.10.1 to §3.10.6: the user's calls.

var everyState = append([]tcp.State{tcp.StateSynSent}, fromSynReceived...)

// TestOpenCall: §3.10.1, CLOSED: an active OPEN sends <SEQ=ISS><CTL=SYN>, a passive one enters LISTEN.
func TestOpenCall(t *testing.T) {
	t.Run("active", func(t *testing.T) {
		h := newScript(t)
		h.connect()
		h.want("S 0 win 10000 <mss 1000>")
		h.wantNothing()
		h.wantState(tcp.StateSynSent)
	})
	t.Run("passive", func(t *testing.T) {
		h := newScript(t)
		h.listen()
		h.wantNothing()
		var st tcp.ListenerStatus
		if err := h.stack.ListenerStatus(h.listener, &st); err != nil || st.Local != h.local {
			t.Errorf("listens at %v, %v", st.Local, err)
		}
	})
}

// TestOpenCallAgain: §3.10.1, every other state: "error: connection already exists".
func TestOpenCallAgain(t *testing.T) {
	forStates(t, everyState, func(h *script, _ tcp.State, _ position) {
		_, err := h.stack.Connect(h.now, h.local, h.remote, &h.opt)
		h.call("connect again", err, tcp.ErrAddrInUse)
		h.wantNothing()
	})
	t.Run("LISTEN", func(t *testing.T) {
		h := newScript(t)
		h.listen()
		_, err := h.stack.Listen(h.local, 0, &h.opt)
		h.call("listen again", err, tcp.ErrAddrInUse)
	})
}

// TestOpenCallIllegal: §3.10.1: "if the remote socket is unspecified, return 'error: remote socket unspecified'", and
// RFC 9293 MUST-46: a remote address that is a group's.
func TestOpenCallIllegal(t *testing.T) {
	h := newScript(t)
	for _, c := range []struct {
		name          string
		local, remote tcp.Endpoint
		want          error
	}{
		{"remote unspecified", h.local, tcp.Endpoint{Addr: wire.Addr4([4]byte{}), Port: 1}, tcp.ErrNetUnreachable},
		{"remote port unspecified", h.local, tcp.Endpoint{Addr: h.remote.Addr}, tcp.ErrInvalid},
		{"remote multicast", h.local, tcp.Endpoint{Addr: wire.Addr4([4]byte{224, 0, 0, 1}), Port: 1}, tcp.ErrNetUnreachable},
		{"remote broadcast", h.local, tcp.Endpoint{Addr: wire.Addr4([4]byte{255, 255, 255, 255}), Port: 1}, tcp.ErrNetUnreachable},
		{"remote loopback", h.local, tcp.Endpoint{Addr: wire.Addr4([4]byte{127, 0, 0, 1}), Port: 1}, tcp.ErrNetUnreachable},
		{"remote of another family", h.local, tcp.Endpoint{Addr: wire.Addr16([16]byte{0xfd, 15: 1}), Port: 1}, tcp.ErrInvalid},
		{"local not ours", tcp.Endpoint{Addr: h.remote.Addr, Port: 1}, h.remote, tcp.ErrAddrNotOwned},
	} {
		_, err := h.stack.Connect(h.now, c.local, c.remote, nil)
		h.call(c.name, err, c.want)
	}
	_, err := h.stack.Listen(h.remote, 0, nil)
	h.call("listen at an address that isn't ours", err, tcp.ErrAddrNotOwned)
	h.wantNothing()
}

// TestSendCall: §3.10.2.
func TestSendCall(t *testing.T) {
	for state, want := range map[tcp.State]error{
		tcp.StateSynSent:     tcp.ErrNotConnected, // the RFC would queue; here the user waits for EventEstablished
		tcp.StateSynReceived: tcp.ErrNotConnected,
		tcp.StateEstablished: nil,
		tcp.StateFinWait1:    tcp.ErrShutdown, // "error: connection closing"
		tcp.StateFinWait2:    tcp.ErrShutdown,
		tcp.StateCloseWait:   nil,
		tcp.StateClosing:     tcp.ErrShutdown,
		tcp.StateLastAck:     tcp.ErrShutdown,
		tcp.StateTimeWait:    tcp.ErrShutdown,
	} {
		t.Run(state.String(), func(t *testing.T) {
			h := newScript(t)
			h.enter(state)
			n, err := h.trySend(10)
			if !errors.Is(err, want) || want == nil && (err != nil || n != 10) {
				t.Fatalf("send took %d, %v; want %v", n, err, want)
			}
			if want == nil {
				h.want(fmt.Sprintf("P. 1:11 ack %d", positions[state].rcv))
			}
			h.wantNothing()
		})
	}
}

// TestSendCallSegmentizes: §3.10.2, ESTABLISHED: "Segmentize the buffer and send it with a piggybacked acknowledgment".
// RFC 9293 MUST-61: PSH on the last segment.
func TestSendCallSegmentizes(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(2500)
	h.want(". 1:1001 ack 1")
	h.want(". 1001:2001 ack 1")
	h.want("P. 2001:2501 ack 1")
	h.wantNothing()
}

// TestSendCallBuffer: §3.10.2: "If there are insufficient resources to remember this buffer, simply return 'error:
// insufficient resources'": what fits is taken, and the user is told when there is room.
func TestSendCallBuffer(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.SendBuffer = 1500 }))
	h.enter(tcp.StateEstablished)
	h.sendTakes(2000, 1500)
	h.want(". 1:1001 ack 1")
	h.want("P. 1001:1501 ack 1")
	h.sendTakes(10, 0)
	h.wantNothing()
	h.events = 0
	h.in(". 1 ack 1501")
	h.wantEvent(tcp.EventWritable)
	h.send(10)
	h.want("P. 1501:1511 ack 1")
}

// TestReceiveCall: §3.10.3.
func TestReceiveCall(t *testing.T) {
	for state, want := range map[tcp.State]error{
		tcp.StateSynSent:     tcp.ErrNotConnected,
		tcp.StateSynReceived: tcp.ErrNotConnected,
		tcp.StateEstablished: tcp.ErrWouldBlock, // "queue the request"
		tcp.StateFinWait1:    tcp.ErrWouldBlock,
		tcp.StateFinWait2:    tcp.ErrWouldBlock,
		tcp.StateCloseWait:   io.EOF, // "If there is no text awaiting delivery, … 'error: connection closing'"
		tcp.StateClosing:     io.EOF,
		tcp.StateLastAck:     io.EOF,
		tcp.StateTimeWait:    io.EOF,
	} {
		t.Run(state.String(), func(t *testing.T) {
			h := newScript(t)
			h.enter(state)
			h.wantRecv(want)
			h.wantNothing()
		})
	}
}

// TestReceiveCallCloseWait: §3.10.3, CLOSE-WAIT: "RECEIVEs must be satisfied by data already on hand".
func TestReceiveCallCloseWait(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("FP. 1:101 ack 1")
	h.want(". 1 ack 102")
	h.wantState(tcp.StateCloseWait)
	h.recv(100)
	h.wantEOF()
}

// TestReceiveCallLimit: no more than asked for.
func TestReceiveCallLimit(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("P. 1:101 ack 1")
	h.want(". 1 ack 101")
	var c zbuf.Chain
	if n, err := h.stack.Receive(h.id, &c, 30); n != 30 || err != nil || c.Len() != 30 {
		t.Fatalf("received %d, %v; want 30", n, err)
	}
	c.Clear()
	h.received = 30
	h.hold(70)
}

// TestCloseWriteCall: §3.10.4, as far as the sending side is concerned.
func TestCloseWriteCall(t *testing.T) {
	for _, c := range []struct {
		from, to tcp.State
		err      error
		fin      string
	}{
		{tcp.StateSynSent, tcp.StateSynSent, tcp.ErrNotConnected, ""},
		{tcp.StateSynReceived, tcp.StateSynReceived, tcp.ErrNotConnected, ""},
		{tcp.StateEstablished, tcp.StateFinWait1, nil, "F. 1 ack 1"},
		{tcp.StateFinWait1, tcp.StateFinWait1, nil, ""},
		{tcp.StateFinWait2, tcp.StateFinWait2, nil, ""},
		{tcp.StateCloseWait, tcp.StateLastAck, nil, "F. 1 ack 2"},
		{tcp.StateClosing, tcp.StateClosing, nil, ""},
		{tcp.StateLastAck, tcp.StateLastAck, nil, ""},
		{tcp.StateTimeWait, tcp.StateTimeWait, nil, ""},
	} {
		t.Run(c.from.String(), func(t *testing.T) {
			h := newScript(t)
			h.enter(c.from)
			h.call("close write", h.stack.CloseWrite(h.now, h.id), c.err)
			if c.fin != "" {
				h.want(c.fin)
			}
			h.wantNothing()
			h.wantState(c.to)
		})
	}
}

// TestCloseWriteCallAfterData: §3.10.4, ESTABLISHED: "Queue this until all preceding SENDs have been segmentized, then
// form a FIN segment": it goes with the last data, and not before a closed window lets those go.
func TestCloseWriteCallAfterData(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.in("S. 0 ack 1 win 1000 <mss 1000>")
	h.want(". 1 ack 1")
	h.send(1500)
	h.want(". 1:1001 ack 1")
	h.closeWrite()
	h.wantNothing()
	h.wantState(tcp.StateFinWait1)
	h.in(". 1 ack 1001 win 5000")
	h.want("FP. 1001:1501 ack 1")
	h.in(". 1 ack 1502")
	h.wantState(tcp.StateFinWait2)
}

// TestCloseCall: §3.10.4: what the peer sees when the user lets go of everything.
func TestCloseCall(t *testing.T) {
	for state, reply := range map[tcp.State]string{
		tcp.StateSynSent:     "", // "Delete the TCB"
		tcp.StateSynReceived: "",
		tcp.StateEstablished: "F. 1 ack 1",
		tcp.StateFinWait1:    "",
		tcp.StateFinWait2:    "",
		tcp.StateCloseWait:   "F. 1 ack 2",
		tcp.StateClosing:     "",
		tcp.StateLastAck:     "",
		tcp.StateTimeWait:    "",
	} {
		t.Run(state.String(), func(t *testing.T) {
			h := newScript(t)
			h.enter(state)
			h.close()
			if state == tcp.StateSynReceived {
				// "If no SENDs have been issued and there is no pending data to send, then form a FIN segment and send
				// it": here once the peer has shown that it is there.
				h.skip()
			}
			if reply != "" {
				h.want(reply)
			}
			h.wantNothing()
			var st tcp.Status
			if err := h.stack.Status(h.id, &st); !errors.Is(err, tcp.ErrNotFound) {
				t.Errorf("the handle still has a status: %v", err)
			}
		})
	}
}

// TestCloseCallUnread: RFC 9293 §3.10.4 (SHLD-3), RFC 2525 §2.17: with data that the user has not read, the peer gets a
// RST, so that it knows they are lost.
func TestCloseCallUnread(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		ack   string
		reset string
	}{
		{"ESTABLISHED", "P. 1:101 ack 1", ". 1 ack 101", "R. 1 ack 101"},
		{"CLOSE-WAIT", "FP. 1:101 ack 1", ". 1 ack 102", "R. 1 ack 102"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newScript(t)
			h.enter(tcp.StateEstablished)
			h.in(c.in)
			h.want(c.ack)
			h.close()
			h.want(c.reset)
			h.wantNothing()
		})
	}
}

// TestCloseCallThenData: RFC 9293 §3.6.1 and RFC 2525 §2.17: data that comes for a user who has gone is answered by RST.
func TestCloseCallThenData(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.close()
	h.want("F. 1 ack 1")
	h.in(". 1 ack 2")
	h.in("P. 1:101 ack 2")
	h.want("R. 2 ack 1")
	h.wantNothing()
	if list := h.stack.Connections(nil); len(list) != 0 {
		t.Errorf("%d connections are left", len(list))
	}
}

// TestCloseCallQueued: what was sent is still delivered after the user has gone.
func TestCloseCallQueued(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.in("S. 0 ack 1 win 100 <mss 1000>")
	h.want(". 1 ack 1")
	h.send(250)
	h.want(". 1:101 ack 1")
	h.close()
	h.wantNothing()
	h.in(". 1 ack 101 win 1000")
	h.want("FP. 101:251 ack 1")
	h.in("F. 1 ack 252")
	h.want(". 252 ack 2")
	h.wantNothing()
}

// TestCloseReadCall: what comes after it is acknowledged and discarded; the window stays open.
func TestCloseReadCall(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.in("P. 1:101 ack 1")
	h.want(". 1 ack 101 win 9900")
	h.closeRead()
	h.skip() // a window update is allowed
	h.wantEOF()
	h.in("P. 101:1101 ack 1")
	h.want(". 1 ack 1101 win 10000")
	h.in("F. 1101 ack 1")
	h.want(". 1 ack 1102")
	h.wantState(tcp.StateCloseWait)
	h.send(10)
	h.want("P. 1:11 ack 1102")
	h.close()
	h.want("F. 11 ack 1102")
}

// TestAbortCall: §3.10.5: SYN-RECEIVED to CLOSE-WAIT: "Send a reset segment: <SEQ=SND.NXT><CTL=RST>"; SYN-SENT, CLOSING,
// LAST-ACK, TIME-WAIT: "Respond with 'ok' and delete the TCB".
func TestAbortCall(t *testing.T) {
	for state, reply := range map[tcp.State]string{
		tcp.StateSynSent:     "",
		tcp.StateSynReceived: "R. 1 ack 1",
		tcp.StateEstablished: "R. 1 ack 1",
		tcp.StateFinWait1:    "R. 2 ack 1",
		tcp.StateFinWait2:    "R. 2 ack 1",
		tcp.StateCloseWait:   "R. 1 ack 2",
		tcp.StateClosing:     "",
		tcp.StateLastAck:     "",
		tcp.StateTimeWait:    "",
	} {
		t.Run(state.String(), func(t *testing.T) {
			h := newScript(t)
			h.enter(state)
			h.abort()
			if reply != "" {
				h.want(reply)
			}
			h.wantNothing()
			h.call("abort again", h.stack.Abort(h.now, h.id), tcp.ErrNotFound)
			if list := h.stack.Connections(nil); len(list) != 0 {
				t.Errorf("%d connections are left", len(list))
			}
		})
	}
}

// TestAbortCallFlushes: §3.10.5: "all segments queued for transmission … or retransmission should be flushed".
func TestAbortCallFlushes(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateSynSent)
	h.in("S. 0 ack 1 win 100 <mss 1000>")
	h.want(". 1 ack 1")
	h.send(250)
	h.want(". 1:101 ack 1")
	h.abort()
	h.want("R. 101 ack 1")
	h.advance(1_000_000_000_000)
	h.wantNothing()
	if n := h.pool.InUse(); n != 0 {
		t.Errorf("%d bytes of buffers are still held", n)
	}
}

// TestStaleHandle: every call with a handle that was given up says so, and touches no other connection.
func TestStaleHandle(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	stale := h.id
	h.abort()
	h.want("R. 1 ack 1")
	h.enter(tcp.StateEstablished) // very likely in the same slot
	if stale == h.id {
		t.Fatal("the same handle again")
	}
	var st tcp.Status
	var c zbuf.Chain
	_, sendErr := h.stack.Send(h.now, stale, &c)
	_, recvErr := h.stack.Receive(stale, &c, 1)
	for name, err := range map[string]error{
		"send": sendErr, "receive": recvErr, "status": h.stack.Status(stale, &st),
		"close": h.stack.Close(h.now, stale), "abort": h.stack.Abort(h.now, stale),
		"close write": h.stack.CloseWrite(h.now, stale), "close read": h.stack.CloseRead(h.now, stale),
		"set options": h.stack.SetOptions(h.now, stale, &h.opt),
	} {
		h.call(name, err, tcp.ErrNotFound)
	}
	h.stack.Consumed(h.now, stale, 5)
	h.wantNothing()
	h.wantState(tcp.StateEstablished)
}

// TestStatusCall: §3.10.6.
func TestStatusCall(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.send(300)
	h.want("P. 1:301 ack 1")
	h.in("P. 1:101 ack 201 win 7000")
	h.want(". 301 ack 101")
	st := h.status()
	if st.Local != h.local || st.Remote != h.remote || st.ID != h.id || st.State != tcp.StateEstablished {
		t.Errorf("names are %v, %v, %v, %v", st.ID, st.Local, st.Remote, st.State)
	}
	if st.SendQueue != 100 || st.NotSent != 0 || st.InFlight != 100 || st.RecvQueue != 100 {
		t.Errorf("queues are %d (%d not sent, %d in flight) and %d", st.SendQueue, st.NotSent, st.InFlight, st.RecvQueue)
	}
	if st.SendWindow != 7000 || st.RecvWindow != scriptBuffer-100 || st.MSS != scriptMSS {
		t.Errorf("windows are %d and %d, MSS %d", st.SendWindow, st.RecvWindow, st.MSS)
	}
	if st.BytesSent != 300 || st.BytesAcked != 200 || st.BytesReceived != 100 || st.SegmentsSent == 0 {
		t.Errorf("counts are %d sent, %d acknowledged, %d received", st.BytesSent, st.BytesAcked, st.BytesReceived)
	}
}
