package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/daemon/config"
)

// Daemon is a starfishd. It implements the API's server.
type Daemon struct {
	starfishv1.UnimplementedStarfishServer

	log      *zap.Logger
	level    zap.AtomicLevel
	config   atomic.Pointer[config.Config]
	network  *network
	registry *registry
	offers   *offers
	counters counters
	started  time.Time

	server   *grpc.Server
	health   *health.Server
	control  *net.UnixListener
	data     *net.UnixListener
	dataPath string

	ready    atomic.Bool
	stopping atomic.Bool
}

// New opens the device and the sockets of a daemon. The level is log's, for Reload to change.
func New(cfg *config.Config, log *zap.Logger, level zap.AtomicLevel) (*Daemon, error) {
	d := &Daemon{
		log:      log,
		level:    level,
		registry: newRegistry(cfg.Limits),
		offers:   newOffers(),
		started:  time.Now(),
		dataPath: cfg.DataSocket(),
	}
	d.config.Store(cfg)
	// Sockets come first: if another daemon is running, it has the device as well, and this error says more.
	var err error
	if d.control, err = listenUnix(cfg.Socket, cfg.SocketGroup, cfg.Mode()); err != nil {
		return nil, err
	}
	if d.data, err = listenUnix(d.dataPath, cfg.SocketGroup, cfg.Mode()); err != nil {
		return nil, errors.Join(err, d.control.Close())
	}
	if d.network, err = openNetwork(cfg, log); err != nil {
		return nil, errors.Join(err, d.control.Close(), d.data.Close())
	}
	d.server, d.health = newServer(d)
	return d, nil
}

// Run serves until ctx ends, and stops in good order then.
func (d *Daemon) Run(ctx context.Context) error {
	err := runTasks(ctx, []task{
		{"control socket", d.runControl},
		{"data socket", d.runData},
		{"stop", d.runStop},
	}, d.allReady)
	return errors.Join(err, d.network.close())
}

// allReady tells the world.
func (d *Daemon) allReady() {
	d.ready.Store(true)
	d.setServing(true)
	d.tellSystemd("READY=1\nSTATUS=" + d.describeNetwork())
	d.log.Info("ready", zap.String("socket", d.config.Load().Socket), zap.String("network", d.describeNetwork()),
		zap.String("version", Version), zap.Int("pid", os.Getpid()))
}

func (d *Daemon) describeNetwork() string {
	n := d.network
	owned := ownedList(n.prefixes) + ", from " + strings.Join(n.sources(), " and ")
	if n.device == nil {
		return "memory, " + owned
	}
	return fmt.Sprintf("%s, %s, MTU %d, offload: %v", n.device.Name(), owned, n.device.MTU(), n.device.Offload())
}

func (d *Daemon) tellSystemd(state string) {
	if err := notify(state); err != nil {
		d.log.Warn("systemd does not hear us", zap.Error(err))
	}
}

// defaults are the options of connections whose client sets none.
func (d *Daemon) defaults() tcp.Options { return d.config.Load().TCP.Options() }

// Reload takes over what can change while the daemon runs, and logs what can't.
func (d *Daemon) Reload(fresh *config.Config) {
	d.tellSystemd(reloadingState())
	merged, changed, restart := config.Reload(d.config.Load(), fresh)
	d.config.Store(merged)
	d.level.SetLevel(merged.LogLevel)
	d.registry.setLimits(merged.Limits)
	d.log.Info("configuration reloaded", zap.Strings("changed", changed))
	if len(restart) > 0 {
		d.log.Warn("some changes need a restart", zap.Strings("unchanged", restart))
	}
	d.tellSystemd("READY=1")
}
