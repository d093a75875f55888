package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

const (
	// DefaultSocket is where starfishd listens unless it is told otherwise.
	DefaultSocket = "/run/starfish/starfishd.sock"
	// SocketVariable names the environment variable that overrides DefaultSocket.
	SocketVariable = "STARFISH_SOCKET"
)

// SocketPath returns the control socket to use: path if it isn't empty, else what the environment says, else
// DefaultSocket.
func SocketPath(path string) string {
	if path != "" {
		return path
	}
	if path = os.Getenv(SocketVariable); path != "" {
		return path
	}
	return DefaultSocket
}

// UnreachableError says that there is no daemon to talk to, and what to do about it.
type UnreachableError struct {
	Socket string
	Err    error // of the connection attempt
}

// Error returns a sentence that names the socket, the likely cause and the remedy.
func (e *UnreachableError) Error() string {
	switch {
	case errors.Is(e.Err, fs.ErrPermission):
		return fmt.Sprintf("cannot reach starfishd at %s: permission denied: add yourself to group starfish "+
			"(`sudo usermod -aG starfish $USER`) and log in again", e.Socket)
	case errors.Is(e.Err, fs.ErrNotExist), errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("cannot reach starfishd at %s: is it running? `systemctl start starfishd`", e.Socket)
	default:
		return fmt.Sprintf("cannot reach starfishd at %s: %v", e.Socket, rootCause(e.Err))
	}
}

// Unwrap returns the error of the connection attempt.
func (e *UnreachableError) Unwrap() error { return e.Err }

// rootCause strips what net and os wrap around an error number: the sentence names operation and address already.
func rootCause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
