package ctl

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

// program compiles starfishctl, for what only a process of its own can show.
func program(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "starfishctl")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/MUCZ/Starfish/cmd/starfishctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func exitStatus(err error) int {
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestProcess(t *testing.T) {
	binary, socket := program(t), daemontest.Start(t)
	t.Run("interrupt resets the peer", func(t *testing.T) {
		server, address := listenOn(t, socket)
		caller := exec.Command(binary, "connect", "--socket", socket, address)
		stdin, err := caller.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		if err := caller.Start(); err != nil {
			t.Fatal(err)
		}
		server.stderr.await(t, "connection from")
		if err := caller.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if status := exitStatus(caller.Wait()); status != 130 {
			t.Errorf("status %d, want 130", status)
		}
		if status := server.wait(t); status != exitError || !strings.Contains(server.stderr.String(), "starfishctl: read "+daemontest.Host+":") ||
			!strings.HasSuffix(server.stderr.String(), ": connection reset by peer\n") {
			t.Errorf("server: status %d, stderr %q", status, server.stderr.String())
		}
	})
	t.Run("unreadable stdin", func(t *testing.T) {
		server, address := listenOn(t, socket)
		caller := exec.Command(binary, "connect", "--socket", socket, address)
		directory, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer directory.Close()
		caller.Stdin = directory
		out, err := caller.CombinedOutput()
		if exitStatus(err) != exitError || string(out) != "starfishctl: read /dev/stdin: is a directory\n" {
			t.Errorf("%v: %s", err, out)
		}
		if status := server.wait(t); status != exitError {
			t.Errorf("server: status %d, stderr %q", status, server.stderr.String())
		}
	})
	t.Run("closed stdout", func(t *testing.T) {
		_, address := listenOn(t, socket, "--exec", "yes")
		caller := exec.Command(binary, "connect", "--socket", socket, address)
		var words buffer
		caller.Stderr = &words
		out, err := caller.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdin, err := caller.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		if err := caller.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Error(err)
		}
		_ = out.Close()
		if status := exitStatus(caller.Wait()); status != 141 || words.String() != "" {
			t.Errorf("status %d, want 141, stderr %q", status, words.String())
		}
	})
	t.Run("bytes survive the exit", func(t *testing.T) {
		for range 20 {
			server, address := listenOn(t, socket)
			server.end()
			caller := exec.Command(binary, "connect", "--socket", socket, address)
			caller.Stdin = strings.NewReader(strings.Repeat("x", 100_000))
			if out, err := caller.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if status := server.wait(t); status != exitOK || len(server.stdout.String()) != 100_000 {
				t.Errorf("status %d, %d bytes, %s", status, len(server.stdout.String()), server.stderr.String())
			}
		}
	})
	t.Run("killed", func(t *testing.T) {
		server, address := listenOn(t, socket)
		caller := exec.Command(binary, "connect", "--socket", socket, address)
		stdin, err := caller.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		if err := caller.Start(); err != nil {
			t.Fatal(err)
		}
		server.stderr.await(t, "connection from")
		_ = caller.Process.Kill()
		_ = caller.Wait()
		server.wait(t) // by FIN or by RST: the daemon hears of the end of the data socket first, or of the session's
	})
	t.Run("connections of a name", func(t *testing.T) {
		// The daemon reaches none of localhost's addresses: each is tried, the first error is shown.
		caller := exec.Command(binary, "connect", "--socket", socket, "localhost:1")
		out, err := caller.CombinedOutput()
		if exitStatus(err) != exitError || !strings.HasPrefix(string(out), "starfishctl: connect ") ||
			!strings.Contains(string(out), "network is unreachable") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// TestSilentDaemon asks a socket that takes connections and says nothing.
func TestSilentDaemon(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, test := range []struct{ args, want string }{
		{"status", `{"errno":110,"error":"starfishd at ` + socket + ` does not answer in time: is it stopped, or very busy?"}`},
		{"connect 192.0.2.1:1", `{"errno":110,"error":"connect 192.0.2.1:1: i/o timeout"}`},
	} {
		args := append(strings.Fields(test.args), "--json", "--timeout", "50ms", "--socket", socket)
		if status, _, stderr := execute(t, args...); status != exitError || stderr != test.want+"\n" {
			t.Errorf("%s: status %d, stderr %q", test.args, status, stderr)
		}
	}
}
