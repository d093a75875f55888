package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

const (
	// stallLimit is how long, in the network's time, nothing may get through before a scenario counts as stuck. The
	// longest retransmission timeout is two minutes, so that this is hundreds of tries in a row.
	stallLimit = 12 * time.Hour
	// maxSteps bounds a scenario: far above what the largest plan takes.
	maxSteps = 20_000_000
	// lingering is how long listeners stay after the last user has left, for what is still under way.
	lingering = 3 * time.Minute
	// traceLines is how much of the trace an error carries.
	traceLines = 300
)

// run is a scenario under way.
type run struct {
	plan      *plan
	net       *Network
	hosts     [2]*Host
	actions   [2]int // steps in which something happened to a host
	watch     *watch
	users     [][2]*user
	renewals  []renewal // of each connection
	peers     []*user   // what user.peers fills
	byID      [2]map[tcp.ConnID]*user
	listeners [2]map[tcp.ListenerID]int // to the connection in the plan
	closing   bool
	progress  uint64
	movedAt   tcp.Time
	err       error
}

// Result is what a scenario came to.
type Result struct {
	TraceHash uint64
	Steps     int
	Elapsed   time.Duration // in the network's time
	Bytes     uint64        // received by users
	Polite    bool          // no user of it breaks off
	Forgotten int           // connections that were lost with a SYN cookie
	Renewed   int           // connections that were opened again after a restart
}

// Run plays the scenario of a seed. When a check fails, it plays it again for a trace, and the error carries the last
// lines of that.
func Run(seed uint64) (Result, error) {
	res, _, err := play(seed, 0)
	if err == nil {
		return res, nil
	}
	_, trace, again := play(seed, traceLines)
	if again == nil || again.Error() != err.Error() {
		return res, fmt.Errorf("sim: seed %d: %w (and a second run gave another result: %w)", seed, err, again)
	}
	return res, fmt.Errorf("sim: seed %d: %w\n%s", seed, err, trace)
}

// Replay plays the scenario of a seed with a trace of so many lines, and returns it.
func Replay(seed uint64, lines int) (Result, string, error) { return play(seed, lines) }

func play(seed uint64, traceLines int) (Result, string, error) {
	net := New(seed)
	return playPlan(net, draw(net.random(partScenario)), traceLines)
}

// playPlan plays a plan on an empty network.
func playPlan(net *Network, p *plan, traceLines int) (Result, string, error) {
	r := &run{net: net, plan: p}
	if traceLines > 0 {
		r.net.Trace(traceLines)
	}
	steps, err := r.play()
	res := Result{TraceHash: r.net.hash, Steps: steps, Elapsed: time.Duration(r.net.now), Polite: true}
	for i, pair := range r.users {
		res.Polite = res.Polite && r.plan.conns[i].polite()
		for _, u := range pair {
			if u != nil {
				res.Bytes += u.received
				if u.forgotten {
					res.Forgotten++
				}
			}
		}
		if r.renewals[i].opened > 0 {
			res.Renewed++
		}
	}
	for _, h := range r.net.hosts {
		h.shutDown()
	}
	return res, r.net.TraceText(), err
}

// fail notes the first violation.
func (r *run) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at %v: "+format, append([]any{time.Duration(r.net.now)}, args...)...)
		r.net.tracef("violation: %v", r.err)
	}
}

func (r *run) play() (steps int, err error) {
	if err := r.setUp(); err != nil {
		return 0, err
	}
	for ; r.err == nil; steps++ {
		more, err := r.net.Step()
		if err != nil {
			r.fail("%v", err)
			break
		}
		r.checkActive()
		r.checkProgress(steps)
		if !more {
			r.checkEnd()
			break
		}
		if !r.closing && r.settled() {
			r.closing = true
			r.net.At(r.net.now.Add(lingering), r.closeListeners)
		}
	}
	return steps, r.err
}

func (r *run) setUp() error {
	for i, name := range []string{"a", "b"} {
		h, err := r.net.AddHost(name, r.plan.hosts[i])
		if err != nil {
			return err
		}
		r.hosts[i] = h
		r.byID[i] = make(map[tcp.ConnID]*user)
		r.listeners[i] = make(map[tcp.ListenerID]int)
		h.OnEvent = func(e tcp.Event) { r.onEvent(i, e) }
	}
	r.net.Connect(r.hosts[0], r.hosts[1], r.plan.links[0], r.plan.links[1])
	r.watch = newWatch(r)
	r.net.OnSend, r.net.OnDeliver = r.watch.onSend, r.watch.onDeliver
	r.users, r.renewals = make([][2]*user, len(r.plan.conns)), make([]renewal, len(r.plan.conns))
	if p := r.plan.restart; p != nil {
		r.net.At(r.net.now.Add(p.at), r.restart)
	}
	for i := range r.plan.conns {
		c := &r.plan.conns[i]
		r.net.tracef("plan %d: %+v", i, *c)
		for side := range 2 {
			if !c.opens[side] {
				if err := r.listen(i, side); err != nil {
					return err
				}
				continue
			}
			r.net.At(r.net.now.Add(c.openAt), func() { r.connect(i, side) })
		}
	}
	return nil
}

func (r *run) endpoint(conn, side int) tcp.Endpoint {
	return tcp.Endpoint{Addr: r.hosts[side].Addr(r.plan.v6), Port: r.plan.conns[conn].ports[side]}
}

func (r *run) listen(conn, side int) error {
	options := r.plan.conns[conn].users[side].options
	id, err := r.hosts[side].Stack.Listen(r.endpoint(conn, side), 0, &options)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	r.listeners[side][id] = conn
	return nil
}

func (r *run) connect(conn, side int) {
	options := r.plan.conns[conn].users[side].options
	h := r.hosts[side]
	id, err := h.Stack.Connect(h.Now(), r.endpoint(conn, side), r.endpoint(conn, 1-side), &options)
	if err != nil {
		r.fail("%s: connect: %v", h.Name, err)
		return
	}
	r.addUser(conn, side, id).connectAt = r.hosts[1-side].Now()
}

func (r *run) addUser(conn, side int, id tcp.ConnID) *user {
	u := &user{run: r, host: r.hosts[side], conn: conn, side: side, plan: &r.plan.conns[conn].users[side], id: id}
	r.replace(u)
	r.byID[side][id] = u
	u.tracef("has handle %#x", uint64(id))
	return u
}

func (r *run) onEvent(side int, e tcp.Event) {
	if e.Flags&tcp.EventAccepted != 0 {
		conn, ok := r.listeners[side][e.Listener]
		if !ok {
			r.fail("%s: an event of an unknown listener", r.hosts[side].Name)
			return
		}
		r.net.At(r.net.now.Add(r.plan.conns[conn].acceptDelay), func() { r.accept(side, e.Listener, conn) })
		return
	}
	u := r.byID[side][e.Conn]
	if u == nil {
		r.fail("%s: an event of an unknown connection", r.hosts[side].Name)
		return
	}
	u.onEvent(e.Flags)
}

// accept takes what waits at a listener. A second connection is a ghost, raised by old duplicates of a first that is
// over; it can't come to more than being established, and is reset as an application protocol would.
func (r *run) accept(side int, listener tcp.ListenerID, conn int) {
	if _, ok := r.listeners[side][listener]; !ok {
		return
	}
	h := r.hosts[side]
	for {
		id, err := h.Stack.Accept(listener)
		if errors.Is(err, tcp.ErrWouldBlock) {
			return
		}
		if err != nil {
			r.fail("%s: accept: %v", h.Name, err)
			return
		}
		if !r.replaceable(r.users[conn][side]) {
			r.net.tracef("%s: ghost of connection %d", h.Name, conn)
			if err := h.Stack.Abort(h.Now(), id); err != nil {
				r.fail("%s: abort of a ghost: %v", h.Name, err)
			}
			continue
		}
		u := r.addUser(conn, side, id)
		u.established, u.readable, u.writable = true, true, true
		u.act()
	}
}

// settled reports whether every user has left.
func (r *run) settled() bool {
	for i, pair := range r.users {
		for side, u := range pair {
			if u == nil && r.plan.conns[i].opens[side] || u != nil && !u.released {
				return false
			}
		}
		if !r.renewals[i].settled() {
			return false
		}
	}
	return true
}

func (r *run) closeListeners() {
	for side, h := range r.hosts {
		for id := range r.listeners[side] {
			if err := h.Stack.CloseListener(h.Now(), id); err != nil {
				r.fail("%s: close listener: %v", h.Name, err)
			}
		}
		clear(r.listeners[side])
	}
}
