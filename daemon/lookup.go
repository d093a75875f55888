package daemon

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/stack"
	"github.com/MUCZ/Starfish/daemon/config"
)

// findConnection returns a live connection for a session to act on.
func (d *Daemon) findConnection(op string, s *session, id uint64) (*connection, error) {
	c := d.registry.connection(id)
	if c == nil || !d.visible(s, c.owner) {
		return nil, notFound(op, connectionName(id), "no such connection, or it has ended")
	}
	if !s.mayUse(c.owner) {
		return nil, notPermitted(op, connectionName(id))
	}
	return c, nil
}

// findListener returns a listener for a session to act on.
func (d *Daemon) findListener(op string, s *session, id uint64) (*listener, error) {
	l := d.registry.listener(id)
	if l == nil || !d.visible(s, l.owner) {
		return nil, notFound(op, listenerName(id), "no such listener, or it is closed")
	}
	if !s.mayUse(l.owner) {
		return nil, notPermitted(op, listenerName(id))
	}
	return l, nil
}

// visible reports whether the policy shows a session what another one owns.
func (d *Daemon) visible(s, owner *session) bool {
	return d.config.Load().Visibility == config.VisibleToAll || s.mayUse(owner)
}

func notFound(op, subject, detail string) error {
	return &failure{op: op, subject: subject, errno: unix.EBADF, detail: detail}
}

func notPermitted(op, subject string) error {
	return &failure{op: op, subject: subject, errno: unix.EPERM, detail: "it belongs to another user"}
}

func (r *registry) connection(id uint64) *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns.byID[id]
}

func (r *registry) listener(id uint64) *listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listeners.byID[id]
}

// connectionsAfter returns a page of the connections that shown accepts.
func (r *registry) connectionsAfter(after uint64, n int, shown func(owner *session) bool) ([]*connection, uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns.page(after, n, shown)
}

// listenersAfter returns a page of the listeners that shown accepts.
func (r *registry) listenersAfter(after uint64, n int, shown func(owner *session) bool) ([]*listener, uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listeners.page(after, n, shown)
}

func (r *registry) allListeners() []*listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.listeners.byID))
}

// owned returns the stack's side of all connections that somebody owns.
func (r *registry) owned() map[*stack.Conn]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	owned := make(map[*stack.Conn]bool, len(r.conns.byID))
	for _, c := range r.conns.byID {
		owned[c.conn] = true
	}
	return owned
}

// counts returns how much there is of everything.
func (r *registry) counts() (sessions, conns, listeners int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions), len(r.conns.byID), len(r.listeners.byID)
}
