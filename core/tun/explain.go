package tun

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const controlPath = "/dev/net/tun"

// explainOpen says what to do when the control device can't be opened.
func explainOpen(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%s is missing: load the driver (modprobe tun) or give the container the device (--device %s): %w", controlPath, controlPath, err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("the kernel has no TUN driver: load it (modprobe tun): %w", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s is forbidden here: give the container the device (--device %s): %w", controlPath, controlPath, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("no access to %s: run as root or make it accessible (chmod 666 %s): %w", controlPath, controlPath, err)
	}
	return fmt.Errorf("%s: %w", controlPath, err)
}

// explainAttach says what to do when a device can't be made or attached to.
func explainAttach(err error, multi bool) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("no permission: run as root (CAP_NET_ADMIN), or have the device made for this user first (sudo ./tun.sh start): %w", err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("another process holds the device: stop it or use another name: %w", err)
	case errors.Is(err, unix.EINVAL) && multi:
		return fmt.Errorf("a device of this name exists and is no TUN device with several queues: use one queue or another name: %w", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("a device of this name exists and is no TUN device: use another name: %w", err)
	case errors.Is(err, unix.E2BIG):
		return fmt.Errorf("the device has no more queues to give: use fewer: %w", err)
	}
	return err
}

// explainSetUp says what to do when a device can't be configured.
func explainSetUp(what, command string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%s: no permission: run as root (CAP_NET_ADMIN), or do it beforehand (%s): %w", what, command, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// displayName stands for a device in messages.
func displayName(name string) string {
	if name == "" {
		return "a new device"
	}
	return name
}
