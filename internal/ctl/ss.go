package ctl

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/client"
)

func (a *app) ssCommand() *cobra.Command {
	var listening, watch bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "ss [FILTER]",
		Short: "Show connections and listeners, as ss -tinp does",
		Long: `Ss shows the connections and listeners of starfishd: state, queues, addresses,
owner and id, and for connections what the congestion control knows: round-trip
time, retransmission timeout, windows, retransmissions, delivery rate.

A filter is made of these, all of which must hold:

  state STATE          established, syn-sent, syn-recv, fin-wait-1, fin-wait-2,
                       time-wait, close-wait, last-ack, listening, closing;
                       connected: all but listening
  exclude STATE        the others
  sport PORT           the local port; dport PORT the remote one; ":" and "="
                       are understood, as in "dport = :443"
  src ADDR[/LEN]       the local address; dst the remote one
  id ID                that connection

The id is what close and abort take. cwnd and ssthresh are in segments.`,
		Example: `  starfishctl ss state established dport :443
  starfishctl ss -l
  starfishctl ss --json | jq .rtt_ms`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := parseFilter(args)
			if err != nil {
				return err
			}
			filter.listening = listening
			return a.withClient(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				if watch {
					return a.watchSockets(ctx, c, filter, max(interval, minInterval))
				}
				return a.showSockets(ctx, c, filter)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&listening, "listening", "l", false, "only listeners")
	flags.BoolVar(&watch, "watch", false, "show it again and again, until interrupted")
	flags.DurationVar(&interval, "interval", time.Second, "with --watch: how often")
	// Habits of ss users; what they ask for is shown anyway.
	for _, habit := range []string{"tcp", "info", "numeric", "processes", "all"} {
		flags.BoolP(habit, habit[:1], false, "accepted for ss's sake")
		flags.Lookup(habit).Hidden = true
	}
	return cmd
}

// minInterval keeps --watch from becoming a busy loop in the daemon.
const minInterval = 100 * time.Millisecond

func (a *app) showSockets(ctx context.Context, c *client.Client, filter *filter) error {
	connections, listeners, err := c.Connections(ctx)
	if err != nil {
		return err
	}
	listeners = slices.DeleteFunc(listeners, func(l *starfishv1.Listener) bool { return !filter.matchListener(l) })
	connections = slices.DeleteFunc(connections, func(c *starfishv1.Connection) bool { return !filter.match(c) })
	if !a.json {
		return a.print(formatSockets(listeners, connections))
	}
	for _, l := range listeners {
		if err := a.printJSON(listenerRecord(l)); err != nil {
			return err
		}
	}
	for _, c := range connections {
		if err := a.printJSON(connectionRecord(c)); err != nil {
			return err
		}
	}
	return nil
}

// clearScreen moves the cursor home and erases everything.
const clearScreen = "\x1b[H\x1b[2J"

func (a *app) watchSockets(ctx context.Context, c *client.Client, filter *filter, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if !a.json {
			head := time.Now().Format(time.TimeOnly) + "\n"
			if isTerminal(a.stdout) {
				head = clearScreen + head
			}
			if err := a.print(head); err != nil {
				return err
			}
		}
		if err := a.showSockets(ctx, c, filter); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("ss --watch ends with --timeout") // a signal needs no word
		case <-tick.C:
		}
	}
}
