package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// meter measures time and processor time between two points.
type meter struct {
	processes []int
	from      time.Time
	used      time.Duration
	err       error
}

func startMeter(processes []int) *meter {
	m := &meter{processes: processes}
	m.used, m.err = processorTime(processes)
	m.from = time.Now()
	return m
}

func (m *meter) stop() (elapsed, cpu time.Duration, err error) {
	elapsed = time.Since(m.from)
	used, err := processorTime(m.processes)
	if m.err != nil {
		err = m.err
	}
	return elapsed, used - m.used, err
}

// processorTime is what processes have used of all processors, in user and kernel mode. The part of the kernel's network
// stack that runs in interrupts is charged to the process that was interrupted, as the kernel does it.
func processorTime(processes []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range processes {
		var ts unix.Timespec
		if err := unix.ClockGettime(processClock(pid), &ts); err != nil {
			return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}

// processClock is clock_getcpuclockid(3): the kernel's encoding of CPUCLOCK_SCHED for a whole process.
func processClock(pid int) int32 { return int32(^uint32(pid)<<3 | 2) }
