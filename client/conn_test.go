package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// soon bounds what must happen at once.
const soon = 5 * time.Second

// randomReader yields n bytes that a seed determines.
func randomReader(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

func sumOf(t *testing.T, r io.Reader) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func TestBytesArriveUnchangedInBothDirections(t *testing.T) {
	const size = 24 << 20
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		send := func(c *Conn, seed byte) {
			if _, err := io.Copy(c, randomReader(seed, size)); err != nil {
				t.Error(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
		}
		go send(dialled, 1)
		go send(taken, 2)
		back := make(chan [sha256.Size]byte)
		go func() { back <- sumOf(t, dialled) }()
		if sumOf(t, taken) != sumOf(t, randomReader(1, size)) {
			t.Error("what was dialled sent other bytes than arrived")
		}
		if <-back != sumOf(t, randomReader(2, size)) {
			t.Error("what was accepted sent other bytes than arrived")
		}
	})
}

func TestHalfClose(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		if _, err := dialled.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		if err := dialled.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(taken)
		if err != nil || string(got) != "question" {
			t.Fatalf("read %q, %v", got, err)
		}
		if _, err := dialled.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write after CloseWrite: %v, want EPIPE", err)
		}
		if _, err := taken.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if err := taken.Close(); err != nil {
			t.Fatal(err)
		}
		got, err = io.ReadAll(dialled)
		if err != nil || string(got) != "answer" {
			t.Fatalf("read %q, %v", got, err)
		}
		if n, err := dialled.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("second read at the end: %d, %v, want io.EOF", n, err)
		}
	})
}

func TestShortReadsLoseNothing(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		message := bytes.Repeat([]byte("0123456789"), 100)
		if _, err := dialled.Write(message); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 0, len(message))
		for len(got) < len(message) {
			var p [7]byte
			n, err := taken.Read(p[:])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p[:n]...)
		}
		if !bytes.Equal(got, message) {
			t.Errorf("read %q", got)
		}
	})
}

func TestCloseDeliversWhatWasWritten(t *testing.T) {
	const size = 3 << 20
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		go func() {
			_, _ = io.Copy(dialled, randomReader(3, size))
			_ = dialled.Close()
		}()
		time.Sleep(50 * time.Millisecond) // queues fill before the reader begins
		if sumOf(t, taken) != sumOf(t, randomReader(3, size)) {
			t.Error("other bytes arrived than were sent")
		}
	})
}

func TestCloseUnblocksReadAndWrite(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, _ := peer.pair(t, peer.open(t), way)
		failures := make(chan error, 2)
		go func() {
			_, err := dialled.Read(make([]byte, 1))
			failures <- err
		}()
		go func() {
			for {
				if _, err := dialled.Write(make([]byte, 1<<20)); err != nil {
					failures <- err
					return
				}
			}
		}()
		time.Sleep(200 * time.Millisecond)
		began := time.Now()
		if err := dialled.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-failures; !errors.Is(err, net.ErrClosed) {
				t.Errorf("unblocked with %v, want net.ErrClosed", err)
			}
		}
		if took := time.Since(began); took > soon {
			t.Errorf("took %v", took)
		}
		if err := dialled.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v, want net.ErrClosed", err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		if err := dialled.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err := dialled.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("read: %v, want a timeout", err)
		}
		// The connection is as good as before.
		if err := dialled.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := taken.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := dialled.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseReadEndsReading(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		result := make(chan error, 1)
		go func() {
			_, err := dialled.Read(make([]byte, 1))
			result <- err
		}()
		time.Sleep(20 * time.Millisecond)
		if err := dialled.CloseRead(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, io.EOF) {
			t.Errorf("read: %v, want io.EOF", err)
		}
		if err := dialled.SetReadDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		if _, err := dialled.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read again: %v, want io.EOF", err)
		}
		if _, err := dialled.Write([]byte("still")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(taken, make([]byte, 5)); err != nil {
			t.Error(err)
		}
	})
}

// TestCloseReadEndsCopying holds that a copy into a kernel socket, which the kernel may do, ends as a Read does.
func TestCloseReadEndsCopying(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		in, out := kernelPair(t)
		if _, err := taken.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		result := make(chan error, 1)
		go func() {
			n, err := dialled.WriteTo(in)
			if n != 1 && err == nil {
				err = fmt.Errorf("%d bytes", n)
			}
			result <- err
		}()
		if _, err := out.Read(make([]byte, 1)); err != nil { // the copy is under way
			t.Fatal(err)
		}
		if err := dialled.CloseRead(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestResetIsAnError(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		if err := taken.Abort(); err != nil {
			t.Fatal(err)
		}
		_, err := dialled.Read(make([]byte, 1))
		var op *net.OpError
		if !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &op) || op.Op != "read" || op.Net != "tcp" {
			t.Errorf("read: %v, want ECONNRESET in a net.OpError", err)
		}
		for range 100 {
			if _, err = dialled.Write([]byte("x")); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v, want ECONNRESET", err)
		}
	})
}

func TestCleanEndAsksNothing(t *testing.T) {
	f := startFake(t)
	peer := testPeer{f.socket, "127.0.0.1"}
	dialled, taken := peer.pair(t, peer.open(t), DataSocket)
	if err := taken.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := dialled.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("read: %v, want io.EOF", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queries != 0 {
		t.Errorf("%d RPCs to learn of a FIN", f.queries)
	}
}

// TestCopies covers ReadFrom and WriteTo with what the kernel copies and with what it can't.
func TestCopies(t *testing.T) {
	const size = 2 << 20
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		name := filepath.Join(t.TempDir(), "content")
		content, _ := io.ReadAll(randomReader(5, size))
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		dialled, taken := peer.pair(t, peer.open(t), way)
		go func() {
			file, err := os.Open(name)
			if err != nil {
				t.Error(err)
				return
			}
			defer file.Close()
			// io.Copy would ask the file first, which knows nothing of our ReadFrom.
			if n, err := dialled.ReadFrom(file); n != size || err != nil {
				t.Errorf("from file: %d, %v", n, err)
			}
			_ = dialled.CloseWrite()
		}()
		// Through a pair of kernel sockets and back into the connection.
		in, out := kernelPair(t)
		go func() {
			if n, err := io.Copy(in, taken); n != size || err != nil {
				t.Errorf("to kernel socket: %d, %v", n, err)
			}
			_ = in.CloseWrite()
		}()
		go func() {
			if n, err := taken.ReadFrom(out); n != size || err != nil {
				t.Errorf("from kernel socket: %d, %v", n, err)
			}
			_ = taken.CloseWrite()
		}()
		result, err := os.Create(filepath.Join(t.TempDir(), "result"))
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		if n, err := io.Copy(result, dialled); n != size || err != nil {
			t.Errorf("to file: %d, %v", n, err)
		}
		if got, err := os.ReadFile(result.Name()); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the file differs: %v", err)
		}
	})
}

func kernelPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = first.Close()
		_ = second.Close()
	})
	return first.(*net.TCPConn), second.(*net.TCPConn)
}

func TestAddresses(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		dialled, taken := peer.pair(t, peer.open(t), way)
		if dialled.LocalAddr().String() != taken.RemoteAddr().String() ||
			dialled.RemoteAddr().String() != taken.LocalAddr().String() {
			t.Errorf("%v-%v against %v-%v", dialled.LocalAddr(), dialled.RemoteAddr(), taken.LocalAddr(), taken.RemoteAddr())
		}
		if _, ok := dialled.LocalAddr().(*net.TCPAddr); !ok || dialled.ID() == 0 || dialled.ID() == taken.ID() {
			t.Errorf("%T, ids %d and %d", dialled.LocalAddr(), dialled.ID(), taken.ID())
		}
	})
}
