// Starfishd is the daemon of Starfish: TCP as a service on a unix socket.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/daemon"
	"github.com/MUCZ/Starfish/daemon/config"
)

// The exit statuses.
const (
	exitFailure = 1
	exitUsage   = 2
)

// usageError marks what the user got wrong on the command line.
type usageError struct{ error }

func main() {
	err := command().Execute()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "starfishd:", err)
	if errors.As(err, &usageError{}) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailure)
}

func command() *cobra.Command {
	c := &cobra.Command{
		Use:   "starfishd",
		Short: "Starfish's daemon: user-space TCP as a service",
		Long: "starfishd runs a TCP stack on a TUN device and lets programs open, accept and move connections through a\n" +
			"gRPC API on a unix socket. SIGTERM stops it in good order, SIGHUP has it read its configuration again.",
		Args: func(c *cobra.Command, arguments []string) error {
			if err := cobra.NoArgs(c, arguments); err != nil {
				return usageError{err}
			}
			return nil
		},
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	c.SetVersionTemplate("{{.Version}}\n")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see starfishd --help)", err)}
	})
	c.Flags().SortFlags = false
	flags := config.Register(c.Flags())
	c.RunE = func(*cobra.Command, []string) error {
		cfg, err := flags.Load()
		if err != nil {
			return err
		}
		if flags.Check {
			fmt.Println("the configuration is valid")
			return nil
		}
		return run(flags, cfg)
	}
	return c
}

func version() string {
	text := "starfishd " + daemon.Version
	if revision := daemon.Revision(); revision != "" {
		text += " (" + revision + ")"
	}
	return text + " " + runtime.Version()
}

// run runs the daemon until it is told to stop.
func run(flags *config.Flags, cfg *config.Config) error {
	log, level := newLogger(cfg)
	defer func() { _ = log.Sync() }() // standard error needs none, and says so
	d, err := daemon.New(cfg, log, level)
	if err != nil {
		return err
	}
	// A second signal takes the default way: it ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	context.AfterFunc(ctx, stop)
	defer stop()
	go reloadOnHangup(ctx, flags, d, log)
	return d.Run(ctx)
}

func reloadOnHangup(ctx context.Context, flags *config.Flags, d *daemon.Daemon, log *zap.Logger) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		fresh, err := flags.Load()
		if err != nil {
			log.Error("configuration not reloaded, the one before stays", zap.Error(err))
			continue
		}
		d.Reload(fresh)
	}
}
