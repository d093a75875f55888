package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
)

// Bounds of values, with the reason where it isn't obvious.
const (
	minMTU        = 576   // RFC 791 §3.1: what every host must take
	minMTUv6      = 1280  // RFC 8200 §5
	maxMTU        = 65535 // the length field of IP
	maxQueues     = 256   // the kernel's MAX_TAP_QUEUES
	maxSocketPath = 107   // sun_path has 108 bytes, with the final zero
	minBuffers    = 16 << 20
)

// Validate reports everything that is wrong, one problem a line.
func (c *Config) Validate() error {
	return errors.Join(c.validateSocket(), c.validateLink(), c.validateAddresses(), c.validateRest(), c.Limits.validate(),
		c.TCP.validate())
}

// DataSocket returns the path of the data socket: starfishd.sock has starfishd.data.sock beside it.
func (c *Config) DataSocket() string {
	extension := filepath.Ext(c.Socket)
	return strings.TrimSuffix(c.Socket, extension) + ".data" + extension
}

func (c *Config) validateSocket() error {
	switch {
	case c.Socket == "":
		return errors.New("socket: the path is empty")
	case len(c.DataSocket()) > maxSocketPath:
		return fmt.Errorf("socket: %s is too long: a unix socket's path has at most %d bytes, and the data socket's is %d",
			c.Socket, maxSocketPath, len(c.DataSocket()))
	}
	return nil
}

func (c *Config) validateLink() error {
	var problems []error
	if c.Link != LinkTun && c.Link != LinkMemory {
		problems = append(problems, fmt.Errorf("link: %q: use tun or memory", c.Link))
	}
	if c.Link == LinkTun && (c.Tun == "" || len(c.Tun) >= unix.IFNAMSIZ || strings.ContainsAny(c.Tun, "/ %")) {
		problems = append(problems, fmt.Errorf("tun: %q is no name of a network device: 1 to %d characters, no slash, space or %%",
			c.Tun, unix.IFNAMSIZ-1))
	}
	if c.Queues < 1 || c.Queues > maxQueues {
		problems = append(problems, fmt.Errorf("queues: %d is outside 1 to %d", c.Queues, maxQueues))
	}
	if c.MTU != 0 && (c.MTU < minMTU || c.MTU > maxMTU) {
		problems = append(problems, fmt.Errorf("mtu: %d is outside %d to %d", c.MTU, minMTU, maxMTU))
	}
	return errors.Join(problems...)
}

func (c *Config) validateAddresses() error {
	for i, p := range c.Address {
		a := p.Addr()
		switch {
		case !p.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.Is4In6() ||
			a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return fmt.Errorf("address: %v is no address that a host can have", p)
		case a.Is6() && c.MTU != 0 && c.MTU < minMTUv6:
			return fmt.Errorf("address: %v needs an MTU of at least %d (RFC 8200 §5), and mtu is %d", p, minMTUv6, c.MTU)
		}
		for _, q := range c.Address[:i] {
			if p.Overlaps(q) {
				return fmt.Errorf("address: %v and %v overlap", q, p)
			}
		}
	}
	return nil
}

func (c *Config) validateRest() error {
	var problems []error
	if c.LogLevel < zapcore.DebugLevel || c.LogLevel > zapcore.ErrorLevel {
		problems = append(problems, fmt.Errorf("log_level: %v: use debug, info, warn or error", c.LogLevel))
	}
	if c.LogFormat != LogAuto && c.LogFormat != LogJSON && c.LogFormat != LogConsole {
		problems = append(problems, fmt.Errorf("log_format: %q: use auto, json or console", c.LogFormat))
	}
	if c.Visibility != VisibleToAll && c.Visibility != VisibleToOwner {
		problems = append(problems, fmt.Errorf("visibility: %q: use all or owner", c.Visibility))
	}
	if c.StopTimeout < 0 {
		problems = append(problems, fmt.Errorf("stop_timeout: %v is negative", c.StopTimeout))
	}
	if c.BufferMemory < minBuffers {
		problems = append(problems, fmt.Errorf("buffer_memory: %v is below %v", c.BufferMemory, Size(minBuffers)))
	}
	problems = append(problems, c.Engine.checkBuffers(c.BufferMemory)...)
	if e := &c.Engine; (e.FirstPort == 0) != (e.LastPort == 0) || e.FirstPort > e.LastPort {
		problems = append(problems, fmt.Errorf("engine: first_port %d and last_port %d are no range", e.FirstPort, e.LastPort))
	}
	return errors.Join(problems...)
}

func (l *Limits) validate() error {
	var problems []error
	for _, limit := range l.List() {
		if limit.Value <= 0 {
			problems = append(problems, fmt.Errorf("limits: %s: %v is not above zero", limit.Name, limit.Value))
		}
	}
	return errors.Join(problems...)
}

func (t *TCP) validate() error {
	if _, err := congestionControl(t.CongestionControl); err != nil {
		return fmt.Errorf("tcp: congestion_control: %w", err)
	}
	if t.TTL < 0 || t.TTL > 255 {
		return fmt.Errorf("tcp: ttl %d is outside 1 to 255", t.TTL)
	}
	options := t.Options()
	if err := options.Validate(); err != nil {
		return fmt.Errorf("tcp: %w", err)
	}
	return nil
}

func congestionControl(name string) (tcp.CongestionControl, error) {
	if name == "" {
		return 0, nil
	}
	return tcp.ParseCongestionControl(name)
}

// DefaultAddresses are the networks that tun.sh gives to tunN, with the kernel's side at .1 and ::1: 169.254.N.0/24 and
// fd73:6669:7368:N::/64, where N's decimal digits are written as they are. They stand in when no address is given.
func DefaultAddresses(device string) (v4, v6 netip.Prefix) {
	digits := strings.TrimPrefix(device, "tun")
	n, err := strconv.ParseUint(digits, 10, 8)
	if err != nil {
		n, digits = 144, "144"
	}
	v4 = netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, byte(n), 2}), 24)
	return v4, netip.MustParsePrefix("fd73:6669:7368:" + digits + "::2/64")
}

// checkBuffers checks what the engine is told about buffers that tune themselves. What is not set is the engine's to choose.
func (e *Engine) checkBuffers(memory Size) (problems []error) {
	for _, b := range []struct {
		name         string
		initial, max Size
	}{
		{"recv_buffer", e.RecvBufferInitial, e.RecvBufferMax},
		{"send_buffer", e.SendBufferInitial, e.SendBufferMax},
	} {
		if b.initial < 0 || b.max < 0 || b.initial > tcp.MaxBuffer || b.max > tcp.MaxBuffer || b.max > 0 && b.initial > b.max {
			problems = append(problems, fmt.Errorf("engine: %s_initial %d and %s_max %d are no range up to %d",
				b.name, b.initial, b.name, b.max, tcp.MaxBuffer))
		}
	}
	if e.ReceiveMemory < 0 || e.ReceiveMemory > memory {
		problems = append(problems, fmt.Errorf("engine: receive_memory %d is outside 0 to buffer_memory %d", e.ReceiveMemory, memory))
	}
	return problems
}
