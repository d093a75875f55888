package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
	"github.com/MUCZ/Starfish/test/netns"
)

// The names and addresses of the first host. Those of a second one differ in the number 144.
const (
	device   = "sf0"
	ourV4    = "10.144.0.2"
	kernelV4 = "10.144.0.1" // the kernel's side of the device
	ourV6    = "fd00:144::2"
	kernelV6 = "fd00:144::1"
)

// host is a machine of its own, as far as the network goes, with starfishd on a TUN device.
type host struct {
	*netns.Namespace
	daemon *daemon
}

// newHost starts starfishd with these flags besides its socket, device and addresses.
func newHost(t testing.TB, flags ...string) *host {
	t.Helper()
	addresses := []string{"--address", ourV4 + "/16", "--address", ourV6 + "/64"}
	return newHostAt(t, addresses, flags...)
}

// newHostAt is newHost with other addresses.
func newHostAt(t testing.TB, addresses []string, flags ...string) *host {
	t.Helper()
	needTun(t)
	h := &host{Namespace: netns.New(t)}
	h.daemon = startDaemon(t, h.Namespace, append(append([]string{"--tun", device}, addresses...), flags...)...)
	return h
}

func needTun(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs /dev/net/tun: %v", err)
	}
	_ = f.Close()
}

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
	dir := shortDir(t)
	d := &daemon{socket: filepath.Join(dir, "s.sock"), log: new(lockedBuffer), exited: make(chan struct{})}
	d.cmd = ns.Command(program(t, "starfishd"), append([]string{"--config", writeFile(t, dir, "config", config), "--socket", d.socket}, flags...)...)
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

// kernelListen opens a listener of the kernel's TCP in the namespace, on a port that the kernel chooses.
func (h *host) kernelListen(t testing.TB, address string) net.Listener {
	t.Helper()
	return listenIn(t, h.Namespace, address)
}

func listenIn(t testing.TB, ns *netns.Namespace, address string) net.Listener {
	t.Helper()
	l, err := ns.Listen(net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// kernelDial opens a connection of the kernel's TCP from the namespace.
func (h *host) kernelDial(t testing.TB, address net.Addr) *net.TCPConn {
	t.Helper()
	return dialFrom(t, h.Namespace, address)
}

func dialFrom(t testing.TB, ns *netns.Namespace, address net.Addr) *net.TCPConn {
	t.Helper()
	c, err := ns.Dial(address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// awaitListener waits until some program listens on the port in the namespace.
func awaitListener(t testing.TB, ns *netns.Namespace, port int) {
	t.Helper()
	eventually(t, 10*time.Second, fmt.Sprintf("port %d is listened on", port), func() error {
		out, err := ns.Command("ss", "-Hltn", "sport", "=", strconv.Itoa(port)).CombinedOutput()
		if err == nil && len(bytes.TrimSpace(out)) == 0 {
			err = errors.New("nobody")
		}
		return err
	})
}

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

// shortDir is t.TempDir with a path that leaves room in a unix socket's address.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // a user who may not use the socket still finds it
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// writeFile makes a file and returns its path.
func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// exitStatus returns how a program ended: its status, or 128 and the signal's number, as the shell does.
func exitStatus(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

func portOf(a net.Addr) int {
	return int(netip.MustParseAddrPort(a.String()).Port())
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
