package main

import (
	"errors"
	"sync/atomic"
	"time"
)

// connect opens connections that the peer ends at once, as many at a time as the load says.
func (w *worker) connect(l *load) (map[string]float64, error) {
	var done, turn atomic.Int64
	var stop atomic.Bool
	ended := make(chan error, l.Connections)
	for range l.Connections {
		go func() {
			for !stop.Load() {
				if err := w.openAndEnd(endPort + int(turn.Add(1)%endPorts)); err != nil {
					ended <- err
					return
				}
				done.Add(1)
			}
			ended <- nil
		}()
	}
	time.Sleep(warmUp)
	m := startMeter(l.Processes)
	before := done.Load()
	time.Sleep(l.Duration)
	after := done.Load()
	elapsed, cpu, err := m.stop()
	stop.Store(true)
	errs := []error{err}
	for range l.Connections {
		errs = append(errs, <-ended)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	n := float64(after - before)
	return map[string]float64{
		metricRate:       n / elapsed.Seconds(),
		metricConnectCPU: microseconds(cpu) / max(n, 1),
	}, nil
}

func (w *worker) openAndEnd(port int) error {
	c, err := w.dial(port, "")
	if err != nil {
		return err
	}
	defer c.Close()
	return awaitEnd(c)
}
