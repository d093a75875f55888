package client

import (
	"context"
	"errors"
	"syscall"
	"testing"
)

// TestFormerIDsTouchNothing holds that what a client has of a former daemon can't reach what has its number in the one
// that runs now, although gRPC connects again within a call.
func TestFormerIDsTouchNothing(t *testing.T) {
	f := startFake(t)
	peer := testPeer{f.socket, "127.0.0.1"}
	former := peer.open(t)
	formerListener := peer.listen(t, former, DataSocket)
	formerConn, _, err := connect(former, formerListener, DataSocket)
	if err != nil {
		t.Fatal(err)
	}
	f.stop()
	f.forget()
	f.serve(t)

	c := peer.open(t)
	l := peer.listen(t, c, DataSocket)
	if l.ID() != formerListener.ID() {
		t.Fatalf("listeners %d and %d", formerListener.ID(), l.ID())
	}
	dialled, taken, err := connect(c, l, DataSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	defer taken.Close()

	for name, call := range map[string]func() error{
		"abort":   formerConn.Abort,
		"options": func() error { return formerConn.SetNoDelay(true) },
		"status": func() error {
			_, err := formerConn.Status(context.Background())
			return err
		},
		"accept": func() error {
			_, err := formerListener.Accept()
			return err
		},
	} {
		if err := call(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want ECONNRESET", name, err)
		}
	}
	if err := formerListener.Close(); err != nil {
		t.Error(err)
	}
	if _, err := dialled.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := taken.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	another, accepted, err := connect(c, l, DataSocket)
	if err != nil {
		t.Fatal(err)
	}
	_ = another.Close()
	_ = accepted.Close()
}
