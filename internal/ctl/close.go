package ctl

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

func (a *app) closeCommand() *cobra.Command {
	var listener bool
	cmd := &cobra.Command{
		Use:   "close ID...",
		Short: "Close connections: FIN after what was sent",
		Long: `Close ends connections in order: the data that were sent are still delivered,
then FIN. The ids are those that ss shows. With --listener they name listeners.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.forAll(cmd.Context(), args, func(ctx context.Context, c *client.Client, id uint64) error {
				if listener {
					return a.ended(id, c.CloseListener(ctx, id))
				}
				return a.ended(id, c.CloseConnection(ctx, id))
			})
		},
	}
	cmd.Flags().BoolVar(&listener, "listener", false, "the ids are those of listeners")
	return cmd
}

func (a *app) abortCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "abort ID...",
		Short:             "Abort connections: RST",
		Long:              "Abort ends connections with a reset: what was not delivered yet is lost. The ids are\nthose that ss shows.",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.forAll(cmd.Context(), args, func(ctx context.Context, c *client.Client, id uint64) error {
				return a.ended(id, c.Abort(ctx, id))
			})
		},
	}
}

// ended says that something was told to end, unless there was an error.
func (a *app) ended(id uint64, err error) error {
	if err == nil {
		a.say("ended", map[string]any{"id": id}, "%d has been told to end", id)
	}
	return err
}

// forAll does something to all that the ids name. It goes on after an error.
func (a *app) forAll(ctx context.Context, args []string, do func(context.Context, *client.Client, uint64) error) error {
	ids := make([]uint64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return usagef("%q is not an id: starfishctl ss shows them", arg)
		}
		ids[i] = id
	}
	return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
		var failed failures
		for _, id := range ids {
			if err := do(ctx, c, id); err != nil {
				failed = append(failed, err)
			}
		}
		if len(failed) == 0 {
			return nil
		}
		return failed
	})
}
