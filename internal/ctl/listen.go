package ctl

import (
	"context"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

// maxCommands bounds the commands of --exec that run at a time. Further connections wait in the backlog.
const maxCommands = 256

// listenFlags are what listen was asked for.
type listenFlags struct {
	connectionFlags
	keep    bool
	command string
	backlog int
}

func (a *app) listenCommand() *cobra.Command {
	var flags listenFlags
	cmd := &cobra.Command{
		Use:   "listen [ADDR:]PORT",
		Short: "Accept a connection: stdin goes in, what comes back to stdout",
		Long: `Listen accepts one TCP connection through starfishd and joins it with stdin and
stdout, as netcat -l does; with -k one after the other. With --exec a command
serves each connection: its stdin and stdout are the connection, the variables
STARFISH_LOCAL and STARFISH_REMOTE name its ends. With -k as well, connections
are served at the same time.`,
		Example: `  starfishctl listen 8080 > upload
  starfishctl listen -k -v 10.144.0.2:7 --exec cat`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := listenTarget(args)
			if err != nil {
				return err
			}
			return a.listen(cmd.Context(), &flags, address)
		},
	}
	cmd.Flags().BoolVarP(&flags.keep, "keep", "k", false, "keep accepting")
	cmd.Flags().StringVar(&flags.command, "exec", "", "serve each connection with a `command` of /bin/sh")
	cmd.Flags().IntVar(&flags.backlog, "backlog", 0, "how many connections may wait to be accepted (0: the daemon's default)")
	cmd.Flags().IntVar(&flags.options.SynAckRetries, "syn-ack-retries", 0, "how often a SYN-ACK is repeated: `N` times, 1 to 127")
	flags.register(cmd)
	return cmd
}

func (a *app) listen(ctx context.Context, flags *listenFlags, address string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	config := client.ListenConfig{
		Client: c, Backlog: flags.backlog, Options: flags.clientOptions(), Transport: client.Transport(flags.transport),
	}
	openCtx, cancel := a.bounded(ctx)
	defer cancel()
	opened, err := config.Listen(openCtx, flags.network(), address)
	if err != nil {
		return &addressError{address, err}
	}
	listener := opened.(*client.Listener)
	defer listener.Close()
	a.say("listening", map[string]any{"id": listener.ID(), "local": listener.Addr().String()},
		"listening on %v", listener.Addr())
	return a.acceptLoop(ctx, listener, flags)
}

// acceptLoop serves one connection, or all that come.
func (a *app) acceptLoop(ctx context.Context, listener *client.Listener, flags *listenFlags) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	slots := make(chan struct{}, maxCommands)
	for {
		conn, err := listener.AcceptContext(ctx)
		if err != nil {
			return err
		}
		if !flags.keep {
			// As netcat does: who comes now is refused instead of waiting for nobody. Whoever reads that a connection came can
			// rely on it.
			if err := listener.Close(); err != nil {
				a.abandon(conn)
				return err
			}
		}
		a.sayConnection("accepted", conn, "connection from %v to %v", conn.RemoteAddr(), conn.LocalAddr())
		if !flags.keep {
			return a.serve(ctx, conn, flags)
		}
		if flags.command == "" {
			if err := a.serveKept(ctx, conn, flags); err != nil {
				return err
			}
			continue
		}
		slots <- struct{}{}
		serving.Go(func() {
			defer func() { <-slots }()
			_ = a.serveKept(ctx, conn, flags) // reported there; a closed stdout is no concern of commands
		})
	}
}

func (a *app) serve(ctx context.Context, conn *client.Conn, flags *listenFlags) error {
	if flags.command != "" {
		return a.exec(ctx, conn, flags.command)
	}
	return a.relay(ctx, conn, a.stdin)
}

// serveKept serves one of several connections: its failure is reported and ends nothing else, unless nobody reads
// stdout any more or the program was interrupted.
func (a *app) serveKept(ctx context.Context, conn *client.Conn, flags *listenFlags) error {
	err := a.serve(ctx, conn, flags)
	var closed stdoutError
	if ctx.Err() != nil || errors.As(err, &closed) {
		return err
	}
	if err != nil {
		a.report(err)
	}
	return nil
}
