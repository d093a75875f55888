package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

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

// Ports of programs that can't say which one they were given.
const (
	ncPort    = 9001
	nginxPort = 9002
	sshdPort  = 9003
	iperfPort = 9004
)

// fileSize is how much the tests that go through files move.
const fileSize = 16 * mebibyte

// programLimit bounds what a program does in a test.
const programLimit = 60 * time.Second

// family is an address family: an address of the stack, and the kernel's beside it.
type family struct{ name, ours, kernels string }

var families = []family{
	{"IPv4", ourV4, kernelV4},
	{"IPv6", ourV6, kernelV6},
}

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
