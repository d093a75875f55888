package ctl

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

func (a *app) setCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set ID NAME=VALUE...",
		Short: "Change options of a connection while it lives",
		Long: `Set changes options of a connection, whose id ss shows. Options that only matter
while a connection opens are refused. The names are those of the API:

` + wrapNames(client.OptionNames()) + `
A name alone switches the option on.`,
		Example:           "  starfishctl set 7 no_delay=false user_timeout=30s",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeOptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			var options client.Options
			for _, arg := range args[1:] {
				name, value, _ := strings.Cut(arg, "=")
				if err := options.Set(name, value); err != nil {
					return usagef("%v", err)
				}
			}
			return a.forAll(cmd.Context(), args[:1], func(ctx context.Context, c *client.Client, id uint64) error {
				if err := c.SetOptions(ctx, id, options); err != nil {
					return err
				}
				a.say("set", map[string]any{"id": id, "options": args[1:]}, "%d: %s", id, strings.Join(args[1:], " "))
				return nil
			})
		},
	}
}

// wrapNames sets names in lines of a terminal's width.
func wrapNames(names []string) string {
	const width = 76
	var text strings.Builder
	column := 0
	for _, name := range names {
		if column+len(name)+1 > width {
			text.WriteString("\n")
			column = 0
		}
		if column == 0 {
			text.WriteString(" ")
		}
		text.WriteString(" " + name)
		column += 1 + len(name)
	}
	return text.String() + "\n"
}

// completeOptions completes the names of options behind an id.
func completeOptions(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return client.OptionNames(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
