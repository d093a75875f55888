package gvisor

import (
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// clock goes on only when it is told to, and its timers never run.
type clock struct {
	elapsed atomic.Int64
}

// origin is above zero, which netstack takes for "never".
const origin = time.Hour

func (c *clock) advance(d time.Duration) { c.elapsed.Add(int64(d)) }

// Now implements tcpip.Clock.
func (c *clock) Now() time.Time { return time.Unix(0, int64(origin)+c.elapsed.Load()) }

// NowMonotonic implements tcpip.Clock.
func (c *clock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(origin + time.Duration(c.elapsed.Load()))
}

// AfterFunc implements tcpip.Clock.
func (c *clock) AfterFunc(time.Duration, func()) tcpip.Timer { return &timer{} }

// timer is one that could be stopped at any time.
type timer struct{ stopped bool }

// Stop implements tcpip.Timer.
func (t *timer) Stop() bool {
	was := t.stopped
	t.stopped = true
	return !was
}

// Reset implements tcpip.Timer.
func (t *timer) Reset(time.Duration) { t.stopped = false }
