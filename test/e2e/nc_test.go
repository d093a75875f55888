package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestConnectToNetcat sends a file each way between starfishctl connect and nc. One after the other: an nc that listens
// goes as soon as it has got the end of file, whatever it still has to send.
func TestConnectToNetcat(t *testing.T) {
	need(t, "nc")
	h := newHost(t)
	for _, f := range families {
		address := net.JoinHostPort(f.kernels, strconv.Itoa(ncPort))
		t.Run(f.name+"/send", func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			server := h.Command("nc", "-l", f.kernels, strconv.Itoa(ncPort))
			server.Stdout = open(t, out, os.O_CREATE|os.O_WRONLY)
			done := finished(t, server)
			awaitListener(t, h.Namespace, ncPort)
			ctl := h.daemon.ctl(t, "connect", address)
			ctl.Stdin = open(t, file(t, 2, fileSize), os.O_RDONLY)
			if err := errors.Join(runFor(programLimit, ctl), <-done); err != nil {
				t.Fatal(err)
			}
			wantContent(t, out, 2, fileSize)
		})
		t.Run(f.name+"/receive", func(t *testing.T) {
			server := h.Command("nc", "-N", "-l", f.kernels, strconv.Itoa(ncPort))
			server.Stdin = open(t, file(t, 1, fileSize), os.O_RDONLY)
			done := finished(t, server)
			awaitListener(t, h.Namespace, ncPort)
			in := filepath.Join(t.TempDir(), "in")
			ctl := h.daemon.ctl(t, "connect", address)
			ctl.Stdin = idleInput(t)
			ctl.Stdout = open(t, in, os.O_CREATE|os.O_WRONLY)
			if err := errors.Join(runFor(programLimit, ctl), <-done); err != nil {
				t.Fatal(err)
			}
			wantContent(t, in, 1, fileSize)
		})
	}
}

// TestNetcatToListen sends a file each way at once between nc and starfishctl listen, which both half-close at the end of
// their files.
func TestNetcatToListen(t *testing.T) {
	need(t, "nc")
	h := newHost(t)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			ctl := h.daemon.ctl(t, "listen", net.JoinHostPort(f.ours, strconv.Itoa(ncPort)))
			ctl.Stdin = open(t, file(t, 1, fileSize), os.O_RDONLY)
			ctl.Stdout = open(t, out, os.O_CREATE|os.O_WRONLY)
			done := finished(t, ctl)
			awaitOurListener(t, h, 1)

			in := filepath.Join(t.TempDir(), "in")
			nc := h.Command("nc", "-N", f.ours, strconv.Itoa(ncPort))
			nc.Stdin = open(t, file(t, 2, fileSize), os.O_RDONLY)
			nc.Stdout = open(t, in, os.O_CREATE|os.O_WRONLY)
			if err := runFor(programLimit, nc); err != nil {
				t.Fatalf("nc: %v", err)
			}
			if err := <-done; err != nil {
				t.Fatalf("starfishctl listen: %v", err)
			}
			wantContent(t, in, 1, fileSize)
			wantContent(t, out, 2, fileSize)
			h.daemon.wantIdle(t, second)
		})
	}
}

// TestListenExec serves connections with a command, one after the other.
func TestListenExec(t *testing.T) {
	need(t, "nc")
	h := newHost(t)
	background(t, h.daemon.ctl(t, "listen", "-k", "--exec", "tr a-z A-Z", strconv.Itoa(ncPort)))
	awaitOurListener(t, h, 1)
	for i := range 3 {
		text := fmt.Sprintf("hello %d", i)
		got := h.Run(t, fmt.Sprintf("echo %s | nc -N %s %d", text, ourV4, ncPort))
		if want := fmt.Sprintf("HELLO %d\n", i); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// awaitOurListener waits until the daemon has n listeners.
func awaitOurListener(t testing.TB, h *host, n int) {
	t.Helper()
	eventually(t, 5*time.Second, "starfishctl listens", func() error {
		if _, got := h.daemon.connections(t); got != n {
			return fmt.Errorf("%d listeners, want %d", got, n)
		}
		return nil
	})
}
