package daemon

import (
	"context"
	"errors"
	"net"

	"go.uber.org/zap"
)

// runStop waits for the order to stop, and stops: no new clients, no new connections, FIN on all that there are, a
// bounded wait, a reset for the rest.
func (d *Daemon) runStop(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	d.stopping.Store(true)
	d.health.Shutdown()
	d.tellSystemd("STOPPING=1")
	timeout := d.config.Load().StopTimeout
	_, conns, _ := d.registry.counts()
	d.log.Info("stopping", zap.Int("connections", conns), zap.Duration("timeout", timeout))

	// New clients are told at once that nobody is there; those that are connected see their connections end.
	err := closeAll(d.control, d.data)
	d.offers.stop()
	d.closeListeners()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	switch drainErr := d.network.Drain(drain); {
	case errors.Is(drainErr, context.DeadlineExceeded):
		d.log.Warn("connections were still open after the timeout and have been reset")
	case drainErr != nil:
		err = errors.Join(err, drainErr)
	}
	d.server.Stop()
	d.log.Info("stopped")
	return err
}

func (d *Daemon) closeListeners() {
	for _, l := range d.registry.allListeners() {
		d.closeListener(l)
	}
}

// closeAll closes listeners; package net removes their files.
func closeAll(listeners ...*net.UnixListener) error {
	var errs []error
	for _, l := range listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
