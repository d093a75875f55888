package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// joinByVeth makes a veth pair between our namespace and that of a process, and configures our end.
func (l *link) joinByVeth(peerDevice string, pid int) error {
	return ipCommands(
		"link set lo up",
		"link add "+peerDevice+" mtu "+strconv.Itoa(l.MTU)+" type veth peer name "+l.Device+" mtu "+strconv.Itoa(l.MTU)+
			" netns "+strconv.Itoa(pid),
		"address add "+l.Peer.String()+" dev "+peerDevice,
		"link set "+peerDevice+" up",
	)
}

// configure gives the local end of the link, which is here already, its address.
func (l *link) configure() error {
	lines := []string{
		"link set lo up",
		"address add " + l.Local.String() + " dev " + l.Device,
		"link set " + l.Device + " up",
	}
	if l.Onward {
		lines = append(lines, "route add default dev "+l.Device)
	}
	return ipCommands(lines...)
}

// chooseCongestionControl chooses the one of a socket.
func chooseCongestionControl(c syscall.RawConn, name string) error {
	var err error
	if outer := c.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	}); outer != nil {
		return outer
	}
	if err != nil {
		return fmt.Errorf("the kernel's congestion control %s: %w", name, err)
	}
	return nil
}

const (
	congestionControl        = "/proc/sys/net/ipv4/tcp_congestion_control"
	allowedCongestionControl = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
)

// setCongestionControl chooses the one that the kernel's TCP uses in this network namespace. Empty leaves the system's.
func setCongestionControl(name string) error {
	if name == "" {
		return nil
	}
	err := os.WriteFile(congestionControl, []byte(name), 0)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("-congestion %s: the kernel lets namespaces have what the host's %s lists: %w", name, allowedCongestionControl, err)
	}
	return err
}

func ipCommands(lines ...string) error {
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
