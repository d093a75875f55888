package stack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

func TestNewRefusesBadConfig(t *testing.T) {
	noLeaks(t)
	good := prefixes("10.0.0.1/24")
	for name, cfg := range map[string]Config{
		"no addresses":     {},
		"invalid prefix":   {Addresses: []netip.Prefix{{}}},
		"negative shards":  {Addresses: good, Shards: -1},
		"too many shards":  {Addresses: good, Shards: maxShards + 1},
		"negative memory":  {Addresses: good, BufferMemory: -1},
		"bad MTU":          {Addresses: good, MTU: 10},
		"engine's options": {Addresses: good, Shards: 3, TCP: tcp.Config{FirstPort: 2, LastPort: 1}},
	} {
		if s, err := New(cfg); err == nil {
			s.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestManyConnections(t *testing.T) {
	noLeaks(t)
	s := startStack(t, Config{Shards: 2})
	l, err := s.ListenTCP(netip.AddrPort{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	const count = 1000
	conns := make([]net.Conn, count)
	for i := range conns {
		conns[i] = dialListener(t, s, l)
	}
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			defer c.Close()
			message := []byte{byte(i), byte(i >> 8)}
			c.Write(message)
			got := make([]byte, 2)
			if _, err := io.ReadFull(c, got); err != nil || got[0] != message[0] || got[1] != message[1] {
				t.Errorf("connection %d echoes %v, %v", i, got, err)
			}
		})
	}
	wg.Wait()
}

func TestSnapshotAndStats(t *testing.T) {
	s := startStack(t, Config{Shards: 2})
	client, server := connect(t, s, s, nil)
	defer client.Close()
	defer server.Close()
	if _, err := client.Write([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	seen := map[*Conn]tcp.Status{}
	if err := s.Connections(func(info *ConnInfo) bool {
		seen[info.Conn] = info.Status
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[server].RecvQueue != 2 || seen[client].State != tcp.StateEstablished {
		t.Errorf("snapshot: %+v", seen)
	}
	count := 0
	s.Connections(func(*ConnInfo) bool { count++; return false })
	if count != 1 {
		t.Errorf("visited %d after being told to stop", count)
	}
	if n := counter(t, s, "InternalPackets"); n < 4 {
		t.Errorf("%d internal packets", n)
	}
	if err := client.SetOptions(&tcp.Options{NoDelay: true, SendBuffer: 12345}); err != nil {
		t.Fatal(err)
	}
	if st, err := client.Status(); err != nil || st.SendBuffer != 12345 {
		t.Errorf("status after SetOptions: %+v, %v", st, err)
	}
	if err := client.SetOptions(&tcp.Options{SendBuffer: -1}); !errors.Is(err, tcp.ErrInvalid) {
		t.Errorf("bad option: %v", err)
	}
}

func TestDrain(t *testing.T) {
	s := startStack(t, Config{})
	l, err := s.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	client, server := connect(t, s, s, nil)
	client.Write([]byte("rest"))
	drained := make(chan error)
	go func() { drained <- s.Drain(context.Background()) }()
	if err := verifyText(server, "rest"); err != nil {
		t.Error(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the other end reads %v", err)
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
}

func TestDrainAborts(t *testing.T) {
	a, b := startPair(t, 1500, tun.Offload{})
	client, server := connect(t, a, b, nil)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := b.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain: %v", err)
	}
	if _, err := io.Copy(io.Discard, client); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer reads %v", err)
	}
	eventually(t, "the peer is reset", func() bool { return errors.Is(client.Err(), syscall.ECONNRESET) })
	if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
}

func TestCloseFailsEverything(t *testing.T) {
	noLeaks(t)
	s := startStack(t, Config{Shards: 2})
	l, err := s.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	client, server := connect(t, s, s, nil)
	io.Copy(client, &pattern{end: 64 << 10})
	buf := make([]byte, 10)
	if _, err := server.Read(buf); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := client.Read(buf[:1]); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
	})
	wg.Go(func() {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
	})
	time.Sleep(10 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for what, err := range map[string]error{
		"Write":    second(client.Write([]byte("x"))),
		"Read":     second(server.Read(buf)),
		"Dial":     second(s.Dial("tcp", "10.144.0.2:1")),
		"Listen":   second(s.Listen("tcp", ":1")),
		"Status":   second(client.Status()),
		"Stats":    second(s.Stats()),
		"snapshot": s.Connections(func(*ConnInfo) bool { return true }),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, want net.ErrClosed", what, err)
		}
	}
	client.Close()
	server.Close()
}

func second[T any](_ T, err error) error { return err }

// Writers wait while the pool is exhausted, and go on when there is memory again.
func TestPoolExhaustion(t *testing.T) {
	s := startStack(t, Config{BufferMemory: 2 << 20})
	var clients, servers [4]*Conn
	for i := range clients { // first, since an exhausted pool refuses new connections
		clients[i], servers[i] = connect(t, s, s, nil)
	}
	var wg sync.WaitGroup
	for i, client := range clients {
		server := servers[i]
		const size = 8 << 20
		wg.Go(func() {
			io.Copy(client, &pattern{end: size})
			client.Close()
		})
		wg.Go(func() {
			defer server.Close()
			server.SetDeadline(time.Now().Add(5 * time.Minute)) // packets that found no memory wait for timeouts that back off
			if err := verifyStream(server, size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestTap(t *testing.T) {
	a, b := startPair(t, 1500, tun.Offload{})
	var in, out, internal atomic.Int64
	a.SetTap(func(p Tapped) {
		switch p.Direction {
		case In:
			in.Add(1)
		case Out:
			out.Add(1)
		case Internal:
			internal.Add(1)
		}
		if v := p.Header[0] >> 4; v != 4 && v != 6 {
			t.Errorf("%v packet begins with %#x", p.Direction, p.Header[0])
		}
	})
	x, y := connect(t, a, b, nil)
	x.Close()
	y.Close()
	x, y = connect(t, a, a, nil)
	x.Close()
	y.Close()
	eventually(t, "the tap has seen two handshakes, and the end of one connection", func() bool {
		return in.Load() >= 2 && out.Load() >= 2 && internal.Load() >= 3
	})
	a.SetTap(nil)
	x, y = connect(t, a, b, nil) // a packet that the tap was just shown is through now
	x.Close()
	y.Close()
	before := in.Load()
	x, y = connect(t, a, b, nil)
	x.Close()
	y.Close()
	if in.Load() != before {
		t.Error("a tap that was taken off is called")
	}
}

// A standard HTTP client and server run on it.
func TestHTTP(t *testing.T) {
	s := startStack(t, Config{})
	l, err := s.Listen("tcp", "10.144.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, &pattern{end: 1 << 20})
	})}
	go server.Serve(l)
	defer server.Close()
	transport := &http.Transport{DialContext: s.DialContext}
	defer transport.CloseIdleConnections()
	for range 3 {
		r, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://10.144.0.2/")
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyStream(r.Body, 1<<20); err != nil {
			t.Error(err)
		}
		r.Body.Close()
	}
}
