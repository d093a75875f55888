package tcp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// A transcript is what two ends, A and B, do and send, in order. It is played twice: with our Stack as A, then as B; what
// the other end sends arrives from the test. A line is
//
//	A: CALL [ARG]        a call of A's user, or a check: connect, listen, accept, send N, recv N, eof, fin, close,
//	                     abort, state STATE, ended
//	A> SEGMENT           A sends it, and B gets it
//	lost A> SEGMENT      A sends it, and it is lost
//	+DURATION            time passes
//	+DURATION A> SEGMENT A sends it by a timer, so much later
type transcript struct {
	name string
	text string
}

var transcripts = []transcript{
	{"basic connection synchronization (RFC 9293 §3.5, figure 6), data, normal close (§3.6, figure 12)", `
		B: listen
		A: connect
		A> S 0 win 10000 <mss 1000>
		A: state SYN-SENT
		B> S. 0 ack 1 win 10000 <mss 1000>
		A> . 1 ack 1 win 10000 <>
		A: state ESTABLISHED
		B: accept
		B: state ESTABLISHED
		A: send 1500
		A> . 1:1001 ack 1
		B> . 1 ack 1001
		A> P. 1001:1501 ack 1
		B> . 1 ack 1501
		B: recv 1500
		B: send 10
		B> P. 1:11 ack 1501
		A> . 1501 ack 11
		A: recv 10
		A: fin
		A> F. 1501 ack 11
		A: state FIN-WAIT-1
		B> . 11 ack 1502
		A: state FIN-WAIT-2
		B: state CLOSE-WAIT
		B: eof
		B: fin
		B> F. 11 ack 1502
		B: state LAST-ACK
		A> . 1502 ack 12
		A: state TIME-WAIT
		A: eof
		B: ended
		+61s
		A: ended`},
	{"simultaneous connection synchronization (RFC 9293 §3.5, figure 8; MUST-10)", `
		A: connect
		B: connect
		A> S 0 <mss 1000>
		B> S 0 <mss 1000>
		A: state SYN-RECEIVED
		A> S. 0 ack 1 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B> . 1 ack 1
		A: state ESTABLISHED
		B: state ESTABLISHED
		A: send 5
		A> P. 1:6 ack 1
		B> . 1 ack 6
		B: recv 5`},
	{"simultaneous close (RFC 9293 §3.6, figure 13)", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		A: fin
		B: fin
		A> F. 1 ack 1
		B> F. 1 ack 1
		A: state CLOSING
		A> . 2 ack 2
		B> . 2 ack 2
		A: state TIME-WAIT
		B: state TIME-WAIT
		+61s
		A: ended
		B: ended`},
	{"half-close: data goes on the other way (RFC 9293 §3.6, case 1)", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		A: send 20
		A> P. 1:21 ack 1
		B> . 1 ack 21
		A: fin
		A> F. 21 ack 1
		B> . 1 ack 22
		B: recv 20
		B: eof
		B: send 1300
		B> . 1:1001 ack 22
		A> . 22 ack 1001
		B> P. 1001:1301 ack 22
		A> . 22 ack 1301
		+1h
		A: recv 1300
		A: state FIN-WAIT-2
		B: close
		B> F. 1301 ack 22
		A> . 22 ack 1302
		A: eof
		A: state TIME-WAIT`},
	{"FIN with the last data, and the answer in one segment", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		B: send 30
		B> P. 1:31 ack 1
		A> . 1 ack 31
		A: recv 30
		A: close
		A> F. 1 ack 31
		B> . 31 ack 2
		B: eof
		B: fin
		B> F. 31 ack 2
		A> . 2 ack 32
		B: ended`},
	{"the SYN is lost", `
		B: listen
		A: connect
		lost A> S 0
		+1s A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		A: state ESTABLISHED
		B: accept`},
	{"the SYN,ACK is lost", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		lost B> S. 0 ack 1 <mss 1000>
		+1s A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		lost B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept`},
	{"the last ACK of the handshake is lost, and data takes its place", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		lost A> . 1 ack 1
		A: send 7
		A> P. 1:8 ack 1
		B> . 1 ack 8
		B: accept
		B: recv 7`},
	{"data is lost, and its ACK", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		A: send 100
		lost A> P. 1:101 ack 1
		+200ms A> P. 1:101 ack 1
		lost B> . 1 ack 101
		+400ms A> P. 1:101 ack 1
		B> . 1 ack 101
		B: recv 100`},
	{"the FIN is lost, and its ACK", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		A: fin
		lost A> F. 1 ack 1
		+200ms A> F. 1 ack 1
		lost B> . 1 ack 2
		+400ms A> F. 1 ack 1
		B> . 1 ack 2
		A: state FIN-WAIT-2
		B: state CLOSE-WAIT`},
	{"the last ACK of all is lost: TIME-WAIT repeats it (RFC 9293 §3.4.2)", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		A: fin
		A> F. 1 ack 1
		B> . 1 ack 2
		B: fin
		B> F. 1 ack 2
		lost A> . 2 ack 2
		+200ms B> F. 1 ack 2
		A> . 2 ack 2
		A: state TIME-WAIT
		B: ended`},
	{"the window closes and opens (RFC 9293 §3.8.6)", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 win 10000 <mss 1000>
		A> . 1 ack 1
		B: accept
		A: send 10500
		A> . 1:1001 ack 1
		B> . 1 ack 1001 win 9000
		A> . 1001:2001 ack 1
		B> . 1 ack 2001 win 8000
		A> . 2001:3001 ack 1
		B> . 1 ack 3001 win 7000
		A> . 3001:4001 ack 1
		B> . 1 ack 4001 win 6000
		A> . 4001:5001 ack 1
		B> . 1 ack 5001 win 5000
		A> . 5001:6001 ack 1
		B> . 1 ack 6001 win 4000
		A> . 6001:7001 ack 1
		B> . 1 ack 7001 win 3000
		A> . 7001:8001 ack 1
		B> . 1 ack 8001 win 2000
		A> . 8001:9001 ack 1
		B> . 1 ack 9001 win 1000
		A> . 9001:10001 ack 1
		B> . 1 ack 10001 win 0
		+200ms A> . 10000 ack 1
		B> . 1 ack 10001 win 0
		B: recv 10000
		B> . 1 ack 10001 win 10000
		A> P. 10001:10501 ack 1
		B> . 1 ack 10501
		B: recv 500`},
	{"abort (RFC 9293 §3.10.5)", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		A: abort
		A> R. 1 ack 1
		B: reset`},
	{"nobody listens (RFC 9293 §3.10.7.1)", `
		A: connect
		A> S 0 <mss 1000>
		B> R. =0 ack 1
		A: refused`},
	{"a crash on one side: the half-open connection is found by its data (RFC 9293 §3.5.1, figure 11)", `
		B: listen
		A: connect
		A> S 0 <mss 1000>
		B> S. 0 ack 1 <mss 1000>
		A> . 1 ack 1
		B: accept
		B: abort
		lost B> R. 1 ack 1
		A: send 20
		A> P. 1:21 ack 1
		B> R 1
		A: reset`},
}

// side is one end in a play of a transcript.
func (tr *transcript) play(h *script, side string) {
	for i, raw := range strings.Split(tr.text, "\n") {
		step := strings.TrimSpace(raw)
		if step == "" {
			continue
		}
		h.t.Logf("%d: %s", i, step)
		lost := false
		step, lost = strings.CutPrefix(step, "lost ")
		var wait time.Duration
		if rest, ok := strings.CutPrefix(step, "+"); ok {
			word, segment, _ := strings.Cut(rest, " ")
			wait, step = mustDuration(h.t, word), segment
			if step == "" {
				h.advance(wait)
				continue
			}
		}
		if len(step) < 4 || step[1] != ':' && step[1] != '>' {
			h.t.Fatalf("what is %q?", step)
		}
		ours, what := step[:1] == side, step[3:]
		switch {
		case step[1] == ':' && ours:
			h.userCall(what)
		case step[1] == ':': // the other end's user
		case ours && wait > 0:
			h.wantAfter(wait, what)
		case ours:
			h.want(what)
		default:
			h.advance(wait)
			if !lost {
				h.in(what)
			}
		}
	}
}

func mustDuration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// userCall does what a line of a user says.
func (h *script) userCall(what string) {
	h.t.Helper()
	name, arg, _ := strings.Cut(what, " ")
	n := 0
	if name == "send" || name == "recv" {
		if _, err := fmt.Sscan(arg, &n); err != nil {
			h.t.Fatal(err)
		}
	}
	calls := map[string]func(){
		"connect": h.connect, "listen": h.listen, "accept": h.accept, "fin": h.closeWrite, "close": h.close,
		"abort": h.abort, "eof": h.wantEOF,
		"send":    func() { h.send(n) },
		"recv":    func() { h.recv(n) },
		"ended":   func() { h.wantClosed(nil) },
		"reset":   func() { h.wantClosed(tcp.ErrReset) },
		"refused": func() { h.wantClosed(tcp.ErrRefused) },
		"state":   func() { h.wantState(stateNamed(h.t, arg)) },
	}
	call := calls[name]
	if call == nil {
		h.t.Fatalf("unknown call %q", name)
	}
	call()
}

func stateNamed(t *testing.T, name string) tcp.State {
	t.Helper()
	for s := tcp.StateClosed; s <= tcp.StateTimeWait; s++ {
		if s.String() == name {
			return s
		}
	}
	t.Fatalf("no state %q", name)
	return 0
}

// TestTranscripts plays every transcript from both sides, over both families.
func TestTranscripts(t *testing.T) {
	for _, tr := range transcripts {
		for _, side := range []string{"A", "B"} {
			t.Run(tr.name+"/"+side, func(t *testing.T) { tr.play(newScript(t), side) })
			t.Run(tr.name+"/"+side+" over IPv6", func(t *testing.T) {
				h := newScript(t)
				overIPv6(h)
				tr.play(h, side)
			})
		}
	}
}
