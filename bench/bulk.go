package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// warmUp comes before what is measured: windows open, buffers fill. Those of many connections take longer.
const (
	warmUp         = 250 * time.Millisecond
	warmUpEach     = 10 * time.Millisecond
	maxStandstills = 20 // times that nothing may move in the load's duration before that is an error
)

// flow is one connection of a bulk load. The padding keeps the counters of different goroutines apart.
type flow struct {
	conn  conn
	stop  *atomic.Bool
	bytes atomic.Int64
	_     [64]byte
}

// bulk moves bytes through connections as fast as they go.
func (w *worker) bulk(l *load, port int, loop func(*flow) error) (map[string]float64, error) {
	conns, err := w.dialMany(l.Connections, port)
	if err != nil {
		return nil, err
	}
	var stop atomic.Bool
	flows := make([]flow, len(conns))
	ended := make(chan error, len(conns))
	for i := range flows {
		f := &flows[i]
		f.conn, f.stop = conns[i], &stop
		go func() { ended <- loop(f) }()
	}
	time.Sleep(warmUp + time.Duration(len(flows))*warmUpEach)
	m := startMeter(l.Processes)
	before := counts(flows)
	after := before
	// A busy machine may not run us for the whole of a short duration.
	for try := 0; try < maxStandstills && slices.Equal(before, after); try++ {
		time.Sleep(l.Duration)
		after = counts(flows)
	}
	elapsed, cpu, err := m.stop()

	stop.Store(true)
	errs := []error{err}
	for range flows {
		errs = append(errs, <-ended)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var moved []float64
	for i := range after {
		moved = append(moved, float64(after[i]-before[i]))
	}
	return bulkFigures(moved, elapsed, cpu)
}

func counts(flows []flow) []int64 {
	n := make([]int64, len(flows))
	for i := range flows {
		n[i] = flows[i].bytes.Load()
	}
	return n
}

func bulkFigures(moved []float64, elapsed, cpu time.Duration) (map[string]float64, error) {
	total := 0.0
	for _, n := range moved {
		total += n
	}
	if total == 0 {
		return nil, fmt.Errorf("nothing moved in %v", elapsed)
	}
	figures := map[string]float64{
		metricThroughput: total * 8 / 1e9 / elapsed.Seconds(),
		metricCPU:        cpu.Seconds() / (total / (1 << 30)),
	}
	if n := float64(len(moved)); n > 1 {
		figures[metricSpread] = 100 * (slices.Max(moved) - slices.Min(moved)) / (total / n)
	}
	return figures, nil
}

// sendLoop ends with everything delivered, so that nothing of it disturbs what is measured next.
func sendLoop(f *flow) error {
	defer f.conn.Close()
	buf := make([]byte, bufferSize)
	for !f.stop.Load() {
		n, err := f.conn.Write(buf)
		f.bytes.Add(int64(n))
		if err != nil {
			return err
		}
	}
	return finish(f.conn)
}

// receiveLoop ends with a reset, which has the peer end at once.
func receiveLoop(f *flow) error {
	defer f.conn.Close()
	buf := make([]byte, bufferSize)
	for !f.stop.Load() {
		n, err := f.conn.Read(buf)
		f.bytes.Add(int64(n))
		if err != nil {
			return err
		}
	}
	return nil
}

// finish ends our direction and waits for the end of the peer's.
func finish(c conn) error {
	if err := c.CloseWrite(); err != nil {
		return err
	}
	return awaitEnd(c)
}

// awaitEnd waits for the end of the peer's direction, which must be the next that comes.
func awaitEnd(c conn) error {
	var b [1]byte
	if _, err := c.Read(b[:]); !errors.Is(err, io.EOF) {
		return fmt.Errorf("end of a connection: read returned %w, not io.EOF", err)
	}
	return nil
}
