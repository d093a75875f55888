package daemon

import (
	"io"
	"testing"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// benchChunk is what a client writes at a time.
const benchChunk = 64 << 10

// BenchmarkStream moves data through two Stream calls and the link in memory between them.
func BenchmarkStream(b *testing.B) {
	s := startDaemon(b, nil).dial(b)
	c, a := s.pair()
	ctx := b.Context()
	left, err := s.stream(ctx, openByID(c))
	if err != nil {
		b.Fatal(err)
	}
	right, err := s.stream(ctx, openByID(a))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchChunk)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		message := dataRequest(make([]byte, benchChunk))
		for range b.N {
			if left.Send(message) != nil {
				return
			}
		}
		_ = left.CloseSend()
	}()
	var r *starfishv1.StreamResponse
	for r.GetEof() == nil {
		if r, err = right.Recv(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDataSocket moves data through two data sockets and the link in memory between them.
func BenchmarkDataSocket(b *testing.B) {
	s := startDaemon(b, nil).dial(b)
	c, a := s.pair()
	left, right := s.attach(c), s.attach(a)
	b.SetBytes(benchChunk)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		data := make([]byte, benchChunk)
		for range b.N {
			if _, err := left.Write(data); err != nil {
				return
			}
		}
		_ = left.CloseWrite()
	}()
	if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{right}, make([]byte, 256<<10)); n != int64(b.N)*benchChunk {
		b.Fatal(n, err)
	}
}
