package ctl

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/MUCZ/Starfish/client"
)

// connectionFlags are the options that connect and listen share.
type connectionFlags struct {
	options    client.Options
	recv, send sizeValue
	congestion congestionValue
	ecn        ecnValue
	transport  transportValue
	ipv4, ipv6 bool
}

func (f *connectionFlags) register(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	f.registerOptions(cmd.Flags())
	f.registerFamilies(cmd)
}

// registerOptions adds the flags that only Starfish's connections have.
func (f *connectionFlags) registerOptions(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.DurationVar(&f.options.InitialRTO, "rto-initial", 0, "retransmission timeout before the first RTT sample, such as 200ms")
	flags.Var(&f.recv, "recv-buffer", "fixed receive buffer, and so the largest receive window: 64K, 4M; else it tunes itself")
	flags.Var(&f.send, "send-buffer", "fixed send buffer: 64K, 4M; else it tunes itself")
	flags.Var(&f.congestion, "congestion", "congestion control: reno, cubic or bbr")
	flags.DurationVar(&f.options.KeepAlive, "keepalive", 0, "idle time before keep-alive probes; negative switches them off")
	flags.DurationVar(&f.options.UserTimeout, "user-timeout", 0, "give up when sent data stay unacknowledged that long")
	flags.BoolVar(&f.options.NoDelay, "nodelay", false, "send small segments at once (no Nagle)")
	flags.BoolVar(&f.options.NoPacing, "no-pacing", false, "send a window at once instead of spreading it over the round trip")
	flags.Var(&f.ecn, "ecn", "Explicit Congestion Notification: off, accept (when asked), on (ask, too), accurate, accept-accurate or on-accurate")
	flags.BoolVar(&f.options.FastOpen, "fast-open", false, "TCP Fast Open: data in SYNs; connect waits for the first input, to send it with the SYN")
	flags.BoolVar(&f.options.NoMTUProbing, "no-mtu-probing", false, "take the path MTU from ICMP alone")
	flags.VarP(&optionValue{options: &f.options}, "option", "o", "any option of the API, such as ttl=5 or min_rto=30ms: see starfishctl set --help")
	flags.Var(&f.transport, "transport", "how bytes get to the daemon: auto, data-socket or grpc")
}

func (f *connectionFlags) registerFamilies(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.ipv4, "ipv4", "4", false, "IPv4 only")
	flags.BoolVarP(&f.ipv6, "ipv6", "6", false, "IPv6 only")
	cmd.MarkFlagsMutuallyExclusive("ipv4", "ipv6")
}

// clientOptions returns the options that the flags ask for.
func (f *connectionFlags) clientOptions() client.Options {
	o := f.options
	o.RecvBuffer, o.SendBuffer, o.Congestion, o.ECN = int(f.recv), int(f.send), f.congestion.Congestion, f.ecn.ECN
	return o
}

func (f *connectionFlags) network() string {
	switch {
	case f.ipv4:
		return "tcp4"
	case f.ipv6:
		return "tcp6"
	}
	return "tcp"
}

// abortLimit bounds how long an interrupted program waits for the daemon to abort its connection.
const abortLimit = 2 * time.Second
