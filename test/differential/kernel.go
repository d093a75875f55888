package differential

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/test/netns"
)

// Kernel is Linux's TCP in a namespace of its own. Its peers are on the other side of a TUN device, which the test reads
// and writes.
type Kernel struct {
	ns     *netns.Namespace
	device int
	diag   *diag
	byPeer map[wire.Addr]*kernelLane
	buffer []byte
}

const (
	tunControl = "/dev/net/tun"
	tunName    = "differential"
)

// kernelSettings make the kernel answer at once or not at all: no limits to the rate of replies, no delayed ACKs, and no
// timer that would run while a sequence lasts.
const kernelSettings = `
ip link set ` + tunName + ` mtu 1500 txqueuelen 10000 up
ip address add 10.77.0.1/16 dev ` + tunName + `
ip route replace 10.77.0.0/16 dev ` + tunName + ` src 10.77.0.1 quickack 1 rto_min 20s
cd /proc/sys/net/ipv4
set_if() { [ ! -e "$1" ] || echo "$2" >"$1"; }
set_if tcp_invalid_ratelimit 0
set_if tcp_challenge_ack_limit 2147483647
set_if tcp_early_retrans 0
set_if tcp_syncookies 0
set_if tcp_no_metrics_save 1
set_if tcp_comp_sack_nr 0
set_if tcp_tw_reuse 0
set_if tcp_fastopen 0
set_if tcp_abort_on_overflow 0
`

// NewKernel makes the namespace and the device, or skips the test where this user can't.
func NewKernel(t testing.TB) *Kernel {
	t.Helper()
	probe, err := unix.Open(tunControl, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("the kernel's half needs %s: %v", tunControl, err)
	}
	closeFile(t, probe)
	k := &Kernel{ns: netns.New(t), buffer: make([]byte, 65_536)}
	err = k.ns.Do(func() error {
		if k.device, err = openTUN(); err != nil {
			return err
		}
		k.diag, err = openDiag()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFile(t, k.device); closeFile(t, k.diag.fd) })
	k.ns.Run(t, kernelSettings)
	return k
}

func closeFile(t testing.TB, fd int) {
	t.Helper()
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
}

func openTUN() (int, error) {
	fd, err := unix.Open(tunControl, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("open "+tunControl, err)
	}
	ifr, err := unix.NewIfreq(tunName)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		return -1, errors.Join(os.NewSyscallError("TUNSETIFF", err), unix.Close(fd))
	}
	return fd, nil
}

// Name is what leeways call it.
func (*Kernel) Name() string { return "kernel" }

// Open makes a socket for each lane, inside.
func (k *Kernel) Open(places []Place) ([]Lane, error) {
	k.byPeer = make(map[wire.Addr]*kernelLane, len(places))
	lanes := make([]Lane, 0, len(places))
	err := k.ns.Do(func() error {
		for _, p := range places {
			l := &kernelLane{kernel: k, place: p, conn: noSocket, listener: noSocket}
			k.byPeer[p.Remote.Addr] = l
			lanes = append(lanes, l)
			for i := range l.spare {
				fd, err := newSocket()
				if err != nil {
					return err
				}
				l.spare[i] = fd
			}
		}
		return nil
	})
	return lanes, err
}

func newSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, errors.Join(
		os.NewSyscallError("SO_REUSEADDR", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)),
		os.NewSyscallError("TCP_NODELAY", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)),
	)
}

// quiet is how long nothing must come for the kernel to have answered. It answers before a write to the device or a call
// returns; only when its soft interrupts are put off does it take longer.
const quiet = 2 * time.Millisecond

// Settle reads the device until it is quiet, and asks for all states.
func (k *Kernel) Settle() error {
	for {
		more, err := k.poll()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if err := k.readAll(); err != nil {
			return err
		}
	}
	return k.readStates()
}

func (k *Kernel) poll() (bool, error) {
	fds := []unix.PollFd{{Fd: int32(k.device), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(quiet.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0, os.NewSyscallError("poll", err)
		}
	}
}

func (k *Kernel) readAll() error {
	for {
		n, err := unix.Read(k.device, k.buffer)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("read the device", err)
		}
		var ip wire.IP
		if wire.ParseIP(k.buffer[:n], &ip) == wire.None {
			if lane := k.byPeer[ip.Dst]; lane != nil {
				lane.sent = append(lane.sent, append([]byte(nil), k.buffer[:n]...))
			}
		}
	}
}

// deliver writes a packet to the device.
func (k *Kernel) deliver(packet []byte) error {
	if _, err := unix.Write(k.device, packet); err != nil {
		return fmt.Errorf("write to the device: %w", err)
	}
	return nil
}

// nativeUint32 is how netlink writes its numbers.
func nativeUint32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
