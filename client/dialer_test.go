package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDialRefused(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		d := Dialer{Client: peer.open(t), Transport: way, Timeout: soon}
		address := net.JoinHostPort(peer.host, "1")
		_, err := d.Dial("tcp", address)
		var op *net.OpError
		if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &op) || op.Op != "dial" {
			t.Fatalf("%v, want ECONNREFUSED in a net.OpError", err)
		}
		if want := "dial tcp " + address + ": connection refused"; err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	})
}

func TestDialContextEnds(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		c := peer.open(t)
		d := Dialer{Client: c, Transport: way}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := d.DialContext(ctx, "tcp", net.JoinHostPort(peer.host, "1")); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		ctx, cancel = context.WithDeadline(context.Background(), time.Unix(1, 0))
		defer cancel()
		_, err := d.DialContext(ctx, "tcp", net.JoinHostPort(peer.host, "1"))
		var timeout net.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v, want a timeout", err)
		}
	})
}

func TestNoDaemon(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	for _, socket := range []string{filepath.Join(dir, "absent"), stale} {
		for _, way := range []Transport{DataSocket, GRPCStream} {
			d := Dialer{Socket: socket, Transport: way}
			_, err := d.Dial("tcp", "127.0.0.1:1")
			want := "cannot reach starfishd at " + socket + ": is it running? `systemctl start starfishd`"
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) || unreachable.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}

func TestUnreachableError(t *testing.T) {
	err := &UnreachableError{"/run/s", &os.PathError{Op: "dial", Path: "/run/s", Err: syscall.EACCES}}
	if text := err.Error(); !strings.Contains(text, "permission denied") || !strings.Contains(text, "group starfish") {
		t.Error(text)
	}
	err.Err = syscall.EMFILE
	if text := err.Error(); text != "cannot reach starfishd at /run/s: too many open files" {
		t.Error(text)
	}
}

func TestSurvivesRestart(t *testing.T) {
	f := startFake(t)
	peer := testPeer{f.socket, "127.0.0.1"}
	for _, way := range []Transport{DataSocket, GRPCStream} {
		c := peer.open(t)
		old, _ := peer.pair(t, c, way)
		f.stop()
		if _, err := old.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && way == GRPCStream {
			t.Errorf("%v: read after the daemon's end: %v, want ECONNRESET", way, err)
		}
		d := Dialer{Client: c, Transport: way}
		if _, err := d.Dial("tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "cannot reach") {
			t.Errorf("%v: dial without a daemon: %v", way, err)
		}
		f.serve(t)
		dialled, taken := peer.pair(t, c, way)
		if _, err := dialled.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if _, err := taken.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		if _, err := old.Status(context.Background()); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v: status of a connection of the former daemon: %v", way, err)
		}
	}
}

func TestOptionsTravel(t *testing.T) {
	f := startFake(t)
	c := testPeer{f.socket, "127.0.0.1"}.open(t)
	d := Dialer{Client: c, Timeout: soon, Options: Options{
		NoDelay: true, InitialRTO: time.Second, RecvBuffer: 64 << 10,
		Congestion: Reno, KeepAlive: -1,
	}}
	_, _ = d.Dial("tcp", "127.0.0.1:1")
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.options
	if !got.GetNoDelay() || got.GetInitialRto().AsDuration() != time.Second || got.GetRecvBuffer() != 64<<10 ||
		got.GetCongestionControl() != 1 || got.GetKeepAlive().AsDuration() != -1 || got.SendBuffer != nil {
		t.Errorf("the daemon got %v", got)
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	d := Dialer{Socket: "/nowhere", Options: Options{RecvBuffer: -1}}
	if _, err := d.Dial("tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "receive buffer -1") {
		t.Error(err)
	}
}

func TestBadArguments(t *testing.T) {
	lc := ListenConfig{Socket: "/nowhere", Backlog: -1}
	if _, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "backlog -1 is out of range") {
		t.Error(err)
	}
	d := Dialer{Socket: "/nowhere"}
	for address, want := range map[string]string{
		"127.0.0.1":       "missing port",
		":80":             "missing host",
		"127.0.0.1:nosvc": "unknown port",
	} {
		if _, err := d.Dial("tcp", address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("dial %s: %v, want %s", address, err, want)
		}
	}
	if _, err := d.Dial("udp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "unknown network") {
		t.Error(err)
	}
	if _, err := d.Dial("tcp6", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "no suitable address") {
		t.Error(err)
	}
}

func TestFamilyFollowsLocalAddress(t *testing.T) {
	both := []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}
	d := Dialer{LocalAddr: netip.MustParseAddrPort("127.0.0.2:0")}
	if got := d.reachable(both); len(got) != 1 || got[0] != both[1] {
		t.Errorf("%v", got)
	}
	if got := (&Dialer{}).reachable(both); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if got := d.reachable(both[:1]); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// TestDataSocketOutOfReach is the case of a container that sees only the control socket.
func TestDataSocketOutOfReach(t *testing.T) {
	f := startFake(t)
	peer := testPeer{f.socket, "127.0.0.1"}
	f.dataPath = "/nowhere/at-all"
	dialled, taken := peer.pair(t, peer.open(t), Auto)
	if _, err := dialled.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := taken.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if _, ok := dialled.edge.(*grpcStream); !ok {
		t.Errorf("the bytes take a %T", dialled.edge)
	}
	f.dataPath = "/elsewhere/d" // the socket is beside the control socket
	dialled, _ = peer.pair(t, peer.open(t), DataSocket)
	if _, ok := dialled.edge.(*dataSocket); !ok {
		t.Errorf("the bytes take a %T", dialled.edge)
	}
}

// TestOutOfReach holds that an error that passes does not put the client off data sockets for good.
func TestOutOfReach(t *testing.T) {
	for errno, want := range map[syscall.Errno]bool{
		syscall.ENOENT: true, syscall.EACCES: true, syscall.ECONNREFUSED: true,
		syscall.EMFILE: false, syscall.EAGAIN: false, syscall.ETIMEDOUT: false,
	} {
		if got := outOfReach(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}); got != want {
			t.Errorf("%v: %v", errno, got)
		}
	}
}

// TestDialFastOpen: the first data of a connection come first, by Fast Open from the second connection on.
func TestDialFastOpen(t *testing.T) {
	peer := startReal(t)
	for _, way := range []Transport{DataSocket, GRPCStream} {
		c := peer.open(t)
		lc := ListenConfig{Client: c, Transport: way, Options: Options{FastOpen: true}}
		l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(peer.host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		d := Dialer{Client: c, Transport: way, Timeout: soon}
		for i := range 2 {
			dialled, err := d.DialFastOpen(context.Background(), "tcp", l.Addr().String(), []byte("first"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dialled.Write([]byte(", then the rest")); err != nil {
				t.Fatal(err)
			}
			taken, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len("first, then the rest"))
			if _, err := io.ReadFull(taken, got); err != nil || string(got) != "first, then the rest" {
				t.Errorf("%v: received %q, %v", way, got, err)
			}
			info, err := c.Connection(context.Background(), dialled.(*Conn).ID())
			if err != nil || i == 1 && !info.GetInfo().GetFastOpen() {
				t.Errorf("%v: %v does not tell of Fast Open, %v", way, info, err)
			}
			dialled.Close()
			taken.Close()
		}
		l.Close()
	}
}
