package main

import (
	"slices"
	"time"
)

// maxSamples bounds the round trips that are kept: an hour of the fastest takes less.
const maxSamples = 1 << 22

// pingPong sends one byte, waits for it to come back, and so on.
func (w *worker) pingPong(l *load) (map[string]float64, error) {
	c, err := w.dial(echoPort, "")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := roundTrips(c, warmUp); err != nil {
		return nil, err
	}
	took, err := roundTrips(c, l.Duration)
	if err != nil {
		return nil, err
	}
	slices.Sort(took)
	return map[string]float64{
		metricP50: microseconds(quantile(took, 0.50)),
		metricP99: microseconds(quantile(took, 0.99)),
	}, finish(c)
}

// roundTrips returns how long each took.
func roundTrips(c conn, atLeast time.Duration) ([]time.Duration, error) {
	var b [1]byte
	var took []time.Duration
	start := time.Now()
	for last := start; last.Sub(start) < atLeast && len(took) < maxSamples; {
		if _, err := c.Write(b[:]); err != nil {
			return nil, err
		}
		if _, err := c.Read(b[:]); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, now.Sub(last))
		last = now
	}
	return took, nil
}

// quantile returns the smallest of sorted values that the share q of them does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
