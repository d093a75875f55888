package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
)

// Flags are the command line's part of the configuration.
type Flags struct {
	File  string // --config
	Check bool   // --check

	set    *pflag.FlagSet
	values Config
	// texts of flags whose values are parsed when they are applied, so that the error can name the flag
	address           []string
	offload, logLevel string
}

// Register adds the flags to set and returns where they will be found after it has parsed the command line.
func Register(set *pflag.FlagSet) *Flags {
	d := Default()
	f := &Flags{set: set, values: *d}
	set.StringVar(&f.File, "config", DefaultFile, "configuration `FILE`")
	set.BoolVar(&f.Check, "check", false, "check the configuration and exit")
	set.StringVar(&f.values.Socket, "socket", d.Socket, "control socket's `PATH`")
	set.StringVar(&f.values.Tun, "tun", d.Tun, "TUN device's `NAME`; made if it doesn't exist")
	set.StringArrayVar(&f.address, "address", nil,
		"the stack's address and the prefix that it owns, as `CIDR`; once for each prefix "+
			"(default 169.254.N.2/24 and fd73:6669:7368:N::2/64 for tunN, as tun.sh has it)")
	set.StringVar(&f.values.Link, "link", d.Link, "`tun|memory`: a TUN device, or no device and no privilege, the stack talks to itself")
	set.IntVar(&f.values.Queues, "queues", d.Queues, "queues of the device, each served by a shard of its own: `N`")
	set.StringVar(&f.offload, "offload", d.Offload.String(), "checksum and segmentation offload of the device: `auto|on|off`")
	set.IntVar(&f.values.MTU, "mtu", d.MTU, "largest packet on the device in `BYTES`; 0 leaves what the device has")
	set.StringVar(&f.logLevel, "log-level", d.LogLevel.String(), "`debug|info|warn|error`")
	return f
}

// Load reads the file, lets the flags override it and validates the result.
func (f *Flags) Load() (*Config, error) {
	c, err := Load(f.File, f.set.Changed("config"))
	if err != nil {
		return nil, err
	}
	if err := f.apply(c); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

func (f *Flags) apply(c *Config) error {
	override(f.set, "socket", &c.Socket, f.values.Socket)
	override(f.set, "tun", &c.Tun, f.values.Tun)
	override(f.set, "link", &c.Link, f.values.Link)
	override(f.set, "queues", &c.Queues, f.values.Queues)
	override(f.set, "mtu", &c.MTU, f.values.MTU)
	if f.set.Changed("offload") {
		if err := c.Offload.UnmarshalText([]byte(f.offload)); err != nil {
			return fmt.Errorf("--offload: %w", err)
		}
	}
	if f.set.Changed("log-level") {
		level, err := zapcore.ParseLevel(f.logLevel)
		if err != nil {
			return fmt.Errorf("--log-level: %q: use debug, info, warn or error", f.logLevel)
		}
		c.LogLevel = level
	}
	if f.set.Changed("address") {
		c.Address = nil
		for _, text := range f.address {
			prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
			if err != nil {
				return fmt.Errorf("--address: %q: use an address with its prefix length, such as 10.144.0.2/16", text)
			}
			c.Address = append(c.Address, prefix)
		}
	}
	return nil
}

func override[T any](set *pflag.FlagSet, name string, field *T, value T) {
	if set.Changed(name) {
		*field = value
	}
}
