package stack

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/MUCZ/Starfish/core/tun"
)

func TestConnOverInternalLink(t *testing.T) {
	noLeaks(t)
	s := startStack(t, Config{})
	nettest.TestConn(t, pipeMaker(t, s, s))
}

func TestConnAcrossShards(t *testing.T) {
	noLeaks(t)
	s := startStack(t, Config{Shards: 4})
	nettest.TestConn(t, pipeMaker(t, s, s))
}

func TestConnBetweenStacks(t *testing.T) {
	noLeaks(t)
	for name, offload := range map[string]tun.Offload{
		"plain":   {},
		"offload": {Checksum: true, TSO4: true, TSO6: true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := startPair(t, 1500, offload)
			nettest.TestConn(t, pipeMaker(t, a, b))
		})
	}
}

// pipeMaker makes connected pairs for nettest.
func pipeMaker(t *testing.T, a, b *Stack) nettest.MakePipe {
	return func() (net.Conn, net.Conn, func(), error) {
		client, server := connect(t, a, b, nil)
		return client, server, func() {
			client.Close()
			server.Close()
		}, nil
	}
}

func TestHalfClose(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	defer client.Close()
	defer server.Close()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write after CloseWrite: %v, want EPIPE", err)
	}
	got, err := io.ReadAll(server)
	if err != nil || string(got) != "question" {
		t.Fatalf("server read %q, %v", got, err)
	}
	if _, err := server.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	got, err = io.ReadAll(client)
	if err != nil || string(got) != "answer" {
		t.Fatalf("client read %q, %v", got, err)
	}
}

// Data that was written before Close is delivered, however much and however late the peer reads.
func TestCloseDelivers(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	defer server.Close()
	const size = 24 << 20
	go func() {
		io.Copy(client, &pattern{end: size})
		client.Close()
	}()
	if err := verifyStream(server, size); err != nil {
		t.Fatal(err)
	}
}

func TestCloseWithUnreadDataResets(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	defer client.Close()
	if _, err := client.Write([]byte("nobody reads this")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "data arrives", func() bool {
		st, err := server.Status()
		return err == nil && st.RecvQueue > 0
	})
	server.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read: %v, want ECONNRESET", err)
	}
	if !errors.Is(client.Err(), syscall.ECONNRESET) {
		t.Errorf("Err: %v, want ECONNRESET", client.Err())
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Write: %v, want ECONNRESET", err)
	}
}

func TestAbortResets(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	defer server.Close()
	if err := client.Abort(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read: %v, want ECONNRESET", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Abort: %v, want net.ErrClosed", err)
	}
	if err := client.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close after Abort: %v, want net.ErrClosed", err)
	}
}

func TestAwaitEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(client, server *Conn) error
		want error
	}{
		"reset by the peer":  {func(_, server *Conn) error { return server.Abort() }, syscall.ECONNRESET},
		"closed here":        {func(client, _ *Conn) error { return client.Close() }, net.ErrClosed},
		"both directions":    {func(client, _ *Conn) error { return client.CloseWrite() }, nil},
		"ended before it is": {func(client, server *Conn) error { return errors.Join(server.Abort(), awaitEnd(client)) }, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			s := startStack(t, Config{})
			client, server := connect(t, s, s, nil)
			if err := server.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			result := make(chan error, 1)
			go func() { result <- client.AwaitEnd() }()
			if err := c.end(client, server); err != nil {
				t.Fatal(err)
			}
			if err := <-result; !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// awaitEnd waits for the end of a connection that is to be reset.
func awaitEnd(c *Conn) error {
	if err := c.AwaitEnd(); !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("got %w", err)
	}
	return nil
}

func TestCloseReadDiscards(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	defer client.Close()
	defer server.Close()
	if err := server.CloseRead(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("Read: %v, want EOF", err)
	}
	// More than all buffers: it must be acknowledged and discarded.
	if n, err := io.Copy(client, &pattern{end: 32 << 20}); err != nil || n != 32<<20 {
		t.Fatalf("%d bytes written, %v", n, err)
	}
	if _, err := server.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 32)
	if n, err := client.Read(buf); err != nil || string(buf[:n]) != "still here" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
}

func TestTransferBothWays(t *testing.T) {
	const size = 16 << 20
	cases := map[string]func(t *testing.T) (*Stack, *Stack){
		"internal": func(t *testing.T) (*Stack, *Stack) { s := startStack(t, Config{}); return s, s },
		"shards":   func(t *testing.T) (*Stack, *Stack) { s := startStack(t, Config{Shards: 3}); return s, s },
		"plain":    func(t *testing.T) (*Stack, *Stack) { return startPair(t, 1500, tun.Offload{}) },
		"offload": func(t *testing.T) (*Stack, *Stack) {
			return startPair(t, 1500, tun.Offload{Checksum: true, TSO4: true, TSO6: true})
		},
	}
	for name, start := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := start(t)
			client, server := connect(t, a, b, nil)
			done := make(chan error, 4)
			for _, c := range []*Conn{client, server} {
				go func() {
					_, err := io.Copy(c, &pattern{end: size})
					done <- errors.Join(err, c.CloseWrite())
				}()
				go func() { done <- verifyStream(struct{ io.Reader }{c}, size) }()
			}
			for range 4 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			client.Close()
			server.Close()
		})
	}
}
