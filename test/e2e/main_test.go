package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var long = flag.Bool("e2e.long", false, "1 GiB where it is 64 MiB else: takes about an hour")

// Sizes of transfers in bytes.
const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

// second is how long the daemon may take to let go of what a client left.
const second = time.Second

// bulkSize is how much a bulk transfer moves.
func bulkSize() int64 {
	if *long {
		return gibibyte
	}
	return 64 * mebibyte
}

// binDir is where the programs under test are, once a test has asked for them.
var binDir string

// The programs under test are built once.
var build = map[string]func() error{
	"starfishd":   sync.OnceValue(func() error { return compile("starfishd") }),
	"starfishctl": sync.OnceValue(func() error { return compile("starfishctl") }),
}

func compile(name string) error {
	cmd := exec.Command("go", "build", "-o", binDir, "github.com/MUCZ/Starfish/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not compile: %w: %s", name, err, out)
	}
	return nil
}

// program returns the path of a program under test.
func program(t testing.TB, name string) string {
	t.Helper()
	if err := build[name](); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(binDir, name)
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if binDir, err = os.MkdirTemp("", "sf-e2e-bin"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(binDir) }()
	// An ordinary user runs them too, in the tests of permissions.
	if err := os.Chmod(binDir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := nothingLeft(binDir); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: left behind:", err)
		return max(code, 1)
	}
	return code
}

// nothingLeft reports processes that run a program of dir, or that this process started and did not wait for.
func nothingLeft(dir string) error {
	var left error
	for range 20 {
		if left = processesLeft(dir); left == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return left
}

func processesLeft(dir string) error {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	var left []error
	for _, p := range processes {
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		status, _ := os.ReadFile(filepath.Join(p, "status"))
		if strings.HasPrefix(exe, dir) || strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			left = append(left, fmt.Errorf("%s runs %s", p, exe))
		}
	}
	return errors.Join(left...)
}
