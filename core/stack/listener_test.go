package stack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestListenConflictsAndPorts(t *testing.T) {
	s := startStack(t, Config{Shards: 3})
	l, err := s.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Listen("tcp", l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v, want EADDRINUSE", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v, want net.ErrClosed", err)
	}
	again, err := s.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("listen again after Close: %v", err)
	}
	again.Close()
	if n := len(s.Listeners()); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestListenErrors(t *testing.T) {
	s := startStack(t, Config{})
	for address, want := range map[string]error{
		"192.0.2.1:80": syscall.EADDRNOTAVAIL,
		"10.144.0.0:1": syscall.EADDRNOTAVAIL, // the network's address
	} {
		if _, err := s.Listen("tcp", address); !errors.Is(err, want) {
			t.Errorf("listen %s: %v, want %v", address, err, want)
		}
	}
	if _, err := s.Listen("udp", ":1"); err == nil {
		t.Error("listens to UDP")
	}
	if _, err := s.Listen("tcp", "10.144.0.2"); err == nil {
		t.Error("listens without a port")
	}
}

func TestAcceptEnds(t *testing.T) {
	s := startStack(t, Config{})
	l, err := s.ListenTCP(netip.AddrPort{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err = l.AcceptContext(ctx)
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("AcceptContext: %v, want a timeout", err)
	}
	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	time.Sleep(10 * time.Millisecond)
	l.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
}

// Connections that nobody accepted are reset when the listener closes.
func TestListenerCloseResetsPending(t *testing.T) {
	s := startStack(t, Config{Shards: 2})
	l, err := s.ListenTCP(netip.AddrPort{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var clients []net.Conn
	for range 8 {
		clients = append(clients, dialListener(t, s, l))
	}
	eventually(t, "all wait for Accept", func() bool {
		st, err := l.Status()
		return err == nil && st.AcceptQueue == len(clients)
	})
	l.Close()
	for _, c := range clients {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read: %v, want ECONNRESET", err)
		}
		c.Close()
	}
}

func dialListener(t testing.TB, s *Stack, l net.Listener) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := s.DialTCP(ctx, netip.AddrPort{}, netip.AddrPortFrom(s.Addresses()[0].Addr(), port(l)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func port(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

// A backlog beyond what waits ahead of Accept is passed on as Accept makes room.
func TestBacklog(t *testing.T) {
	for name, shards := range map[string]int{"one shard": 1, "shards": 3} {
		t.Run(name, func(t *testing.T) {
			s := startStack(t, Config{Shards: shards})
			l, err := s.ListenTCP(netip.AddrPort{}, 2*maxReady, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			const count = 2 * maxReady
			var dials sync.WaitGroup
			for range count {
				dials.Go(func() { defer dialListener(t, s, l).Close() })
			}
			dials.Wait()
			for i := range count {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				c, err := l.AcceptContext(ctx)
				cancel()
				if err != nil {
					t.Fatalf("connection %d of %d: %v", i, count, err)
				}
				c.Close()
			}
		})
	}
}

func TestSmallBacklog(t *testing.T) {
	s := startStack(t, Config{})
	l, err := s.ListenTCP(netip.AddrPort{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 20 {
		c := dialListener(t, s, l)
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted.Close()
		c.Close()
	}
	st, err := l.Status()
	if err != nil || st.Accepted != 20 || st.Backlog != 1 {
		t.Errorf("status %+v, %v", st, err)
	}
}

// What comes together with a connection, or before it is accepted, is there when it is.
func TestDataBeforeAccept(t *testing.T) {
	s := startStack(t, Config{})
	l, err := s.ListenTCP(netip.AddrPort{}, 0, &tcp.Options{NoDelay: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dialListener(t, s, l)
	c.Write([]byte("early"))
	c.Close()
	time.Sleep(20 * time.Millisecond)
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if err := verifyText(accepted, "early"); err != nil {
		t.Error(err)
	}
}
