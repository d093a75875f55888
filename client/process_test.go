package client

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// exitAddr tells the test binary, run again by the test, where to send what it has.
const exitAddr = "STARFISH_TEST_EXIT_ADDR"

const exitBytes = 100_000

// TestProcessExitDeliversWhatWasWritten holds that a program may end right after Close, as with a kernel's socket.
func TestProcessExitDeliversWhatWasWritten(t *testing.T) {
	if addr := os.Getenv(exitAddr); addr != "" {
		writeAndExit(addr)
	}
	peer := startReal(t)
	l := peer.listen(t, peer.open(t), Auto)
	for range 10 {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), exitAddr+"="+l.Addr().String(), SocketVariable+"="+peer.socket)
		result := make(chan error, 1)
		go func() { result <- cmd.Run() }()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || len(got) != exitBytes {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		_ = conn.Close()
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

func writeAndExit(addr string) {
	var d Dialer
	conn, err := d.Dial("tcp", addr)
	if err == nil {
		_, err = io.WriteString(conn, strings.Repeat("x", exitBytes))
	}
	if err != nil || conn.Close() != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
