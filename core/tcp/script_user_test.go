package tcp_test

import (
	"errors"
	"io"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// The user's side of a script.

// listen opens passively.
func (h *script) listen() {
	h.t.Helper()
	id, err := h.stack.Listen(h.local, 0, &h.opt)
	if err != nil {
		h.t.Fatal(err)
	}
	h.listener = id
}

// accept takes the connection that the listener has.
func (h *script) accept() {
	h.t.Helper()
	id, err := h.stack.Accept(h.listener)
	if err != nil {
		h.t.Fatalf("accept: %v", err)
	}
	h.id = id
	h.drain()
}

// connect opens actively.
func (h *script) connect() {
	h.t.Helper()
	id, err := h.stack.Connect(h.now, h.local, h.remote, &h.opt)
	if err != nil {
		h.t.Fatalf("connect: %v", err)
	}
	h.id = id
	h.drain()
}

// send sends n bytes, all of which must be taken.
func (h *script) send(n int) {
	h.t.Helper()
	h.sendTakes(n, n)
}

// sendTakes sends n bytes, of which so many must be taken.
func (h *script) sendTakes(n, taken int) {
	h.t.Helper()
	got, err := h.trySend(n)
	if err != nil || got != taken {
		h.t.Fatalf("send of %d bytes took %d, %v; want %d", n, got, err, taken)
	}
}

// trySend sends n bytes and returns what came of it.
func (h *script) trySend(n int) (int, error) {
	h.t.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = pattern(h.sent + uint64(i))
	}
	var c zbuf.Chain
	if c.Append(h.pool, b) != n {
		h.t.Fatal("no buffers")
	}
	got, err := h.stack.Send(h.now, h.id, &c)
	c.Clear()
	h.sent += uint64(got)
	h.drain()
	return got, err
}

// recv takes n bytes, all that there are, and is done with them at once.
func (h *script) recv(n int) {
	h.t.Helper()
	h.hold(n)
	h.stack.Consumed(h.now, h.id, n)
	h.drain()
}

// consumed is done with n bytes that were held.
func (h *script) consumed(n int) {
	h.t.Helper()
	h.stack.Consumed(h.now, h.id, n)
	h.drain()
}

// hold takes n bytes, all that there are, and keeps them: the window stays closed by as much.
func (h *script) hold(n int) {
	h.t.Helper()
	var c zbuf.Chain
	got, err := h.stack.Receive(h.id, &c, 1<<20)
	if err != nil || got != n || c.Len() != n {
		h.t.Fatalf("received %d bytes, %v; want %d", got, err, n)
	}
	b := make([]byte, n)
	c.Read(b)
	for i, x := range b {
		if want := pattern(h.received + uint64(i)); x != want {
			h.t.Fatalf("byte %d of the stream is %#x, the peer sent %#x", h.received+uint64(i), x, want)
		}
	}
	h.received += uint64(n)
}

// wantRecv checks that there is nothing to receive, and why.
func (h *script) wantRecv(want error) {
	h.t.Helper()
	var c zbuf.Chain
	if n, err := h.stack.Receive(h.id, &c, 1<<20); n != 0 || !errors.Is(err, want) {
		h.t.Fatalf("received %d bytes, %v; want %v", n, err, want)
	}
}

func (h *script) wantEOF() {
	h.t.Helper()
	h.wantRecv(io.EOF)
}

// call checks the error of a user call, nil for none, and takes what it causes.
func (h *script) call(name string, err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		h.t.Fatalf("%s: %v, want %v", name, err, want)
	}
	h.drain()
}

func (h *script) closeWrite() {
	h.t.Helper()
	h.call("close write", h.stack.CloseWrite(h.now, h.id), nil)
}

func (h *script) closeRead() {
	h.t.Helper()
	h.call("close read", h.stack.CloseRead(h.now, h.id), nil)
}

func (h *script) close() {
	h.t.Helper()
	h.call("close", h.stack.Close(h.now, h.id), nil)
}

func (h *script) abort() {
	h.t.Helper()
	h.call("abort", h.stack.Abort(h.now, h.id), nil)
}

// status returns the connection's status.
func (h *script) status() tcp.Status {
	h.t.Helper()
	var st tcp.Status
	if err := h.stack.Status(h.id, &st); err != nil {
		h.t.Fatalf("status: %v", err)
	}
	return st
}

func (h *script) wantState(want tcp.State) {
	h.t.Helper()
	if got := h.status().State; got != want {
		h.t.Fatalf("state is %v, want %v", got, want)
	}
}

// wantClosed checks that the connection has ended, and why.
func (h *script) wantClosed(want error) {
	h.t.Helper()
	st := h.status()
	if st.State != tcp.StateClosed || !errors.Is(st.Err, want) || want == nil && st.Err != nil {
		h.t.Fatalf("state is %v because of %v, want CLOSED because of %v", st.State, st.Err, want)
	}
}

// wantEvent checks that the user was told all of this since the last wantEvent.
func (h *script) wantEvent(want tcp.EventFlags) {
	h.t.Helper()
	if h.events&want != want {
		h.t.Fatalf("events are %08b, want %08b among them", h.events, want)
	}
	h.events = 0
}

// wantHandshakes checks how many passive handshakes are in progress.
func (h *script) wantHandshakes(want int) {
	h.t.Helper()
	var st tcp.ListenerStatus
	if err := h.stack.ListenerStatus(h.listener, &st); err != nil {
		h.t.Fatal(err)
	}
	if st.SynQueue != want {
		h.t.Fatalf("%d handshakes are in progress, want %d", st.SynQueue, want)
	}
}
