package ctl

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(daemontest.Main(m))
}

// soon bounds what must happen at once.
const soon = 10 * time.Second

// buffer is an output that may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// await returns the rest of the first line that contains the text.
func (b *buffer) await(t *testing.T, text string) string {
	t.Helper()
	for began := time.Now(); time.Since(began) < soon; time.Sleep(5 * time.Millisecond) {
		if _, rest, found := strings.Cut(b.String(), text); found && strings.Contains(rest, "\n") {
			line, _, _ := strings.Cut(rest, "\n")
			return line
		}
	}
	t.Fatalf("no %q in %q", text, b.String())
	return ""
}

// run is one run of the program in this process.
type run struct {
	stdin          *os.File // the end to write to
	stdout, stderr buffer
	status         chan int
}

// start runs a command line.
func start(t *testing.T, args ...string) *run {
	t.Helper()
	r := &run{status: make(chan int, 1)}
	in, stdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.stdin = stdin
	t.Cleanup(func() { _ = stdin.Close() })
	go func() {
		r.status <- Run(args, in, &r.stdout, &r.stderr)
		_ = in.Close()
	}()
	return r
}

// send writes to stdin; end closes it.
func (r *run) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(r.stdin, text); err != nil {
		t.Fatal(err)
	}
}

func (r *run) end() { _ = r.stdin.Close() }

// wait returns the exit status.
func (r *run) wait(t *testing.T) int {
	t.Helper()
	select {
	case status := <-r.status:
		return status
	case <-time.After(soon):
		t.Fatalf("still running; stdout %q, stderr %q", r.stdout.String(), r.stderr.String())
		return -1
	}
}

// execute runs a command line with an empty stdin to its end.
func execute(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	r := start(t, args...)
	r.end()
	status = r.wait(t)
	return status, r.stdout.String(), r.stderr.String()
}

// golden compares with testdata/NAME, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew if that is right. Got:\n%s", path, got)
	}
}
