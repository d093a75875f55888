package ctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"
)

const (
	// defaultDuration is how long chargen sends when it was given no bound.
	defaultDuration = 10 * time.Second
	// maxParallel bounds the connections of one chargen.
	maxParallel = 1000
)

// chargenFlags are what chargen was asked for.
type chargenFlags struct {
	socketFlags
	listen   bool
	bytes    amountValue
	duration time.Duration
	parallel int
	reverse  bool
	compare  bool
}

func (a *app) chargenCommand() *cobra.Command {
	var flags chargenFlags
	cmd := &cobra.Command{
		Use:   "chargen HOST:PORT | chargen -l [ADDR:]PORT",
		Short: "Send or take characters, and show the bandwidth",
		Long: `Chargen sends the characters of RFC 864 to anything that reads them, and shows
the bandwidth. It goes on for ten seconds unless --duration or --bytes say
otherwise. The time counts until the peer has closed in turn, and so has all.

With --reverse it takes what the peer sends, until the peer closes. With -l it
waits for connections and takes what they send (with --reverse, sends to them),
until it is interrupted.

With --compare it does the same twice, over Starfish and with the kernel's
sockets, and shows the ratio.`,
		Example: `  starfishctl chargen -l 9000
  starfishctl chargen --duration 5s --parallel 4 10.0.0.2:9000
  starfishctl chargen --compare --bytes 1G 10.0.0.2:9000`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.parallel < 1 || flags.parallel > maxParallel {
				return usagef("chargen: --parallel takes 1 to %d connections", maxParallel)
			}
			if flags.duration < 0 {
				return usagef("chargen: --duration is negative")
			}
			if flags.listen {
				return a.chargenListen(cmd, &flags, args)
			}
			address, err := target(args)
			if err != nil {
				return err
			}
			if flags.bytes == 0 && flags.duration == 0 && !flags.reverse {
				flags.duration = defaultDuration
			}
			return a.chargen(cmd.Context(), &flags, address)
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.BoolVarP(&flags.listen, "listen", "l", false, "wait for connections")
	set.VarP(&flags.bytes, "bytes", "n", "stop after so many bytes in all: 65536, 64K, 10G")
	set.DurationVarP(&flags.duration, "duration", "t", 0, "stop after a `time`")
	set.IntVarP(&flags.parallel, "parallel", "P", 1, "`number` of connections at once")
	set.BoolVarP(&flags.reverse, "reverse", "R", false, "the other direction")
	set.BoolVar(&flags.compare, "compare", false, "over Starfish and with the kernel's sockets in turn, and the ratio")
	flags.registerSource(cmd)
	flags.register(cmd)
	for _, other := range []string{"listen", "native", "source"} {
		cmd.MarkFlagsMutuallyExclusive("compare", other)
	}
	for _, other := range []string{"parallel", "source"} {
		cmd.MarkFlagsMutuallyExclusive("listen", other)
	}
	return cmd
}

// chargen runs one measurement, or two to compare.
func (a *app) chargen(ctx context.Context, flags *chargenFlags, address string) error {
	if !flags.compare {
		_, err := a.measure(ctx, flags, flags.native, address)
		return err
	}
	starfish, err := a.measure(ctx, flags, false, address)
	if err != nil {
		return err
	}
	native, err := a.measure(ctx, flags, true, address)
	if err != nil {
		return err
	}
	return a.showRatio(starfish, native)
}

// measure opens the connections, moves the characters and shows the outcome.
func (a *app) measure(ctx context.Context, flags *chargenFlags, native bool, address string) (*transferReport, error) {
	chosen := flags.socketFlags
	chosen.native = native
	s, err := a.sockets(&chosen)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for range flags.parallel {
		conn, err := a.dialBounded(ctx, s, address)
		if err != nil {
			return nil, err
		}
		conns = append(conns, conn)
	}
	work := newTransfers(conns, flags)
	stop := a.progress(work.count)
	report, err := work.run(ctx)
	stop()
	report.Network, report.Remote = s.name(), conns[0].RemoteAddr().String()
	return report, errors.Join(a.showReport(report), err)
}

func (a *app) dialBounded(ctx context.Context, s sockets, address string) (net.Conn, error) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	return s.dial(ctx, address)
}

func (a *app) chargenListen(cmd *cobra.Command, flags *chargenFlags, args []string) error {
	address, err := listenTarget(args)
	if err != nil {
		return err
	}
	s, err := a.sockets(&flags.socketFlags)
	if err != nil {
		return err
	}
	defer s.Close()
	openCtx, cancel := a.bounded(cmd.Context())
	defer cancel()
	listener, err := s.listen(openCtx, address)
	if err != nil {
		return err
	}
	defer listener.Close()
	a.announce(listener.Addr())
	return a.serveChargen(cmd.Context(), flags, s.name(), listener)
}

// showRatio says how the two measurements compare.
func (a *app) showRatio(starfish, native *transferReport) error {
	ratio := starfish.BitsPerSecond / native.BitsPerSecond
	if a.json {
		return a.printJSON(map[string]any{"ratio": ratio})
	}
	return a.print(fmt.Sprintf("%-9s %.2f of native\n", "ratio", ratio))
}
