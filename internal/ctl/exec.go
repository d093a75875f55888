package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/MUCZ/Starfish/client"
)

const (
	// killDelay is what a command's processes have to end by themselves after SIGTERM.
	killDelay = 2 * time.Second
	// lingerTime is how long, after the command has ended, its peer may take to close. Closing at once would answer
	// what the peer still sends with a reset, which could overtake the command's last words.
	lingerTime = time.Second
)

// exec serves a connection with a command of the shell: stdin and stdout are the connection. The command has a process
// group of its own, which ends with the connection: a reset, or an interruption, terminates it; after the peer's FIN it
// may go on sending.
func (a *app) exec(ctx context.Context, conn *client.Conn, command string) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(),
		"STARFISH_LOCAL="+conn.LocalAddr().String(), "STARFISH_REMOTE="+conn.RemoteAddr().String())
	cmd.Stderr = a.stderr
	cmd.Stdout = &watchedWriter{conn, end}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	if err := cmd.Start(); err != nil {
		a.abandon(conn)
		return fmt.Errorf("exec: %w", err)
	}
	go func() {
		_, _ = io.Copy(stdin, &watchedReader{conn, end}) // the command may close its stdin when it likes
		_ = stdin.Close()
	}()
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind; usually there is nothing
	if ctx.Err() != nil {
		a.abandon(conn)
		return context.Cause(ctx)
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		a.say("exited", map[string]any{"status": failed.ExitCode()}, "%s: %v", command, failed)
		err = nil // the command's own affair, which it has told its peer or stderr
	}
	return errors.Join(err, linger(conn))
}

// linger closes a connection after its peer has, or after lingerTime.
func linger(conn *client.Conn) error {
	if conn.CloseWrite() == nil && conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.Copy(io.Discard, conn) // nobody is left who could use it
	}
	return conn.Close()
}

// watchedReader and watchedWriter are the ends of a connection that a command uses. An error of the connection ends
// the command: it has nobody to work for.
type watchedReader struct {
	conn *client.Conn
	end  context.CancelCauseFunc
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.conn.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.end(err)
	}
	return n, err
}

type watchedWriter struct {
	conn *client.Conn
	end  context.CancelCauseFunc
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.conn.Write(p)
	if err != nil {
		w.end(err)
	}
	return n, err
}
