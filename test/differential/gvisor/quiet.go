package gvisor

import (
	"fmt"
	"runtime/metrics"
	"time"
)

// longest bounds the wait for goroutines that never rest.
const longest = 5 * time.Second

// waitIdle waits until no goroutine of the process wants to run but the caller's: netstack works in goroutines of its own,
// and has no call that waits for them.
func waitIdle() error {
	const enough = 2 // looks in a row at which nobody runs
	samples := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}, {Name: "/sched/goroutines/running:goroutines"}}
	deadline := time.Now().Add(longest)
	for idle := 0; idle < enough; {
		time.Sleep(100 * time.Microsecond)
		metrics.Read(samples)
		if samples[0].Value.Kind() != metrics.KindUint64 {
			return fmt.Errorf("this version of Go has no %s", samples[0].Name)
		}
		if samples[0].Value.Uint64() == 0 && samples[1].Value.Uint64() <= 1 {
			idle++
			continue
		}
		if idle = 0; time.Now().After(deadline) {
			return fmt.Errorf("goroutines do not rest in %v", longest)
		}
	}
	return nil
}
