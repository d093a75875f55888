package chargen

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// connected returns both ends of a connection of the kernel.
func connected(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialed.Close(); _ = accepted.Close() })
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

func TestSendBytes(t *testing.T) {
	a, b := connected(t)
	got := make(chan []byte, 1)
	go func() {
		content, _ := io.ReadAll(b)
		_ = b.Close()
		got <- content
	}()
	transfer := Transfer{Conn: a, Bytes: 1_000_001}
	if _, err := transfer.Send(); err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(io.NewSectionReader(Pattern{Size: 1_000_001}, 0, 1_000_001))
	if content := <-got; !bytes.Equal(content, want) || transfer.Count() != 1_000_001 {
		t.Errorf("%d bytes came of %d, or not the pattern's", len(content), transfer.Count())
	}
}

// TestSendEndsAtDuration has a peer that reads nothing: the write that waits for it ends as well.
func TestSendEndsAtDuration(t *testing.T) {
	a, b := connected(t)
	go func() {
		time.Sleep(100 * time.Millisecond)
		_, _ = io.Copy(io.Discard, b)
		_ = b.Close()
	}()
	transfer := Transfer{Conn: a, Duration: 20 * time.Millisecond}
	if _, err := transfer.Send(); err != nil || transfer.Count() == 0 {
		t.Errorf("%d bytes, %v", transfer.Count(), err)
	}
}

// TestSendToEcho has a peer that sends all back, and waits for its echo to be read.
func TestSendToEcho(t *testing.T) {
	a, b := connected(t)
	go func() {
		_, _ = io.Copy(struct{ io.Writer }{b}, struct{ io.Reader }{b})
		_ = b.Close()
	}()
	transfer := Transfer{Conn: a, Bytes: 64 << 20}
	if _, err := transfer.Send(); err != nil || transfer.Count() != 64<<20 {
		t.Errorf("%d bytes, %v", transfer.Count(), err)
	}
}

func TestPeerResets(t *testing.T) {
	for name, test := range map[string]struct {
		bytes int64
		err   bool
	}{"no bound": {0, false}, "bytes left": {1 << 40, true}} {
		a, b := connected(t)
		_ = b.SetLinger(0)
		go func() {
			_, _ = io.CopyN(io.Discard, b, 1000)
			_ = b.Close()
		}()
		transfer := Transfer{Conn: a, Bytes: test.bytes}
		_, err := transfer.Send()
		if test.err != (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) || !test.err && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReceive(t *testing.T) {
	for name, test := range map[string]struct {
		transfer *Transfer
		want     int64
	}{
		"to the end":       {&Transfer{}, 100_000},
		"to the bound":     {&Transfer{Bytes: 10}, 10},
		"to the last time": {&Transfer{Duration: 50 * time.Millisecond}, 100_000},
	} {
		a, b := connected(t)
		go func() {
			_, _ = b.Write(make([]byte, 100_000))
			if test.transfer.Duration == 0 {
				_ = b.Close()
			}
		}()
		transfer := test.transfer
		transfer.Conn = a
		if _, err := transfer.Receive(); err != nil || transfer.Count() < test.want {
			t.Errorf("%s: %d bytes, %v, want %d", name, transfer.Count(), err, test.want)
		}
	}
	a, b := connected(t)
	_ = b.SetLinger(0)
	_ = b.Close()
	if _, err := (&Transfer{Conn: a}).Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
}
