package ctl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

// serving runs a program that serves until it is interrupted, and returns its address.
func serving(t *testing.T, args ...string) (stderr *buffer, address string) {
	t.Helper()
	r := start(t, args...)
	return &r.stderr, r.stderr.await(t, "listening on ")
}

func TestHTTPD(t *testing.T) {
	socket, root := daemontest.Start(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "page"), []byte("a page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(root, "outside")); err != nil {
		t.Fatal(err)
	}
	log, address := serving(t, "httpd", "-v", "--socket", socket, "--root", root, daemontest.Host+":0")
	_, native := serving(t, "httpd", "--native", "127.0.0.1:0")
	for _, c := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"webget ADDRESS /hello", exitOK, "hello, world!", ""},
		{"webget ADDRESS bye", exitOK, "bye!", ""},
		{"webget http://ADDRESS/bytes/5", exitOK, ` !"#$`, ""},
		{"webget ADDRESS /page", exitOK, "a page\n", ""},
		{"webget ADDRESS /none", exitError, "404 page not found\n", "starfishctl: GET http://ADDRESS/none: 404 Not Found\n"},
		{"webget --native NATIVE /hello", exitOK, "hello, world!", ""},
		{"webget --native NATIVE /page", exitError, "404 page not found\n", "starfishctl: GET http://NATIVE/page: 404 Not Found\n"},
	} {
		addresses := strings.NewReplacer("ADDRESS", address, "NATIVE", native)
		args := append(strings.Fields(addresses.Replace(c.args)), "--socket", socket)
		status, stdout, stderr := execute(t, args...)
		if status != c.status || stdout != c.stdout || stderr != addresses.Replace(c.stderr) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", c.args, status, stdout, stderr)
		}
	}
	if _, stdout, _ := execute(t, "webget", "--socket", socket, address, "/outside"); strings.Contains(stdout, "root:") {
		t.Error("a link that leaves the directory is followed")
	}
	if want := `"GET /hello HTTP/1.1" 200 13 `; !strings.Contains(log.String(), want) {
		t.Errorf("%q does not have %s", log.String(), want)
	}
}

func TestHTTPDFails(t *testing.T) {
	for args, want := range map[string]string{
		"--native --root /nonexistent 127.0.0.1:0":   "starfishctl: open /nonexistent: no such file or directory\n",
		"--native 192.0.2.1:8080":                    "starfishctl: listen 192.0.2.1:8080: cannot assign requested address\n",
		"--native --congestion bbr 127.0.0.1:8080":   "if any flags in the group [native congestion] are set none of the others can be",
		"--socket /nonexistent/s " + "10.0.0.1:8080": "starfishctl: cannot reach starfishd at /nonexistent/s",
	} {
		if status, _, stderr := execute(t, append([]string{"httpd"}, strings.Fields(args)...)...); status == exitOK || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, stderr %q", args, status, stderr)
		}
	}
}
