package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// roleWorker is a process that uses TCP in one way and measures it.
const roleWorker = "worker"

// The kinds of work.
const (
	workSend     = "send"
	workReceive  = "receive"
	workPingPong = "ping-pong"
	workConnect  = "connect"
)

var workNames = []string{workSend, workReceive, workPingPong, workConnect}

// dialTimeout bounds each connect: a SYN that was lost is repeated after a second.
const dialTimeout = 10 * time.Second

type worker struct {
	way  way
	peer netip.Addr
}

func newWorker(s *setup) (service, error) {
	make, ok := ways[s.Way]
	if !ok {
		return nil, fmt.Errorf("unknown way %q", s.Way)
	}
	w, err := make(s)
	if err != nil {
		return nil, err
	}
	return &worker{way: w, peer: s.Peer}, nil
}

func (w *worker) close() error { return w.way.close() }

func (w *worker) run(l *load) (map[string]float64, error) {
	switch l.Work {
	case workSend:
		return w.bulk(l, sinkPort, sendLoop)
	case workReceive:
		return w.bulk(l, sourcePort, receiveLoop)
	case workPingPong:
		return w.pingPong(l)
	case workConnect:
		return w.connect(l)
	case workGoodput:
		return w.goodput(l)
	}
	return nil, fmt.Errorf("unknown work %q", l.Work)
}

func (w *worker) dial(port int, congestion string) (conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return w.way.dial(ctx, netip.AddrPortFrom(w.peer, uint16(port)), congestion)
}

// dialMany opens n connections, all or none.
func (w *worker) dialMany(n, port int) ([]conn, error) {
	var conns []conn
	for range n {
		c, err := w.dial(port, "")
		if err != nil {
			errs := []error{err}
			for _, c := range conns {
				errs = append(errs, c.Close())
			}
			return nil, errors.Join(errs...)
		}
		conns = append(conns, c)
	}
	return conns, nil
}
