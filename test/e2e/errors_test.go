package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/test/netns"
)

// TestConnectErrors has starfishctl say in a sentence what went wrong, and exit with 1.
func TestConnectErrors(t *testing.T) {
	h := newHost(t)
	h.Run(t, `
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
		ip route add blackhole 198.51.100.1; ip route add unreachable 198.51.100.2; ip route add prohibit 198.51.100.3`)
	awaitHeld(t, h)
	tests := []struct {
		name string
		args []string
		want string // a regular expression for all of standard error
	}{
		{"refused", []string{"connect", kernelV4 + ":1"}, `connect 10\.144\.0\.1:1: connection refused`},
		{"refused, IPv6", []string{"connect", "[" + kernelV6 + "]:1"}, `connect \[fd00:144::1\]:1: connection refused`},
		{"refused by ourselves", []string{"connect", ourV4 + ":1"}, `connect 10\.144\.0\.2:1: connection refused`},
		{"silent", []string{"connect", "--connect-timeout", "1s", "198.51.100.1:80"}, `connect 198\.51\.100\.1:80: connection timed out`},
		{"no way to the host", []string{"connect", "--connect-timeout", "5s", "198.51.100.2:80"}, `connect 198\.51\.100\.2:80: no route to host`},
		{"forbidden by a router", []string{"connect", "--connect-timeout", "5s", "198.51.100.3:80"}, `connect 198\.51\.100\.3:80: (no route to host|permission denied)`},
		{"no way to the network", []string{"connect", "--connect-timeout", "5s", "203.0.113.1:80"}, `connect 203\.0\.113\.1:80: (network is unreachable|no route to host)`},
		{"the kernel's loopback", []string{"connect", "127.0.0.1:80"}, `connect 127\.0\.0\.1:80: network is unreachable: .*loopback; the kernel's side of sf0 is 10\.144\.0\.1`},
		{"unknown name", []string{"connect", "no-such-host.invalid:80"}, `connect no-such-host\.invalid:80: lookup no-such-host\.invalid.*: .+`},
		{"not our address", []string{"connect", "--source", "10.9.9.9", kernelV4 + ":1"}, `connect 10\.144\.0\.1:1: cannot assign requested address: 10\.9\.9\.9 .*`},
		{"the kernel's address", []string{"listen", kernelV4 + ":80"}, `listen 10\.144\.0\.1:80: cannot assign requested address: 10\.144\.0\.1 belongs to the kernel's side of sf0`},
		{"port in use", []string{"listen", ourV4 + ":7001"}, `listen 10\.144\.0\.2:7001: address already in use`},
		{"no connection of that number", []string{"close", "4711"}, `.*4711.*`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := h.Command(program(t, "starfishctl"), append([]string{"--socket", h.daemon.socket}, tt.args...)...)
			wantFailure(t, cmd, 1, `starfishctl: `+tt.want+`\n`)
		})
	}
	t.Run("usage", func(t *testing.T) {
		wantFailure(t, h.daemon.ctl(t, "connect"), 2, `(?s)starfishctl: .*`)
	})
}

// awaitHeld has a starfishctl listen on port 7001 until the test ends.
func awaitHeld(t *testing.T, h *host) {
	t.Helper()
	hold(t, h.daemon.ctl(t, "listen", "-k", ourV4+":7001"))
	awaitOurListener(t, h, 1)
}

// wantFailure runs a program to its end, which comes soon, with that status and those words on standard error.
func wantFailure(t *testing.T, cmd *exec.Cmd, status int, stderr string) {
	t.Helper()
	var got bytes.Buffer
	cmd.Stderr = &got
	began := time.Now()
	err := runFor(20*time.Second, cmd)
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if code := exitStatus(cmd.ProcessState); code != status {
		t.Errorf("exit status %d (%v), want %d", code, err, status)
	}
	if !regexp.MustCompile(`\A` + stderr + `\z`).MatchString(got.String()) {
		t.Errorf("said %q, want %q", got.String(), stderr)
	}
	t.Logf("after %v: %s", time.Since(began).Round(10*time.Millisecond), strings.TrimSpace(got.String()))
}

// asNobody are the arguments of setpriv for a command that an ordinary user without any rights runs.
func asNobody(command []string) []string {
	return append([]string{"--reuid", "65534", "--regid", "65534", "--clear-groups", "--"}, command...)
}

// TestUnreachableDaemon is about what stands between a client and its daemon.
func TestUnreachableDaemon(t *testing.T) {
	t.Run("no daemon", func(t *testing.T) {
		cmd := exec.Command(program(t, "starfishctl"), "--socket", "/nowhere/s.sock", "connect", "10.0.0.1:1")
		wantFailure(t, cmd, 1, "starfishctl: cannot reach starfishd at /nowhere/s.sock: is it running\\? `systemctl start starfishd`\n")
	})
	t.Run("no permission", func(t *testing.T) {
		h := newHost(t)
		need(t, "setpriv")
		ctl := h.daemon.ctl(t, "connect", kernelV4+":1")
		wantFailure(t, exec.Command("setpriv", asNobody(ctl.Args)...), 1,
			"starfishctl: cannot reach starfishd at "+regexp.QuoteMeta(h.daemon.socket)+": permission denied: .*group starfish.*\n")
	})
}

// TestDaemonDoesNotStart has starfishd say what stops it and what to do.
func TestDaemonDoesNotStart(t *testing.T) {
	h := newHost(t)
	starfishd := program(t, "starfishd")
	another := func(arg ...string) []string {
		dir := shortDir(t)
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		common := []string{"--socket", filepath.Join(dir, "s.sock"), "--tun", "sf1", "--address", "10.145.0.2/16"}
		return append(common, arg...)
	}
	t.Run("device busy", func(t *testing.T) {
		wantFailure(t, h.Command(starfishd, another("--tun", device)...), 1,
			`starfishd: tun: open sf0: another process holds the device: stop it or use another name: device or resource busy\n`)
	})
	t.Run("socket in use", func(t *testing.T) {
		wantFailure(t, h.Command(starfishd, another("--socket", h.daemon.socket)...), 1, `starfishd: another starfishd is running: .*\n`)
	})
	t.Run("not root", func(t *testing.T) {
		wantFailure(t, h.Command("setpriv", asNobody(append([]string{starfishd}, another()...))...), 1, `starfishd: tun: open sf1: no (permission|access).*: run as root.*\n`)
	})
	t.Run("no /dev/net/tun", func(t *testing.T) {
		ns := netns.New(t)
		ns.Run(t, "mount -t tmpfs tmpfs /dev/net")
		wantFailure(t, ns.Command(starfishd, another()...), 1, `starfishd: tun: open sf1: /dev/net/tun is missing: .*modprobe tun.*\n`)
	})
	t.Run("unknown flag", func(t *testing.T) {
		wantFailure(t, h.Command(starfishd, "--frobnicate"), 2, `starfishd: unknown flag: --frobnicate.*\n`)
	})
	t.Run("bad address", func(t *testing.T) {
		wantFailure(t, h.Command(starfishd, another("--address", "10.0.0.1")...), 1, `starfishd: --address: "10\.0\.0\.1": .*\n`)
	})
	t.Run("unknown key", func(t *testing.T) {
		path := writeFile(t, t.TempDir(), "config", "socket: /tmp/x\nfrobnicate: 1\n")
		wantFailure(t, h.Command(starfishd, another("--config", path)...), 1, fmt.Sprintf(`(?s)starfishd: %s: .*2.*frobnicate.*\n`, path))
	})
	t.Run("--check", func(t *testing.T) {
		wantFailure(t, h.Command(starfishd, another("--check")...), 0, ``)
	})
}
