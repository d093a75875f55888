package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// content returns n bytes that are the same for the same seed, and nothing alike for another one.
func content(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

// chunk is how much the tests' own programs read or write at a time.
const chunk = 256 << 10

// duplex is what connections of the stack and of the kernel have in common.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// sum is the result of one end of a transfer.
type sum struct {
	bytes  int64
	sha256 string
	err    error
}

// send writes n bytes and half-closes, and returns what it sent.
func send(c duplex, seed byte, n int64) sum {
	h := sha256.New()
	sent, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(c, h)}, content(seed, n), make([]byte, chunk))
	if err == nil {
		err = c.CloseWrite()
	}
	return sum{sent, hex.EncodeToString(h.Sum(nil)), err}
}

// receive reads to the end and returns what came.
func receive(c io.Reader) sum {
	h := sha256.New()
	got, err := io.CopyBuffer(h, struct{ io.Reader }{c}, make([]byte, chunk))
	return sum{got, hex.EncodeToString(h.Sum(nil)), err}
}

// transfer sends n bytes from one connection to its other end, compares the SHA-256 sums and logs the rate.
func transfer(t *testing.T, from, to duplex, seed byte, n int64) {
	t.Helper()
	setDeadlines(n, from, to)
	began := time.Now()
	sent := make(chan sum, 1)
	go func() { sent <- send(from, seed, n) }()
	got := receive(to)
	want := <-sent
	took := time.Since(began)
	if err := compare(want, got, n); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB in %v: %.2f Gbit/s", n/mebibyte, took.Round(time.Millisecond), float64(n)*8/1e9/took.Seconds())
}

// setDeadlines bounds a transfer of n bytes. The worst that is expected is a loss-based congestion control where one packet
// in a hundred is lost or damaged in 12 ms: about 1.4 MiB/s by the square root law.
func setDeadlines(n int64, ends ...duplex) {
	for _, c := range ends {
		_ = c.SetDeadline(time.Now().Add(20*time.Second + time.Duration(n/mebibyte)*time.Second))
	}
}

func compare(want, got sum, n int64) error {
	switch {
	case want.err != nil:
		return fmt.Errorf("sent %d of %d bytes: %w", want.bytes, n, want.err)
	case got.err != nil:
		return fmt.Errorf("received %d of %d bytes: %w", got.bytes, n, got.err)
	case want.bytes != n || got != want:
		return fmt.Errorf("sent %+v, received %+v of %d bytes", want, got, n)
	}
	return nil
}

// file makes a file of n bytes and returns its path.
func file(t testing.TB, seed byte, n int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), fmt.Sprintf("content-%d", seed))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, content(seed, n))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantContent checks that a file holds content(seed, n).
func wantContent(t testing.TB, path string, seed byte, n int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, want := receive(f), receive(content(seed, n)); got != want {
		t.Fatalf("%s holds %+v, want %+v", path, got, want)
	}
}

// open opens a file for a program's standard input or output; it is closed with the test.
func open(t testing.TB, path string, flag int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
