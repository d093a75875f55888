package tun

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// Mode says whether a device is opened with offload.
type Mode int

// Auto uses offload where the kernel has it; On fails where it doesn't.
const (
	Auto Mode = iota
	On
	Off
)

var modeNames = [...]string{Auto: "auto", On: "on", Off: "off"}

// String returns auto, on or off.
func (m Mode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return fmt.Sprintf("Mode(%d)", int(m))
	}
	return modeNames[m]
}

// MarshalText writes what UnmarshalText reads.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads auto, on or off.
func (m *Mode) UnmarshalText(text []byte) error {
	for i, name := range modeNames {
		if string(text) == name {
			*m = Mode(i)
			return nil
		}
	}
	return fmt.Errorf("offload mode %q: use auto, on or off", text)
}

const (
	// DefaultTxQueueLen is the number of packets that the kernel keeps for us in each queue. Its own default of 500
	// loses packets whenever a sender's burst comes while this process is not scheduled: one window of 1 MiB in
	// segments of 1,460 bytes is 700 packets already.
	DefaultTxQueueLen = 10000

	// maxQueues is the kernel's MAX_TAP_QUEUES.
	maxQueues = 256
)

// Config describes the device to open.
type Config struct {
	Name       string // such as tun144; empty lets the kernel choose
	Queues     int    // 0 stands for 1
	Offload    Mode
	MTU        int            // bytes; 0 leaves it
	TxQueueLen int            // packets; 0 stands for DefaultTxQueueLen, below 0 leaves it
	Addresses  []netip.Prefix // the kernel's own addresses on the device; the kernel routes each whole prefix to it
	Up         bool           // bring the device up
	Pool       *zbuf.Pool     // where packets are read into
	Logf       func(format string, args ...any)
}

// complete returns the configuration with its defaults filled in.
func (c Config) complete() (Config, error) {
	if c.Queues == 0 {
		c.Queues = 1
	}
	if c.TxQueueLen == 0 {
		c.TxQueueLen = DefaultTxQueueLen
	}
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	if err := checkName(c.Name); err != nil {
		return c, err
	}
	switch {
	case c.Pool == nil:
		return c, errors.New("no buffer pool given")
	case c.Queues < 0 || c.Queues > maxQueues:
		return c, fmt.Errorf("%d queues asked for: use 1 to %d", c.Queues, maxQueues)
	case c.MTU != 0 && (c.MTU < 68 || c.MTU > MaxPacket): // RFC 791: every module must forward 68 bytes unfragmented
		return c, fmt.Errorf("MTU %d: use 68 to %d", c.MTU, MaxPacket)
	case c.Offload < Auto || c.Offload > Off:
		return c, fmt.Errorf("offload mode %v: use auto, on or off", c.Offload)
	}
	for _, a := range c.Addresses {
		if !a.IsValid() {
			return c, errors.New("an address has no valid prefix length")
		}
	}
	return c, nil
}

// checkName accepts what the kernel's dev_valid_name does, except for its templates such as tun%d.
func checkName(name string) error {
	switch {
	case len(name) >= unix.IFNAMSIZ:
		return fmt.Errorf("device name %q is longer than %d bytes", name, unix.IFNAMSIZ-1)
	case name == "." || name == ".." || strings.ContainsAny(name, "/:% \t\n\v\f\r\x00"):
		return fmt.Errorf("device name %q: use letters and digits, such as tun144", name)
	}
	return nil
}
