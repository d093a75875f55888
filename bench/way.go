package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
	dial(ctx context.Context, to netip.AddrPort) (conn, error)
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

// kernelWay is the kernel's sockets over the worker's end of a veth pair.
type kernelWay struct{ dialer net.Dialer }

func newKernelWay(s *setup) (way, error) {
	if err := errors.Join(s.Link.configure(), setCongestionControl(s.Kernel)); err != nil {
		return nil, err
	}
	return new(kernelWay), nil
}

func (w *kernelWay) dial(ctx context.Context, to netip.AddrPort) (conn, error) {
	return asConn(w.dialer.DialContext(ctx, "tcp", to.String()))
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
