package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// The links: the kernel's veth pair, and a TUN device for each Starfish.
const (
	vethPeer  = "sfbpeer"
	vethLocal = "sfblocal"
)

var (
	vethLink      = link{Device: vethLocal, Local: netip.MustParsePrefix("10.98.0.2/24"), Peer: netip.MustParsePrefix("10.98.0.1/24")}
	inProcessLink = link{Device: "sfbtun0", Local: netip.MustParsePrefix("10.98.1.2/24"), Peer: netip.MustParsePrefix("10.98.1.1/24")}
	daemonLink    = link{Device: "sfbtun1", Local: netip.MustParsePrefix("10.98.2.2/24"), Peer: netip.MustParsePrefix("10.98.2.1/24")}
)

// cast are the processes of a benchmark.
type cast struct {
	settings *settings
	peer     *process
	daemon   *process // nil when no way needs it
	workers  map[string]*process
}

// newCast starts the processes that s asks for, ready for loads.
func newCast(ctx context.Context, s *settings) (*cast, error) {
	c := &cast{settings: s, workers: make(map[string]*process)}
	return c, c.fill(ctx)
}

func (c *cast) fill(ctx context.Context) error {
	if err := ipCommands("link set lo up"); err != nil {
		return err
	}
	var err error
	if c.peer, err = c.start(ctx, rolePeer, rolePeer, 0, setup{}); err != nil {
		return err
	}
	if slices.Contains(c.settings.ways, wayDataSocket) || slices.Contains(c.settings.ways, wayStream) {
		c.daemon, err = c.start(ctx, roleDaemon, roleDaemon, 0, setup{Link: daemonLink, Socket: c.socket()})
		if err != nil {
			return err
		}
	}
	for _, way := range c.settings.ways {
		if c.workers[way], err = c.startWorker(ctx, way); err != nil {
			return err
		}
	}
	return nil
}

func (c *cast) startWorker(ctx context.Context, way string) (*process, error) {
	switch way {
	case wayKernel:
		return c.start(ctx, way, roleWorker, unix.CLONE_NEWNET, setup{Way: way, Link: vethLink, Peer: vethLink.Peer.Addr()})
	case wayInProcess:
		return c.start(ctx, way, roleWorker, 0, setup{Way: way, Link: inProcessLink, Peer: inProcessLink.Peer.Addr()})
	default:
		return c.start(ctx, way, roleWorker, 0, setup{Way: way, Socket: c.socket(), Peer: daemonLink.Peer.Addr()})
	}
}

// start starts a child and sets it up.
func (c *cast) start(ctx context.Context, name, role string, namespaces uintptr, s setup) (*process, error) {
	p, err := start(ctx, name, role, namespaces)
	if err != nil {
		return nil, err
	}
	s.Link.MTU, s.Kernel = c.settings.mtu, c.settings.congestion
	if s.Link.Device == vethLocal {
		if err := s.Link.joinByVeth(vethPeer, p.pid()); err != nil {
			return nil, err
		}
	}
	if c.settings.profiles != "" {
		s.Profile = filepath.Join(c.settings.profiles, name+".pprof")
	}
	_, err = p.do(order{Setup: &s})
	return p, err
}

// socket is the daemon's control socket.
func (c *cast) socket() string { return filepath.Join(os.Getenv(dirVariable), "starfishd.sock") }

// processes are those whose processor time counts for a way.
func (c *cast) processes(way string) []int {
	all := []int{c.peer.pid(), c.workers[way].pid()}
	if way == wayDataSocket || way == wayStream {
		all = append(all, c.daemon.pid())
	}
	return all
}

// stop ends all processes, those first that use others.
func (c *cast) stop() error {
	var errs []error
	for _, way := range c.settings.ways {
		errs = append(errs, c.workers[way].stop())
	}
	if c.daemon != nil {
		errs = append(errs, c.daemon.stop())
	}
	errs = append(errs, c.peer.stop())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}
