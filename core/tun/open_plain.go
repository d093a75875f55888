package tun

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

// plainOpener opens queues without offload, through water, the dependency that this project's plain device is given.
// All that water needs is dealt with here:
//
//   - it leaves its descriptor without CLOEXEC: the fork lock is held until there is one that has it;
//   - it wraps the descriptor in an os.File, whose reads park in Go's poller and whose finalizer closes it: we go on
//     with a duplicate and close water's, which takes it out of the poller;
//   - it sets or clears the device's persistence always, so a device made beforehand (tun.sh) would vanish with us:
//     we look first and have it set what it was;
//   - it leaks the descriptor when it fails: looking first also finds the failures, with their reasons.
type plainOpener struct {
	looked     bool
	multi      bool
	persistent bool
}

func (*plainOpener) vnet() (bool, Offload) { return false, Offload{} }

func (o *plainOpener) open(name string, multi bool) (int, string, error) {
	if !o.looked {
		if err := o.look(name, multi); err != nil {
			return -1, "", err
		}
		o.looked = true
	}
	fd, actual, err := openWater(water.Config{
		DeviceType: water.TUN,
		PlatformSpecificParams: water.PlatformSpecificParams{
			Name:       name,
			Persist:    o.persistent,
			MultiQueue: o.multi,
		},
	})
	if err != nil {
		return -1, "", err
	}
	// A device that had offload keeps it for its next user: without this, one that persists would still give
	// super-segments, and checksums left out with no header to say so.
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0); err != nil {
		return -1, "", errors.Join(fmt.Errorf("switch offload off: %w", err), unix.Close(fd))
	}
	return fd, actual, nil
}

// look attaches to the device and leaves it again, to learn whether that works and what the device is like.
func (o *plainOpener) look(name string, multi bool) (err error) {
	fd, err := openControl()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	actual, flags, err := attach(fd, name, unix.IFF_TUN|unix.IFF_NO_PI, multi)
	if err != nil {
		return err
	}
	ifr, err := newIfreq(actual)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return fmt.Errorf("read the device's flags: %w", err)
	}
	o.multi = flags&unix.IFF_MULTI_QUEUE != 0
	o.persistent = ifr.Uint16()&unix.IFF_PERSIST != 0
	return nil
}

// openWater returns a descriptor of a device opened by water, non-blocking and with CLOEXEC.
func openWater(cfg water.Config) (fd int, name string, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ifce, err := water.New(cfg)
	if err != nil {
		return -1, "", explainAttach(err, cfg.MultiQueue)
	}
	fd, err = duplicate(ifce)
	if err = errors.Join(err, ifce.Close()); err != nil {
		return -1, "", err
	}
	return fd, ifce.Name(), unix.SetNonblock(fd, true)
}

func duplicate(ifce *water.Interface) (fd int, err error) {
	file, ok := ifce.ReadWriteCloser.(syscall.Conn)
	if !ok {
		return -1, errors.New("water gave no descriptor")
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(p uintptr) {
		fd, dupErr = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, dupErr)
}
