package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nginx starts a web server of the kernel's on both families that serves the directory.
func nginx(t *testing.T, h *host, root string) {
	t.Helper()
	need(t, "nginx")
	dir := t.TempDir()
	background(t, h.Command("nginx", "-p", dir, "-c", writeFile(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {}
http {
	access_log off; sendfile on;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen %[2]s:%[4]d; listen [%[3]s]:%[4]d; root %[5]s; }
}`, dir, kernelV4, kernelV6, nginxPort, root))))
	awaitListener(t, h.Namespace, nginxPort)
}

// TestNginx has Go's own HTTP client fetch files of nginx over each transport, and starfishctl speak HTTP by hand.
func TestNginx(t *testing.T) {
	h := newHost(t)
	path := file(t, 1, fileSize)
	nginx(t, h, filepath.Dir(path))
	for _, f := range families {
		for _, transport := range transports {
			t.Run(f.name+"/"+transport.String(), func(t *testing.T) {
				tr := &http.Transport{DialContext: h.daemon.dialer(transport).DialContext}
				defer tr.CloseIdleConnections()
				web := &http.Client{Transport: tr, Timeout: programLimit}
				for range 3 { // the second and third on the connection of the first
					fetch(t, web, fmt.Sprintf("http://%s/%s", net.JoinHostPort(f.kernels, fmt.Sprint(nginxPort)), filepath.Base(path)))
				}
			})
		}
	}
	t.Run("by hand", func(t *testing.T) {
		ctl := h.daemon.ctl(t, "connect", fmt.Sprintf("%s:%d", kernelV4, nginxPort))
		// Like a person at a terminal it stays: nginx gives up on a client that half-closes after its request.
		stdin, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		defer write.Close()
		if _, err := fmt.Fprintf(write, "GET /%s HTTP/1.0\r\n\r\n", filepath.Base(path)); err != nil {
			t.Fatal(err)
		}
		ctl.Stdin = stdin
		header, body, _ := strings.Cut(output(t, programLimit, ctl), "\r\n\r\n")
		if !strings.HasPrefix(header, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("answer: %.200q", header)
		}
		if got, want := receive(strings.NewReader(body)), receive(content(1, fileSize)); got != want {
			t.Errorf("body is %+v, want %+v", got, want)
		}
	})
}

func fetch(t *testing.T, web *http.Client, url string) {
	t.Helper()
	response, err := web.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, want := receive(response.Body), receive(content(1, fileSize)); response.StatusCode != http.StatusOK || got != want {
		t.Fatalf("%s: %s: got %+v, want %+v", url, response.Status, got, want)
	}
}

// TestCurl has curl download from and upload to Go's own HTTP server on a listener of the stack.
func TestCurl(t *testing.T) {
	need(t, "curl")
	h := newHost(t)
	for _, f := range families {
		for _, transport := range transports {
			t.Run(f.name+"/"+transport.String(), func(t *testing.T) {
				l := h.daemon.listen(t, transport, net.JoinHostPort(f.ours, "0"))
				uploads := make(chan sum, 1)
				serve(t, l, uploads)
				out := filepath.Join(t.TempDir(), "out")
				output(t, programLimit, h.Command("curl", "--silent", "--show-error", "--fail", "--output", out, "http://"+l.Addr().String()+"/"))
				wantContent(t, out, 1, fileSize)
				output(t, programLimit, h.Command("curl", "--silent", "--show-error", "--fail",
					"--upload-file", file(t, 2, fileSize), "http://"+l.Addr().String()+"/upload"))
				if got, want := <-uploads, receive(content(2, fileSize)); got != want {
					t.Errorf("uploaded %+v, want %+v", got, want)
				}
			})
		}
	}
}

// serve runs a web server on l until the test ends: it gives content to GET, and takes what is PUT.
func serve(t *testing.T, l net.Listener, uploads chan<- sum) {
	t.Helper()
	failures := new(lockedBuffer)
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				uploads <- receive(r.Body)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(fileSize))
			if _, err := io.Copy(w, content(1, fileSize)); err != nil {
				fmt.Fprintln(failures, "GET:", err)
			}
		}),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Errorf("shut the server down: %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
		if text := failures.String(); text != "" {
			t.Error(text)
		}
	})
}
