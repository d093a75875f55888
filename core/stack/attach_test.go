package stack

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
)

// attach hands c to a socket pair and returns the user's end, and what done is called with.
func attach(t testing.TB, c *Conn) (*net.UnixConn, <-chan error) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	f := os.NewFile(uintptr(fds[1]), "user")
	defer f.Close()
	user, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	done := make(chan error, 1)
	if err := c.Attach(fds[0], func(err error) { done <- err }); err != nil {
		unix.Close(fds[0])
		t.Fatal(err)
	}
	return user.(*net.UnixConn), done
}

func await(t testing.TB, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the socket is not done")
		return nil
	}
}

func TestAttachTransfersBothWays(t *testing.T) {
	noLeaks(t)
	for name, shards := range map[string]int{"one shard": 1, "shards": 3} {
		t.Run(name, func(t *testing.T) {
			s := startStack(t, Config{Shards: shards})
			client, server := connect(t, s, s, nil)
			a, doneA := attach(t, client)
			b, doneB := attach(t, server)
			const size = 16 << 20
			results := make(chan error, 4)
			for _, c := range []*net.UnixConn{a, b} {
				go func() {
					_, err := io.Copy(c, &pattern{end: size})
					results <- errors.Join(err, c.CloseWrite())
				}()
				go func() { results <- verifyStream(c, size) }()
			}
			for range 4 {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			for _, done := range []<-chan error{doneA, doneB} {
				if err := await(t, done); err != nil {
					t.Errorf("done: %v", err)
				}
			}
		})
	}
}

// Bytes that were staged or received before Attach come before those of the socket.
func TestAttachKeepsOrder(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	defer client.Close()
	if _, err := server.Write([]byte("early ")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("first second ")); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 6)
	if _, err := io.ReadFull(server, first); err != nil {
		t.Fatal(err)
	}
	user, _ := attach(t, server)
	if _, err := client.Write([]byte("third")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(user)
	if err != nil || string(rest) != "second third" {
		t.Fatalf("read %q, %v", rest, err)
	}
	if _, err := user.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	user.Close()
	got, err := io.ReadAll(client)
	if err != nil || string(got) != "early late" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func TestAttachedConnRefusesReadAndWrite(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	defer server.Close()
	reading := make(chan error)
	go func() {
		_, err := client.Read(make([]byte, 1))
		reading <- err
	}()
	time.Sleep(10 * time.Millisecond)
	attach(t, client)
	if err := <-reading; !errors.Is(err, syscall.EBUSY) {
		t.Errorf("Read under way: %v, want EBUSY", err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("Write: %v, want EBUSY", err)
	}
	if err := client.Attach(0, nil); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("second Attach: %v, want EBUSY", err)
	}
}

func TestAttachHalfClose(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	user, done := attach(t, client)
	defer server.Close()
	if _, err := server.Write([]byte("over")); err != nil {
		t.Fatal(err)
	}
	if err := server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	// The peer's FIN ends reading, and writing goes on.
	if got, err := io.ReadAll(user); err != nil || string(got) != "over" {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := user.Write([]byte("and out")); err != nil {
		t.Fatal(err)
	}
	if err := user.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(server); err != nil || string(got) != "and out" {
		t.Fatalf("server read %q, %v", got, err)
	}
	if err := await(t, done); err != nil {
		t.Errorf("done: %v", err)
	}
}

// Who closes the socket at once after writing has all of it delivered, however slowly the peer reads.
func TestAttachCloseDelivers(t *testing.T) {
	s := startStack(t, Config{})
	opt := &tcp.Options{SendBuffer: 64 << 10, RecvBuffer: 64 << 10}
	client, server := connect(t, s, s, opt)
	defer server.Close()
	user, done := attach(t, client)
	const size = 4 << 20
	go func() {
		io.Copy(struct{ io.Writer }{user}, &pattern{end: size})
		user.Close()
	}()
	time.Sleep(50 * time.Millisecond)
	if err := verifyStream(server, size); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done); err != nil {
		t.Errorf("done: %v", err)
	}
}

// A socket that is closed with received bytes unread resets the connection, as a kernel socket does.
func TestAttachCloseWithUnreadDataResets(t *testing.T) {
	for name, size := range map[string]int{"in the socket": 10, "in the engine": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			s := startStack(t, Config{})
			client, server := connect(t, s, s, nil)
			defer server.Close()
			user, done := attach(t, client)
			if _, err := server.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			user.Close()
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Read: %v, want ECONNRESET", err)
			}
			await(t, done)
		})
	}
}

// A reset closes the socket behind the bytes that came before it.
func TestAttachReset(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	user, done := attach(t, client)
	const size = 2 << 20 // more than the socket takes at once
	go func() {
		io.Copy(server, &pattern{end: size})
		eventually(t, "everything is acknowledged", func() bool {
			st, err := server.Status()
			return err == nil && st.SendQueue == 0
		})
		server.Abort()
	}()
	if err := verifyStream(user, size); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	if err := await(t, done); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("done: %v, want ECONNRESET", err)
	}
	if err := client.Err(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Err: %v, want ECONNRESET", err)
	}
	if _, err := user.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("write to the socket: %v, want EPIPE", err)
	}
}

// The socket's user is held up when the peer does not read, and so is the peer when the user does not.
func TestAttachBackPressure(t *testing.T) {
	s := startStack(t, Config{})
	opt := &tcp.Options{SendBuffer: 32 << 10, RecvBuffer: 32 << 10}
	client, server := connect(t, s, s, opt)
	defer server.Close()
	user, _ := attach(t, client)
	for _, c := range []net.Conn{user, server} {
		c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := io.Copy(c, &pattern{end: 64 << 20})
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes written without a reader, %v", n, err)
		}
	}
	if n := s.Pool().InUse(); n > 4<<20 {
		t.Errorf("%d bytes of buffers for one connection of 32 KiB each way", n)
	}
	turns := counter(t, s, "ShellTurns")
	time.Sleep(100 * time.Millisecond)
	if n := counter(t, s, "ShellTurns") - turns; n > 1000 {
		t.Errorf("the shard turned %d times with nothing to do", n)
	}
}

func TestAttachEndsByConn(t *testing.T) {
	ends := map[string]struct {
		end  func(*Conn) error
		want error
	}{
		"close": {(*Conn).Close, io.EOF},
		"abort": {(*Conn).Abort, syscall.ECONNRESET},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := startStack(t, Config{})
			client, server := connect(t, s, s, nil)
			defer server.Close()
			user, done := attach(t, client)
			if err := end.end(client); err != nil {
				t.Fatal(err)
			}
			if err := await(t, done); !errors.Is(err, net.ErrClosed) {
				t.Errorf("done: %v, want net.ErrClosed", err)
			}
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, end.want) {
				t.Errorf("the peer reads %v, want %v", err, end.want)
			}
			if _, err := user.Read(make([]byte, 1)); err == nil {
				t.Error("the socket gives bytes")
			}
		})
	}
}

func TestAttachAfterTheEnd(t *testing.T) {
	s := startStack(t, Config{})
	client, server := connect(t, s, s, nil)
	if _, err := server.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	server.Close()
	eventually(t, "the FIN arrives", func() bool {
		st, err := client.Status()
		return err == nil && st.State == tcp.StateCloseWait
	})
	user, done := attach(t, client)
	if got, err := io.ReadAll(user); err != nil || string(got) != "last words" {
		t.Fatalf("read %q, %v", got, err)
	}
	user.Close()
	if err := await(t, done); err != nil {
		t.Errorf("done: %v", err)
	}
}

// Closing the Stack closes the sockets.
func TestAttachStackClose(t *testing.T) {
	noLeaks(t)
	s := startStack(t, Config{})
	client, _ := connect(t, s, s, nil)
	user, done := attach(t, client)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done); !errors.Is(err, net.ErrClosed) {
		t.Errorf("done: %v, want net.ErrClosed", err)
	}
	if _, err := user.Read(make([]byte, 1)); err == nil {
		t.Error("the socket gives bytes")
	}
}
