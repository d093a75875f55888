package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// tokenLen is the bytes that a client presents on its data socket: 128 random bits in hexadecimal, more than can be
// guessed while a token lives.
const tokenLen = 32

// token lets the one who presents it take a connection's bytes, once.
type token [tokenLen]byte

func newToken() token {
	var random [tokenLen / 2]byte
	_, _ = rand.Read(random[:]) // never fails
	var t token
	hex.Encode(t[:], random[:])
	return t
}

// offer is a data socket that waits for its client.
type offer struct {
	conn   *connection
	expiry *time.Timer
	// unheard: the client learnt of the connection in the answer that carried the token. If it doesn't come with it,
	// the answer was lost, and nobody else knows of the connection.
	unheard bool
}

// Attach implements the API.
func (d *Daemon) Attach(ctx context.Context, request *starfishv1.AttachRequest) (*starfishv1.AttachResponse, error) {
	s, err := d.admit(ctx, "attach")
	if err != nil {
		return nil, err
	}
	c, err := d.findConnection("attach", s, request.GetConnectionId())
	if err != nil {
		return nil, err
	}
	if err := c.claim("attach", edgePending); err != nil {
		return nil, err
	}
	socket, err := d.offer("attach", c, false)
	if err != nil {
		c.unclaim()
		return nil, err
	}
	return &starfishv1.AttachResponse{DataSocket: socket}, nil
}

// firstOffer makes a token for a connection that was opened to be attached, and nothing for any other.
func (d *Daemon) firstOffer(op string, c *connection, attach bool) (*starfishv1.DataSocket, error) {
	if !attach {
		return nil, nil
	}
	socket, err := d.offer(op, c, true)
	if err != nil {
		d.abort(c) // its client doesn't know of it
		return nil, err
	}
	return socket, nil
}

// offer makes a token for a connection's bytes, which were claimed for it.
func (d *Daemon) offer(op string, c *connection, unheard bool) (*starfishv1.DataSocket, error) {
	t := newToken()
	validFor, err := d.offers.add(d, op, t, c, unheard)
	if err != nil {
		return nil, err
	}
	return &starfishv1.DataSocket{Path: d.dataPath, Token: string(t[:]), ValidFor: durationpb.New(validFor)}, nil
}

// unclaim gives the bytes of a connection back that nobody came for.
func (c *connection) unclaim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.edge == edgePending {
		c.edge = edgeNone
	}
}

// add publishes a token.
func (o *offers) add(d *Daemon, op string, t token, c *connection, unheard bool) (time.Duration, error) {
	limits := d.registry.currentLimits()
	uid := c.owner.peer.uid
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, &failure{op: op, errno: unix.ESHUTDOWN, detail: "starfishd is stopping"}
	}
	if err := checkLimit(op, "pending_attaches_per_user", o.users[uid].tokens, limits.PendingAttachesPerUser); err != nil {
		return 0, err
	}
	o.count(uid, 1, 0)
	pending := &offer{conn: c, unheard: unheard}
	pending.expiry = time.AfterFunc(limits.AttachTimeout, func() {
		if o.expire(t, pending) {
			d.lapse(pending)
		}
	})
	o.byToken[t] = pending
	return limits.AttachTimeout, nil
}

// expire takes an offer back, unless its client has come.
func (o *offers) expire(t token, pending *offer) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byToken[t] != pending {
		return false
	}
	o.remove(t, pending)
	return true
}

// remove makes a token worthless. The lock must be held.
func (o *offers) remove(t token, pending *offer) {
	delete(o.byToken, t)
	pending.expiry.Stop()
	o.count(pending.conn.owner.peer.uid, -1, 0)
}

// lapse ends an offer that nobody took.
func (d *Daemon) lapse(o *offer) {
	d.counters.tokensExpired.Add(1)
	if o.unheard {
		d.abort(o.conn)
		return
	}
	o.conn.unclaim()
}

// stop ends all offers, without a word: their connections are finished by others.
func (o *offers) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, pending := range o.byToken {
		pending.expiry.Stop()
	}
	clear(o.byToken)
}
