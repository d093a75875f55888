package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// workGoodput is sending until the peer has counted enough.
const workGoodput = "goodput"

// What a worker tells of its flows, all of them together.
const (
	figureSent          = "sent" // segments, retransmissions included
	figureRetransmitted = "retransmitted"
	figureTimeouts      = "timeouts"
)

// goodput sends on as many connections as the load says until the peer resets them.
func (w *worker) goodput(l *load) (map[string]float64, error) {
	log, err := newSamples(l.Samples)
	if err != nil {
		return nil, err
	}
	views := make([]view, l.Connections)
	errs := make([]error, l.Connections)
	var flows sync.WaitGroup
	for i := range l.Connections {
		flows.Go(func() {
			flow := l.First + i
			time.Sleep(time.Duration(flow) * l.Stagger)
			views[i], errs[i] = w.sendFlow(flow, l.Congestion, log)
		})
	}
	flows.Wait()
	figures := make(map[string]float64)
	for i := range views {
		figures[figureSent] += float64(views[i].sent)
		figures[figureRetransmitted] += float64(views[i].retransmitted)
		figures[figureTimeouts] += float64(views[i].timeouts)
	}
	return figures, errors.Join(append(errs, log.close())...)
}

// sendFlow sends until the peer resets the connection, and returns what it looked like then.
func (w *worker) sendFlow(flow int, congestion string, log *samples) (view, error) {
	c, err := w.dial(goodputPort+flow, congestion)
	if err != nil {
		return view{}, err
	}
	defer c.Close()
	stop := log.follow(flow, c)
	defer stop()
	for buf := make([]byte, bufferSize); err == nil; {
		_, err = c.Write(buf)
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return view{}, fmt.Errorf("flow %d: %w", flow, err)
	}
	return look(c)
}

// sampleEvery is often enough to see each round trip.
const sampleEvery = 5 * time.Millisecond

// samples is a file of what flows look like over time; nil writes nothing.
type samples struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	from time.Time
}

func newSamples(path string) (*samples, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	s := &samples{file: f, out: bufio.NewWriter(f), from: time.Now()}
	_, err = fmt.Fprintln(s.out, "ms,flow,"+viewHeader)
	return s, err
}

// follow writes samples of a connection until stop is called.
func (s *samples) follow(flow int, c conn) (stop func()) {
	if s == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				s.write(flow, c)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

func (s *samples) write(flow int, c conn) {
	v, err := look(c)
	if err != nil {
		return // it has ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%.1f,%d,%s\n", 1e3*time.Since(s.from).Seconds(), flow, &v) // close tells of errors
}

func (s *samples) close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.out.Flush(), s.file.Close())
}
