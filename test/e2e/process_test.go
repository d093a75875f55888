package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// start starts a program, which somebody awaits.
func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// background starts a program that ends with the test.
func background(t testing.TB, cmd *exec.Cmd) *lockedBuffer {
	t.Helper()
	log := new(lockedBuffer)
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = log
	}
	start(t, cmd)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() && log.String() != "" {
			t.Logf("%s wrote:\n%s", cmd, log)
		}
	})
	return log
}

// idleInput is a standard input that says nothing and does not end before the test.
func idleInput(t testing.TB) *os.File {
	t.Helper()
	stdin, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(stdin.Close(), write.Close()) })
	return stdin
}

// finished starts a program and sends how it ended. It ends with the test at the latest.
func finished(t testing.TB, cmd *exec.Cmd) <-chan error {
	t.Helper()
	log := new(lockedBuffer)
	cmd.Stderr = log
	start(t, cmd)
	done, reaped := make(chan error, 1), make(chan struct{})
	go func() {
		done <- cmd.Wait()
		close(reaped)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-reaped
		if t.Failed() && log.String() != "" {
			t.Logf("%s wrote:\n%s", cmd, log)
		}
	})
	return done
}

// output runs a program to its end, within a limit, and returns what it wrote to standard output.
func output(t testing.TB, limit time.Duration, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := runFor(limit, cmd); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	return stdout.String()
}

// runFor runs a program, and kills it when it takes longer than the limit.
func runFor(limit time.Duration, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		return fmt.Errorf("not done after %v", limit)
	}
	return err
}

// need skips the test where a program is not installed.
func need(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// errNotYet says that something has not come about, where there is no more to say.
var errNotYet = errors.New("not yet")

// eventually repeats check until it returns nil, and fails the test when that takes longer than the limit.
func eventually(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v, and not so: %s: %v", limit, what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// within is a context with a limit that ends with the test at the latest.
func within(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// exitStatus returns how a program ended: its status, or 128 and the signal's number, as the shell does.
func exitStatus(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

// lockedBuffer collects what a program writes while the test may read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
