package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

// TestMain lets the test binary stand in for the daemon.
func TestMain(m *testing.M) {
	if os.Getenv("STARFISHD_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func starfishd(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, arguments...)
	c.Env = append(os.Environ(), "STARFISHD_TEST_MAIN=1")
	return c
}

// exit runs starfishd to its end.
func exit(t *testing.T, arguments ...string) (status int, stdout, stderr string) {
	t.Helper()
	c := starfishd(t, arguments...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run()
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("socket: /x\nlink: memory\nquues: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arguments []string
		status    int
		text      string
	}{
		{[]string{"--version"}, 0, "starfishd "},
		{[]string{"--help"}, 0, "--address"},
		{[]string{"--check"}, 0, "valid"},
		{[]string{"--check", "--config", bad}, 1, "[3:1]"},
		{[]string{"--check", "--queues", "0"}, 1, "queues"},
		{[]string{"--check", "--address", "10.0.0.1"}, 1, "prefix length"},
		{[]string{"--no-such-flag"}, 2, "--help"},
		{[]string{"superfluous"}, 2, "superfluous"},
		{[]string{"--link", "memory", "--socket", "/no/such/directory/s.sock"}, 1, "mkdir -p /no/such/directory"},
	} {
		status, stdout, stderr := exit(t, c.arguments...)
		if status != c.status || !strings.Contains(stdout+stderr, c.text) {
			t.Errorf("%v: status %d, %q, %q; want %d and %q", c.arguments, status, stdout, stderr, c.status, c.text)
		}
		if status != 0 && (stdout != "" || strings.Count(strings.TrimSpace(stderr), "\n") > 5) {
			t.Errorf("%v: stdout %q, stderr %q", c.arguments, stdout, stderr)
		}
	}
}

func TestSignals(t *testing.T) {
	directory, err := os.MkdirTemp("", "sfd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	file := filepath.Join(directory, "c.yaml")
	socket := filepath.Join(directory, "s.sock")
	write := func(text string) {
		if err := os.WriteFile(file, []byte("link: memory\nsocket: "+socket+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log_format: json\n")
	c := starfishd(t, "--config", file)
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	wait := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the log ends without %q", text)
	}
	timer := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	wait(`"msg":"ready"`)

	write("log_format: json\nlog_level: debug\nqueues: 2\n")
	_ = c.Process.Signal(unix.SIGHUP)
	wait(`"changed":["log_level"]`)
	wait(`"unchanged":["queues"]`)
	write("log_format: yes\n")
	_ = c.Process.Signal(unix.SIGHUP)
	wait("not reloaded")

	_ = c.Process.Signal(unix.SIGTERM)
	wait("stopped")
	if err := c.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is left")
	}
}
