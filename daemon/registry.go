package daemon

import (
	"maps"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/daemon/config"
)

// registry knows who owns what. Its lock is a leaf: nothing that could wait for a shard is called under it, because
// shards report the end of data sockets into it.
type registry struct {
	mu sync.Mutex

	limits    config.Limits
	sessions  map[uint64]*session
	conns     map[uint64]*connection
	listeners map[uint64]*listener
	users     map[uint32]*usage
	opening   int // connections reserved and not in conns yet
	ended     endedLog

	// Ids are never used twice.
	lastSession, lastConn, lastListener uint64
}

// usage counts what a user has.
type usage struct {
	sessions, conns, listeners int
}

func newRegistry(limits config.Limits) *registry {
	return &registry{
		limits:    limits,
		sessions:  make(map[uint64]*session),
		conns:     make(map[uint64]*connection),
		listeners: make(map[uint64]*listener),
		users:     make(map[uint32]*usage),
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

// user returns the counters of a user. The lock must be held.
func (r *registry) user(uid uint32) *usage {
	u := r.users[uid]
	if u == nil {
		u = &usage{}
		r.users[uid] = u
	}
	return u
}

// forget drops the counters of a user who has nothing. The lock must be held.
func (r *registry) forget(uid uint32) {
	if u := r.users[uid]; u != nil && *u == (usage{}) {
		delete(r.users, uid)
	}
}

// admitSession refuses a session above the user's limit. It is asked before the session begins; sessions that begin at
// the same moment can pass the limit by their number, which bounds as well.
func (r *registry) admitSession(p peer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.users[p.uid]
	if u == nil {
		return nil
	}
	return checkLimit("open session", "sessions_per_user", u.sessions, r.limits.SessionsPerUser)
}

func (r *registry) beginSession(p peer, process string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastSession++
	s := &session{
		id: r.lastSession, peer: p, process: process, conns: make(map[uint64]*connection),
		listeners: make(map[uint64]*listener),
	}
	r.sessions[s.id] = s
	r.user(p.uid).sessions++
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
	r.user(s.peer.uid).sessions--
	r.forget(s.peer.uid)
	return slices.Collect(maps.Values(s.conns)), slices.Collect(maps.Values(s.listeners))
}

// reserveConnection makes room for one connection of the session's user before it is opened. Give the room back with
// unreserveConnection, or fill it with addConnection.
func (r *registry) reserveConnection(op string, s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := checkLimit(op, "connections", len(r.conns)+r.opening, r.limits.Connections); err != nil {
		return err
	}
	u := r.user(s.peer.uid)
	if err := checkLimit(op, "connections_per_user", u.conns, r.limits.ConnectionsPerUser); err != nil {
		return err
	}
	u.conns++
	r.opening++
	return nil
}

func (r *registry) unreserveConnection(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opening--
	r.user(s.peer.uid).conns--
	r.forget(s.peer.uid)
}

// addConnection gives a connection its id and its owner. It reports false, and gives the reserved room back, when the
// session has ended meanwhile.
func (r *registry) addConnection(c *connection) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opening--
	if c.owner.ended {
		r.user(c.owner.peer.uid).conns--
		r.forget(c.owner.peer.uid)
		return false
	}
	r.lastConn++
	c.id = r.lastConn
	r.conns[c.id] = c
	c.owner.conns[c.id] = c
	return true
}

// endConnection takes a connection out, if it is still there, and remembers how it ended.
func (r *registry) endConnection(c *connection, end ending) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns[c.id] != c {
		return false
	}
	delete(r.conns, c.id)
	delete(c.owner.conns, c.id)
	r.user(c.owner.peer.uid).conns--
	r.forget(c.owner.peer.uid)
	r.ended.add(c, end)
	return true
}

func (r *registry) reserveListener(s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.user(s.peer.uid)
	if err := checkLimit("listen", "listeners_per_user", u.listeners, r.limits.ListenersPerUser); err != nil {
		return err
	}
	u.listeners++
	return nil
}

func (r *registry) unreserveListener(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user(s.peer.uid).listeners--
	r.forget(s.peer.uid)
}

// addListener gives a listener its id and its owner, or reports false as addConnection does.
func (r *registry) addListener(l *listener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.owner.ended {
		r.user(l.owner.peer.uid).listeners--
		r.forget(l.owner.peer.uid)
		return false
	}
	r.lastListener++
	l.id = r.lastListener
	r.listeners[l.id] = l
	l.owner.listeners[l.id] = l
	return true
}

func (r *registry) removeListener(l *listener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listeners[l.id] != l {
		return false
	}
	delete(r.listeners, l.id)
	delete(l.owner.listeners, l.id)
	r.user(l.owner.peer.uid).listeners--
	r.forget(l.owner.peer.uid)
	return true
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
