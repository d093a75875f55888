package enginebench

import (
	"runtime"
	"time"
)

// Result is what some transfers over one link took.
type Result struct {
	Bytes       int64
	Segments    uint64
	Allocations uint64
	Took        time.Duration
}

// BitsPerSecond is the rate of the payload.
func (r Result) BitsPerSecond() float64 { return float64(r.Bytes) * 8 / r.Took.Seconds() }

// SegmentsPerSecond counts each segment of a super-segment.
func (r Result) SegmentsPerSecond() float64 { return float64(r.Segments) / r.Took.Seconds() }

// AllocationsPerSegment are those of the Go heap.
func (r Result) AllocationsPerSegment() float64 { return float64(r.Allocations) / float64(r.Segments) }

// Measure times one transfer of n bytes.
func (p *Pair) Measure(n int) (Result, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	segments, began := p.Segments(), time.Now()
	err := p.Transfer(n)
	r := Result{Bytes: int64(n), Took: time.Since(began), Segments: p.Segments() - segments}
	runtime.ReadMemStats(&after)
	r.Allocations = after.Mallocs - before.Mallocs
	return r, err
}
