package daemon

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/daemon/config"
)

// registry knows who owns what. Its lock is a leaf: nothing that could wait for a shard is called under it, because
// shards report the end of data sockets into it.
type registry struct {
	mu sync.Mutex

	limits      config.Limits
	sessions    map[uint64]*session
	lastSession uint64 // ids are never used twice
	users       tally  // of sessions
	conns       holdings[*connection]
	listeners   holdings[*listener]
	ended       endedLog
}

func newRegistry(limits config.Limits) *registry {
	return &registry{
		limits:    limits,
		sessions:  make(map[uint64]*session),
		users:     make(tally),
		conns:     newHoldings[*connection](),
		listeners: newHoldings[*listener](),
		ended:     newEndedLog(limits.EndedConnections),
	}
}

// setLimits takes effect for what is opened from now on.
func (r *registry) setLimits(limits config.Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = limits
	r.ended.resize(limits.EndedConnections)
}

func (r *registry) currentLimits() config.Limits {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limits
}

// admitSession refuses a session above the user's limit. It is asked before the session begins; sessions that begin at
// the same moment can pass the limit by their number, which bounds as well.
func (r *registry) admitSession(p peer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return checkLimit("open session", "sessions_per_user", r.users[p.uid], r.limits.SessionsPerUser)
}

func (r *registry) beginSession(p peer, process string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastSession++
	s := &session{id: r.lastSession, peer: p, process: process}
	r.sessions[s.id] = s
	r.users.add(p.uid, 1)
	return s
}

// endSession returns what the session owned. Its connections stay until they end.
func (r *registry) endSession(s *session) ([]*connection, []*listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.ended {
		return nil, nil
	}
	s.ended = true
	delete(r.sessions, s.id)
	r.users.add(s.peer.uid, -1)
	return r.conns.of(s), r.listeners.of(s)
}

// reserveConnection makes room for one connection of the session's user before it is opened. Give the room back with
// unreserveConnection, or fill it with addConnection.
func (r *registry) reserveConnection(op string, s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := checkLimit(op, "connections", r.conns.total(), r.limits.Connections); err != nil {
		return err
	}
	if err := checkLimit(op, "connections_per_user", r.conns.users[s.peer.uid], r.limits.ConnectionsPerUser); err != nil {
		return err
	}
	r.conns.reserve(s)
	return nil
}

func (r *registry) unreserveConnection(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns.unreserve(s)
}

// addConnection gives a connection its id and its owner. It reports false, and gives the reserved room back, when the
// session has ended meanwhile.
func (r *registry) addConnection(c *connection) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns.add(c)
}

// endConnection takes a connection out, if it is still there, and remembers how it ended.
func (r *registry) endConnection(c *connection, end ending) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.conns.remove(c) {
		return false
	}
	r.ended.add(c, end)
	return true
}

// reserveListener is reserveConnection for a listener.
func (r *registry) reserveListener(s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := checkLimit("listen", "listeners_per_user", r.listeners.users[s.peer.uid], r.limits.ListenersPerUser); err != nil {
		return err
	}
	r.listeners.reserve(s)
	return nil
}

func (r *registry) unreserveListener(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners.unreserve(s)
}

// addListener gives a listener its id and its owner, or reports false as addConnection does.
func (r *registry) addListener(l *listener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listeners.add(l)
}

func (r *registry) removeListener(l *listener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listeners.remove(l)
}

// beginAccept counts a call that waits; endAccept ends it.
func (r *registry) beginAccept(s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := checkLimit("accept", "pending_accepts_per_session", s.accepts, r.limits.PendingAcceptsPerSession); err != nil {
		return err
	}
	s.accepts++
	return nil
}

func (r *registry) endAccept(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.accepts--
}

// checkLimit refuses what would go above a limit, and names it.
func checkLimit(op, name string, have, limit int) error {
	if have < limit {
		return nil
	}
	f := &failure{op: op, errno: unix.ENFILE, detail: "the limit " + name + " of " + strconv.Itoa(limit) + " is reached"}
	return f.with("limit", name).with("value", strconv.Itoa(limit))
}
