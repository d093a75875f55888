// Package netns gives tests network namespaces of their own. Whatever a test makes in one, devices, addresses, rules,
// sysctls, mounts, ends with it.
package netns

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Namespace is a network and mount namespace with loopback up and an empty /run. It lives until its test ends.
type Namespace struct {
	holder int
}

// inside makes the namespace ready, says so, and holds it until the test process closes the pipe, or dies, however that
// happens. Then it ends what still runs in the namespace, except for that process, whose threads visit it (Do).
const inside = `
mount -t tmpfs -o mode=755 tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up && echo ready && cat
for ns in $(find -L /proc/[0-9]*/ns/net -samefile /proc/$$/ns/net 2>/dev/null); do
	pid=${ns#/proc/} pid=${pid%%/*}
	[ "$pid" = $$ ] || [ "$pid" = "$1" ] || kill -9 "$pid" 2>/dev/null
done
exit 0`

// New makes a namespace, or skips the test where this user can't.
func New(t testing.TB) *Namespace {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a network namespace needs root (scripts/enter.sh gives it)")
	}
	for _, program := range []string{"unshare", "nsenter", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	cmd := exec.Command("unshare", "--net", "--mount", "sh", "-c", inside, "sh", strconv.Itoa(os.Getpid()))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	t.Cleanup(func() {
		if err := stdin.Close(); err != nil {
			t.Errorf("close the namespace: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the namespace's holder: %v", err)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Skipf("this system gives no network namespace to root here: %v", err)
	}
	return &Namespace{holder: cmd.Process.Pid}
}

// Command is like exec.Command, to be run inside.
func (n *Namespace) Command(name string, arg ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(n.holder), "--net", "--mount", "--wdns=" + mustGetwd(), "--", name}
	return exec.Command("nsenter", append(enter, arg...)...)
}

// Run runs a shell script inside and returns what it prints on both outputs; the test ends when it fails.
func (n *Namespace) Run(t testing.TB, script string) string {
	t.Helper()
	out, err := n.Command("bash", "-euo", "pipefail", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// Join connects two namespaces by a veth pair, each end with its name and addresses ("10.1.0.1/24").
func (n *Namespace) Join(t testing.TB, name string, addresses []string, other *Namespace, otherName string, otherAddresses []string) {
	t.Helper()
	n.Run(t, fmt.Sprintf("ip link add %s type veth peer name %s netns %d", name, otherName, other.holder))
	n.configure(t, name, addresses)
	other.configure(t, otherName, otherAddresses)
}

func (n *Namespace) configure(t testing.TB, name string, addresses []string) {
	t.Helper()
	var script strings.Builder
	for _, address := range addresses {
		flags := ""
		if strings.Contains(address, ":") {
			// Duplicate address detection takes seconds, and there is nobody to collide with.
			flags = " nodad"
		}
		fmt.Fprintf(&script, "ip address add %s dev %s%s\n", address, name, flags)
	}
	fmt.Fprintf(&script, "ip link set %s up\n", name)
	n.Run(t, script.String())
}

func mustGetwd() string {
	wd, err := os.Getwd()
	if err != nil {
		panic(fmt.Sprintf("netns: a test without a working directory: %v", err))
	}
	return wd
}
