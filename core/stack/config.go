package stack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Config is what a Stack is made with.
type Config struct {
	// Device carries packets to and from the rest of the world. Nil leaves the internal link alone: the Stack talks to
	// itself, and needs no privilege.
	Device tun.Device
	// Addresses are the prefixes that the Stack owns: connections may start from any address in them. When the user
	// names no source, the prefix nearest to the peer gives it (RFC 6724): the address before the slash, if it can be used, else
	// the first that can. Required.
	Addresses []netip.Prefix
	// KernelAddresses are those in the prefixes that belong to the kernel's side of the device.
	KernelAddresses []netip.Addr
	// MTU is the largest packet in bytes. Default: the device's, and MaxMTU without a device.
	MTU int
	// TCP configures the engines. Pool, Owns, Secret, MTU, the offloads, Shard and Shards are filled in.
	TCP tcp.Config
	// Pool gives all buffers; the device had better read into the same. Nil makes one of BufferMemory bytes.
	Pool *zbuf.Pool
	// BufferMemory bounds the buffers in bytes when Pool is nil. Default zbuf.DefaultLimit.
	BufferMemory int64
	// Shards is the number of engines without a device; with one, each queue has its shard. Default 1.
	Shards int
	// DropFragments drops packets that come in fragments instead of putting them together, within the bounds of package
	// fragment. TCP does not need them: it fits its segments to the path.
	DropFragments bool
	// Logf takes the few lines that an operator should see. Nil drops them.
	Logf func(format string, args ...any)
	// Tap, if not nil, is shown every packet from the start; see SetTap.
	Tap Tap
}

// MaxMTU is the largest packet that an IP length field describes, and the MTU of a link in memory.
const MaxMTU = wire.MaxPacketLen

// maxShards bounds the shards: more than the processors of any machine to come are a mistake.
const maxShards = 1024

func (c *Config) complete() error {
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	if len(c.Addresses) == 0 {
		return errors.New("stack: no addresses given: a stack owns at least one prefix, such as 10.144.0.2/16")
	}
	for _, p := range c.Addresses {
		if !p.IsValid() {
			return fmt.Errorf("stack: invalid address prefix %v", p)
		}
	}
	switch {
	case c.Device != nil:
		c.Shards = len(c.Device.Queues())
	case c.Shards == 0:
		c.Shards = 1
	}
	if c.Shards < 1 || c.Shards > maxShards {
		return fmt.Errorf("stack: %d shards asked for: use 1 to %d", c.Shards, maxShards)
	}
	if c.MTU == 0 {
		c.MTU = MaxMTU
		if c.Device != nil {
			c.MTU = c.Device.MTU()
		}
	}
	if c.BufferMemory < 0 {
		return fmt.Errorf("stack: buffer memory of %d bytes asked for", c.BufferMemory)
	}
	if c.Pool == nil {
		c.Pool = zbuf.NewPool(c.BufferMemory)
	}
	return nil
}

// engine returns the configuration of one shard's engine.
func (c *Config) engine(shard int, owns func(wire.Addr) bool, secret [16]byte) tcp.Config {
	e := c.TCP
	e.Pool = c.Pool
	e.Owns = owns
	e.Secret = secret
	e.MTU = c.MTU
	e.Shard, e.Shards = shard, c.Shards
	// The internal link takes whatever the engine builds.
	e.ChecksumOffload, e.SegmentationOffload4, e.SegmentationOffload6 = true, true, true
	if c.Device != nil {
		o := c.Device.Offload()
		e.ChecksumOffload, e.SegmentationOffload4, e.SegmentationOffload6 = o.Checksum, o.TSO4, o.TSO6
	}
	return e
}
