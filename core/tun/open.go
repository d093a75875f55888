package tun

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// device is a kernel TUN device.
type device struct {
	name    string
	mtu     int
	offload Offload
	queues  []*fdQueue
}

// Open makes a TUN device, or attaches to one that this process may use, and sets it up. A device that was there
// before stays when it is closed; one that Open made goes away.
func Open(cfg Config) (Device, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	d, err := open(cfg, vnetOpener{}, new(plainOpener))
	if err != nil {
		return nil, fmt.Errorf("tun: open %s: %w", displayName(cfg.Name), err)
	}
	if d.mtu, err = setUp(d.name, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("tun: set up %s: %w", d.name, err), d.Close())
	}
	return d, nil
}

// open opens the queues the way that cfg.Offload says.
func open(cfg Config, vnet, plain opener) (*device, error) {
	if cfg.Offload == Off {
		return openQueues(cfg, plain)
	}
	d, err := openQueues(cfg, vnet)
	var missing *offloadError
	if !errors.As(err, &missing) {
		return d, err
	}
	if cfg.Offload == On {
		return nil, fmt.Errorf("%w; switch offload to auto or off", err)
	}
	cfg.Logf("tun: %s: %v; going on without offload, one system call per packet", displayName(cfg.Name), err)
	return openQueues(cfg, plain)
}

// opener opens the queues of one device, one after the other.
type opener interface {
	// open attaches a queue to the device of that name and returns the name it has.
	open(name string, multi bool) (fd int, actual string, err error)
	// vnet reports whether packets carry a vnetHeader, and what the device takes.
	vnet() (bool, Offload)
}

func openQueues(cfg Config, o opener) (*device, error) {
	vnet, offload := o.vnet()
	d := &device{name: cfg.Name, offload: offload}
	for range cfg.Queues {
		fd, name, err := o.open(d.name, cfg.Queues > 1)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.name = name
		d.queues = append(d.queues, newFDQueue(fd, vnet, offload, cfg.Pool))
	}
	return d, nil
}

func (d *device) Name() string     { return d.name }
func (d *device) MTU() int         { return d.mtu }
func (d *device) Offload() Offload { return d.offload }

func (d *device) Queues() []Queue {
	qs := make([]Queue, len(d.queues))
	for i, q := range d.queues {
		qs[i] = q
	}
	return qs
}

func (d *device) Close() error {
	var errs []error
	for _, q := range d.queues {
		errs = append(errs, q.close())
	}
	d.queues = nil
	return errors.Join(errs...)
}

// openControl opens the device that makes TUN devices.
func openControl() (int, error) {
	fd, err := unix.Open(controlPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, explainOpen(err)
	}
	return fd, nil
}

// attach makes fd a queue of the device of that name. A device with several queues can be attached to only with
// IFF_MULTI_QUEUE, one without only without it. So a single queue tries both; the flags that worked are returned.
func attach(fd int, name string, flags uint16, multi bool) (actual string, used uint16, err error) {
	if multi {
		flags |= unix.IFF_MULTI_QUEUE
	}
	actual, err = setInterface(fd, name, flags)
	if errors.Is(err, unix.EINVAL) && !multi {
		flags |= unix.IFF_MULTI_QUEUE
		actual, err = setInterface(fd, name, flags)
	}
	if err != nil {
		return "", 0, explainAttach(err, multi)
	}
	return actual, flags, nil
}

func setInterface(fd int, name string, flags uint16) (string, error) {
	ifr, err := newIfreq(name)
	if err != nil {
		return "", err
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return "", err
	}
	return ifr.Name(), nil
}
