package daemon

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/daemon/config"
)

func TestAttachMovesBytesBothWays(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	left, right := s.attach(c), s.attach(a)
	data := pattern(8_000_000)
	go func() {
		writeAll(t, left, data)
		_ = left.CloseWrite()
	}()
	wantRead(t, right, data)
	wantEOF(t, right)
	writeAll(t, right, []byte("after the half-close"))
	_ = right.CloseWrite()
	wantRead(t, left, []byte("after the half-close"))
	wantEOF(t, left)
	for _, id := range []uint64{c, a} {
		eventually(t, "a normal end", func() bool { end := s.connection(id).GetEnd(); return end != nil && end.GetReason() == "" })
	}
}

func TestConnectAndAcceptWithAttach(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	listenerID, port := s.listen()
	request := connectTo(port)
	request.Attach = true
	c, err := s.Connect(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: listenerID, Attach: true})
	if err != nil {
		t.Fatal(err)
	}
	if c.GetConnection().GetTransport() != starfishv1.Transport_TRANSPORT_DATA_SOCKET {
		t.Errorf("transport %v", c.GetConnection().GetTransport())
	}
	left, right := claim(t, c.GetDataSocket()), claim(t, a.GetDataSocket())
	writeAll(t, left, []byte("hello"))
	wantRead(t, right, []byte("hello"))
}

func TestBytesBehindTheTokenAreKept(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	r, err := s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.Dial("unix", r.GetDataSocket().GetPath())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	writeAll(t, socket, []byte(r.GetDataSocket().GetToken()+"first bytes"))
	wantRead(t, s.attach(a), []byte("first bytes"))
}

func TestDataSocketSeesReset(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	socket := s.attach(c)
	eventually(t, "the data socket to be attached", func() bool { return s.connection(c).GetTransport() != 0 })
	if _, err := s.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: a}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, socket); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Write([]byte("x")); err == nil {
		t.Error("a data socket can be written after a reset")
	}
	eventually(t, "the reason", func() bool { return s.connection(c).GetEnd().GetReason() == "ECONNRESET" })
}

func TestDataSocketClosedDelivers(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	left := s.attach(c)
	data := pattern(100_000)
	writeAll(t, left, data)
	_ = left.Close()
	got, err := io.ReadAll(s.attach(a))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes arrived, error %v", len(got), err)
	}
}

// refusedSocket presents a token and wants the socket to be closed.
func refusedSocket(t *testing.T, path, token string) {
	t.Helper()
	socket, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	_ = socket.SetDeadline(time.Now().Add(patience))
	writeAll(t, socket, []byte(token))
	if n, err := socket.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v from a socket with a bad token", n, err)
	}
}

func TestTokens(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.dial(t)
	c, a := s.pair()
	r, err := s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c})
	if err != nil {
		t.Fatal(err)
	}
	path, good := r.GetDataSocket().GetPath(), r.GetDataSocket().GetToken()
	if len(good) != tokenLen {
		t.Errorf("token %q", good)
	}
	refusedSocket(t, path, "0123456789abcdef0123456789abcdef")
	socket := claim(t, r.GetDataSocket())
	writeAll(t, socket, []byte("the right one"))
	wantRead(t, s.attach(a), []byte("the right one"))
	refusedSocket(t, path, good)
	if got := d.counters.tokensRejected.Load(); got != 2 {
		t.Errorf("%d tokens rejected", got)
	}
	_, err = s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c})
	wantError(t, err, codes.FailedPrecondition, "EALREADY")
}

func TestShortTokenIsRefused(t *testing.T) {
	d := startDaemon(t, nil)
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: d.dataPath, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	writeAll(t, socket, []byte("short"))
	_ = socket.CloseWrite()
	wantEOF(t, socket)
}

func TestTokensExpire(t *testing.T) {
	s := startDaemon(t, func(c *config.Config) { c.Limits.AttachTimeout = 50 * time.Millisecond }).dial(t)
	listenerID, port := s.listen()
	request := connectTo(port)
	request.Attach = true
	c, err := s.Connect(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	id := c.GetConnection().GetId()
	// Nobody else knows of the connection.
	eventually(t, "the connection to be aborted", func() bool { return s.connection(id).GetEnd().GetReason() == "ECONNABORTED" })
	refusedSocket(t, c.GetDataSocket().GetPath(), c.GetDataSocket().GetToken())

	a, err := s.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: listenerID})
	if err != nil {
		t.Fatal(err)
	}
	id = a.GetConnection().GetId()
	if _, err := s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: id}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection to be free again", func() bool { return s.connection(id).GetTransport() == 0 })
	s.attach(id)
}

func TestTokensOfOtherUsers(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.dial(t)
	c, a := s.pair()
	r, err := s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c})
	if err != nil {
		t.Fatal(err)
	}
	var stolen token
	copy(stolen[:], r.GetDataSocket().GetToken())
	owner := d.registry.connection(c).owner.peer
	thief := peer{uid: owner.uid + 1}
	if !d.offers.beginHandshake(thief.uid) || d.offers.claim(stolen, thief) != nil {
		t.Error("another user's token was good")
	}
	// And the owner's still is.
	writeAll(t, claim(t, r.GetDataSocket()), []byte("mine"))
	wantRead(t, s.attach(a), []byte("mine"))
}

func TestSocketsWithoutTokensAreBounded(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.dial(t)
	c, a := s.pair()
	for range spareHandshakes {
		socket, err := net.Dial("unix", d.dataPath)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = socket.Close() }()
	}
	socket, err := net.Dial("unix", d.dataPath)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	wantEOF(t, socket) // one too many
	// Who has a token is not kept out by those.
	writeAll(t, s.attach(c), []byte("in time"))
	wantRead(t, s.attach(a), []byte("in time"))
}

func TestAttachLimit(t *testing.T) {
	s := startDaemon(t, func(c *config.Config) { c.Limits.PendingAttachesPerUser = 1 }).dial(t)
	c, a := s.pair()
	if _, err := s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: a})
	wantError(t, err, codes.ResourceExhausted, "ENFILE")
	s.mustStream(openByID(a)) // the failure has left it free
}
