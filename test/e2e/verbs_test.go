package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/internal/chargen"
)

// TestHTTPD has curl get the pages of starfishctl httpd, over Starfish and over the kernel's sockets.
func TestHTTPD(t *testing.T) {
	need(t, "curl")
	h := newHost(t)
	root := t.TempDir()
	writeFile(t, root, "page", "a page\n")
	for _, server := range []struct {
		name, address string
		args          []string
	}{
		{"starfish/IPv4", net.JoinHostPort(ourV4, "8080"), nil},
		{"starfish/IPv6", net.JoinHostPort(ourV6, "8081"), nil},
		{"native", net.JoinHostPort(kernelV4, "8082"), []string{"--native"}},
	} {
		t.Run(server.name, func(t *testing.T) {
			ctl := h.ctlInside(t, append([]string{"httpd", "--root", root, server.address}, server.args...)...)
			log := background(t, ctl)
			eventually(t, programLimit, "httpd listens", func() error {
				if !strings.Contains(log.String(), "listening on "+server.address) {
					return errors.New(log.String())
				}
				return nil
			})
			curl := func(args ...string) string {
				return output(t, programLimit, h.Command("curl", append([]string{"--silent", "--show-error"}, args...)...))
			}
			url := "http://" + server.address
			for path, want := range map[string]string{"/hello": "hello, world!", "/bye": "bye!", "/page": "a page\n"} {
				if got := curl(url + path); got != want {
					t.Errorf("%s is %q, want %q", path, got, want)
				}
			}
			if got := curl("--output", "/dev/null", "--write-out", "%{http_code} %{size_download}", url+"/bytes/104857600"); got != "200 104857600" {
				t.Errorf("/bytes/104857600: %s", got)
			}
			if got, want := curl("--range", "1000000-1000099", url+"/bytes/2000000"), characters(t, 1_000_000, 100); got != want {
				t.Errorf("a range is %q, want %q", got, want)
			}
		})
	}
}

// characters returns n of the pattern's bytes.
func characters(t *testing.T, from, n int64) string {
	t.Helper()
	content, err := io.ReadAll(io.NewSectionReader(chargen.Pattern{Size: from + n}, from, n))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestWebget gets a file of nginx's, over Starfish and over the kernel's sockets.
func TestWebget(t *testing.T) {
	h := newHost(t)
	path := file(t, 1, fileSize)
	nginx(t, h, filepath.Dir(path))
	for _, f := range families {
		for _, args := range [][]string{nil, {"--native"}} {
			t.Run(f.name+strings.Join(args, ""), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				url := fmt.Sprintf("http://%s/%s", net.JoinHostPort(f.kernels, strconv.Itoa(nginxPort)), filepath.Base(path))
				if err := runFor(programLimit, h.ctlInside(t, append([]string{"webget", "-o", out, url}, args...)...)); err != nil {
					t.Fatal(err)
				}
				wantContent(t, out, 1, fileSize)
			})
		}
	}
}

// TestChargenToNetcat has nc, which knows nothing of chargen, take its characters.
func TestChargenToNetcat(t *testing.T) {
	need(t, "nc")
	h := newHost(t)
	const length = 10_000_000
	for _, args := range [][]string{nil, {"--native"}} {
		out := filepath.Join(t.TempDir(), "out")
		server := h.Command("nc", "-l", kernelV4, strconv.Itoa(ncPort))
		server.Stdout = open(t, out, os.O_CREATE|os.O_WRONLY)
		done := finished(t, server)
		awaitListener(t, h.Namespace, ncPort)
		ctl := h.ctlInside(t, append([]string{"chargen", "--bytes", strconv.Itoa(length), net.JoinHostPort(kernelV4, strconv.Itoa(ncPort))}, args...)...)
		line := output(t, programLimit, ctl)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(line, " sent 10.0MB in ") {
			t.Errorf("%v: %q", args, line)
		}
		content, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if string(content) != characters(t, 0, length) {
			t.Errorf("%v: nc got %d bytes, or other ones", args, len(content))
		}
	}
}

// TestChargenCompares sends to and takes from chargen on the kernel's sockets, over Starfish and natively in turn.
func TestChargenCompares(t *testing.T) {
	h := newHost(t)
	for _, reverse := range [][]string{nil, {"--reverse"}} {
		port := strconv.Itoa(ncPort + len(reverse)*100)
		background(t, h.ctlInside(t, append([]string{"chargen", "-l", "--native", kernelV4 + ":" + port}, reverse...)...))
		awaitListener(t, h.Namespace, ncPort+len(reverse)*100)
		got := output(t, programLimit, h.ctlInside(t, append([]string{"chargen", "--compare", "--bytes", "64M", "--parallel", "2", kernelV4 + ":" + port}, reverse...)...))
		want := regexp.MustCompile(`^starfish +(sent|received) .*\nnative +(sent|received) .*\nratio +\d+\.\d\d of native\n$`)
		if !want.MatchString(got) {
			t.Errorf("%v: %q", reverse, got)
		}
	}
}
