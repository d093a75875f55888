package tun

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// namespaceEnv tells the test process started in a network namespace from the one that started it.
const namespaceEnv = "STARFISH_TUN_TEST_NAMESPACE"

// TestMain runs the tests in a network namespace of their own, which vanishes with the process: as root directly, as an
// ordinary user in a user namespace where the system allows that, else without one, and then the device tests skip.
func TestMain(m *testing.M) {
	switch os.Getenv(namespaceEnv) {
	case "":
		os.Exit(runInNamespace())
	case "attach":
		os.Exit(attachAsUser())
	}
	os.Exit(m.Run())
}

func runInNamespace() int {
	// The child dies with this process, or else with the thread that started it: so that one must stay.
	runtime.LockOSThread()
	flags := uintptr(unix.CLONE_NEWNET | unix.CLONE_NEWNS)
	attrs := []*syscall.SysProcAttr{{Cloneflags: flags}}
	if os.Getuid() != 0 {
		attrs = []*syscall.SysProcAttr{{
			Cloneflags:  flags | unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}}
	}
	var exit *exec.ExitError
	for _, attr := range append(attrs, nil) {
		value := "yes"
		if attr == nil {
			value = "no"
		}
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), namespaceEnv+"="+value)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = attr
		if attr != nil {
			attr.Pdeathsig = syscall.SIGKILL
		}
		err := cmd.Run()
		switch {
		case err == nil:
			return 0
		case errors.As(err, &exit):
			return max(1, exit.ExitCode())
		}
		fmt.Fprintf(os.Stderr, "no network namespace: %v\n", err)
	}
	return 1
}

// needDevice skips the test where no TUN device can be made.
func needDevice(t testing.TB) {
	t.Helper()
	if os.Getenv(namespaceEnv) != "yes" {
		t.Skip("needs a network namespace: run as root, or allow unprivileged user namespaces")
	}
	fd, err := openControl()
	if err != nil {
		t.Skip(err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
}
