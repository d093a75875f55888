package sim

import (
	"errors"
	"slices"
	"time"
)

// restartPlan is a host that loses all it knows, and comes back at once with its addresses, its ports and its listeners.
type restartPlan struct {
	host  int
	at    time.Duration
	again time.Duration // from the end of a connection to the next attempt of who opened it, from the same port
}

// mostRenewals is how often a connection is opened again: what is left of an old one may well end the next.
const mostRenewals = 50

// renewal is what becomes of a connection that a restart has met.
type renewal struct {
	met     bool
	opened  int        // how often it was opened again
	pending bool       // it is about to be
	former  [2][]*user // who held its ends before
}

// errRestarted is why connections end whose own host restarts.
var errRestarted = errors.New("the host has restarted")

// restart lets a host forget everything.
func (r *run) restart() {
	side := r.plan.restart.host
	h := r.hosts[side]
	if r.closing {
		return
	}
	r.net.tracef("%s restarts", h.Name)
	if err := h.boot(); err != nil {
		r.fail("%v", err)
		return
	}
	clear(r.byID[side])
	clear(r.listeners[side])
	for conn := range r.plan.conns {
		c, n := &r.plan.conns[conn], &r.renewals[conn]
		own, other := r.users[conn][side], r.users[conn][1-side]
		if own != nil && !own.released || other != nil && !other.released {
			n.met = true
			r.watch.forget(conn, false)
		}
		if !c.opens[side] {
			if err := r.listen(conn, side); err != nil {
				r.fail("%s: %v", h.Name, err)
			}
		}
		if own != nil && !own.released {
			own.released, own.err = true, errRestarted
			own.outbox.Clear()
			r.renew(own)
		}
	}
}

// renew opens a connection again that has ended by an error, if its user is who opened it and had not come to its end.
func (r *run) renew(u *user) {
	c, n := &r.plan.conns[u.conn], &r.renewals[u.conn]
	if !n.met || n.pending || u.err == nil || !c.polite() || !c.opens[u.side] || c.opens[1-u.side] || u.transferredEnd() {
		return
	}
	if n.opened++; n.opened > mostRenewals {
		r.fail("connection %d does not come back after a restart, in %d attempts", u.conn, mostRenewals)
		return
	}
	n.pending = true
	r.net.At(r.net.now.Add(r.plan.restart.again), func() {
		n.pending = false
		r.watch.forget(u.conn, true)
		r.connect(u.conn, u.side)
	})
}

// replaceable reports whether the place of a user is free for another, because a restart has ended the connection it had.
func (r *run) replaceable(u *user) bool {
	return u == nil || r.renewals[u.conn].met && (u.released || u.ended)
}

// replace makes u the user of its end.
func (r *run) replace(u *user) {
	place := &r.users[u.conn][u.side]
	if *place != nil {
		former := &r.renewals[u.conn].former[u.side]
		*former = append(*former, *place)
	}
	*place = u
}

// peers are all who have held the other end, the present one first, until the next call.
func (u *user) peers() []*user {
	list := u.run.peers[:0]
	if p := u.peer(); p != nil {
		list = append(append(list, p), u.run.renewals[u.conn].former[1-u.side]...)
	}
	u.run.peers = list
	return list
}

// opener is the side that opens, if it is one alone.
func (c *connPlan) opener() int {
	if c.opens[1] {
		return 1
	}
	return 0
}

// left reports whether someone who held an end of a connection has let go of it, or has but to read what came.
func (r *run) left(conn, side int) bool {
	u := r.users[conn][side]
	gone := func(u *user) bool { return u.released || u.ended }
	return u != nil && gone(u) || slices.ContainsFunc(r.renewals[conn].former[side], gone)
}

// settled reports whether nobody holds the connection any more.
func (n *renewal) settled() bool {
	left := func(u *user) bool { return !u.released }
	return !n.pending && !slices.ContainsFunc(n.former[0], left) && !slices.ContainsFunc(n.former[1], left)
}
