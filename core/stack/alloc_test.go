package stack

import (
	"io"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

// Bytes that pass through a connection cost no allocation, in the shard's goroutine or the user's.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := startStack(t, Config{})
	client, server := connect(t, s, s, &tcp.Options{NoDelay: true})
	defer client.Close()
	defer server.Close()
	for name, size := range map[string]int{"small": 64, "large": 256 << 10} {
		buf, back := make([]byte, size), make([]byte, size)
		exchange := func() {
			if _, err := client.Write(buf); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(server, back); err != nil {
				t.Fatal(err)
			}
		}
		for range 200 {
			exchange()
		}
		if n := testing.AllocsPerRun(500, exchange); n >= 1 {
			t.Errorf("%s: %v allocations for a write and a read", name, n)
		}
	}
}

// Nor do bytes that pass between a connection and a data socket.
func TestAttachedSteadyStateDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := startStack(t, Config{})
	client, server := connect(t, s, s, &tcp.Options{NoDelay: true})
	near, _ := attach(t, client)
	far, _ := attach(t, server)
	buf, back := make([]byte, 64<<10), make([]byte, 64<<10)
	exchange := func() {
		if _, err := near.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, back); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		exchange()
	}
	if n := testing.AllocsPerRun(500, exchange); n >= 1 {
		t.Errorf("%v allocations for 64 KiB from socket to socket", n)
	}
}
