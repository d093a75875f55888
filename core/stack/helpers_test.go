package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// patience is for machines that do much else besides.
const patience = 30 * time.Second

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

// counter returns the value of one counter.
func counter(t testing.TB, s *Stack, name string) uint64 {
	t.Helper()
	st, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range st.Counters {
		if c.Name == name {
			return c.Value
		}
	}
	t.Fatalf("there is no counter %s", name)
	return 0
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
	n := copy(b[:min(int64(len(b)), p.end-p.at)], patternFrom(p.at))
	p.at += int64(n)
	return n, nil
}

// patternPeriod is prime, so that no power of two hides a shift.
const patternPeriod = 65521

var patternBytes = func() []byte {
	b := make([]byte, 2*patternPeriod)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range patternPeriod {
		b[i] = byte(r.Uint32())
	}
	copy(b[patternPeriod:], b)
	return b
}()

// patternFrom returns at least patternPeriod bytes of the pattern from a position on.
func patternFrom(at int64) []byte { return patternBytes[at%patternPeriod:] }

// verifyStream reads r to its end and checks that it is the pattern of n bytes.
func verifyStream(r io.Reader, n int64) error {
	buf := make([]byte, 64<<10)
	at := int64(0)
	for {
		k, err := r.Read(buf[:min(len(buf), patternPeriod)])
		if !bytes.Equal(buf[:k], patternFrom(at)[:k]) {
			return fmt.Errorf("the stream differs in the %d bytes from %d of %d", k, at, n)
		}
		at += int64(k)
		if err == io.EOF && at != n {
			return fmt.Errorf("the stream ends at %d of %d", at, n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("at %d of %d: %w", at, n, err)
		}
	}
}
