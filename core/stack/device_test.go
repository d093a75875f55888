package stack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
	"github.com/MUCZ/Starfish/test/netns"
)

// lab is a Stack on a TUN device in a network namespace, with the kernel's own TCP on the other side.
type lab struct {
	*netns.Namespace
	stack   *Stack
	kernel4 string
	kernel6 string
}

func startLab(t testing.TB, cfg tun.Config) *lab {
	t.Helper()
	lab := &lab{Namespace: netns.New(t), kernel4: "10.144.0.1", kernel6: "fd00:144::1"}
	pool := zbuf.NewPool(0)
	cfg.Name, cfg.Pool, cfg.Up, cfg.Logf = "sftest", pool, true, t.Logf
	cfg.Addresses = prefixes(lab.kernel4+"/16", lab.kernel6+"/64")
	var device tun.Device
	if err := lab.Do(func() (err error) {
		device, err = tun.Open(cfg)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := device.Close(); err != nil {
			t.Error(err)
		}
		if n := pool.InUse(); n != 0 {
			t.Errorf("%d bytes of buffers are in use after Close", n)
		}
	})
	lab.stack = startStack(t, Config{
		Device: device, Pool: pool,
		KernelAddresses: []netip.Addr{netip.MustParseAddr(lab.kernel4), netip.MustParseAddr(lab.kernel6)},
	})
	return lab
}

// overDevices runs a test on each kind of device.
func overDevices(t *testing.T, f func(t *testing.T, lab *lab)) {
	for name, cfg := range map[string]tun.Config{
		"offload":  {Offload: tun.On},
		"plain":    {Offload: tun.Off},
		"MTU 1280": {Offload: tun.On, MTU: 1280}, // the least that IPv6 wants
		"MTU 64K":  {Offload: tun.Off, MTU: 65535},
		"4 queues": {Offload: tun.On, Queues: 4},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			f(t, startLab(t, cfg))
		})
	}
}

// families runs f with the kernel's and one of the Stack's addresses, in each family.
func (l *lab) families(t *testing.T, f func(t *testing.T, kernel, ours string)) {
	for _, pair := range [][2]string{{l.kernel4, "10.144.77.5"}, {"[" + l.kernel6 + "]", "[fd00:144::77:5]"}} {
		f(t, pair[0], pair[1])
	}
}

// The kernel connects to a Stack's listener, and both send at once; then the Stack connects to the kernel's.
func TestKernelPeer(t *testing.T) {
	overDevices(t, func(t *testing.T, lab *lab) {
		lab.families(t, func(t *testing.T, kernel, ours string) {
			l, err := lab.stack.Listen("tcp", ours+":80")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			peer, err := lab.Dial(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			exchange(t, conn, peer)

			kl, err := lab.Listen(kernel + ":0")
			if err != nil {
				t.Fatal(err)
			}
			defer kl.Close()
			conn, err = lab.stack.Dial("tcp", kl.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			peer, err = kl.Accept()
			if err != nil {
				t.Fatal(err)
			}
			exchange(t, conn, peer)
		})
	})
}

// exchange sends 8 MiB each way between two ends at once, and closes both.
func exchange(t testing.TB, a, b net.Conn) {
	t.Helper()
	const size = 8 << 20
	var wg sync.WaitGroup
	for _, c := range []net.Conn{a, b} {
		c.SetDeadline(time.Now().Add(2 * patience))
		wg.Go(func() {
			if _, err := io.Copy(struct{ io.Writer }{c}, &pattern{end: size}); err != nil {
				t.Error(err)
			}
			if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := verifyStream(c, size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a.Close()
	b.Close()
}

func TestConnWithKernelPeer(t *testing.T) {
	noLeaks(t)
	lab := startLab(t, tun.Config{Offload: tun.On})
	l, err := lab.stack.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		peer, err := lab.Dial("10.144.0.9:80")
		if err != nil {
			return nil, nil, nil, err
		}
		conn, err := l.Accept()
		if err != nil {
			return nil, nil, nil, err
		}
		return conn, peer, func() {
			conn.Close()
			peer.Close()
		}, nil
	})
}

// Netcat, which is not ours and not Go, in both roles; the file's SHA-256 is the judge.
func TestNetcat(t *testing.T) {
	lab := startLab(t, tun.Config{Offload: tun.On})
	for _, program := range []string{"nc", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	const size = 32 << 20
	sum := sha256.New()
	io.Copy(sum, &pattern{end: size})
	want := fmt.Sprintf("%x", sum.Sum(nil))

	cmd := lab.Command("sh", "-c", "nc -l "+lab.kernel4+" 7000 </dev/null | sha256sum")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	eventually(t, "nc listens", func() bool {
		var err error
		conn, err = lab.stack.Dial("tcp", lab.kernel4+":7000")
		return err == nil
	})
	if _, err := io.Copy(conn, &pattern{end: size}); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(out.String())[0]; got != want {
		t.Errorf("nc received a stream with SHA-256 %s, want %s", got, want)
	}

	l, err := lab.stack.Listen("tcp", "10.144.0.2:7001")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sender := lab.Command("sh", "-c", "head -c 33554432 /dev/zero | nc -N 10.144.0.2 7001")
	if err := sender.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got, zeros := sha256.New(), sha256.New()
	if n, err := io.Copy(got, conn); err != nil || n != size {
		t.Fatalf("received %d bytes, %v", n, err)
	}
	conn.Close()
	if err := sender.Wait(); err != nil {
		t.Fatal(err)
	}
	zeros.Write(make([]byte, size))
	if string(got.Sum(nil)) != string(zeros.Sum(nil)) {
		t.Error("the stream from nc differs")
	}
}

// The kernel's echo requests are answered, over both families.
func TestEcho(t *testing.T) {
	overDevices(t, func(t *testing.T, lab *lab) {
		for _, to := range []string{"10.144.0.2", "10.144.200.1", "fd00:144::77"} {
			for _, size := range []int{0, 1, 1000, 9000} { // the last in fragments, except on the largest MTU
				if err := lab.echo(to, size, 10); err != nil {
					t.Errorf("echo of %d bytes to %s: %v", size, to, err)
				}
			}
		}
		if n := counter(t, lab.stack, "EchoReplies"); n < 12 {
			t.Errorf("%d replies, want 12, or more where requests were sent again", n)
		}
		if n := counter(t, lab.stack, "FragmentsReassembled"); lab.stack.MTU() < 9000 && n != 3 {
			t.Errorf("%d packets put together of fragments, want 3", n)
		}
		if err := lab.echo("10.144.255.255", 8, 1); err == nil {
			t.Error("a broadcast is answered")
		}
	})
}

// echo sends a request from the kernel's side, each second as ping does until so many are sent, and checks the reply.
func (l *lab) echo(to string, size, requests int) error {
	network, request, reply := "ip4:icmp", byte(wire.ICMPEchoRequest), byte(wire.ICMPEchoReply)
	if strings.Contains(to, ":") {
		network, request, reply = "ip6:ipv6-icmp", wire.ICMPv6EchoRequest, wire.ICMPv6EchoReply
	}
	var conn net.Conn
	if err := l.Do(func() (err error) {
		conn, err = net.Dial(network, to)
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	message := make([]byte, wire.ICMPHeaderLen+size)
	copy(message[wire.ICMPHeaderLen:], patternFrom(int64(size)))
	message[0], message[4], message[7] = request, 0x12, byte(size)
	if request == wire.ICMPEchoRequest { // the kernel fills ICMPv6's in
		binary.BigEndian.PutUint16(message[wire.ICMPChecksumOffset:], ^wire.Fold(wire.Sum(0, message)))
	}
	for {
		if _, err := conn.Write(message); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		got, err := readEcho(conn.(*net.IPConn), reply)
		if requests--; requests > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err == nil && (len(got) != len(message) || !bytes.Equal(got[4:], message[4:])) {
			err = fmt.Errorf("reply %x to %x", got[:8], message[:8])
		}
		return err
	}
}

// readEcho waits for a message of that type.
func readEcho(conn *net.IPConn, reply byte) ([]byte, error) {
	buf := make([]byte, 16<<10)
	for {
		n, _, err := conn.ReadFrom(buf) // Read would give IPv4's header too
		if err != nil || n > 0 && buf[0] == reply {
			return buf[:n], err
		}
	}
}

func TestErrorsFromKernelPeer(t *testing.T) {
	noLeaks(t)
	lab := startLab(t, tun.Config{})
	if _, err := lab.stack.Dial("tcp", lab.kernel4+":9"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed port: %v, want ECONNREFUSED", err)
	}
	if _, err := lab.Dial("10.144.0.2:9"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the kernel dials a closed port: %v, want ECONNREFUSED", err)
	}
	// The kernel has no route, and says so by ICMP.
	lab.Run(t, "echo 1 > /proc/sys/net/ipv4/ip_forward; ip route add unreachable 192.0.2.0/24")
	_, err := lab.stack.DialTCP(t.Context(), netip.AddrPort{}, netip.MustParseAddrPort("192.0.2.1:80"),
		&tcp.Options{ConnectTimeout: 2 * time.Second})
	if !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("unreachable: %v, want EHOSTUNREACH", err)
	}
	l, err := lab.stack.Listen("tcp", "10.144.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := lab.Dial("10.144.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the kernel resets: %v, want ECONNRESET", err)
	}
	conn.Close()
}

func TestManyConnectionsFromKernel(t *testing.T) {
	noLeaks(t)
	lab := startLab(t, tun.Config{Queues: 2})
	l, err := lab.stack.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 100)
	for i := range 1000 {
		slots <- struct{}{}
		c, err := lab.Dial(fmt.Sprintf("10.144.%d.%d:80", i/250, 2+i%250))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer c.Close()
			message := fmt.Sprintf("message %d", i)
			io.WriteString(c, message)
			c.(*net.TCPConn).CloseWrite()
			if err := verifyText(c, message); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A device that goes away fails what uses it and nothing else.
func TestDeviceDeleted(t *testing.T) {
	lab := startLab(t, tun.Config{})
	lab.Run(t, "ip link delete sftest")
	eventually(t, "the shard notices", func() bool {
		failed := false
		err := lab.stack.shards[0].call(func(s *shard) { failed = s.in.failed })
		return err == nil && failed
	})
	_, err := lab.stack.DialTCP(t.Context(), netip.AddrPort{}, netip.MustParseAddrPort(lab.kernel4+":1"),
		&tcp.Options{ConnectTimeout: 50 * time.Millisecond})
	if !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("dial through a device that is gone: %v, want ETIMEDOUT", err)
	}
	client, server := connect(t, lab.stack, lab.stack, nil)
	client.Close()
	server.Close()
	turns := counter(t, lab.stack, "ShellTurns")
	time.Sleep(50 * time.Millisecond)
	if n := counter(t, lab.stack, "ShellTurns") - turns; n > 100 {
		t.Errorf("the shard turned %d times with nothing to do", n)
	}
}
