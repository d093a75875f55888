package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// maxFlows is how many flows' goodput is counted at once.
const maxFlows = 2

// goodputMetric names the figure of a flow: bits per second.
func goodputMetric(flow int) string { return fmt.Sprintf("goodput-%d", flow) }

// counted is a flow as its receiver sees it.
type counted struct {
	conn  *net.TCPConn
	bytes atomic.Int64
	_     [64]byte // keeps the counters of different goroutines apart
}

// countGoodput takes a connection on each port and counts what comes of each, from the moment on when the last of them has
// been open for the warm-up. When the time is up it resets them, which is what ends their senders.
func (p *peer) countGoodput(l *load) (map[string]float64, error) {
	flows := make([]counted, l.Connections)
	opened := make(chan error, len(flows))
	var ended []chan error
	for i := range flows {
		end := make(chan error, 1)
		ended = append(ended, end)
		go func() { end <- flows[i].read(p.flows[i], l, opened) }()
	}
	var errs []error
	for range flows {
		errs = append(errs, <-opened)
	}
	time.Sleep(l.WarmUp)
	from := time.Now()
	before := received(flows)
	time.Sleep(l.Duration)
	after, elapsed := received(flows), time.Since(from)
	for i := range flows {
		if flows[i].conn != nil {
			errs = append(errs, flows[i].conn.SetLinger(0), flows[i].conn.Close())
		}
		if err := <-ended[i]; !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("flow %d ended early: %w", i, err))
		}
	}
	figures := make(map[string]float64)
	for i := range flows {
		figures[goodputMetric(i)] = 8 * float64(after[i]-before[i]) / elapsed.Seconds()
	}
	return figures, errors.Join(errs...)
}

// read takes a connection and all that comes, until that is closed.
func (c *counted) read(l *net.TCPListener, work *load, opened chan<- error) error {
	err := l.SetDeadline(time.Now().Add(dialTimeout + maxFlows*work.Stagger))
	if err == nil {
		c.conn, err = l.AcceptTCP()
	}
	opened <- err
	if err != nil {
		return net.ErrClosed // there is nothing to end, and it has been told
	}
	buf := make([]byte, bufferSize)
	for {
		n, err := c.conn.Read(buf)
		c.bytes.Add(int64(n))
		if err != nil {
			return err
		}
	}
}

func received(flows []counted) []int64 {
	n := make([]int64, len(flows))
	for i := range flows {
		n[i] = flows[i].bytes.Load()
	}
	return n
}

// tuneKernel has the kernel's TCP in this network namespace judge each connection by itself, and lets its buffers grow as
// far as ours do, so that neither is what is measured.
func tuneKernel() error {
	var errs []error
	for name, value := range map[string]string{
		"ip_forward":          "1",
		"tcp_no_metrics_save": "1", // else ssthresh is what the last connection has found
		"tcp_rmem":            "4096 131072 33554432",
		"tcp_wmem":            "4096 16384 33554432",
	} {
		errs = append(errs, os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0))
	}
	return errors.Join(errs...)
}
