package ctl

import (
	"context"
	"io"
	"net"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/MUCZ/Starfish/client"
)

// sockets open and accept connections: Starfish's, or the kernel's.
type sockets interface {
	name() string
	dial(ctx context.Context, address string) (net.Conn, error)
	listen(ctx context.Context, address string) (net.Listener, error)
	io.Closer
}

// socketFlags are the flags of verbs that work with either kind.
type socketFlags struct {
	connectionFlags
	source sourceValue
	native bool
}

// register adds the flags. Options of Starfish's connections go with those alone.
func (f *socketFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.native, "native", false, "use the kernel's sockets instead of Starfish's")
	options := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.registerOptions(options)
	options.VisitAll(func(flag *pflag.Flag) {
		if flag.Shorthand != "" && flags.ShorthandLookup(flag.Shorthand) != nil {
			flag.Shorthand = "" // the verb has a better use for it: webget's -o is curl's
		}
		flags.AddFlag(flag)
		cmd.MarkFlagsMutuallyExclusive("native", flag.Name)
	})
	f.registerFamilies(cmd)
}

// registerSource adds the flag of verbs that dial.
func (f *socketFlags) registerSource(cmd *cobra.Command) {
	cmd.Flags().Var(&f.source, "source", "start from IP or IP:PORT, one of the daemon's addresses (with --native, of the host's)")
}

// sockets returns those that the flags ask for. The caller closes them.
func (a *app) sockets(f *socketFlags) (sockets, error) {
	if f.native {
		return kernelSockets{f}, nil
	}
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	return starfishSockets{f, c}, nil
}

type starfishSockets struct {
	flags *socketFlags
	*client.Client
}

func (starfishSockets) name() string { return "starfish" }

func (s starfishSockets) dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := client.Dialer{
		Client: s.Client, LocalAddr: netip.AddrPort(s.flags.source),
		Options: s.flags.clientOptions(), Transport: client.Transport(s.flags.transport),
	}
	conn, err := dialer.DialContext(ctx, s.flags.network(), address)
	return conn, whenAsked(address, err)
}

func (s starfishSockets) listen(ctx context.Context, address string) (net.Listener, error) {
	config := client.ListenConfig{
		Client: s.Client, Options: s.flags.clientOptions(), Transport: client.Transport(s.flags.transport),
	}
	listener, err := config.Listen(ctx, s.flags.network(), address)
	return listener, whenAsked(address, err)
}

type kernelSockets struct{ flags *socketFlags }

func (kernelSockets) name() string { return "native" }

func (s kernelSockets) dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	if source := netip.AddrPort(s.flags.source); source != (netip.AddrPort{}) {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(source)
	}
	conn, err := dialer.DialContext(ctx, s.flags.network(), address)
	return conn, whenAsked(address, err)
}

func (s kernelSockets) listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, s.flags.network(), address)
	return listener, whenAsked(address, err)
}

func (kernelSockets) Close() error { return nil }
