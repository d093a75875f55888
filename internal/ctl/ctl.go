// Package ctl is starfishctl: one file for each verb.
package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

// app is one run of the program: its streams and what the flags of every verb say.
type app struct {
	stdin          *os.File
	stdout, stderr io.Writer

	socket  string
	json    bool
	verbose bool
	timeout time.Duration

	started bool // the command line was understood; errors from here on are no usage errors
}

// Run executes a command line and returns the exit status.
func Run(args []string, stdin *os.File, stdout, stderr io.Writer) int {
	// A closed stdout is an error to handle, not a death in the middle of a write. Ignoring the signal would do as
	// well, but commands that the program starts would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := withSignals(context.Background())
	defer stop()
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	return a.exit(ctx, err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "starfishctl",
		Short: "Use the TCP connections of starfishd, and look at them",
		Long: `Starfishctl opens, accepts and shows TCP connections of starfishd, the user-space
TCP daemon.

The exit status is 0 on success, 1 on an error of the network or the daemon, 2
on an error in the command line, and 128 plus the signal's number when a signal
ended the program.`,
		Version:           client.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.SetVersionTemplate("starfishctl {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&a.socket, "socket", client.SocketPath(""), "the daemon's control `socket`; $STARFISH_SOCKET sets the default")
	flags.Lookup("socket").DefValue = client.DefaultSocket
	flags.BoolVar(&a.json, "json", false, "write one JSON object a line instead of text")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "say more")
	flags.DurationVar(&a.timeout, "timeout", 0, "give up waiting for the daemon, or for the connection to open, after this `time` (0: never)")
	root.AddCommand(a.connectCommand(), a.listenCommand(), a.ssCommand(), a.statsCommand(), a.statusCommand(),
		a.setCommand(), a.closeCommand(), a.abortCommand(), a.chargenCommand(), a.webgetCommand(), a.httpdCommand(), a.benchCommand(), a.versionCommand())
	for _, verb := range root.Commands() {
		a.noteStart(verb)
	}
	root.InitDefaultHelpCmd()
	requireTopic(root)
	return root
}

// requireTopic has help refuse a verb that there is none of: cobra's own shows the list and succeeds.
func requireTopic(root *cobra.Command) {
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		panic(fmt.Sprintf("ctl: cobra has made no help command: %v", err))
	}
	help.Args = func(_ *cobra.Command, args []string) error {
		if verb, rest, err := root.Find(args); err != nil || verb == root && len(rest) > 0 {
			return usagef("help: there is no verb %q", strings.Join(args, " "))
		}
		return nil
	}
}

// noteStart has the verb say when its command line is understood: what cobra finds wrong comes before that.
func (a *app) noteStart(verb *cobra.Command) {
	run := verb.RunE
	verb.RunE = func(cmd *cobra.Command, args []string) error {
		a.started = true
		return run(cmd, args)
	}
}

// client returns a session with the daemon. The caller closes it.
func (a *app) client() (*client.Client, error) { return client.New(a.socket) }

// bounded returns a context that ends with ctx or with --timeout.
func (a *app) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.timeout > 0 {
		return context.WithTimeout(ctx, a.timeout)
	}
	return context.WithCancel(ctx)
}

// withClient runs a verb that asks the daemon something and ends.
func (a *app) withClient(ctx context.Context, verb func(ctx context.Context, c *client.Client) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	err = verb(ctx, c)
	if errors.Is(err, context.DeadlineExceeded) {
		return &silentError{c.Socket(), err}
	}
	return err
}

// silentError says that the daemon is there and doesn't answer in time.
type silentError struct {
	socket string
	error
}

func (e *silentError) Error() string {
	return fmt.Sprintf("starfishd at %s does not answer in time: is it stopped, or very busy?", e.socket)
}

func (e *silentError) Unwrap() error { return e.error }

// say writes to stderr what -v asks for: as text, or as an object whose event names it.
func (a *app) say(event string, fields map[string]any, format string, args ...any) {
	if !a.verbose {
		return
	}
	if a.json {
		object := map[string]any{"event": event}
		for name, value := range fields {
			object[name] = value
		}
		_ = writeJSON(a.stderr, object) // nothing can be said on a stderr that is closed
		return
	}
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// signalError says that a signal ended the program.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return e.signal.String() }

// withSignals returns a context that SIGINT, SIGTERM and SIGHUP end, with a *signalError as its cause. A second signal
// kills the program at once.
func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&signalError{s.(syscall.Signal)})
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// interrupted returns the signal that ended the context, if it was one.
func interrupted(ctx context.Context) *signalError {
	var s *signalError
	if errors.As(context.Cause(ctx), &s) {
		return s
	}
	return nil
}
