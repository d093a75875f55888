package ctl

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

func (a *app) connectCommand() *cobra.Command {
	var flags connectionFlags
	var source sourceValue
	var connectTimeout time.Duration
	cmd := &cobra.Command{
		Use:   "connect HOST:PORT",
		Short: "Open a connection: stdin goes in, what comes back to stdout",
		Long: `Connect opens a TCP connection through starfishd and joins it with stdin and
stdout, as netcat does. At the end of stdin it closes the sending direction and
goes on receiving. It ends when the peer has closed and stdin has ended or has
been silent for half a second.

The addresses of a name are tried one after the other. HOST PORT is understood
too. With --fast-open it waits for the first input, and sends it with the SYN if
the peer has given a cookie before (RFC 7413).`,
		Example: `  starfishctl connect 10.0.0.2:8080 < request > response
  starfishctl connect --source 10.144.0.7 [fd00::2]:22
  ssh -o ProxyCommand='starfishctl connect %h:%p' host`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := target(args)
			if err != nil {
				return err
			}
			dialer := client.Dialer{
				LocalAddr: netip.AddrPort(source),
				Options:   flags.clientOptions(),
				Transport: client.Transport(flags.transport),
			}
			dialer.Options.ConnectTimeout = connectTimeout
			return a.connect(cmd.Context(), &dialer, flags.network(), address)
		},
	}
	cmd.Flags().Var(&source, "source", "start from IP or IP:PORT, one of the daemon's addresses")
	cmd.Flags().DurationVar(&connectTimeout, "connect-timeout", 0, "bound on the opening handshake, such as 5s")
	cmd.Flags().IntVar(&flags.options.SynRetries, "syn-retries", 0, "how often the SYN is repeated: `N` times, 1 to 127")
	flags.register(cmd)
	return cmd
}

func (a *app) connect(ctx context.Context, dialer *client.Dialer, network, address string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	dialer.Client = c
	dial := dialer.DialContext
	if dialer.Options.FastOpen {
		first, err := a.firstInput()
		if err != nil {
			return err
		}
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialFastOpen(ctx, network, address, first)
		}
	}
	dialCtx, cancel := a.bounded(ctx)
	defer cancel()
	conn, err := dial(dialCtx, network, address)
	if err != nil {
		return &addressError{address, err}
	}
	opened := conn.(*client.Conn)
	a.sayConnection("connected", opened, "connected to %v from %v", opened.RemoteAddr(), opened.LocalAddr())
	return a.relay(ctx, opened, a.stdin)
}

// firstInput waits for what stdin gives first, as much as a SYN may carry over an Ethernet: it goes with the SYN. There is none
// when stdin ends at once.
func (a *app) firstInput() ([]byte, error) {
	buffer := make([]byte, 1400)
	n, err := a.stdin.Read(buffer)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return buffer[:n], err
}

func (a *app) sayConnection(event string, conn *client.Conn, format string, args ...any) {
	a.say(event, map[string]any{
		"id": conn.ID(), "local": conn.LocalAddr().String(), "remote": conn.RemoteAddr().String(),
	}, format, args...)
}
