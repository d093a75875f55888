package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// roleBench is the process that runs the benchmarks, inside namespaces of its own.
const roleBench = "bench"

// dirVariable names the environment variable that has the directory for the daemon's sockets.
const dirVariable = "STARFISH_BENCH_DIR"

// errTold is an error that another process has told the person about.
var errTold = errors.New("the benchmark failed")

// enter runs this program again in a network namespace and as the first process of a process namespace, so that whatever
// it makes ends with it. An ordinary user becomes root by a user namespace.
func enter() error {
	// A wrong flag is better told before there are any namespaces.
	asked, err := parse(os.Args[1:])
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	// Here, so that it goes however the others end.
	dir, err := os.MkdirTemp("", "starfish-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	cmd := again(ctx, roleBench, unix.CLONE_NEWNET|unix.CLONE_NEWPID)
	cmd.Args = append(cmd.Args, os.Args[1:]...)
	cmd.Env = append(cmd.Env, dirVariable+"="+dir)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	// The kernel kills the child when the thread that made it ends, which must not be before the process does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if asked.urgent {
		comeBeforeOthers(1)
	}
	if err = cmd.Start(); err != nil {
		return fmt.Errorf("network namespaces can't be made: %w; run it as root, or allow user namespaces", err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.As(err, &exit):
		return errTold
	}
	return err
}

// again is this program in another role. It dies with the process that starts it.
func again(ctx context.Context, role string, namespaces uintptr) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{"bench"}
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: unix.SIGKILL}
	return cmd
}
