package ctl

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

// versionTimeout bounds the question to the daemon when --timeout doesn't: the program's own version needs no daemon.
const versionTimeout = 2 * time.Second

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of this program and of the daemon",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			daemon := ""
			ctx, cancel := context.WithTimeout(cmd.Context(), versionTimeout)
			defer cancel()
			err := a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				info, err := c.Info(ctx)
				daemon = info.GetVersion()
				return err
			})
			if a.json {
				return a.printJSON(map[string]any{"starfishctl": client.Version, "go": runtime.Version(), "starfishd": daemon})
			}
			text := fmt.Sprintf("starfishctl %s (%s)\n", client.Version, runtime.Version())
			if daemon != "" {
				text += fmt.Sprintf("starfishd %s\n", daemon)
			} else if err != nil {
				text += "starfishd: " + describe(err) + "\n"
			}
			return a.print(text)
		},
	}
}
