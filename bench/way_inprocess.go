package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// inProcessWay is the stack embedded in the worker, on a TUN device.
type inProcessWay struct {
	device tun.Device
	stack  *stack.Stack
}

func newInProcessWay(s *setup) (way, error) {
	pool := zbuf.NewPool(0)
	device, err := tun.Open(tun.Config{
		Name: s.Link.Device, Offload: tun.On, MTU: s.Link.MTU, Addresses: []netip.Prefix{s.Link.Peer}, Up: true, Pool: pool, Logf: logf,
	})
	if err != nil {
		return nil, err
	}
	st, err := stack.New(stack.Config{
		Device: device, Addresses: []netip.Prefix{s.Link.Local}, KernelAddresses: []netip.Addr{s.Link.Peer.Addr()},
		Pool: pool, Logf: logf,
	})
	if err != nil {
		return nil, errors.Join(err, device.Close())
	}
	return &inProcessWay{device: device, stack: st}, nil
}

func (w *inProcessWay) dial(ctx context.Context, to netip.AddrPort, congestion string) (conn, error) {
	if congestion == "" {
		return asConn(w.stack.DialContext(ctx, "tcp", to.String()))
	}
	control, err := tcp.ParseCongestionControl(congestion)
	if err != nil {
		return nil, err
	}
	return asConn(w.stack.DialTCP(ctx, netip.AddrPort{}, to, &tcp.Options{NoDelay: true, Congestion: control}))
}

func (w *inProcessWay) close() error { return errors.Join(w.stack.Close(), w.device.Close()) }

func logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
