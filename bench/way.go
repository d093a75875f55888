package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// A way is one of those in which a program can use TCP.
const (
	wayKernel     = "kernel"
	wayInProcess  = "in-process"
	wayDataSocket = "data-socket"
	wayStream     = "grpc-stream"
)

var wayNames = []string{wayKernel, wayInProcess, wayDataSocket, wayStream}

// way opens connections.
type way interface {
	// dial connects with the congestion control of that name; empty stands for the default.
	dial(ctx context.Context, to netip.AddrPort, congestion string) (conn, error)
	close() error
}

// conn is what all ways give.
type conn interface {
	net.Conn
	CloseWrite() error
}

var ways = map[string]func(*setup) (way, error){
	wayKernel:     newKernelWay,
	wayInProcess:  newInProcessWay,
	wayDataSocket: newDaemonWay,
	wayStream:     newDaemonWay,
}

// kernelWay is the kernel's sockets: over the worker's end of a veth pair, or, without a link, over whatever there is.
type kernelWay struct{}

func newKernelWay(s *setup) (way, error) {
	if s.Link.Device != "" {
		if err := s.Link.configure(); err != nil {
			return nil, err
		}
	}
	return new(kernelWay), setCongestionControl(s.Kernel)
}

func (w *kernelWay) dial(ctx context.Context, to netip.AddrPort, congestion string) (conn, error) {
	var d net.Dialer
	if congestion != "" {
		d.Control = func(_, _ string, c syscall.RawConn) error { return chooseCongestionControl(c, congestion) }
	}
	return asConn(d.DialContext(ctx, "tcp", to.String()))
}

func (w *kernelWay) close() error { return nil }

func asConn(c net.Conn, err error) (conn, error) {
	if err != nil {
		return nil, err
	}
	full, ok := c.(conn)
	if !ok {
		return nil, fmt.Errorf("%T has no CloseWrite", c)
	}
	return full, nil
}
