package stack

import (
	"io"
	"testing"

	"github.com/MUCZ/Starfish/core/tun"
)

func BenchmarkSend(b *testing.B) {
	benchmarks := map[string]func(b *testing.B) (*Stack, *Stack){
		"internal": func(b *testing.B) (*Stack, *Stack) { s := startStack(b, Config{}); return s, s },
		"memory": func(b *testing.B) (*Stack, *Stack) {
			return startPair(b, 65535, tun.Offload{Checksum: true, TSO4: true, TSO6: true})
		},
		"memory1500": func(b *testing.B) (*Stack, *Stack) {
			return startPair(b, 1500, tun.Offload{Checksum: true, TSO4: true, TSO6: true})
		},
	}
	for name, start := range benchmarks {
		b.Run(name, func(b *testing.B) {
			x, y := start(b)
			client, server := connect(b, x, y, nil)
			defer client.Close()
			defer server.Close()
			benchmarkTransfer(b, client, server)
		})
	}
}

func benchmarkTransfer(b *testing.B, w io.Writer, r io.Reader) {
	const size = 256 << 10
	b.SetBytes(size)
	b.ReportAllocs()
	done := make(chan error)
	go func() {
		buf := make([]byte, size)
		var err error
		for i := 0; i < b.N && err == nil; i++ {
			_, err = io.ReadFull(r, buf)
		}
		done <- err
	}()
	buf := make([]byte, size)
	b.ResetTimer()
	for range b.N {
		if _, err := w.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func BenchmarkPingPong(b *testing.B) {
	s := startStack(b, Config{})
	client, server := connect(b, s, s, nil)
	defer client.Close()
	defer server.Close()
	b.ReportAllocs()
	go func() {
		buf := make([]byte, 64)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			server.Write(buf[:n])
		}
	}()
	buf := make([]byte, 64)
	for range b.N {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, buf); err != nil {
			b.Fatal(err)
		}
	}
}
