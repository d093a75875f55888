package stack

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestDeadlines(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, &tcp.Options{SendBuffer: 4096, RecvBuffer: 4096})
	defer client.Close()
	defer server.Close()
	expired := func(what string, err error) {
		t.Helper()
		var n net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &n) || !n.Timeout() {
			t.Errorf("%s: %v, want a deadline error", what, err)
		}
	}
	buf := make([]byte, 1)
	client.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := client.Read(buf)
	expired("Read", err)
	client.SetReadDeadline(time.Now().Add(-time.Second))
	_, err = client.Read(buf)
	expired("Read after the deadline", err)
	client.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	n, err := client.Write(make([]byte, 1<<20))
	expired("Write", err)
	if n == 0 || n > 64<<10 {
		t.Errorf("%d bytes were written with buffers of 4 KiB", n)
	}
	// A deadline that is taken back, or put off, does not strike.
	client.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	client.SetReadDeadline(time.Time{})
	time.AfterFunc(20*time.Millisecond, func() { server.Write([]byte("x")) })
	if _, err := client.Read(buf); err != nil {
		t.Errorf("Read after the deadline was taken back: %v", err)
	}
	client.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	client.SetReadDeadline(time.Now().Add(time.Hour))
	time.AfterFunc(20*time.Millisecond, func() { server.Write([]byte("x")) })
	if _, err := client.Read(buf); err != nil {
		t.Errorf("Read after the deadline was put off: %v", err)
	}
}

// Close ends calls under way at once, however many wait.
func TestCloseUnblocks(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, &tcp.Options{SendBuffer: 4096, RecvBuffer: 4096})
	defer server.Close()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read: %v, want net.ErrClosed", err)
			}
		})
		wg.Go(func() {
			if _, err := client.Write(make([]byte, 1<<20)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write: %v, want net.ErrClosed", err)
			}
		})
	}
	wg.Go(func() {
		if _, err := io.Copy(io.Discard, client); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WriteTo: %v, want net.ErrClosed", err)
		}
	})
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	client.Close()
	wg.Wait()
	if d := time.Since(start); d > time.Second {
		t.Errorf("calls returned after %v", d)
	}
	if err := client.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetDeadline: %v, want net.ErrClosed", err)
	}
}
