package sim

import (
	"flag"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seedsFlag = flag.Uint64("sim.seeds", 2000, "how many seeds TestSeeds runs")
	startFlag = flag.Uint64("sim.start", 1, "the first of them")
	seedFlag  = flag.Uint64("sim.seed", 0, "run only this seed, with its trace")
)

// TestSeeds runs the scenarios of many seeds, several at a time. It stops at the first few that fail.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		replay(t, *seedFlag)
		return
	}
	const maxFailures = 5
	// A scenario keeps little, so that the default collects after every few megabytes.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var next, bytes, polite, failures atomic.Uint64
	var steps atomic.Int64
	var group sync.WaitGroup
	begin := time.Now()
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for failures.Load() < maxFailures {
				n := next.Add(1) - 1
				if n >= *seedsFlag {
					return
				}
				res, err := Run(*startFlag + n)
				if err != nil {
					failures.Add(1)
					t.Error(err)
				}
				bytes.Add(res.Bytes)
				steps.Add(int64(res.Steps))
				if res.Polite {
					polite.Add(1)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d seeds from %d on, %d of them polite: %d steps, %d bytes received, %v", min(next.Load(), *seedsFlag), *startFlag,
		polite.Load(), steps.Load(), bytes.Load(), time.Since(begin).Round(time.Millisecond))
}

// replay runs one seed and shows everything that happens in it.
func replay(t *testing.T, seed uint64) {
	res, trace, err := Replay(seed, math.MaxInt32)
	if testing.Verbose() {
		_, _ = os.Stdout.WriteString(trace)
	}
	t.Logf("%+v", res)
	if err != nil {
		t.Error(err)
	}
}

// TestSameSeedSameRun: a seed names one run, to the last bit of the last packet.
func TestSameSeedSameRun(t *testing.T) {
	hashes := make(map[uint64]uint64)
	for seed := uint64(1); seed <= 60; seed++ {
		first, err := Run(seed)
		if err != nil {
			t.Fatal(err)
		}
		second, trace, err := Replay(seed, 10)
		if err != nil {
			t.Fatal(err)
		}
		if first != second {
			t.Fatalf("seed %d: one run gave %+v, another %+v", seed, first, second)
		}
		if trace == "" {
			t.Fatalf("seed %d left no trace", seed)
		}
		if other, ok := hashes[first.TraceHash]; ok {
			t.Fatalf("seeds %d and %d gave the same run", other, seed)
		}
		hashes[first.TraceHash] = seed
	}
}
