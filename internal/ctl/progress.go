package ctl

import (
	"fmt"
	"io"
	"time"
)

// progressInterval is how often a terminal is told.
const progressInterval = time.Second

// progress tells a terminal how far something has come, until the function that it returns is called.
func (a *app) progress(count func() int64) (stop func()) {
	if a.json || !isTerminal(a.stderr) {
		return func() {}
	}
	ticker := time.NewTicker(progressInterval)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		showProgress(a.stderr, time.Now(), ticker.C, done, count)
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-stopped
	}
}

// showProgress writes, at each tick, one line over the one before: the time, the bytes, and their current rate. At the
// end it clears the line.
func showProgress(w io.Writer, began time.Time, ticks <-chan time.Time, done <-chan struct{}, count func() int64) {
	const clearLine = "\r\x1b[K"
	last, bytes := began, int64(0)
	for {
		select {
		case <-done:
			fmt.Fprint(w, clearLine)
			return
		case now := <-ticks:
			n := count()
			rate := float64(n-bytes) * 8 / now.Sub(last).Seconds()
			fmt.Fprintf(w, "%s%4.0f s  %8s  %s", clearLine, now.Sub(began).Seconds(), siUnits(float64(n), "B"), siUnits(rate, "bps"))
			last, bytes = now, n
		}
	}
}
