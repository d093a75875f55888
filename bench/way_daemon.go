package main

import (
	"context"
	"net/netip"

	"github.com/MUCZ/Starfish/client"
)

// daemonWay is the client of a daemon.
type daemonWay struct {
	client *client.Client
	dialer client.Dialer
}

func newDaemonWay(s *setup) (way, error) {
	c, err := client.New(s.Socket)
	if err != nil {
		return nil, err
	}
	transport := client.DataSocket
	if s.Way == wayStream {
		transport = client.GRPCStream
	}
	return &daemonWay{client: c, dialer: client.Dialer{Client: c, Transport: transport}}, nil
}

func (w *daemonWay) dial(ctx context.Context, to netip.AddrPort, congestion string) (conn, error) {
	d := w.dialer
	if congestion != "" {
		control, err := client.ParseCongestion(congestion)
		if err != nil {
			return nil, err
		}
		d.Options.Congestion = control
	}
	return asConn(d.DialContext(ctx, "tcp", to.String()))
}

func (w *daemonWay) close() error { return w.client.Close() }
