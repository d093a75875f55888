package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"go.uber.org/zap"

	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
	"github.com/MUCZ/Starfish/daemon/config"
)

// network is the stack and what it stands on.
type network struct {
	*stack.Stack
	device   tun.Device     // nil with the link in memory
	prefixes []netip.Prefix // owned by the stack
	kernel   []netip.Addr   // but for these
}

// openNetwork opens the device and starts the stack on it.
func openNetwork(cfg *config.Config, log *zap.Logger) (*network, error) {
	n := &network{prefixes: cfg.Address}
	pool := zbuf.NewPool(int64(cfg.BufferMemory))
	shards := cfg.Queues
	if cfg.Link == config.LinkTun {
		if err := n.openDevice(cfg, pool, log); err != nil {
			return nil, err
		}
		shards = 0
	} else if len(n.prefixes) == 0 {
		v4, v6 := config.DefaultAddresses(cfg.Tun)
		n.prefixes = []netip.Prefix{v4, v6}
	}
	e := &cfg.Engine
	var err error
	n.Stack, err = stack.New(stack.Config{
		Device:          n.device,
		Addresses:       n.prefixes,
		KernelAddresses: n.kernel,
		MTU:             cfg.MTU,
		Pool:            pool,
		Shards:          shards,
		DropFragments:   e.DropFragments,
		Logf:            log.Sugar().Infof,
		// Defaults of connections are laid under each client's options instead: they can change.
		TCP: tcp.Config{
			FirstPort:     e.FirstPort,
			LastPort:      e.LastPort,
			InitialWindow: e.InitialWindow,
			DelayedAck:    e.DelayedAck,
			QuickAcks:     e.QuickAcks,
			TimeWait:      e.TimeWait,
			FinWait2:      e.FinWait2,
			SynCookies:    e.SynCookies,
			AccECNOption:  e.AccECNOption,
			RecvBuffer:    e.RecvTuning(),
			SendBuffer:    e.SendTuning(),
			Limits:        tcp.Limits{Orphans: e.MaxOrphans, ReceiveMemory: perShard(int64(e.ReceiveMemory), cfg.Queues)},
		},
	})
	if err != nil {
		return nil, errors.Join(err, n.closeDevice())
	}
	return n, nil
}

// perShard divides a limit among the shards; 0 stays the default.
func perShard(limit int64, shards int) int64 {
	if limit == 0 {
		return 0
	}
	return max(limit/int64(shards), 1)
}

// openDevice opens the TUN device with the kernel's side of every prefix on it.
func (n *network) openDevice(cfg *config.Config, pool *zbuf.Pool, log *zap.Logger) error {
	existing, exists := deviceAddresses(cfg.Tun)
	if len(n.prefixes) == 0 {
		n.prefixes = defaultPrefixes(cfg, existing, exists)
	}
	var kernelSides []netip.Prefix
	for _, owned := range n.prefixes {
		sides, err := kernelSide(owned, existing)
		if err != nil {
			return fmt.Errorf("%s: %w", cfg.Tun, err)
		}
		kernelSides = append(kernelSides, sides...)
		for _, side := range sides {
			n.kernel = append(n.kernel, side.Addr())
		}
	}
	device, err := tun.Open(tun.Config{
		Name:      cfg.Tun,
		Queues:    cfg.Queues,
		Offload:   cfg.Offload,
		MTU:       cfg.MTU,
		Addresses: kernelSides,
		Up:        true,
		Pool:      pool,
		Logf:      log.Sugar().Infof,
	})
	if err != nil {
		return err
	}
	n.device = device
	return nil
}

// defaultPrefixes are what tun.sh gives to the device. IPv6 is left out where the device was made without it: it may be
// switched off, or the MTU too small.
func defaultPrefixes(cfg *config.Config, existing []netip.Prefix, exists bool) []netip.Prefix {
	v4, v6 := config.DefaultAddresses(cfg.Tun)
	if exists && !anyIn(v6, existing) || !exists && !kernelHasIPv6() {
		return []netip.Prefix{v4}
	}
	return []netip.Prefix{v4, v6}
}

func anyIn(owned netip.Prefix, addresses []netip.Prefix) bool {
	for _, a := range addresses {
		if owned.Contains(a.Addr()) {
			return true
		}
	}
	return false
}

// kernelHasIPv6 reports whether new devices of this host can have IPv6 addresses.
func kernelHasIPv6() bool {
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		return false
	}
	addresses, err := loopback.Addrs()
	if err != nil {
		return false
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() == nil {
			return true
		}
	}
	return false
}

// deviceAddresses returns the kernel's addresses on a device that exists already.
func deviceAddresses(name string) (addresses []netip.Prefix, exists bool) {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return nil, false
	}
	list, err := device.Addrs()
	if err != nil {
		return nil, true
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addresses = append(addresses, p)
		}
	}
	return addresses, true
}

// kernelSide returns the kernel's addresses within an owned prefix: those that the device has, or else the first host
// address that isn't the stack's own. A prefix of one address leaves none for the kernel: routes are the user's then.
func kernelSide(owned netip.Prefix, existing []netip.Prefix) ([]netip.Prefix, error) {
	var sides []netip.Prefix
	for _, p := range existing {
		if !owned.Contains(p.Addr()) {
			continue
		}
		if p.Addr() == owned.Addr() {
			return nil, fmt.Errorf("the address %v is the kernel's own on the device: choose another one of its prefix with --address", p.Addr())
		}
		sides = append(sides, p)
	}
	if len(sides) > 0 || owned.IsSingleIP() {
		return sides, nil
	}
	first := owned.Masked().Addr()
	if owned.Bits() < owned.Addr().BitLen()-1 {
		first = first.Next() // the first one is the network's, or the routers' anycast address
	}
	if first == owned.Addr() {
		first = first.Next()
	}
	return []netip.Prefix{netip.PrefixFrom(first, owned.Bits())}, nil
}

// close ends everything.
func (n *network) close() error {
	return errors.Join(n.Stack.Close(), n.closeDevice())
}

func (n *network) closeDevice() error {
	if n.device == nil {
		return nil
	}
	return n.device.Close()
}
