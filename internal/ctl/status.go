package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/client"
)

// errNotReady makes status fail while the daemon takes no new connections.
var errNotReady = errors.New("starfishd is not ready: it is starting or stopping")

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether the daemon is well",
		Long: `Status shows the daemon's version, device and addresses, and how much it has to
do; with -v its limits too. The exit status is 0 if it is ready for connections.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(cmd.Context(), a.showStatus)
		},
	}
}

func (a *app) showStatus(ctx context.Context, c *client.Client) error {
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(statusRecord(info))
	} else {
		err = a.print(formatStatus(info, a.verbose))
	}
	if err == nil && !info.GetReady() {
		return errNotReady
	}
	return err
}

func formatStatus(info *starfishv1.GetInfoResponse, verbose bool) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s%s\n", name, fmt.Sprintf(format, args...))
	}
	state := "ready"
	if !info.GetReady() {
		state = "not ready"
	}
	line("starfishd", "%s, version %s, pid %d, up %s", state, info.GetVersion(), info.GetPid(),
		info.GetUptime().AsDuration().Round(time.Second))
	line("device", "%s", formatDevice(info.GetDevice()))
	line("addresses", "%s", strings.Join(info.GetPrefixes(), " "))
	if kernel := info.GetKernelAddresses(); len(kernel) > 0 {
		line("kernel's own", "%s", strings.Join(kernel, " "))
	}
	line("source", "%s", strings.Join(info.GetSourceAddresses(), " "))
	line("connections", "%d", info.GetConnections())
	line("listeners", "%d", info.GetListeners())
	line("sessions", "%d", info.GetSessions())
	if verbose {
		for _, limit := range info.GetLimits() {
			line("limit", "%s %d %s", limit.GetName(), limit.GetValue(), limit.GetUnit())
		}
	}
	return b.String()
}

// formatDevice is short about the link in memory, which has neither name nor queues.
func formatDevice(d *starfishv1.Device) string {
	if d.GetName() == "" {
		return fmt.Sprintf("none, the link is in %s, MTU %d", d.GetLink(), d.GetMtu())
	}
	queues := "1 queue"
	if n := d.GetQueues(); n != 1 {
		queues = fmt.Sprintf("%d queues", n)
	}
	return fmt.Sprintf("%s, MTU %d, %s, offload: %s", d.GetName(), d.GetMtu(), queues, formatOffload(d))
}

func formatOffload(d *starfishv1.Device) string {
	var words []string
	if d.GetChecksumOffload() {
		words = append(words, "checksum")
	}
	if d.GetSegmentationOffloadIpv4() {
		words = append(words, "tso4")
	}
	if d.GetSegmentationOffloadIpv6() {
		words = append(words, "tso6")
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

// statusRecord is what --json shows; its names are part of the program's interface.
func statusRecord(info *starfishv1.GetInfoResponse) map[string]any {
	device := info.GetDevice()
	limits := make(map[string]uint64, len(info.GetLimits()))
	for _, limit := range info.GetLimits() {
		limits[limit.GetName()] = limit.GetValue()
	}
	return map[string]any{
		"ready": info.GetReady(), "version": info.GetVersion(), "revision": info.GetRevision(), "go": info.GetGoVersion(),
		"pid": info.GetPid(), "started": timestamp(info.GetStartTime()), "uptime_ms": milliseconds(info.GetUptime()),
		"device": map[string]any{
			"link": device.GetLink(), "name": device.GetName(), "mtu": device.GetMtu(), "queues": device.GetQueues(),
			"checksum_offload": device.GetChecksumOffload(), "tso4": device.GetSegmentationOffloadIpv4(),
			"tso6": device.GetSegmentationOffloadIpv6(),
		},
		"prefixes": info.GetPrefixes(), "kernel_addresses": info.GetKernelAddresses(), "source_addresses": info.GetSourceAddresses(),
		"connections": info.GetConnections(), "listeners": info.GetListeners(), "sessions": info.GetSessions(), "limits": limits,
	}
}
