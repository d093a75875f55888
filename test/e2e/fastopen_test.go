package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/client"
)

// TestFastOpen opens connections to and from the kernel's TCP, which both know the peer from the second one on: then the data
// must be in the SYN, as tcpdump sees it, and be taken.
func TestFastOpen(t *testing.T) {
	need(t, "tcpdump")
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			h := newHost(t)
			h.Run(t, "sysctl -qw net.ipv4.tcp_fastopen=3") // to connect, and to listen
			pcap := filepath.Join(t.TempDir(), "pcap")
			stop := capture(t, h, pcap, 2048)
			to := h.kernelListen(t, f.kernels)
			allowFastOpen(t, to)
			from := fastListen(t, h, net.JoinHostPort(f.ours, "0"))
			for i := range 3 {
				say := fmt.Sprintf("number %d from us", i)
				ours, err := h.daemon.dialer(client.DataSocket).DialFastOpen(within(t, programLimit), "tcp", to.Addr().String(), []byte(say))
				if err != nil {
					t.Fatal(err)
				}
				answerTo(t, ours, to, say)
				say = fmt.Sprintf("number %d from the kernel", i)
				answerTo(t, kernelSays(t, h, from.Addr(), say), from, say)
			}
			stop()
			for name, want := range map[string]uint64{
				"TcpExtTCPFastOpenActive": 2, "TcpExtTCPFastOpenActiveFail": 0,
				"TcpExtTCPFastOpenPassive": 2, "TcpExtTCPFastOpenPassiveFail": 0,
			} {
				if got := h.daemon.counter(t, name); got != want {
					t.Errorf("%s is %d, want %d", name, got, want)
				}
			}
			for port, want := range map[int]string{portOf(to.Addr()): "from us", portOf(from.Addr()): "from the kernel"} {
				wantDataInSyns(t, pcap, port, want)
			}
		})
	}
}

// fastListen opens a listener of the stack that takes data in SYNs.
func fastListen(t *testing.T, h *host, address string) net.Listener {
	t.Helper()
	lc := client.ListenConfig{Client: h.daemon.client, Options: client.Options{FastOpen: true}}
	l, err := lc.Listen(within(t, programLimit), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// allowFastOpen has a listener of the kernel take data in SYNs.
func allowFastOpen(t *testing.T, l net.Listener) {
	t.Helper()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const queue = 16
	if err := errors.Join(raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN, queue)
	}), err); err != nil {
		t.Skipf("the kernel has no Fast Open: %v", err)
	}
}

// kernelSays connects from the kernel and sends text at once. With a cookie at hand, connect returns before anything is sent.
func kernelSays(t *testing.T, h *host, to net.Addr, text string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1)
		}), err)
	}}
	var c net.Conn
	if err := h.Do(func() (err error) {
		c, err = dialer.Dial("tcp", to.String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// answerTo accepts the other end of a connection, checks what it was sent, and answers.
func answerTo(t *testing.T, asking net.Conn, l net.Listener, want string) {
	t.Helper()
	taken := accept(t, l)
	setDeadlines(mebibyte, asking.(duplex), taken)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(taken, got); err != nil || string(got) != want {
		t.Fatalf("received %q, %v, want %q", got, err, want)
	}
	if _, err := io.WriteString(taken, "yes"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.LimitReader(asking, 3)); err != nil || string(got) != "yes" {
		t.Fatalf("answered by %q, %v", got, err)
	}
	for _, c := range []net.Conn{asking, taken} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func portOf(a net.Addr) int { return a.(*net.TCPAddr).Port }

// wantDataInSyns checks in a capture that, of three connections to a port, the first asked for a cookie, and the SYNs of the
// others carried text.
func wantDataInSyns(t *testing.T, pcap string, port int, text string) {
	t.Helper()
	// Of IPv6 tcpdump's filters don't reach TCP's flags, so they are looked for in what it prints.
	printed := "\n" + output(t, programLimit, exec.Command("tcpdump", "-n", "-t", "-A", "-r", pcap, fmt.Sprintf("dst port %d", port)))
	var syns, withData int
	for packet := range strings.SplitSeq(printed, "\nIP") {
		if !strings.Contains(packet, "Flags [S],") {
			continue
		}
		syns++
		if strings.Contains(packet, text) && strings.Contains(packet, "tfo  cookie") {
			withData++
		}
	}
	if syns != 3 || withData != 2 {
		t.Errorf("of %d SYNs to port %d, %d carry %q, want 2 of 3:\n%s", syns, port, withData, text, printed)
	}
}
