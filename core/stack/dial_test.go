package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

// verifyText reads c to its end.
func verifyText(c net.Conn, want string) error {
	c.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(c)
	if err != nil || string(got) != want {
		return fmt.Errorf("read %q, %w; want %q", got, err, want)
	}
	return nil
}

func TestDialErrors(t *testing.T) {
	memory := startStack(t, Config{})
	device, _ := startPair(t, 1500, tun.Offload{})
	cases := []struct {
		stack   *Stack
		address string
		want    error
	}{
		{memory, "10.144.0.2:1", syscall.ECONNREFUSED},
		{memory, "[fd00:144::2]:1", syscall.ECONNREFUSED},
		{memory, "192.0.2.1:80", syscall.ENETUNREACH},
		{device, "10.2.0.1:1", syscall.ECONNREFUSED},
		{device, "224.0.0.1:1", syscall.ENETUNREACH},
	}
	for _, c := range cases {
		_, err := c.stack.Dial("tcp", c.address)
		var op *net.OpError
		if !errors.Is(err, c.want) || !errors.As(err, &op) || op.Op != "dial" || op.Addr.String() != c.address {
			t.Errorf("dial %s: %v, want %v", c.address, err, c.want)
		}
	}
	for _, bad := range []string{"10.144.0.2", "10.144.0.2:nosuchservice", ":80"} {
		if _, err := memory.Dial("tcp", bad); err == nil {
			t.Errorf("dials %q", bad)
		}
	}
	_, err := memory.Dial("tcp", "10.144.0.2:1")
	if got, want := err.Error(), "dial tcp 10.144.0.2:1: connection refused"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

func TestDialEndsWithContext(t *testing.T) {
	a, _ := startPair(t, 1500, tun.Offload{})
	silent := netip.MustParseAddrPort("10.2.99.1:1") // routed to the peer, which does not own it
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := a.DialTCP(ctx, netip.AddrPort{}, silent, nil)
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) ||
		!errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := a.DialTCP(ctx, netip.AddrPort{}, silent, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := a.DialTCP(ctx, netip.AddrPort{}, silent, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	_, err = a.DialTCP(context.Background(), netip.AddrPort{}, silent, &tcp.Options{ConnectTimeout: 50 * time.Millisecond})
	if !errors.Is(err, syscall.ETIMEDOUT) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("connect timeout: %v, want ETIMEDOUT", err)
	}
	count := 0
	if err := a.Connections(func(*ConnInfo) bool { count++; return true }); err != nil || count != 0 {
		t.Errorf("%d connections are left, %v", count, err)
	}
}

func TestDialFromSource(t *testing.T) {
	s := startStack(t, Config{Shards: 3})
	l, err := s.ListenTCP(netip.AddrPort{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	remote := netip.AddrPortFrom(netip.MustParseAddr("10.144.7.7"), port(l))
	for _, local := range []string{"10.144.200.1:4711", "10.144.200.2:0"} {
		from := netip.MustParseAddrPort(local)
		c, err := s.DialTCP(context.Background(), from, remote, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got := c.LocalAddr().(*net.TCPAddr).AddrPort()
		if got.Addr() != from.Addr() || from.Port() != 0 && got.Port() != from.Port() {
			t.Errorf("local address %v, want %v", got, from)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if server.RemoteAddr().String() != got.String() || server.LocalAddr().String() != remote.String() {
			t.Errorf("the listener sees %v to %v", server.RemoteAddr(), server.LocalAddr())
		}
		server.Close()
	}
	_, err = s.DialTCP(context.Background(), netip.MustParseAddrPort("192.0.2.1:0"), remote, nil)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("foreign source: %v, want EADDRNOTAVAIL", err)
	}
	_, err = s.DialTCP(context.Background(), netip.AddrPort{}, remote, &tcp.Options{RecvBuffer: -1})
	if !errors.Is(err, tcp.ErrInvalid) || Errno(err) != syscall.EINVAL {
		t.Errorf("invalid option: %v", err)
	}
}

// A dial must find a port on whichever shard has one.
func TestDialUsesPortsOfAllShards(t *testing.T) {
	s := startStack(t, Config{Shards: 2, TCP: tcp.Config{FirstPort: 40000, LastPort: 40007}})
	l, err := s.ListenTCP(netip.MustParseAddrPort("[::]:80"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 8 {
		c, err := s.Dial("tcp", "10.144.0.2:80")
		if err != nil {
			t.Fatalf("connection %d of 8 ports: %v", i, err)
		}
		defer c.Close()
	}
	if _, err := s.Dial("tcp", "10.144.0.2:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("without a free port: %v, want EADDRNOTAVAIL", err)
	}
}
