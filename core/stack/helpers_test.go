package stack

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
)

const patience = 10 * time.Second

// startStack returns a running Stack, and checks when the test ends that it gave everything back.
func startStack(t testing.TB, cfg Config) *Stack {
	t.Helper()
	if len(cfg.Addresses) == 0 {
		cfg.Addresses = []netip.Prefix{netip.MustParsePrefix("10.144.0.2/16"), netip.MustParsePrefix("fd00:144::2/64")}
	}
	cfg.Logf = t.Logf
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	shared := cfg.Pool != nil
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := s.Pool().InUse(); n != 0 && !shared {
			t.Errorf("%d bytes of buffers are in use after Close", n)
		}
	})
	return s
}

// startPair returns two Stacks joined by a pair of devices in memory.
func startPair(t testing.TB, mtu int, offload tun.Offload) (a, b *Stack) {
	t.Helper()
	pool := zbuf.NewPool(0)
	left, right, err := tun.NewMemory(pool, mtu, offload)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left.Close()
		right.Close()
		if n := pool.InUse(); n != 0 {
			t.Errorf("%d bytes of buffers are in use after Close", n)
		}
	})
	a = startStack(t, Config{Device: left, Pool: pool, Addresses: prefixes("10.1.0.1/24", "fd00:1::1/64")})
	b = startStack(t, Config{Device: right, Pool: pool, Addresses: prefixes("10.2.0.1/24", "fd00:2::1/64")})
	return a, b
}

func prefixes(list ...string) []netip.Prefix {
	var p []netip.Prefix
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// connect returns both ends of a connection from a to b.
func connect(t testing.TB, a, b *Stack, opt *tcp.Options) (client, server *Conn) {
	t.Helper()
	l, err := b.ListenTCP(netip.AddrPort{}, 0, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := b.Addresses()[0].Addr()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err = a.DialTCP(ctx, netip.AddrPort{}, netip.AddrPortFrom(addr, uint16(l.Addr().(*net.TCPAddr).Port)), opt)
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.AcceptContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// noLeaks checks when the test ends that goroutines and descriptors are as many as now. It is called first, so that
// it checks last.
func noLeaks(t *testing.T) {
	t.Helper()
	time.Sleep(time.Nanosecond) // the runtime opens its own poller for the first timer
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	t.Cleanup(func() {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			g, f := runtime.NumGoroutine(), openFiles(t)
			if g <= goroutines && f <= files {
				return
			}
			if time.Now().After(end) {
				stacks := make([]byte, 1<<16)
				t.Errorf("%d goroutines and %d descriptors, at the start %d and %d\n%s", g, f, goroutines, files,
					stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	})
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// eventually fails unless condition becomes true soon.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// pattern is a stream whose bytes depend on their position.
type pattern struct{ at, end int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.end {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.end-p.at))
	fillPattern(b[:n], p.at)
	p.at += int64(n)
	return n, nil
}

func patternByte(i int64) byte { return byte(i*7 + i>>8*13 + i>>16*31) }

func fillPattern(b []byte, at int64) {
	for i := range b {
		b[i] = patternByte(at + int64(i))
	}
}

// verifyStream reads r to its end and checks that it is the pattern of n bytes.
func verifyStream(r io.Reader, n int64) error {
	buf := make([]byte, 64<<10)
	at := int64(0)
	for {
		k, err := r.Read(buf)
		for i, b := range buf[:k] {
			if b != patternByte(at+int64(i)) {
				return &badStream{at + int64(i), n}
			}
		}
		at += int64(k)
		if err == io.EOF {
			if at != n {
				return &badStream{at, n}
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

type badStream struct{ at, want int64 }

func (e *badStream) Error() string {
	return "stream differs or ends at byte " + itoa(e.at) + " of " + itoa(e.want)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
