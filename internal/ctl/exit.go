package ctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/MUCZ/Starfish/client"
)

// Exit statuses.
const (
	exitOK     = 0
	exitError  = 1 // of the network or the daemon
	exitUsage  = 2
	exitSignal = 128 // plus the signal's number
)

// usageError is a mistake in the command line that only the verb itself can see.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// failures are what went wrong with each of several objects of one command.
type failures []error

func (f failures) Error() string { return errors.Join(f...).Error() }

// stdoutError says that nobody reads what the program writes.
type stdoutError struct{ error }

func (e stdoutError) Unwrap() error { return e.error }

// exit reports err and returns the exit status.
func (a *app) exit(ctx context.Context, err error) int {
	var usage usageError
	var closed stdoutError
	switch {
	case err == nil:
		return exitOK
	case interrupted(ctx) != nil:
		return exitSignal + int(interrupted(ctx).signal)
	case errors.As(err, &closed) && errors.Is(err, syscall.EPIPE):
		return exitSignal + int(syscall.SIGPIPE) // as the shell shows it of programs that the signal ends
	case errors.As(err, &usage) || !a.started:
		a.report(err)
		if !a.json {
			fmt.Fprintln(a.stderr, "Try 'starfishctl --help', or 'starfishctl help' and the verb.")
		}
		return exitUsage
	default:
		a.report(err)
		return exitError
	}
}

func (a *app) report(err error) {
	var several failures
	if errors.As(err, &several) {
		for _, err := range several {
			a.report(err)
		}
		return
	}
	if !a.json {
		fmt.Fprintf(a.stderr, "starfishctl: %s\n", describe(err))
		return
	}
	object := map[string]any{"error": describe(err)}
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		object["errno"] = int(errno)
	case errors.Is(err, context.DeadlineExceeded):
		object["errno"] = int(syscall.ETIMEDOUT)
	}
	_ = writeJSON(a.stderr, object) // nothing can be said on a stderr that is closed
}

// describe returns an error as a sentence: operation, addresses, cause; a missing daemon says all by itself.
func describe(err error) string {
	var unreachable *client.UnreachableError
	if errors.As(err, &unreachable) {
		return unreachable.Error()
	}
	var op *net.OpError
	var reported *client.Error
	if !errors.As(err, &op) {
		if errors.As(err, &reported) && reported.Message != "" {
			return reported.Message
		}
		return err.Error()
	}
	cause := op.Err.Error()
	if call := new(os.SyscallError); errors.As(op.Err, &call) {
		cause = call.Err.Error() // the kernel's sockets add the system call, which the operation says already
	}
	if errors.As(op.Err, &reported) && cause == reported.Message && cause != reported.Errno.Error() {
		return cause // it names operation and addresses itself
	}
	name := op.Op
	if name == "dial" {
		name = "connect"
	}
	var asked *addressError
	switch {
	case op.Addr != nil:
		return fmt.Sprintf("%s %s: %s", name, op.Addr, cause)
	case errors.As(err, &asked):
		return fmt.Sprintf("%s %s: %s", name, asked.address, cause)
	default:
		return fmt.Sprintf("%s: %s", name, cause)
	}
}

// addressError keeps what the user asked for, where the error underneath has no address: a name that doesn't resolve.
type addressError struct {
	address string
	error
}

func (e *addressError) Unwrap() error { return e.error }

// whenAsked adds to an error the address that the user asked for.
func whenAsked(address string, err error) error {
	if err == nil {
		return nil
	}
	return &addressError{address, err}
}
