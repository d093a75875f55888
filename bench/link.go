package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
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

// configure gives the worker's end of the link its address.
func (l *link) configure() error {
	return ipCommands(
		"link set lo up",
		"address add "+l.Local.String()+" dev "+l.Device,
		"link set "+l.Device+" up",
	)
}

func ipCommands(lines ...string) error {
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
