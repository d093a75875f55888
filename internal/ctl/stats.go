package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

func (a *app) statsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "stats [NAME...]",
		Short: "Show the daemon's counters",
		Long: `Stats shows what starfishd has counted since it started, under the names of
RFC 4022 and of Linux's snmp and netstat files where such counters exist.
Counters that are zero are left out, unless they are named or --all is given.`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.withClient(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return a.showStats(ctx, c, names, all)
			})
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "zeros too")
	return cmd
}

func (a *app) showStats(ctx context.Context, c *client.Client, names []string, all bool) error {
	counters, err := c.Stats(ctx)
	if err != nil {
		return err
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[strings.ToLower(name)] = true
	}
	for _, counter := range counters {
		lower := strings.ToLower(counter.GetName())
		named := wanted[lower]
		delete(wanted, lower)
		if !named && (len(names) > 0 || counter.GetValue() == 0 && !all) {
			continue
		}
		if a.json {
			err = a.printJSON(map[string]any{"name": counter.GetName(), "value": counter.GetValue()})
		} else {
			err = a.print(fmt.Sprintf("%-32s %d\n", counter.GetName(), counter.GetValue()))
		}
		if err != nil {
			return err
		}
	}
	for name := range wanted {
		return fmt.Errorf("stats: the daemon has no counter %q", name)
	}
	return nil
}
