package client

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"
)

// testPeer is a daemon to test against: where it listens, and an address that its stack talks to itself on.
type testPeer struct {
	socket string
	host   string
}

// forEach runs a test with every daemon there is, on both transports.
func forEach(t *testing.T, test func(t *testing.T, peer testPeer, way Transport)) {
	t.Helper()
	daemons := map[string]func(t testing.TB) testPeer{
		"fake": func(t testing.TB) testPeer { return testPeer{startFake(t).socket, "127.0.0.1"} },
		"real": startReal,
	}
	for name, start := range daemons {
		for _, way := range []Transport{DataSocket, GRPCStream} {
			t.Run(fmt.Sprintf("%s/%v", name, way), func(t *testing.T) { test(t, start(t), way) })
		}
	}
}

// open returns a client that ends with the test.
func (p testPeer) open(t testing.TB) *Client {
	t.Helper()
	c, err := New(p.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (p testPeer) listen(t testing.TB, c *Client, way Transport) *Listener {
	t.Helper()
	lc := ListenConfig{Client: c, Transport: way}
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(p.host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*Listener)
}

// pair returns both ends of a connection.
func (p testPeer) pair(t testing.TB, c *Client, way Transport) (dialled, taken *Conn) {
	t.Helper()
	l := p.listen(t, c, way)
	dialled, taken, err := connect(c, l, way)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = dialled.Close()
		_ = taken.Close()
	})
	return dialled, taken
}

func connect(c *Client, l *Listener, way Transport) (dialled, taken *Conn, err error) {
	d := Dialer{Client: c, Transport: way, Timeout: 10 * time.Second}
	conn, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	taken, err = l.AcceptContext(context.Background())
	return conn.(*Conn), taken, err
}
