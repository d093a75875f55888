package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestSSH logs in through starfishctl connect as ssh's ProxyCommand, runs a command and moves data both ways through it.
func TestSSH(t *testing.T) {
	need(t, "ssh", "sshd", "ssh-keygen")
	h := newHost(t)
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		h.Run(t, fmt.Sprintf("ssh-keygen -q -t ed25519 -N '' -f %s/%s", dir, key))
	}
	sshd := h.Run(t, "mkdir -p /run/sshd && command -v sshd") // its privilege separation wants that directory
	background(t, h.Command(strings.TrimSpace(sshd), "-D", "-e", "-f", writeFile(t, dir, "sshd_config", fmt.Sprintf(`
Port %d
ListenAddress %s
HostKey %[3]s/host
AuthorizedKeysFile %[3]s/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
`, sshdPort, kernelV4, dir))))
	awaitListener(t, h.Namespace, sshdPort)

	proxy := h.daemon.ctl(t, "connect", "%h:%p")
	ssh := h.Command("ssh", "-F", "none", "-T", "-i", dir+"/user", "-p", fmt.Sprint(sshdPort),
		"-o", "ProxyCommand="+strings.Join(proxy.Args, " "),
		"-o", "UserKnownHostsFile="+dir+"/known_hosts", "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes",
		"-o", "GlobalKnownHostsFile=none",
		"root@"+kernelV4, "echo \"$SSH_CONNECTION\" >&2; cat; exit 7")
	ssh.Stdin = open(t, file(t, 1, fileSize), os.O_RDONLY)
	var stdout, stderr bytes.Buffer
	ssh.Stdout, ssh.Stderr = &stdout, &stderr
	err := runFor(programLimit, ssh)
	if exitStatus(ssh.ProcessState) != 7 {
		t.Fatalf("ssh: %v\n%s", err, stderr.String())
	}
	if !strings.Contains(stderr.String(), ourV4+" ") {
		t.Errorf("sshd saw the connection come from elsewhere: %q", stderr.String())
	}
	if got, want := receive(&stdout), receive(content(1, fileSize)); got != want {
		t.Errorf("came back: %+v, want %+v", got, want)
	}
}
