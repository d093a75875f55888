// Package daemontest runs starfishd as a child process for the tests of packages that must not import it.
package daemontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Host is an address of the daemon's default network that its stack owns.
const Host = "169.254.144.2"

// readyTimeout bounds the start of a daemon on a busy machine.
const readyTimeout = 20 * time.Second

var (
	built    = sync.OnceValues(build)
	builtDir string
)

func build() (binary string, err error) {
	if builtDir, err = os.MkdirTemp("", "starfishd"); err != nil {
		return "", err
	}
	binary = filepath.Join(builtDir, "starfishd")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/MUCZ/Starfish/cmd/starfishd").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("starfishd does not compile: %w\n%s", err, out)
	}
	return binary, nil
}

// Main runs the tests of a package and removes what Start has built. It is for TestMain.
func Main(m *testing.M) int {
	defer func() {
		if builtDir != "" {
			_ = os.RemoveAll(builtDir)
		}
	}()
	return m.Run()
}

// Start runs a daemon on its in-memory link until the test ends, and returns its control socket.
func Start(t testing.TB) (socket string) {
	t.Helper()
	// A unix socket's path must fit into 108 bytes, and the test's name is in t.TempDir's.
	dir, err := os.MkdirTemp("", "sf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s.sock")
	t.Cleanup(Run(t, socket))
	return socket
}

// Run starts a daemon on the socket and returns when it is ready. The function that it returns kills the daemon.
func Run(t testing.TB, socket string) (kill func()) {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer // to be read once the process has ended
	cmd := exec.Command(binary, "--link", "memory", "--socket", socket)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // when the tests are killed, no cleanup runs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-exited
		if t.Failed() && log.Len() > 0 {
			t.Logf("starfishd wrote:\n%s", log.String())
		}
	})
	if err := await(socket, exited); err != nil {
		kill()
		t.Fatalf("starfishd: %v; it wrote:\n%s", err, log.String())
	}
	return kill
}

// await returns when the daemon says that it is ready.
func await(socket string, exited <-chan struct{}) error {
	cc, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, MaxDelay: 50 * time.Millisecond},
			MinConnectTimeout: readyTimeout,
		}))
	if err != nil {
		return err
	}
	defer cc.Close()
	health := healthpb.NewHealthClient(cc)
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	for {
		answer, err := health.Check(ctx, &healthpb.HealthCheckRequest{})
		if err == nil && answer.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return nil
		}
		select {
		case <-exited:
			return errors.New("it has exited")
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %v, %w", answer, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
