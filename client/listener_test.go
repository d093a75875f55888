package client

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestCloseUnblocksAccept(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		l := peer.listen(t, peer.open(t), way)
		result := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			result <- err
		}()
		time.Sleep(20 * time.Millisecond)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want net.ErrClosed", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want net.ErrClosed", err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v, want net.ErrClosed", err)
		}
	})
}

// TestAcceptTimesOutWithoutLoss holds that a call that gives up leaves its connection to the next one.
func TestAcceptTimesOutWithoutLoss(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		c := peer.open(t)
		l := peer.listen(t, c, way)
		if err := l.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%v, want os.ErrDeadlineExceeded", err)
		}
		if err := l.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if _, err := l.AcceptContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want context.DeadlineExceeded", err)
		}
		dialled, taken, err := connect(c, l, way)
		if err != nil {
			t.Fatal(err)
		}
		defer dialled.Close()
		defer taken.Close()
		if dialled.LocalAddr().String() != taken.RemoteAddr().String() {
			t.Errorf("%v is not %v", dialled.LocalAddr(), taken.RemoteAddr())
		}
	})
}

func TestListenTwice(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		c := peer.open(t)
		l := peer.listen(t, c, way)
		lc := ListenConfig{Client: c}
		_, err := lc.Listen(context.Background(), "tcp", l.Addr().String())
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%v, want EADDRINUSE", err)
		}
	})
}

func TestListenAddr(t *testing.T) {
	for _, test := range []struct{ network, address, want string }{
		{"tcp", ":80", "[::]:80"},
		{"tcp4", ":80", "0.0.0.0:80"},
		{"tcp6", ":80", "[::]:80"},
		{"tcp", "127.0.0.1:http", "127.0.0.1:80"},
		{"tcp", "[::1]:0", "[::1]:0"},
	} {
		got, err := listenAddr(context.Background(), test.network, test.address)
		if err != nil || got.String() != test.want {
			t.Errorf("%s %s: %v, %v, want %s", test.network, test.address, got, err, test.want)
		}
	}
}
