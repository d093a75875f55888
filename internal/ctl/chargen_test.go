package ctl

import (
	"encoding/json"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

func TestChargen(t *testing.T) {
	socket := daemontest.Start(t)
	_, sink := serving(t, "chargen", "-l", "--socket", socket, daemontest.Host+":0")
	_, source := serving(t, "chargen", "-l", "--reverse", "--socket", socket, daemontest.Host+":0")
	_, native := serving(t, "chargen", "-l", "--native", "127.0.0.1:0")
	for args, want := range map[string]string{
		"--bytes 10M " + sink:                           `starfish  sent 10\.5MB in \d+\.\d\d s: .*bps, ` + sink,
		"--bytes 1000001 --parallel 3 " + sink:          `starfish  sent 1\.0MB in .* s: .*bps, ` + sink + ", 3 connections",
		"--duration 200ms " + sink:                      `starfish  sent .*B in \d+\.\d\d s: .*bps, ` + sink,
		"--reverse --bytes 1M " + source:                `starfish  received 1\..MB in .* s: .*bps, ` + source,
		"--reverse --duration 200ms " + source:          `starfish  received .*B in \d+\.\d\d s: .*bps, ` + source,
		"--native --bytes 1M " + native:                 `native    sent 1\.0MB in .* s: .*bps, ` + native,
		"--transport grpc --bytes 1M --nodelay " + sink: `starfish  sent 1\.0MB in .*`,
	} {
		status, stdout, stderr := execute(t, append([]string{"chargen", "--socket", socket}, strings.Fields(args)...)...)
		if status != exitOK || stderr != "" || !regexp.MustCompile("^"+want+"\n$").MatchString(stdout) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
}

// TestChargenContent lets a program that knows nothing of chargen read.
func TestChargenContent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		content, _ := io.ReadAll(conn)
		got <- string(content)
	}()
	status, stdout, stderr := execute(t, "chargen", "--native", "--json", "--bytes", "150", listener.Addr().String())
	var told transferReport
	if err := json.Unmarshal([]byte(stdout), &told); err != nil || status != exitOK || stderr != "" || told.Bytes != 150 ||
		told.Network != "native" || told.Direction != "sent" || told.BitsPerSecond <= 0 {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	if lines := strings.Split(<-got, "\r\n"); len(lines) != 3 || lines[0][:4] != " !\"#" || lines[1][:4] != "!\"#$" {
		t.Errorf("%q", lines)
	}
}

func TestChargenFails(t *testing.T) {
	resets, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer resets.Close()
	go func() {
		for {
			conn, err := resets.Accept()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_, _ = io.CopyN(io.Discard, conn, 100_000)
			_ = conn.Close()
		}
	}()
	for args, want := range map[string]struct {
		status int
		stderr string
	}{
		"--native 127.0.0.1:1":                            {exitError, "starfishctl: connect 127.0.0.1:1: connection refused\n"},
		"--native --bytes 100M " + resets.Addr().String(): {exitError, "(connection reset by peer|broken pipe)\n"},
		"--native --compare 127.0.0.1:1":                  {exitUsage, "none of the others can be"},
		"--parallel 0 127.0.0.1:1":                        {exitUsage, "--parallel takes 1 to 1000 connections"},
		"--duration -1s 127.0.0.1:1":                      {exitUsage, "negative"},
		"--bytes 1e3 127.0.0.1:1":                         {exitUsage, "not a number of bytes"},
		"127.0.0.1":                                       {exitUsage, "is not HOST:PORT"},
		"--socket /nonexistent/s --compare 127.0.0.1:1":   {exitError, "cannot reach starfishd"},
		"-l --parallel 2 127.0.0.1:1":                     {exitUsage, "none of the others can be"},
	} {
		status, stdout, stderr := execute(t, append([]string{"chargen"}, strings.Fields(args)...)...)
		if status != want.status || !regexp.MustCompile(want.stderr).MatchString(stderr) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
}

func TestProgress(t *testing.T) {
	var out buffer
	began, ticks, done, stopped := time.Unix(100, 0), make(chan time.Time), make(chan struct{}), make(chan struct{})
	counts := []int64{125e6, 375e6}
	go func() {
		defer close(stopped)
		showProgress(&out, began, ticks, done, func() int64 {
			next := counts[0]
			counts = counts[1:]
			return next
		})
	}()
	for i := range 2 {
		ticks <- began.Add(time.Duration(i+1) * time.Second)
	}
	close(done)
	<-stopped
	const want = "\r\x1b[K   1 s   125.0MB  1.0Gbps\r\x1b[K   2 s   375.0MB  2.0Gbps\r\x1b[K"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
