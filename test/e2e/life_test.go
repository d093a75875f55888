package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
)

// stopLimit is how long a graceful stop may take when peers do not close: the default of stop_timeout, and some.
const stopLimit = 12 * time.Second

// hold starts a starfishctl that keeps its connection or listener until it is killed.
func hold(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin = idleInput(t)
	background(t, cmd)
}

// TestClientKilled kills clients with SIGKILL: within a second their peers see it and the daemon holds nothing of theirs.
func TestClientKilled(t *testing.T) {
	h := newHost(t)
	had := h.daemon.descriptors(t)
	t.Run("connection", func(t *testing.T) {
		l := h.kernelListen(t, kernelV4)
		ctl := h.daemon.ctl(t, "connect", l.Addr().String())
		hold(t, ctl)
		k := accept(t, l)
		kill(t, ctl)
		_ = k.SetReadDeadline(time.Now().Add(second))
		if n, err := k.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the peer reads %d bytes, %v", n, err)
		}
		h.daemon.wantIdle(t, second)
	})
	t.Run("with data under way", func(t *testing.T) {
		l := h.kernelListen(t, kernelV6)
		ctl := h.daemon.ctl(t, "connect", l.Addr().String())
		ctl.Stdin = open(t, "/dev/zero", os.O_RDONLY)
		background(t, ctl)
		k := accept(t, l)
		if _, err := io.ReadFull(k, make([]byte, mebibyte)); err != nil {
			t.Fatal(err)
		}
		kill(t, ctl)
		killed := time.Now()
		_ = k.SetReadDeadline(killed.Add(2 * second))
		if _, err := io.Copy(io.Discard, k); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the peer has seen nothing of it")
		}
		h.daemon.wantIdle(t, second)
	})
	t.Run("listener", func(t *testing.T) {
		const address = ourV4 + ":7001"
		ctl := h.daemon.ctl(t, "listen", "-k", address)
		hold(t, ctl)
		awaitOurListener(t, h, 1)
		kill(t, ctl)
		h.daemon.wantIdle(t, second)
		if c, err := h.Dial(address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialled %v, %v: want a refusal", c, err)
		}
	})
	h.daemon.wantNoLeak(t, second, had)
}

// TestDaemonKilled kills the daemon: its clients see a reset, a listener fails, and a new daemon takes over at once, on
// the same device and the same socket.
func TestDaemonKilled(t *testing.T) {
	h := newHost(t)
	l := h.kernelListen(t, kernelV4)
	ours := h.daemon.listen(t, client.DataSocket, net.JoinHostPort(ourV4, "0"))
	conns := map[client.Transport]net.Conn{}
	for _, transport := range transports {
		conns[transport] = h.daemon.dial(t, transport, l.Addr().String())
		accept(t, l)
	}
	kill(t, h.daemon.cmd)
	for transport, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), "has gone") {
			t.Errorf("%v: read: %v, want a reset that says why", transport, err)
		}
	}
	if c, err := ours.Accept(); err == nil {
		t.Errorf("accepted %v of a daemon that is dead", c)
	}
	<-h.daemon.exited
	fresh := startDaemonAt(t, h.Namespace, h.daemon.socket, "--tun", device, "--address", ourV4+"/16")
	c := fresh.dial(t, client.DataSocket, l.Addr().String())
	transfer(t, c, accept(t, l), 1, mebibyte)
	// The clients of the one before find the one that is there now.
	c = h.daemon.dial(t, client.DataSocket, l.Addr().String())
	transfer(t, c, accept(t, l), 1, mebibyte)
}

// kill ends a program with SIGKILL; background waits for it.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// terminate tells the daemon to stop, and returns a function that waits for its end.
func (d *daemon) terminate(t *testing.T) (wait func()) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	return func() {
		t.Helper()
		select {
		case <-d.exited:
		case <-time.After(time.Until(began.Add(stopLimit))):
			t.Fatalf("starfishd runs %v after SIGTERM", stopLimit)
		}
		if code := exitStatus(d.cmd.ProcessState); code != 0 {
			t.Errorf("exit status %d", code)
		}
		t.Logf("stopped after %v", time.Since(began).Round(time.Millisecond))
		if _, err := os.Stat(d.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	}
}

// TestStop stops the daemon with SIGTERM while a connection is open: its peer gets what was sent and then FIN.
func TestStop(t *testing.T) {
	h := newHost(t)
	l := h.kernelListen(t, kernelV4)
	c := h.daemon.dial(t, client.DataSocket, l.Addr().String())
	k := accept(t, l)
	h.daemon.listen(t, client.DataSocket, net.JoinHostPort(ourV4, "7001"))
	if _, err := c.Write([]byte("goodbye")); err != nil {
		t.Fatal(err)
	}
	wait := h.daemon.terminate(t)
	_ = k.SetReadDeadline(time.Now().Add(5 * time.Second))
	if got, err := io.ReadAll(k); err != nil || string(got) != "goodbye" {
		t.Errorf("the peer reads %q, %v: want the data and the end of file", got, err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	wait()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the client's connection gives data")
	}
}

// TestStopIsBounded stops the daemon while a peer neither reads nor closes.
func TestStopIsBounded(t *testing.T) {
	h := newHost(t)
	l := h.kernelListen(t, kernelV4)
	c := h.daemon.dial(t, client.DataSocket, l.Addr().String())
	accept(t, l)
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := io.Copy(struct{ io.Writer }{c}, content(1, 64*mebibyte)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a peer that does not read takes 64 MiB: %v", err)
	}
	h.daemon.terminate(t)()
}

// TestHalfClose has each side in turn say all it has to say before the other one answers.
func TestHalfClose(t *testing.T) {
	h := newHost(t)
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			l := h.kernelListen(t, kernelV4)
			c := h.daemon.dial(t, transport, l.Addr().String())
			k := accept(t, l)
			t.Run("ours first", func(t *testing.T) {
				transfer(t, c, k, 1, mebibyte)
				transfer(t, k, c, 2, mebibyte)
			})
			c = h.daemon.dial(t, transport, l.Addr().String())
			k = accept(t, l)
			t.Run("the peer's first", func(t *testing.T) {
				transfer(t, k, c, 1, mebibyte)
				transfer(t, c, k, 2, mebibyte)
			})
		})
	}
	t.Run("nc", func(t *testing.T) {
		need(t, "nc")
		// It answers only after the end of what it gets, as wc can't know before.
		background(t, h.daemon.ctl(t, "listen", "-k", "--exec", "wc -c", net.JoinHostPort(ourV4, "7001")))
		awaitOurListener(t, h, 1)
		if got := h.Run(t, fmt.Sprintf("head -c 3000000 /dev/zero | nc -N %s 7001", ourV4)); strings.TrimSpace(got) != "3000000" {
			t.Errorf("wc counted %q", got)
		}
	})
}

// TestPeerResets has the peer reset a connection: reads and writes fail with ECONNRESET.
func TestPeerResets(t *testing.T) {
	h := newHost(t)
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			l := h.kernelListen(t, kernelV4)
			c := h.daemon.dial(t, transport, l.Addr().String())
			k := accept(t, l).(*net.TCPConn)
			if err := errors.Join(k.SetLinger(0), k.Close()); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v", err)
			}
		})
	}
}
