package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenUnix opens a unix socket for the daemon's clients. A socket that a dead daemon left is replaced.
func listenUnix(path, group string, mode fs.FileMode) (*net.UnixListener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, explainSocket(path, err)
	}
	if err := restrict(path, group, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explainSocket(path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is no socket: remove it, or choose another path with --socket", path)
	}
	probe, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = probe.Close()
		return fmt.Errorf("another starfishd is running: something listens on %s; stop it, or choose another path with --socket", path)
	case !errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("is another starfishd running? %w", err)
	}
	if err := os.Remove(path); err != nil {
		return explainSocket(path, err)
	}
	return nil
}

// restrict lets only the group use the socket, when the host has the group and we may.
func restrict(path, group string, mode fs.FileMode) error {
	if gid, ok := groupID(group); ok {
		if err := os.Lchown(path, -1, gid); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("socket group: %w", err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("socket mode: %w", err)
	}
	return nil
}

func groupID(name string) (int, bool) {
	if name == "" {
		return 0, false
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, false
	}
	gid, err := strconv.Atoi(g.Gid)
	return gid, err == nil
}

// explainSocket adds what can be done about it.
func explainSocket(path string, err error) error {
	directory := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the directory of the socket does not exist: make it (`mkdir -p %s`), or choose another path with --socket",
			directory)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("cannot make a socket in %s: %w: run as root, or choose another path with --socket", directory, err)
	}
	return fmt.Errorf("socket: %w", err)
}
