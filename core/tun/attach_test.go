package tun

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// nobody is an ordinary user.
const nobody = 65534

// attachAsUser is the test process of an ordinary user: it opens the device given as its argument, in either mode.
func attachAsUser() int {
	for _, m := range []Mode{Auto, Off} {
		cfg := Config{
			Name: os.Args[1], Offload: m, MTU: 1400, Up: true, Pool: zbuf.NewPool(0),
			Addresses: []netip.Prefix{kernel4, kernel6},
			Logf:      func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
		}
		d, err := Open(cfg)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		if err := d.Close(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// TestAttachAsOwner opens devices as an ordinary user, whose own one works without any privilege.
func TestAttachAsOwner(t *testing.T) {
	needDevice(t)
	if err := openControlToAll(t); err != nil {
		t.Skipf("can't make a node of the TUN driver that an ordinary user may open: %v", err)
	}
	makePersistent(t, "sf8", unix.IFF_TUN, nobody)
	makePersistent(t, "sf9", unix.IFF_TUN, nobody+1)
	attach := func(name string) (string, error) {
		cmd := exec.Command("/proc/self/exe", name)
		cmd.Env = []string{namespaceEnv + "=attach"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	if out, err := attach("sf8"); err == nil || !strings.Contains(out, "ip link set dev sf8 mtu 1400") {
		t.Errorf("a device that is not set up: %v, %s", err, out)
	}
	// What tun.sh does.
	d, err := Open(Config{Name: "sf8", MTU: 1400, TxQueueLen: 700, Up: true, Addresses: []netip.Prefix{kernel4, kernel6}, Pool: newTestPool(t)})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := attach("sf8"); err == nil || !strings.Contains(out, "another process holds the device") {
		t.Errorf("a device in use: %v, %s", err, out)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := attach("sf8")
	if err != nil {
		t.Errorf("the user's own device: %v, %s", err, out)
	}
	if !strings.Contains(out, "ip link set dev sf8 txqueuelen 10000") {
		t.Errorf("no hint about the queue's length: %s", out)
	}
	if !exists("sf8") {
		t.Error("the device vanished with its user")
	}
	for _, name := range []string{"sf9", "sf10"} {
		if out, err := attach(name); err == nil || !strings.Contains(out, "tun.sh start") {
			t.Errorf("%s, not the user's own: %v, %s", name, err, out)
		}
	}
}

// openControlToAll puts a node that everybody may open in the place of /dev/net/tun, in this process's mounts only.
func openControlToAll(t *testing.T) error {
	node := filepath.Join(t.TempDir(), "tun")
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mknod(node, unix.S_IFCHR, int(unix.Mkdev(10, 200))),
		os.Chmod(node, 0o666),
	)
	if err != nil {
		return err
	}
	if err := unix.Mount(node, controlPath, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(controlPath, 0); err != nil {
			t.Error(err)
		}
	})
	return nil
}
