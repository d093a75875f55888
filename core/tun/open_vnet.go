package tun

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// vnetOpener opens queues with offload.
type vnetOpener struct{}

// offloadError says what the kernel lacks for offload.
type offloadError struct {
	what string
	err  error
}

func (e *offloadError) Error() string {
	return fmt.Sprintf("the kernel's TUN driver has no offload (%s: %v)", e.what, e.err)
}

func (e *offloadError) Unwrap() error { return e.err }

func (vnetOpener) vnet() (bool, Offload) {
	return true, Offload{Checksum: true, TSO4: true, TSO6: true}
}

func (vnetOpener) open(name string, multi bool) (int, string, error) {
	fd, err := openControl()
	if err != nil {
		return -1, "", err
	}
	features, err := unix.IoctlGetUint32(fd, unix.TUNGETFEATURES)
	if err == nil && features&unix.IFF_VNET_HDR == 0 {
		err = unix.EOPNOTSUPP
	}
	if err != nil {
		return -1, "", errors.Join(&offloadError{"IFF_VNET_HDR", err}, unix.Close(fd))
	}
	actual, _, err := attach(fd, name, unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_VNET_HDR, multi)
	if err == nil {
		err = enableOffload(fd)
	}
	if err != nil {
		return -1, "", errors.Join(err, unix.Close(fd))
	}
	return fd, actual, nil
}

func enableOffload(fd int) error {
	// The size stays with a device over its users, so an attached one may have another.
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetHeaderLen); err != nil {
		return &offloadError{"TUNSETVNETHDRSZ", err}
	}
	// Without TUN_F_TSO_ECN the kernel itself cuts the rare super-segment that has CWR set.
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6); err != nil {
		return &offloadError{"TUNSETOFFLOAD", err}
	}
	return nil
}
