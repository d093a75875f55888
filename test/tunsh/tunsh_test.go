// Package tunsh runs tun.sh in network namespaces and looks at what it does to them.
package tunsh

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/test/netns"
)

const script = "../../tun.sh"

// world is everything that tun.sh may touch. Counters and time stamps are not in it.
const world = `
ip address; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule
nft list ruleset 2>/dev/null
iptables-save 2>/dev/null | grep '^-' || true
ip6tables-save 2>/dev/null | grep '^-' || true
grep -r . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf 2>/dev/null | sort || true
find /run
`

// host is a namespace with a network interface whose settings differ from the defaults.
func host(t *testing.T) *netns.Namespace {
	t.Helper()
	if out, err := exec.Command("sh", "-c", ": <>/dev/net/tun").CombinedOutput(); err != nil {
		t.Skipf("cannot open /dev/net/tun: %s", out)
	}
	ns := netns.New(t)
	ns.Run(t, `
		echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
		ip link add eth0 type veth peer name eth0peer
		ip link set eth0peer up; ip link set eth0 up; ip address add 192.0.2.2/24 dev eth0
		echo 0 >/proc/sys/net/ipv4/conf/all/accept_redirects
		echo 1 >/proc/sys/net/ipv4/conf/eth0/forwarding
		echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra
		echo 0 >/proc/sys/net/ipv6/conf/eth0peer/accept_ra`)
	return ns
}

// tunSh runs tun.sh with these words and returns its output and exit status.
func tunSh(t *testing.T, ns *netns.Namespace, line string) (string, int) {
	t.Helper()
	cmd := ns.Command("bash", "-c", line)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func must(t *testing.T, ns *netns.Namespace, words string) string {
	t.Helper()
	out, code := tunSh(t, ns, script+" "+words)
	if code != 0 {
		t.Fatalf("tun.sh %s: exit status %d\n%s", words, code, out)
	}
	return out
}

func wantSame(t *testing.T, what, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	t.Errorf("%s: changed\nonly before: %q\nonly after: %q", what, minus(was, is), minus(is, was))
}

func minus(a, b []string) []string {
	in := map[string]bool{}
	for _, line := range b {
		in[line] = true
	}
	var out []string
	for _, line := range a {
		if !in[line] {
			out = append(out, line)
		}
	}
	return out
}

func wantContains(t *testing.T, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestStopRestoresEverything(t *testing.T) {
	t.Parallel()
	for _, firewall := range []string{"nft", "iptables"} {
		t.Run(firewall, func(t *testing.T) {
			if _, err := exec.LookPath(firewall); err != nil {
				t.Skipf("%s is not installed", firewall)
			}
			ns := host(t)
			if firewall == "iptables" {
				// iptables makes its chains on first use; they are not tun.sh's.
				ns.Run(t, "for c in iptables ip6tables; do $c -t nat -S; $c -S; done")
			}
			run := func(words string) { t.Helper(); ns.Run(t, "STARFISH_FIREWALL="+firewall+" "+script+" "+words) }
			// The tables that iptables made are empty and not tun.sh's either.
			emptied := regexp.MustCompile(`(?m)^# Warning: table .*\n`)
			before := emptied.ReplaceAllString(ns.Run(t, world), "")
			run("start")
			run("start 7 8")
			run("forward 80 169.254.144.2:8080")
			run("forward 144 80 '[fd73:6669:7368:144::2]:8080'")
			run("restart 7 144")
			run("unforward 80")
			run("forward 81 169.254.144.3:1")
			run("stop 8 144 7")
			after := emptied.ReplaceAllString(ns.Run(t, world), "")
			if firewall == "iptables" {
				before, after = withoutNft(before), withoutNft(after)
			}
			wantSame(t, "start … stop", before, after)
		})
	}
}

// withoutNft drops nft's view of what iptables-nft keeps: chains that are there once they were used.
func withoutNft(snapshot string) string {
	return regexp.MustCompile(`(?ms)^table .*?^}\n`).ReplaceAllString(snapshot, "")
}

func TestStart(t *testing.T) {
	t.Parallel()
	ns := host(t)
	out := must(t, ns, "start")
	wantContains(t, out, `tun144: started, 169\.254\.144\.1/24 and fd73:6669:7368:144::1/64, owner uid 0`)
	wantContains(t, ns.Run(t, "ip -d address show dev tun144; ip route; ip -6 route; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding"),
		`mtu 1500`, `qlen 10000`, `vnet_hdr on`, `multi_queue off|tun type tun pi off`, `user root`, `inet 169\.254\.144\.1/24`,
		`inet6 fd73:6669:7368:144::1/64`, `169\.254\.144\.0/24 dev tun144 .*rto_min lock 10ms`,
		`fd73:6669:7368:144::/64 dev tun144 .*rto_min lock 10ms`, `1\n1\n`)
	wantContains(t, ns.Run(t, "nft list table inet starfish_tun144"), `ip saddr 169\.254\.144\.0/24 masquerade`,
		`ip6 saddr fd73:6669:7368:144::/64 masquerade`)
	// A forwarding host keeps its default route from router advertisements only with accept_ra=2.
	wantContains(t, ns.Run(t, "cat /proc/sys/net/ipv6/conf/{eth0,eth0peer}/accept_ra"), `^2\n0\n$`)
}

func TestStartTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	ns := host(t)
	must(t, ns, "start")
	before := ns.Run(t, world)
	wantContains(t, must(t, ns, "start"), "already started")
	wantSame(t, "second start", before, ns.Run(t, world))
}

func TestStartRepairs(t *testing.T) {
	t.Parallel()
	ns := host(t)
	must(t, ns, "start")
	must(t, ns, "forward 80 169.254.144.2:8080")
	before := ns.Run(t, world)
	for _, damage := range []string{
		"ip address flush dev tun144", "nft delete table inet starfish_tun144", "ip link set tun144 down",
		"echo 0 >/proc/sys/net/ipv4/ip_forward", "ip link delete tun144",
	} {
		ns.Run(t, damage)
		if _, code := tunSh(t, ns, script+" check 144"); code != 1 {
			t.Errorf("%s: check exits with %d, want 1", damage, code)
		}
		must(t, ns, "start")
		wantContains(t, must(t, ns, "check 144"), "OK")
		wantSame(t, damage, normal(before), normal(ns.Run(t, world)))
	}
}

// normal makes two snapshots comparable: a device that was made again has another index, and comes later.
func normal(snapshot string) string {
	snapshot = regexp.MustCompile(`(?m)^\d+: tun`).ReplaceAllString(snapshot, "tun")
	lines := strings.Split(snapshot, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestForwardingGoesWithTheLast(t *testing.T) {
	t.Parallel()
	ns := host(t)
	forwarding := func() string {
		return strings.TrimSpace(ns.Run(t, "cat /proc/sys/net/ipv4/ip_forward"))
	}
	must(t, ns, "start 1 2")
	must(t, ns, "start 3")
	must(t, ns, "stop 1")
	must(t, ns, "stop 3")
	if forwarding() != "1" {
		t.Error("forwarding went off while tun2 is up")
	}
	must(t, ns, "stop 2")
	if forwarding() != "0" {
		t.Error("forwarding is still on after the last stop")
	}

	ns.Run(t, "echo 1 >/proc/sys/net/ipv4/ip_forward")
	must(t, ns, "start")
	must(t, ns, "stop")
	if forwarding() != "1" {
		t.Error("forwarding was on before start and is off after stop")
	}
}

func TestForward(t *testing.T) {
	t.Parallel()
	ns := host(t)
	must(t, ns, "start 9")
	must(t, ns, "forward 9 80 169.254.9.2:8080")
	wantContains(t, must(t, ns, "forward 9 80 169.254.9.2:8080"), "already")
	must(t, ns, "forward 9 80 [fd73:6669:7368:9::2]:8080")
	wantContains(t, ns.Run(t, "nft list chain inet starfish_tun9 prerouting"),
		`tcp dport 80 dnat ip to 169\.254\.9\.2:8080`, `tcp dport 80 dnat ip6 to \[fd73:6669:7368:9::2\]:8080`)
	wantContains(t, must(t, ns, "status"), `port 80 to 169\.254\.9\.2:8080`)

	out, code := tunSh(t, ns, script+" forward 9 80 169.254.9.3:1")
	if code != 1 {
		t.Errorf("a second target for a port: exit status %d, want 1", code)
	}
	wantContains(t, out, "port 80 leads to 169.254.9.2:8080")

	must(t, ns, "restart 9")
	wantContains(t, ns.Run(t, "nft list ruleset"), `dnat ip to 169\.254\.9\.2:8080`)
	must(t, ns, "unforward 9 80")
	if got := ns.Run(t, "nft list ruleset"); strings.Contains(got, "dnat") {
		t.Errorf("unforward left a rule:\n%s", got)
	}
	wantContains(t, must(t, ns, "unforward 9 80"), "leads nowhere")
}

func TestFailedStartIsUndone(t *testing.T) {
	t.Parallel()
	ns := host(t)
	before := ns.Run(t, world)
	out, code := tunSh(t, ns, script+" start --rto-min nonsense")
	if code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	wantContains(t, out, "rto_min 'nonsense'", "was not started")
	wantSame(t, "failed start", before, ns.Run(t, world))
}

func TestMTU(t *testing.T) {
	t.Parallel()
	ns := host(t)
	for mtu, hasIPv6 := range map[string]bool{"576": false, "1280": true, "65535": true} {
		ns.Run(t, "TUN_MTU="+mtu+" "+script+" start 5")
		got := ns.Run(t, "ip address show dev tun5")
		wantContains(t, got, "mtu "+mtu)
		if strings.Contains(got, "fd73:6669:7368:5::1") != hasIPv6 {
			t.Errorf("MTU %s: IPv6 address is %v, want %v", mtu, !hasIPv6, hasIPv6)
		}
		must(t, ns, "stop 5")
	}
}

func TestMultiQueue(t *testing.T) {
	t.Parallel()
	ns := host(t)
	must(t, ns, "start --multi-queue 5")
	wantContains(t, ns.Run(t, "ip -d link show dev tun5"), "multi_queue")
	must(t, ns, "restart 5")
	wantContains(t, ns.Run(t, "ip -d link show dev tun5"), "multi_queue")
}

// TestRestartKeepsWhatEachHad holds that the owner and the queues of one device don't become the next one's.
func TestRestartKeepsWhatEachHad(t *testing.T) {
	t.Parallel()
	ns := host(t)
	must(t, ns, "start --owner 1001 --multi-queue 5")
	must(t, ns, "start --owner 1002 6")
	out := must(t, ns, "restart 5 6")
	wantContains(t, out, "tun5: started, .*owner uid 1001", "tun6: started, .*owner uid 1002")
	if got := ns.Run(t, "ip -d link show dev tun6"); !strings.Contains(got, "user 1002") || strings.Contains(got, "multi_queue on") {
		t.Errorf("tun6 is\n%s", got)
	}
}

func TestStatusTellsWhoUsesIt(t *testing.T) {
	t.Parallel()
	ns := host(t)
	out, code := tunSh(t, ns, script+" status")
	if code != 3 {
		t.Errorf("status of nothing: exit status %d, want 3", code)
	}
	wantContains(t, out, "tun144: not started")
	must(t, ns, "start")
	wantContains(t, must(t, ns, "status"), "tun144: up", "in use by +nobody")
}

// An ordinary user with sudo; sudo's own files are those of a mount that ends with the namespace.
func TestOrdinaryUserThroughSudo(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sudo", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	ns := host(t)
	if out, _ := exec.Command("sh", "-c", "wc -l </proc/self/uid_map; grep -c 4294967295 /proc/self/uid_map").Output(); !strings.Contains(string(out), "1\n1\n") {
		t.Skip("sudo does not work with the few users of a user namespace")
	}
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	// The checkout may be where only root can go, so the user gets a copy.
	ns.Run(t, `
		mount -t tmpfs -o mode=750 tmpfs /etc/sudoers.d
		printf 'Defaults !lecture\nnobody ALL=(root) NOPASSWD: ALL\n' >/etc/sudoers.d/test
		chmod 440 /etc/sudoers.d/test
		mkdir /run/checkout && cp -r "$(dirname `+path+`)"/{tun.sh,scripts} /run/checkout/`)
	user := "setpriv --reuid nobody --regid nogroup --clear-groups /run/checkout/tun.sh "
	out := ns.Run(t, "TUN_MTU=1400 "+user+"start 6")
	wantContains(t, out, "tun6: started", "owner uid 65534")
	wantContains(t, ns.Run(t, "ip -d link show dev tun6"), "mtu 1400", "user nobody")
	wantContains(t, ns.Run(t, user+"status 6"), "tun6: up")
	wantContains(t, ns.Run(t, user+"stop 6"), "tun6: stopped")
}

func TestErrors(t *testing.T) {
	t.Parallel()
	ns := host(t)
	ns.Run(t, `
		ip tuntap add dev tun20 mode tun
		ip address add 169.254.21.7/24 dev eth0
		mkdir /run/noip && for c in bash cat dirname basename id readlink grep sed env flock; do ln -s "$(command -v $c)" /run/noip/; done
		`+script+` start 22`)
	tests := []struct {
		name, line string
		code       int
		want       string
	}{
		{"no verb", script, 2, "say what to do"},
		{"unknown verb", script + " begin", 2, "'begin' is not one of"},
		{"unknown option", script + " start --fast", 2, "unknown option '--fast'"},
		{"N is no number", script + " start x", 2, "from 0 to 255, not 'x'"},
		{"N out of range", script + " start 256", 2, "at most 255"},
		{"N with a zero", script + " start 007", 2, "from 0 to 255, not '007'"},
		{"one bad N spoils all", script + " start 50 300", 2, "at most 255"},
		{"MTU out of range", script + " start --mtu 67", 2, "68 to 65535"},
		{"no such user", script + " start --owner nosuchuser 30", 1, "no user 'nosuchuser'"},
		{"device of somebody else", script + " start 20", 1, "tun20 exists and was not made by tun.sh"},
		{"stop it", script + " stop 20", 1, "left alone"},
		{"prefix in use", script + " start 21", 1, `169.254.21.0/24 is in use on eth0`},
		{"stop of nothing", script + " stop 40", 0, "tun40: not started"},
		{"forward without start", script + " forward 40 80 169.254.40.2:80", 1, "tun40 is not started"},
		{"forward to the kernel", script + " forward 22 80 169.254.22.1:80", 1, "kernel's own address"},
		{"forward elsewhere", script + " forward 22 80 192.0.2.9:80", 1, "not behind tun22"},
		{"forward without target", script + " forward 22 80", 2, "usage"},
		{"forward with a bad port", script + " forward 22 0 169.254.22.2:80", 2, "1 to 65535"},
		{"forward with a bad target", script + " forward 22 80 host:80", 2, "the target is ADDR:PORT"},
		{"no ip command", "PATH=/run/noip " + script + " start 41", 1, "no 'ip' command: apt-get install iproute2"},
		{"no TUN", "mount -t tmpfs tmpfs /dev/net && " + script + " start 42; code=$?; umount /dev/net; exit $code", 1, "no /dev/net/tun"},
		{"no firewall", "STARFISH_FIREWALL=none " + script + " start 43 && " + script + " forward 43 80 169.254.43.2:80", 1, "ports cannot be forwarded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, code := tunSh(t, ns, tt.line)
			if code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			wantContains(t, out, tt.want)
		})
	}
	wantContains(t, ns.Run(t, "ip -o link"), "tun22")
	if got := ns.Run(t, "ip -o link"); strings.Contains(got, "tun50") {
		t.Error("start 50 300 made tun50 although 300 is wrong")
	}
}
