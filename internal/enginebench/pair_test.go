package enginebench

import (
	"syscall"
	"testing"
	"time"
)

// BenchmarkTransfer moves 100 MiB in each iteration.
func BenchmarkTransfer(b *testing.B) {
	const bytes = 100 << 20
	for _, c := range Cases {
		b.Run(c.Name, func(b *testing.B) {
			p, err := New(c)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(bytes)
			b.ReportAllocs()
			if err := p.Transfer(bytes); err != nil { // to a steady state
				b.Fatal(err)
			}
			segments, cpu := p.Segments(), cpuTime(b)
			for b.Loop() {
				if err := p.Transfer(bytes); err != nil {
					b.Fatal(err)
				}
			}
			cpu = cpuTime(b) - cpu
			bits := float64(bytes) * 8 * float64(b.N) / 1e9
			b.ReportMetric(bits/b.Elapsed().Seconds(), "Gbit/s")
			// On a machine that others use as well, the processor's time says more than the wall's.
			b.ReportMetric(bits/cpu.Seconds(), "Gbit/cpu-s")
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(p.Segments()-segments), "cpu-ns/segment")
		})
	}
}

// cpuTime is the processor time that the process has taken.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMeasure holds that each case moves what it says, in segments of the size that it says.
func TestMeasure(t *testing.T) {
	for _, c := range Cases {
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		const bytes = 20 << 20
		r, err := p.Measure(bytes)
		if err != nil {
			t.Fatal(err)
		}
		least, most := uint64(bytes/1460), uint64(bytes/1400*11/10)
		if r.Bytes != bytes || r.Segments < least || r.Segments > most || r.Took <= 0 || r.BitsPerSecond() <= 0 || r.SegmentsPerSecond() <= 0 {
			t.Errorf("%s: %+v, want %d to %d segments", c.Name, r, least, most)
		}
		if lost := p.data / max(c.LossEvery, 1); c.LossEvery > 0 && lost == 0 {
			t.Errorf("%s: none of %d packets was lost", c.Name, p.data)
		}
	}
}

// TestSlowHandshake: a handshake that took a second, as the first packet to a neighbour may, does not hold back a path of
// 100 microseconds: the RTT sample of one ACK for a super-segment counts for what the ACK covers. The pacer would otherwise
// send one super-segment at a time, and each of them correct the estimate by a half percent.
func TestSlowHandshake(t *testing.T) {
	p, err := New(Case{Super: true, Batch: 16, Handshake: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	began := p.Now()
	if began < 2*time.Second {
		t.Fatalf("the handshake took until %v", began)
	}
	if err := p.Transfer(32 << 20); err != nil {
		t.Fatal(err)
	}
	if took := p.Now() - began; took > 5*time.Second {
		t.Errorf("32 MiB took %v of the network's time", took)
	}
}
