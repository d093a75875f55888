package tcp

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// BenchmarkPingPong sends one byte each way.
func BenchmarkPingPong(b *testing.B) {
	x := newSteady(b, &Options{NoDelay: true})
	b.ReportAllocs()
	for b.Loop() {
		x.pingPong()
	}
}

// BenchmarkConnect opens a connection, sends one byte each way, and closes it on both sides, up to TIME-WAIT.
func BenchmarkConnect(b *testing.B) {
	p := newPair(b, func(c *Config) { c.TimeWait, c.FirstPort = time.Second, 1024 })
	l := p.listen(nil)
	b.ReportAllocs()
	for b.Loop() {
		ida, idb := p.dial(l, nil)
		p.a.send(p.now, ida, 1)
		p.flow()
		p.b.receive(p.now, idb)
		if err := p.a.stack.Close(p.now, ida); err != nil {
			b.Fatal(err)
		}
		p.flow()
		if err := p.b.stack.Close(p.now, idb); err != nil {
			b.Fatal(err)
		}
		p.flow()
		clear(p.a.events)
		clear(p.b.events)
		p.now = p.now.Add(100 * time.Microsecond)
		p.a.stack.HandleTimeout(p.now)
	}
}

// BenchmarkCopy is what the link of BenchmarkTransfer costs alone: bytes copied into blocks, and given back.
func BenchmarkCopy(b *testing.B) {
	pool := zbuf.NewPool(0)
	from := make([]byte, zbuf.MaxBlock)
	for _, size := range []int{1500, 65_000} {
		b.Run("", func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				s, _ := pool.Get(size)
				copy(s.Bytes(), from)
				s.Release()
			}
		})
	}
}
