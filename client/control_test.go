package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// eachWay runs a test with the real daemon, on both transports.
func eachWay(t *testing.T, test func(t *testing.T, peer testPeer, way Transport)) {
	t.Helper()
	for _, way := range []Transport{DataSocket, GRPCStream} {
		t.Run(way.String(), func(t *testing.T) { test(t, startReal(t), way) })
	}
}

func TestSetOptions(t *testing.T) {
	eachWay(t, func(t *testing.T, peer testPeer, way Transport) {
		ctx := t.Context()
		dialled, taken := peer.pair(t, peer.open(t), way)
		if err := dialled.SetOptions(ctx, Options{KeepAlive: time.Minute, UserTimeout: time.Hour}); err != nil {
			t.Error(err)
		}
		if err := dialled.SetNoDelay(true); err != nil {
			t.Error(err)
		}
		if err := dialled.SetOptions(ctx, Options{NoSACK: true}); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("an option of the handshake: %v, want EINVAL", err)
		}
		if err := dialled.SetOptions(ctx, Options{TTL: -1}); err == nil {
			t.Error("a TTL of -1 is taken")
		}
		// A cork holds a small write back until it is drawn.
		if err := dialled.SetCork(true); err != nil {
			t.Fatal(err)
		}
		if _, err := dialled.Write([]byte("held")); err != nil {
			t.Fatal(err)
		}
		if err := dialled.SetCork(false); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(taken, make([]byte, 4)); err != nil {
			t.Error(err)
		}
	})
}

func TestQueries(t *testing.T) {
	eachWay(t, func(t *testing.T, peer testPeer, way Transport) {
		ctx := t.Context()
		c := peer.open(t)
		if c.Socket() != peer.socket {
			t.Errorf("socket %q", c.Socket())
		}
		l := peer.listen(t, c, way)
		dialled, taken, err := connect(c, l, way)
		if err != nil {
			t.Fatal(err)
		}
		defer dialled.Close()
		defer taken.Close()
		info, err := c.Info(ctx)
		if err != nil || !info.GetReady() || info.GetConnections() != 2 || info.GetListeners() != 1 {
			t.Errorf("%v, %v", info, err)
		}
		counters, err := c.Stats(ctx)
		if err != nil || !slices.ContainsFunc(counters, func(c *starfishv1.Counter) bool {
			return c.GetName() == "TcpPassiveOpens" && c.GetValue() == 1
		}) {
			t.Errorf("%v, %v", counters, err)
		}
		connections, listeners, err := c.Connections(ctx)
		var ids []uint64
		for _, conn := range connections {
			ids = append(ids, conn.GetId())
		}
		slices.Sort(ids)
		if want := []uint64{dialled.ID(), taken.ID()}; err != nil || !slices.Equal(ids, slices.Sorted(slices.Values(want))) {
			t.Errorf("connections %v, want %v, %v", ids, want, err)
		}
		if len(listeners) != 1 || listeners[0].GetId() != l.ID() {
			t.Errorf("listeners %v", listeners)
		}
		one, err := c.Connection(ctx, taken.ID())
		if err != nil || one.GetListenerId() != l.ID() ||
			one.GetState() != starfishv1.ConnectionState_CONNECTION_STATE_ESTABLISHED {
			t.Errorf("%v, %v", one, err)
		}
		if _, err := c.Connection(ctx, 4711); !errors.Is(err, syscall.EBADF) {
			t.Errorf("a connection that there is not: %v, want EBADF", err)
		}
	})
}

// TestListsComeInPages has more listeners than a page holds.
func TestListsComeInPages(t *testing.T) {
	peer := startReal(t)
	c := peer.open(t)
	const count = listPage + 5
	for range count {
		lc := ListenConfig{Client: c}
		if _, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(peer.host, "0")); err != nil {
			t.Fatal(err)
		}
	}
	_, listeners, err := c.Connections(t.Context())
	ids := make(map[uint64]bool)
	for _, l := range listeners {
		ids[l.GetId()] = true
	}
	if err != nil || len(ids) != count || len(listeners) != count {
		t.Errorf("%d listeners, %d of them different, want %d: %v", len(listeners), len(ids), count, err)
	}
}

// TestOthersConnections ends connections of one client through another one.
func TestOthersConnections(t *testing.T) {
	eachWay(t, func(t *testing.T, peer testPeer, way Transport) {
		owner, other := peer.open(t), peer.open(t)
		dialled, taken := peer.pair(t, owner, way)
		if err := other.Shutdown(t.Context(), dialled.ID(), starfishv1.ShutdownHow_SHUTDOWN_HOW_WRITE); err != nil {
			t.Fatal(err)
		}
		if n, err := taken.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read after the other's shutdown: %d, %v, want io.EOF", n, err)
		}
		dialled, taken = peer.pair(t, owner, way)
		if err := other.CloseConnection(t.Context(), dialled.ID()); err != nil {
			t.Fatal(err)
		}
		if n, err := taken.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read after the other's close: %d, %v, want io.EOF", n, err)
		}
	})
}

func TestDialTCP(t *testing.T) {
	eachWay(t, func(t *testing.T, peer testPeer, way Transport) {
		c := peer.open(t)
		l := peer.listen(t, c, way)
		d := Dialer{Client: c, Transport: way, Timeout: soon, LocalAddr: netip.MustParseAddrPort("169.254.144.77:7777")}
		conn, err := d.DialTCP(context.Background(), l.Addr().(*net.TCPAddr).AddrPort())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conn.LocalAddr().String() != "169.254.144.77:7777" {
			t.Errorf("from %v", conn.LocalAddr())
		}
	})
}
