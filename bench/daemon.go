package main

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/daemon"
	"github.com/MUCZ/Starfish/daemon/config"
)

// roleDaemon is what starfishd is, in a process of its own: the same package, so that it can be profiled like the others.
const roleDaemon = "daemon"

// hostedDaemon is a daemon that runs until it is closed.
type hostedDaemon struct {
	cancel context.CancelFunc
	ended  chan error
}

func newDaemon(s *setup) (service, error) {
	cfg := config.Default()
	cfg.Socket = s.Socket
	cfg.Tun, cfg.MTU, cfg.Address = s.Link.Device, s.Link.MTU, []netip.Prefix{s.Link.Local}
	cfg.Offload = tun.On
	cfg.StopTimeout = time.Second
	level := zap.NewAtomicLevelAt(zapcore.WarnLevel)
	log := zap.Must(zap.Config{
		Level: level, Encoding: "console", OutputPaths: []string{"stderr"}, EncoderConfig: zap.NewDevelopmentEncoderConfig(),
	}.Build())
	d, err := daemon.New(cfg, log, level)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &hostedDaemon{cancel: cancel, ended: make(chan error, 1)}
	go func() { h.ended <- d.Run(ctx) }()
	return h, nil
}

func (h *hostedDaemon) run(*load) (map[string]float64, error) {
	return nil, errors.New("the daemon only serves")
}

func (h *hostedDaemon) close() error {
	h.cancel()
	return <-h.ended
}
