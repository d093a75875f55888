package tcp

import (
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// benchBytes is what one iteration transfers.
const benchBytes = 100 << 20

// BenchmarkTransfer moves 100 MiB from one engine to another in memory, the packets copied between them as a device
// does: in order, each batch of packets the last one first, or with one packet in 1,000 lost; in super-segments, or in
// segments of 1,448 bytes.
func BenchmarkTransfer(b *testing.B) {
	super := func(*Config) {}
	plain := func(c *Config) { c.SegmentationOffload4 = false }
	checksums := func(c *Config) { c.SegmentationOffload4, c.ChecksumOffload = false, false }
	for _, c := range []struct {
		name      string
		configure func(*Config)
		batch     int
		reversed  bool
		lossEvery int
	}{
		{"super/inorder", super, 16, false, 0},
		{"super/reversed", super, 4, true, 0},
		{"mss/inorder", plain, 16, false, 0},
		{"mss/reversed", plain, 16, true, 0},
		{"mss/lossy", plain, 1000, false, 1000},
		{"mss+checksum/inorder", checksums, 16, false, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			x := benchPair{pair: newPair(b, c.configure), batch: c.batch, reversed: c.reversed, lossEvery: c.lossEvery}
			ida, idb := x.connect(benchOptions())
			b.SetBytes(benchBytes)
			b.ReportAllocs()
			x.transfer(ida, idb, benchBytes) // to a steady state
			segments, cpu := x.a.stack.stats.OutSegs, cpuTime(b)
			for b.Loop() {
				x.transfer(ida, idb, benchBytes)
			}
			cpu = cpuTime(b) - cpu
			bits := float64(benchBytes) * 8 * float64(b.N) / 1e9
			b.ReportMetric(bits/b.Elapsed().Seconds(), "Gbit/s")
			// On a machine that others use as well, the processor's time says more than the wall's.
			b.ReportMetric(bits/cpu.Seconds(), "Gbit/cpu-s")
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(x.a.stack.stats.OutSegs-segments), "cpu-ns/segment")
		})
	}
}

// benchOptions fix the buffers: transfer waits for room for four super-segments before it sends.
func benchOptions() *Options { return &Options{SendBuffer: 4 << 20, RecvBuffer: 4 << 20} }

// cpuTime is the processor time that the process has taken.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchPair is a pair whose link carries packets in batches, and takes 100 µs for each.
type benchPair struct {
	*pair
	batch    int
	reversed bool
	packets  []Packet
	// lossEvery packets of data, one is lost; 0 for none.
	lossEvery, data int
}

func (x *benchPair) transfer(ida, idb ConnID, n int) {
	for sent, got := 0, 0; got < n; {
		if space := min(n-sent, x.a.stack.SendSpace(ida)); space >= 1<<18 || space == n-sent && space > 0 {
			sent += x.a.send(x.now, ida, space)
		}
		x.now = x.now.Add(50 * time.Microsecond)
		moved := x.link(x.a, x.b)
		got += x.b.receive(x.now, idb)
		x.now = x.now.Add(50 * time.Microsecond)
		if moved = x.link(x.b, x.a) || moved; !moved { // all wait for a timer
			x.now = max(x.now, min(x.a.stack.PollTimeout(), x.b.stack.PollTimeout()))
			x.a.stack.HandleTimeout(x.now)
			x.b.stack.HandleTimeout(x.now)
		}
		x.a.poll()
		x.b.poll()
	}
}

// link takes one batch of packets from one end to the other.
func (x *benchPair) link(from, to *end) bool {
	x.packets = x.packets[:0]
	for len(x.packets) < x.batch && from.stack.PollTransmit(x.now, &from.out) {
		if from.out.PayloadLen > 0 && x.lossEvery > 0 {
			if x.data++; x.data%x.lossEvery == 0 {
				continue
			}
		}
		pkt, ok := packet(to.pool, &from.out)
		if !ok {
			x.t.Fatal("the pool is exhausted")
		}
		x.packets = append(x.packets, pkt)
	}
	for i := range x.packets {
		if x.reversed {
			i = len(x.packets) - 1 - i
		}
		to.stack.HandlePacket(x.now, x.packets[i])
	}
	return len(x.packets) > 0
}

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
