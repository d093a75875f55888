package client

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildDaemon compiles starfishd once for all tests. The tests run it as a program: this package must not import it.
var buildDaemon = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "starfishd")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "starfishd")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/MUCZ/Starfish/cmd/starfishd").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if realUsed {
		if binary, err := buildDaemon(); err == nil {
			_ = os.RemoveAll(filepath.Dir(binary))
		}
	}
	os.Exit(code)
}

var realUsed bool

// realHost is an address of the daemon's default network that its stack owns.
const realHost = "169.254.144.2"

// startReal runs starfishd on its in-memory link.
func startReal(t testing.TB) testPeer {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s.sock")
	stop := runReal(t, socket)
	t.Cleanup(stop)
	return testPeer{socket, realHost}
}

// runReal returns when the daemon is there. The function that it returns kills it.
func runReal(t testing.TB, socket string) (kill func()) {
	t.Helper()
	realUsed = true
	binary, err := buildDaemon()
	if err != nil {
		t.Fatalf("starfishd does not compile: %v", err)
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "--link", "memory", "--socket", socket)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-exited
		if t.Failed() && log.Len() > 0 {
			t.Logf("starfishd wrote:\n%s", log.String())
		}
	})
	if err := awaitSocket(socket, exited); err != nil {
		kill()
		t.Fatalf("%v; starfishd wrote:\n%s", err, log.String())
	}
	return kill
}

func awaitSocket(socket string, exited <-chan struct{}) error {
	c, err := New(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 500 {
		if _, err = c.Info(contextOf(time.Second)); err == nil {
			return nil
		}
		select {
		case <-exited:
			return errors.New("starfishd has exited")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return err
}
