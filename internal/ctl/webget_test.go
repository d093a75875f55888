package ctl

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
	"github.com/MUCZ/Starfish/internal/daemontest"
)

// pages is a server with what webget has to cope with.
func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.UserAgent())
	})
	mux.Handle("/moved", http.RedirectHandler("/page", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "part")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

func TestWebget(t *testing.T) {
	plain, secure := httptest.NewServer(pages()), httptest.NewUnstartedServer(pages())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of clients that distrust it
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	page := "HTTP/1.1 starfishctl/" + client.Version
	for _, c := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"PLAIN/page", exitOK, page, ""},
		{"PLAIN/moved", exitError, "", "GET PLAIN/moved: 302 Found to /page: follow it with -L\n"},
		{"-L PLAIN/moved", exitOK, page, ""},
		{"-L PLAIN/loop", exitError, "", "more than 10 redirects"},
		{"-i PLAIN/moved", exitOK, "HTTP/1.1 302 Found\r\n", ""},
		{"PLAIN/cut", exitError, "part", "GET PLAIN/cut: the connection ended after 4 bytes of 1000\n"},
		{"-m 1s PLAIN/silent", exitError, "", "deadline exceeded"},
		{"SECURE/page", exitError, "", "certificate"},
		{"-k SECURE/page", exitOK, page, ""},
		{"--cacert CA SECURE/page", exitOK, page, ""},
		{"--cacert /dev/null SECURE/page", exitError, "", "starfishctl: /dev/null has no certificate in PEM form\n"},
		{"127.0.0.1:1 /", exitError, "", "starfishctl: connect 127.0.0.1:1: connection refused\n"},
		{"nowhere.invalid /", exitError, "", "starfishctl: connect nowhere.invalid:80: lookup nowhere.invalid"},
		{"ftp://127.0.0.1/", exitUsage, "", "neither http nor https"},
		{"http://:80/", exitUsage, "", "names no host"},
		{"--json PLAIN/page", exitUsage, "", "needs -o FILE"},
	} {
		names := strings.NewReplacer("PLAIN", plain.URL, "SECURE", secure.URL, "CA", ca)
		status, stdout, stderr := execute(t, append([]string{"webget", "--native"}, strings.Fields(names.Replace(c.args))...)...)
		if status != c.status || !strings.HasPrefix(stdout, c.stdout) || !strings.Contains(stderr, names.Replace(c.stderr)) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", c.args, status, stdout, stderr)
		}
	}
}

func TestWebgetToFile(t *testing.T) {
	server := httptest.NewServer(pages())
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "page")
	status, stdout, stderr := execute(t, "webget", "--native", "--json", "-o", file, server.URL+"/page")
	var told struct {
		URL           string
		Status, Bytes int
	}
	content, err := os.ReadFile(file)
	if err != nil || status != exitOK || stderr != "" || json.Unmarshal([]byte(stdout), &told) != nil ||
		told.URL != server.URL+"/page" || told.Status != 200 || told.Bytes != len(content) || !strings.HasPrefix(string(content), "HTTP/1.1") {
		t.Errorf("status %d, stdout %q, stderr %q, %q, %v", status, stdout, stderr, content, err)
	}
}

// TestWebgetHTTPS speaks TLS over a connection of Starfish.
func TestWebgetHTTPS(t *testing.T) {
	socket := daemontest.Start(t)
	c, err := client.New(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	listener, err := (&client.ListenConfig{Client: c}).Listen(t.Context(), "tcp", daemontest.Host+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(pages())
	_ = server.Listener.Close()
	server.Listener = listener
	server.StartTLS()
	defer server.Close()
	status, stdout, stderr := execute(t, "webget", "--socket", socket, "-k", server.URL+"/page")
	if status != exitOK || !strings.HasPrefix(stdout, "HTTP/1.1") || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

// TestWebgetLosesDaemon has the daemon killed in the middle of a page.
func TestWebgetLosesDaemon(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	kill := daemontest.Run(t, socket)
	_, address := serving(t, "httpd", "--socket", socket, daemontest.Host+":0")
	r := start(t, "webget", "--socket", socket, "-o", "/dev/null", address, "/bytes/1099511627776")
	time.Sleep(100 * time.Millisecond)
	kill()
	if status := r.wait(t); status != exitError || r.stderr.String() == "" {
		t.Errorf("status %d, stderr %q", status, r.stderr.String())
	} else {
		t.Log(r.stderr.String())
	}
}
