package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

var (
	kernel4, kernel6 = netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fd77::1/64")
	ours4, ours6     = netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")
)

// openDevice opens a device that is up and has the kernel's addresses of both families.
func openDevice(t testing.TB, pool *zbuf.Pool, cfg Config) Device {
	t.Helper()
	needDevice(t)
	cfg.Pool, cfg.Up, cfg.Logf = pool, true, t.Logf
	if cfg.Addresses == nil {
		cfg.Addresses = []netip.Prefix{kernel4, kernel6}
	}
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// bothModes runs a test with and without offload.
func bothModes(t *testing.T, f func(t *testing.T, m Mode)) {
	for _, m := range []Mode{On, Off} {
		t.Run("offload="+m.String(), func(t *testing.T) { f(t, m) })
	}
}

// makePersistent makes a device as tun.sh does: it stays, and belongs to a user.
func makePersistent(t *testing.T, name string, flags uint16, owner int) {
	t.Helper()
	needDevice(t)
	fd, err := openControl()
	if err != nil {
		t.Fatal(err)
	}
	_, err = setInterface(fd, name, unix.IFF_NO_PI|flags)
	err = errors.Join(err, unix.IoctlSetInt(fd, unix.TUNSETOWNER, owner), unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1), unix.Close(fd))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fd, err := openControl()
		if err != nil {
			t.Fatal(err)
		}
		_, err = setInterface(fd, name, unix.IFF_NO_PI|flags)
		if err := errors.Join(err, unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0), unix.Close(fd)); err != nil {
			t.Error(err)
		}
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func exists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

func TestOpenSetsUpDevice(t *testing.T) {
	bothModes(t, func(t *testing.T, m Mode) {
		d := openDevice(t, newTestPool(t), Config{Name: "sf0", Offload: m, MTU: 9000})
		if d.Name() != "sf0" || d.MTU() != 9000 || len(d.Queues()) != 1 {
			t.Errorf("%s: MTU %d, %d queues", d.Name(), d.MTU(), len(d.Queues()))
		}
		if want := (map[Mode]Offload{On: allOffloads})[m]; d.Offload() != want {
			t.Errorf("Offload() = %+v, want %+v", d.Offload(), want)
		}
		ifi, err := net.InterfaceByName("sf0")
		if err != nil {
			t.Fatal(err)
		}
		if ifi.MTU != 9000 || ifi.Flags&net.FlagUp == 0 {
			t.Errorf("kernel has MTU %d, flags %v", ifi.MTU, ifi.Flags)
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{kernel4.String(), kernel6.String()} {
			if !strings.Contains(fmt.Sprint(addrs), want) {
				t.Errorf("kernel has addresses %v, want %s", addrs, want)
			}
		}
		if got := txQueueLen(t, "sf0"); got != DefaultTxQueueLen {
			t.Errorf("txqueuelen = %d, want %d", got, DefaultTxQueueLen)
		}
	})
}

func txQueueLen(t *testing.T, name string) int {
	t.Helper()
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sock)
	ifr, err := link{sock: sock, name: name}.ioctl(unix.SIOCGIFTXQLEN, nil)
	if err != nil {
		t.Fatal(err)
	}
	return int(ifr.Uint32())
}

func TestOpenDescriptors(t *testing.T) {
	bothModes(t, func(t *testing.T, m Mode) {
		needDevice(t)
		pool := newTestPool(t)
		before := openFiles(t)
		for range 3 {
			d, err := Open(Config{Queues: 2, Offload: m, Pool: pool})
			if err != nil {
				t.Fatal(err)
			}
			if d.Name() == "" || len(d.Queues()) != 2 {
				t.Errorf("device %q with %d queues", d.Name(), len(d.Queues()))
			}
			if got := openFiles(t); got != before+2 {
				t.Errorf("%d descriptors for 2 queues", got-before)
			}
			for _, q := range d.Queues() {
				fl, err := unix.FcntlInt(uintptr(q.FD()), unix.F_GETFD, 0)
				if err != nil || fl&unix.FD_CLOEXEC == 0 {
					t.Errorf("no CLOEXEC: %v", err)
				}
				fl, err = unix.FcntlInt(uintptr(q.FD()), unix.F_GETFL, 0)
				if err != nil || fl&unix.O_NONBLOCK == 0 {
					t.Errorf("no O_NONBLOCK: %v", err)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if exists(d.Name()) {
				t.Errorf("%s is still there", d.Name())
			}
		}
		if got := openFiles(t); got != before {
			t.Errorf("%d descriptors leaked", got-before)
		}
	})
}

// TestOpenKeepsPersistentDevice attaches to a device that was there: it must be there afterwards.
func TestOpenKeepsPersistentDevice(t *testing.T) {
	makePersistent(t, "sf1", unix.IFF_TUN, 0)
	for _, m := range []Mode{On, Off, On} {
		d, err := Open(Config{Name: "sf1", Offload: m, Pool: newTestPool(t), Up: true, Addresses: []netip.Prefix{kernel4}})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if !exists("sf1") {
			t.Fatalf("the device vanished with its user (offload %v)", m)
		}
	}
}

// TestOpenAttachesToMultiQueueDevice uses one queue of a device that was made for several.
func TestOpenAttachesToMultiQueueDevice(t *testing.T) {
	makePersistent(t, "sf2", unix.IFF_TUN|unix.IFF_MULTI_QUEUE, 0)
	bothModes(t, func(t *testing.T, m Mode) {
		openDevice(t, newTestPool(t), Config{Name: "sf2", Offload: m})
	})
}

func TestOpenErrors(t *testing.T) {
	makePersistent(t, "sf3", unix.IFF_TUN, 0)
	makePersistent(t, "sf4", unix.IFF_TAP, 0)
	pool := newTestPool(t)
	openDevice(t, pool, Config{Name: "sf5"})
	bothModes(t, func(t *testing.T, m Mode) {
		before := openFiles(t)
		for _, tc := range []struct {
			cfg  Config
			want string
			is   error
		}{
			{Config{Name: "sf5"}, "open sf5: another process holds the device", unix.EBUSY},
			{Config{Name: "sf4"}, "is no TUN device", unix.EINVAL},
			{Config{Name: "lo"}, "is no TUN device", unix.EINVAL},
			{Config{Name: "sf3", Queues: 2}, "use one queue or another name", unix.EINVAL},
			{Config{Name: "sf6", MTU: 576, Addresses: []netip.Prefix{kernel6}}, "MTU of 1280 or more", nil},
		} {
			tc.cfg.Pool, tc.cfg.Offload = pool, m
			d, err := Open(tc.cfg)
			if err == nil {
				t.Errorf("%+v: opened", tc.cfg)
				d.Close()
				continue
			}
			if !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%v: want %q", err, tc.want)
			}
		}
		if got := openFiles(t); got != before {
			t.Errorf("%d descriptors leaked", got-before)
		}
		if exists("sf6") {
			t.Error("a device that could not be set up stays")
		}
	})
}

// noOffload is what vnetOpener finds on a kernel without offload.
type noOffload struct{ vnetOpener }

func (noOffload) open(string, bool) (int, string, error) {
	return -1, "", &offloadError{"TUNSETOFFLOAD", unix.EINVAL}
}

func TestOpenFallsBack(t *testing.T) {
	needDevice(t)
	var lines []string
	cfg, err := Config{Name: "sf7", Pool: newTestPool(t), Logf: func(format string, args ...any) {
		lines = append(lines, fmt.Sprintf(format, args...))
	}}.complete()
	if err != nil {
		t.Fatal(err)
	}
	d, err := open(cfg, noOffload{}, new(plainOpener))
	if err != nil {
		t.Fatal(err)
	}
	if d.Offload() != (Offload{}) || d.queues[0].vnet {
		t.Errorf("fell back to offload %+v", d.Offload())
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "sf7") || !strings.Contains(lines[0], "without offload") {
		t.Errorf("logged %q", lines)
	}
	cfg.Offload = On
	if _, err := open(cfg, noOffload{}, new(plainOpener)); err == nil || !strings.Contains(err.Error(), "switch offload to auto or off") {
		t.Errorf("offload on without support: %v", err)
	}
}
