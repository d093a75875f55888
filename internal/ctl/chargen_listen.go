package ctl

import (
	"context"
	"net"
	"sync"
)

// serveChargen serves each connection that comes until ctx ends.
func (a *app) serveChargen(ctx context.Context, flags *chargenFlags, network string, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	slots := make(chan struct{}, maxParallel)
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		slots <- struct{}{}
		serving.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			report, err := newTransfers([]net.Conn{conn}, flags).run(ctx)
			report.Network, report.Remote = network, conn.RemoteAddr().String()
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				err = a.showReport(report)
			}
			if err != nil {
				a.report(err)
			}
		})
	}
}
