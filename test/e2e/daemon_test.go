package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
	"github.com/MUCZ/Starfish/test/netns"
)

// daemon is a starfishd under test.
type daemon struct {
	socket string
	cmd    *exec.Cmd
	log    *lockedBuffer
	exited chan struct{} // closed after Wait; then cmd.ProcessState holds
	client *client.Client
}

// config keeps the daemon from reading the machine's own.
const config = "log_format: console\n"

// startDaemon starts starfishd in the namespace and returns when it answers.
func startDaemon(t testing.TB, ns *netns.Namespace, flags ...string) *daemon {
	t.Helper()
	return startDaemonAt(t, ns, filepath.Join(shortDir(t), "s.sock"), flags...)
}

// startDaemonAt is startDaemon with the socket's path.
func startDaemonAt(t testing.TB, ns *netns.Namespace, socket string, flags ...string) *daemon {
	t.Helper()
	d := &daemon{socket: socket, log: new(lockedBuffer), exited: make(chan struct{})}
	own := []string{"--config", writeFile(t, t.TempDir(), "config", config), "--socket", socket}
	d.cmd = ns.Command(program(t, "starfishd"), append(own, flags...)...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	start(t, d.cmd)
	go func() {
		_ = d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() { d.finish(t) })
	var err error
	if d.client, err = client.New(d.socket); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "starfishd answers", func() error {
		select {
		case <-d.exited:
			t.Fatalf("starfishd has exited with %v:\n%s", d.cmd.ProcessState, d.log)
		default:
		}
		_, err := d.client.Info(within(t, time.Second))
		return err
	})
	return d
}

// finish ends the daemon if the test has not, and shows what it wrote if the test failed.
func (d *daemon) finish(t testing.TB) {
	if d.client != nil {
		_ = d.client.Close()
	}
	_ = d.cmd.Process.Kill()
	<-d.exited
	if wrote := d.log.String(); t.Failed() || strings.Contains(wrote, "panic:") || strings.Contains(wrote, "fatal error:") {
		t.Errorf("starfishd wrote:\n%s", wrote)
	}
}

// dialer opens connections of the stack.
func (d *daemon) dialer(transport client.Transport) *client.Dialer {
	return &client.Dialer{Client: d.client, Transport: transport, Timeout: 10 * time.Second}
}

// dial opens a connection of the stack, which ends with the test.
func (d *daemon) dial(t testing.TB, transport client.Transport, address string) *client.Conn {
	t.Helper()
	c, err := d.dialer(transport).Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*client.Conn)
}

// listen opens a listener of the stack, which ends with the test.
func (d *daemon) listen(t testing.TB, transport client.Transport, address string) net.Listener {
	t.Helper()
	l, err := (&client.ListenConfig{Client: d.client, Transport: transport}).Listen(within(t, 5*time.Second), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// ctl is starfishctl with this daemon's socket, to be run outside of the namespace: it needs none of its network.
func (d *daemon) ctl(t testing.TB, arg ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(program(t, "starfishctl"), append([]string{"--socket", d.socket}, arg...)...)
}

// ctlInside is ctl inside the namespace, for verbs that may use the kernel's sockets.
func (h *host) ctlInside(t testing.TB, arg ...string) *exec.Cmd {
	t.Helper()
	return h.Command(program(t, "starfishctl"), append([]string{"--socket", h.daemon.socket}, arg...)...)
}

// connections returns how many connections and listeners of clients the daemon has. What is left of those that clients
// closed, orphans on their way through RFC 9293's last states, does not count.
func (d *daemon) connections(t testing.TB) (connections, listeners int) {
	t.Helper()
	cs, ls, err := d.client.Connections(within(t, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		if c.GetId() != 0 {
			connections++
		}
	}
	return connections, len(ls)
}

// wantIdle waits until the daemon has neither connections nor listeners of clients.
func (d *daemon) wantIdle(t testing.TB, limit time.Duration) {
	t.Helper()
	eventually(t, limit, "the daemon holds nothing", func() error {
		if c, l := d.connections(t); c != 0 || l != 0 {
			return fmt.Errorf("%d connections, %d listeners", c, l)
		}
		return nil
	})
}

// descriptors returns how many descriptors the daemon has open.
func (d *daemon) descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// restBuffers bounds the bytes of buffers that a daemon keeps for what may come when it has no connection.
const restBuffers = mebibyte

// wantNoLeak waits until the daemon has let go of everything: connections, descriptors beyond those that it had, buffers.
func (d *daemon) wantNoLeak(t testing.TB, limit time.Duration, had int) {
	t.Helper()
	d.wantIdle(t, limit)
	eventually(t, limit, "the daemon has given everything back", func() error {
		if n := d.descriptors(t); n > had {
			return fmt.Errorf("%d descriptors, %d at first", n, had)
		}
		if n := d.counter(t, "BufferBytesInUse"); n > restBuffers {
			return fmt.Errorf("%d bytes of buffers", n)
		}
		return nil
	})
}

// counter returns one of the daemon's counters.
func (d *daemon) counter(t testing.TB, name string) uint64 {
	t.Helper()
	counters, err := d.client.Stats(within(t, second))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counters {
		if c.GetName() == name {
			return c.GetValue()
		}
	}
	t.Fatalf("no counter %s", name)
	return 0
}
