package stack

import (
	"errors"
	"io"
	"syscall"
	"testing"
)

// A reset that comes before the socket does is told as one that comes after.
func TestAttachAfterReset(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	if err := server.Abort(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reset arrives", func() bool {
		client.mu.Lock()
		defer client.mu.Unlock()
		return client.ended
	})
	user, done := attach(t, client)
	if err := await(t, done); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("done: %v, want ECONNRESET", err)
	}
	if n, err := user.Read(make([]byte, 1)); err == nil {
		t.Errorf("the socket gives %d bytes", n)
	}
}

// A reset after our own half-close is no end in good order.
func TestAttachResetAfterHalfClose(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	user, done := attach(t, client)
	if err := user.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(server); err != nil {
		t.Fatal(err)
	}
	if err := server.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("done: %v, want ECONNRESET", err)
	}
}
