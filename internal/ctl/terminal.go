package ctl

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether somebody sits at the other end of the stream. It leaves the descriptor as it is, unlike
// os.File's Fd, which makes it block.
func isTerminal(stream any) bool {
	file, ok := stream.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = raw.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		terminal = err == nil
	})
	return err == nil && terminal
}
