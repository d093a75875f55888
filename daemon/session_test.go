package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/daemon/config"
)

// A client that disappears loses what it owned within this time.
const promptly = time.Second

func TestSessionsEndTakesWhatItOwned(t *testing.T) {
	d := startDaemon(t, nil)
	dying, other := d.dial(t), d.dial(t)
	listenerID, port := dying.listen()
	_, otherPort := other.listen()
	idle, err := dying.Connect(testContext(t), connectTo(otherPort))
	if err != nil {
		t.Fatal(err)
	}
	streaming := dying.mustStream(&starfishv1.StreamOpen{From: &starfishv1.StreamOpen_Connect{Connect: connectTo(otherPort)}})
	attached, err := dying.Connect(testContext(t), connectTo(otherPort))
	if err != nil {
		t.Fatal(err)
	}
	dying.attach(attached.GetConnection().GetId()) // and stays open
	offered, err := dying.Connect(testContext(t), connectTo(otherPort))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dying.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: offered.GetConnection().GetId()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the data socket to be attached", func() bool { return d.counters.dataSockets.Load() == 1 })

	begin := time.Now()
	dying.end()
	for _, id := range []uint64{idle.GetConnection().GetId(), streaming.id, attached.GetConnection().GetId(), offered.GetConnection().GetId()} {
		eventually(t, "a connection to be aborted", func() bool { return other.connection(id).GetEnd().GetReason() == "ECONNABORTED" })
	}
	if took := time.Since(begin); took > promptly {
		t.Errorf("it took %v", took)
	}
	_, err = other.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: listenerID})
	wantError(t, err, codes.NotFound, "EBADF")
	_, err = other.Connect(testContext(t), connectTo(port))
	wantError(t, err, codes.Unavailable, "ECONNREFUSED")
}

func TestClosedBeforeTheSessionEndsIsDelivered(t *testing.T) {
	d := startDaemon(t, nil)
	dying, other := d.dial(t), d.dial(t)
	listenerID, port := other.listen()
	c, err := dying.Connect(testContext(t), connectTo(port))
	if err != nil {
		t.Fatal(err)
	}
	a, err := other.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: listenerID})
	if err != nil {
		t.Fatal(err)
	}
	// Nobody reads yet, so that the bytes are still on their way when the session ends.
	socket := dying.attach(c.GetConnection().GetId())
	data := pattern(150_000)
	writeAll(t, socket, data)
	_ = socket.Close()
	dying.end()
	got, err := io.ReadAll(other.attach(a.GetConnection().GetId()))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes arrived, error %v", len(got), len(data), err)
	}
}

// A client that gave a call up never hears of what it opened: nobody would ever close it.
func TestOpenedForNobodyIsAborted(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.dial(t)
	listenerID, port := s.listen()
	dialled, err := s.Connect(testContext(t), connectTo(port))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection to wait for Accept", func() bool {
		r, err := s.ListConnections(testContext(t), &starfishv1.ListConnectionsRequest{})
		return err == nil && r.GetListeners()[0].GetAcceptQueue() == 1
	})
	ctx, owner := d.asUser(t, uint32(os.Getuid()))
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err = d.Accept(ctx, &starfishv1.AcceptRequest{ListenerId: listenerID})
	wantError(t, err, codes.Canceled, "ECANCELED")
	eventually(t, "the accepted connection to be reset", func() bool {
		return s.connection(dialled.GetConnection().GetId()).GetEnd().GetReason() == "ECONNRESET"
	})
	d.registry.mu.Lock()
	defer d.registry.mu.Unlock()
	if len(d.registry.conns.of(owner)) != 0 {
		t.Errorf("the session has %d connections", len(d.registry.conns.of(owner)))
	}
}

func TestSessionsOfOneUserShare(t *testing.T) {
	d := startDaemon(t, nil)
	one, two := d.dial(t), d.dial(t)
	listenerID, port := one.listen()
	c, err := one.Connect(testContext(t), connectTo(port))
	if err != nil {
		t.Fatal(err)
	}
	a, err := two.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: listenerID})
	if err != nil {
		t.Fatal(err)
	}
	if one.connection(a.GetConnection().GetId()).GetOwner().GetSessionId() == one.connection(c.GetConnection().GetId()).GetOwner().GetSessionId() {
		t.Error("who accepts does not own the connection")
	}
	if _, err := two.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: c.GetConnection().GetId()}); err != nil {
		t.Error(err)
	}
}

// asUser makes calls on the daemon as another user's session would.
func (d *testDaemon) asUser(t *testing.T, uid uint32) (context.Context, *session) {
	s := d.registry.beginSession(peer{uid: uid, gid: uid, pid: 1}, "other")
	t.Cleanup(func() { d.endSession(s) })
	return context.WithValue(testContext(t), sessionKey{}, s), s
}

func TestOtherUsers(t *testing.T) {
	for _, visibility := range []string{config.VisibleToAll, config.VisibleToOwner} {
		t.Run(visibility, func(t *testing.T) {
			d := startDaemon(t, func(c *config.Config) { c.Visibility = visibility })
			s := d.dial(t)
			c, _ := s.pair()
			ctx, _ := d.asUser(t, uint32(os.Getuid())+1)
			code, reason, listed := codes.PermissionDenied, "EPERM", 2
			if visibility == config.VisibleToOwner {
				code, reason, listed = codes.NotFound, "EBADF", 0
			}
			for name, call := range map[string]func() error{
				"abort":    func() error { _, err := d.Abort(ctx, &starfishv1.AbortRequest{ConnectionId: c}); return err },
				"close":    func() error { _, err := d.Close(ctx, closeConnection(c)); return err },
				"listener": func() error { _, err := d.Close(ctx, closeListener(1)); return err },
				"attach":   func() error { _, err := d.Attach(ctx, &starfishv1.AttachRequest{ConnectionId: c}); return err },
				"accept":   func() error { _, err := d.Accept(ctx, &starfishv1.AcceptRequest{ListenerId: 1}); return err },
				"shutdown": func() error { _, err := d.Shutdown(ctx, &starfishv1.ShutdownRequest{ConnectionId: c}); return err },
				"set":      func() error { _, err := d.SetOptions(ctx, &starfishv1.SetOptionsRequest{ConnectionId: c}); return err },
			} {
				t.Log(name)
				wantError(t, call(), code, reason)
			}
			list, err := d.ListConnections(ctx, &starfishv1.ListConnectionsRequest{})
			if err != nil || len(list.GetConnections()) != listed {
				t.Errorf("%d connections are listed, error %v", len(list.GetConnections()), err)
			}
			if s.connection(c).GetEnd() != nil {
				t.Error("another user has ended the connection")
			}
			if root, _ := d.asUser(t, 0); errors.Is(d.mayAbort(root, c), errNoSession) || d.mayAbort(root, c) != nil {
				t.Error("root may not act")
			}
		})
	}
}

func (d *testDaemon) mayAbort(ctx context.Context, id uint64) error {
	_, err := d.subject(ctx, "abort", id)
	return err
}

func TestLimits(t *testing.T) {
	d := startDaemon(t, func(c *config.Config) {
		c.Limits.ConnectionsPerUser = 2
		c.Limits.ListenersPerUser = 1
		c.Limits.PendingAcceptsPerSession = 1
	})
	s := d.dial(t)
	c, _ := s.pair()
	_, err := s.Connect(testContext(t), connectTo(1))
	t.Log(err)
	wantError(t, err, codes.ResourceExhausted, "ENFILE")
	_, err = s.Listen(testContext(t), &starfishv1.ListenRequest{})
	wantError(t, err, codes.ResourceExhausted, "ENFILE")
	// What has ended makes room.
	if _, err := s.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: c}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	go func() { _, _ = s.Accept(ctx, &starfishv1.AcceptRequest{ListenerId: 1}) }()
	eventually(t, "the first Accept to wait", func() bool {
		d.registry.mu.Lock()
		defer d.registry.mu.Unlock()
		return d.registry.listeners.byID[1].owner.accepts == 1
	})
	_, err = s.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: 1})
	wantError(t, err, codes.ResourceExhausted, "ENFILE")
	cancel()
	eventually(t, "the room to be given back", func() bool {
		_, err := s.Connect(testContext(t), connectTo(1))
		return reasonOf(err) == "ECONNREFUSED"
	})
}

func TestSessionLimit(t *testing.T) {
	d := startDaemon(t, func(c *config.Config) { c.Limits.SessionsPerUser = 1 })
	first := d.dial(t)
	first.listen()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := d.dial(t).GetInfo(ctx, &starfishv1.GetInfoRequest{}); err == nil {
		t.Error("a session above the limit was admitted")
	}
	if d.counters.refused.Load() == 0 {
		t.Error("and it was not counted")
	}
}

// openDescriptors counts what this process has open.
func openDescriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestNothingLeaks(t *testing.T) {
	d := startDaemon(t, nil)
	keeper := d.dial(t)
	keeper.listen()
	round := func() {
		s := d.dial(t)
		for range 5 {
			c, a := s.pair()
			writeAll(t, s.attach(c), pattern(10_000))
			stream := s.mustStream(openByID(a))
			if _, err := stream.Recv(); err != nil {
				t.Error(err)
			}
		}
		waiting, cancel := context.WithCancel(context.Background())
		go func() { _, _ = s.Accept(waiting, &starfishv1.AcceptRequest{ListenerId: 1}) }()
		c, _ := s.pair()
		if _, err := s.Attach(testContext(t), &starfishv1.AttachRequest{ConnectionId: c}); err != nil {
			t.Error(err)
		}
		s.end()
		cancel()
	}
	settled := func() bool {
		sessions, conns, listeners := d.registry.counts()
		return sessions == 1 && conns == 0 && listeners == 1
	}
	round()
	eventually(t, "the first session's things to be gone", settled)
	runtime.GC() // closes what the test itself has dropped: its ends of data sockets
	time.Sleep(100 * time.Millisecond)
	goroutines, descriptors, buffers := runtime.NumGoroutine(), openDescriptors(t), d.network.Pool().InUse()
	for range 5 {
		round()
	}
	eventually(t, "all sessions' things to be gone", settled)
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "buffers to be given back", func() bool { return d.network.Pool().InUse() <= buffers })
	// The ends of data sockets that this test holds are closed at its end; they are not the daemon's.
	const heldByTest = 6
	if got := openDescriptors(t); got > descriptors+5*heldByTest {
		t.Errorf("%d descriptors, before there were %d", got, descriptors)
	}
	d.registry.mu.Lock()
	defer d.registry.mu.Unlock()
	one := tally{uint32(os.Getuid()): 1}
	if r := d.registry; !maps.Equal(r.users, one) || !maps.Equal(r.listeners.users, one) || len(r.conns.users) != 0 || r.conns.opening != 0 {
		t.Errorf("sessions %v, listeners %v, connections %v and %d opening", r.users, r.listeners.users, r.conns.users, r.conns.opening)
	}
}

func TestStopIsGraceful(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.dial(t)
	_, port := s.listen()
	c, a := s.pair()
	left, right := s.attach(c), s.attach(a)
	writeAll(t, left, []byte("last words"))
	eventually(t, "the data sockets to be attached", func() bool { return d.counters.dataSockets.Load() == 2 })
	d.stop()
	wantRead(t, right, []byte("last words"))
	wantEOF(t, right)
	wantEOF(t, left)
	_ = left.Close()
	_ = right.Close()
	_, err := s.Connect(testContext(t), connectTo(port))
	if reasonOf(err) != "ESHUTDOWN" && err == nil {
		t.Errorf("connect while stopping: %v", err)
	}
	if err := d.wait(); err != nil {
		t.Error(err)
	}
	for _, path := range []string{d.cfg.Socket, d.dataPath} {
		if _, err := os.Lstat(path); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

func TestStopIsBounded(t *testing.T) {
	d := startDaemon(t, func(c *config.Config) { c.StopTimeout = 200 * time.Millisecond })
	s := d.dial(t)
	s.pair() // whose ends never close by themselves
	begin := time.Now()
	d.stop()
	if err := d.wait(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}
