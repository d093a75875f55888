package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.uber.org/zap"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// session is one gRPC connection of a client. It owns what was opened through it.
type session struct {
	id      uint64
	peer    peer
	process string

	// The registry's lock guards what follows.
	accepts int // calls that wait in Accept
	ended   bool
}

func (s *session) owner() *starfishv1.Owner {
	return &starfishv1.Owner{Uid: s.peer.uid, Gid: s.peer.gid, Pid: s.peer.pid, Process: s.process, SessionId: s.id}
}

// mayUse reports whether the session may act on what another one owns: users share what is theirs, root uses all.
func (s *session) mayUse(owner *session) bool {
	return s.peer.uid == owner.peer.uid || s.peer.root()
}

type sessionKey struct{}

var errNoSession = errors.New("call outside of a session")

// sessionOf returns the session that a call came through.
func sessionOf(ctx context.Context) (*session, error) {
	s, ok := ctx.Value(sessionKey{}).(*session)
	if !ok {
		return nil, errNoSession
	}
	return s, nil
}

// sessionTracker tells the daemon where gRPC connections begin and end. It is a stats.Handler because that is the one
// place where gRPC says so.
type sessionTracker struct{ d *Daemon }

// TagConn begins a session.
func (t sessionTracker) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return ctx
	}
	cred, ok := p.AuthInfo.(peer)
	if !ok {
		return ctx
	}
	s := t.d.registry.beginSession(cred, processName(cred.pid))
	t.d.log.Debug("session begins", zap.Uint64("session", s.id), zap.Uint32("uid", cred.uid), zap.Uint32("pid", cred.pid),
		zap.String("process", s.process))
	return context.WithValue(ctx, sessionKey{}, s)
}

// HandleConn ends a session.
func (t sessionTracker) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, end := s.(*stats.ConnEnd); !end {
		return
	}
	if s, err := sessionOf(ctx); err == nil {
		t.d.endSession(s)
	}
}

// TagRPC and HandleRPC are no concern of sessions.
func (sessionTracker) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC does nothing.
func (sessionTracker) HandleRPC(context.Context, stats.RPCStats) {}

// processName is the command name of a process, as ps shows it; empty when it has gone already.
func processName(pid uint32) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(name)), "?")
}

// endSession takes what the session owned: listeners are closed and connections aborted. Those whose data socket the
// client closed before finish in the background, as closed sockets of the kernel do.
func (d *Daemon) endSession(s *session) {
	conns, listeners := d.registry.endSession(s)
	for _, l := range listeners {
		d.closeListener(l)
	}
	aborted := 0
	for _, c := range conns {
		if d.stopping.Load() || c.closedByClient() {
			continue // Drain, or the data socket's end, finishes it
		}
		d.abort(c)
		aborted++
	}
	d.log.Debug("session ends", zap.Uint64("session", s.id), zap.Int("connections_aborted", aborted),
		zap.Int("listeners_closed", len(listeners)))
}
