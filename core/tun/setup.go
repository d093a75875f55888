package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// setUp brings the device into the state that cfg asks for and returns its MTU. It changes only what differs, so that
// an ordinary user can attach to a device that was set up beforehand.
func setUp(name string, cfg Config) (mtu int, err error) {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("control socket: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(sock)) }()
	l := link{sock: sock, name: name}

	if mtu, err = l.setMTU(cfg.MTU); err != nil {
		return 0, err
	}
	if err := l.setTxQueueLen(cfg.TxQueueLen); err != nil {
		// It costs packets in bursts, not the service.
		cfg.Logf("tun: %v", err)
	}
	if err := setAddresses(name, cfg.Addresses); err != nil {
		return 0, err
	}
	if cfg.Up {
		return mtu, l.setUp()
	}
	return mtu, nil
}

// link is a network device as the interface ioctls see it (netdevice(7)).
type link struct {
	sock int
	name string
}

func (l link) setMTU(want int) (int, error) {
	ifr, err := l.ioctl(unix.SIOCGIFMTU, nil)
	if err != nil {
		return 0, fmt.Errorf("read the MTU: %w", err)
	}
	mtu := int(ifr.Uint32())
	if want == 0 || want == mtu {
		return mtu, nil
	}
	if _, err := l.ioctl(unix.SIOCSIFMTU, func(r *unix.Ifreq) { r.SetUint32(uint32(want)) }); err != nil {
		return 0, explainSetUp(fmt.Sprintf("change the MTU from %d to %d", mtu, want),
			fmt.Sprintf("ip link set dev %s mtu %d", l.name, want), err)
	}
	return want, nil
}

func (l link) setTxQueueLen(want int) error {
	if want < 0 {
		return nil
	}
	ifr, err := l.ioctl(unix.SIOCGIFTXQLEN, nil)
	if err != nil {
		return fmt.Errorf("read the transmit queue's length: %w", err)
	}
	have := int(ifr.Uint32())
	if have == want {
		return nil
	}
	if ifr, err = l.ioctl(unix.SIOCGIFINDEX, nil); err != nil {
		return fmt.Errorf("look up the device: %w", err)
	}
	if err := setTxQueueLen(int(ifr.Uint32()), want); err != nil {
		return explainSetUp(fmt.Sprintf("change %s's transmit queue from %d to %d packets", l.name, have, want),
			fmt.Sprintf("ip link set dev %s txqueuelen %d", l.name, want), err)
	}
	return nil
}

func (l link) setUp() error {
	ifr, err := l.ioctl(unix.SIOCGIFFLAGS, nil)
	if err != nil {
		return fmt.Errorf("read the device's flags: %w", err)
	}
	flags := ifr.Uint16()
	if flags&unix.IFF_UP != 0 {
		return nil
	}
	if _, err := l.ioctl(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) { r.SetUint16(flags | unix.IFF_UP) }); err != nil {
		return explainSetUp("bring the device up", fmt.Sprintf("ip link set dev %s up", l.name), err)
	}
	return nil
}

// ioctl makes the request for the device, with the argument that fill sets.
func (l link) ioctl(request uint, fill func(*unix.Ifreq)) (*unix.Ifreq, error) {
	ifr, err := newIfreq(l.name)
	if err != nil {
		return nil, err
	}
	if fill != nil {
		fill(ifr)
	}
	return ifr, unix.IoctlIfreq(l.sock, request, ifr)
}

// newIfreq is unix.NewIfreq with a message that names the device.
func newIfreq(name string) (*unix.Ifreq, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, fmt.Errorf("device name %q: %w", name, err)
	}
	return ifr, nil
}

// setAddresses adds those addresses that the device doesn't have.
func setAddresses(name string, want []netip.Prefix) error {
	if len(want) == 0 {
		return nil
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("look up the device: %w", err)
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return fmt.Errorf("read the device's addresses: %w", err)
	}
	have := make(map[string]bool)
	for _, a := range addrs {
		have[a.String()] = true
	}
	for _, p := range want {
		if have[p.String()] {
			continue
		}
		if err := addAddress(ifi.Index, p); err != nil && !errors.Is(err, unix.EEXIST) {
			return explainAddress(name, p, err)
		}
	}
	return nil
}

func explainAddress(name string, p netip.Prefix, err error) error {
	what := fmt.Sprintf("add the address %v", p)
	if p.Addr().Is6() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL)) {
		return fmt.Errorf("%s: IPv6 is off on this device: it needs an MTU of 1280 or more and sysctl net.ipv6.conf.%s.disable_ipv6=0: %w", what, name, err)
	}
	return explainSetUp(what, fmt.Sprintf("ip address add %v dev %s", p, name), err)
}
