package sim

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// Bounds of the retransmission timeout: RFC 6298 §2.5 allows a maximum of 60 s at least, Linux's is 120 s.
const (
	longestRTO = 120 * time.Second
	// defaultMinRTO stands for an option that is not set.
	defaultMinRTO = 200 * time.Millisecond
)

// recountEvery is in steps of a host: what a stack has miscounted stays so, and a recount costs more than a step.
const recountEvery = 4

// checkActive checks the hosts to which something has happened in this step: with the others, all is as it was.
func (r *run) checkActive() {
	for side, h := range r.hosts {
		if !h.active {
			continue
		}
		if r.actions[side]++; r.actions[side]%recountEvery == 0 {
			r.recount(h)
		}
		for _, pair := range r.users {
			if u := pair[side]; u != nil && !u.released {
				u.checkStatus()
			}
		}
	}
}

// recount lets a stack recount itself.
func (r *run) recount(h *Host) {
	if err := h.Stack.Check(); err != nil {
		r.fail("%s: %v", h.Name, err)
	}
}

func (u *user) checkStatus() {
	var st tcp.Status
	if err := u.stack().Status(u.id, &st); err != nil {
		u.fail("no status: %v", err)
		return
	}
	u.checkBuffer(&st)
	o := &u.plan.options
	minRTO := defaultMinRTO
	if o.MinRTO > 0 {
		minRTO = o.MinRTO
	}
	if o.InitialRTO > 0 {
		minRTO = min(minRTO, o.InitialRTO)
	}
	ended := st.State == tcp.StateClosed || st.State == tcp.StateTimeWait
	said := u.run.watch.of(u.conn, u.side)
	switch {
	case st.SendQueue < 0 || st.NotSent < 0 || st.NotSent > st.SendQueue:
		u.fail("send queue %d, of it not sent %d", st.SendQueue, st.NotSent)
	case st.SendQueue > u.mostSent():
		u.fail("send queue %d exceeds the buffer of %d", st.SendQueue, u.mostSent())
	case !ended && uint64(st.SendQueue)+st.BytesAcked != u.sent:
		u.fail("send queue %d and %d bytes acknowledged are not the %d bytes sent", st.SendQueue, st.BytesAcked, u.sent)
	case st.RecvQueue < 0 || st.RecvQueue+st.OutOfOrder > st.RecvBuffer:
		u.fail("receive queue %d and %d bytes out of order exceed the buffer of %d", st.RecvQueue, st.OutOfOrder, st.RecvBuffer)
	case st.BytesReceived < u.received:
		u.fail("the user received %d bytes, the stack %d", u.received, st.BytesReceived)
	case st.RecvWindow < 0 || st.RecvWindow > st.RecvBuffer:
		u.fail("receive window %d exceeds the buffer of %d", st.RecvWindow, st.RecvBuffer)
	case !ended && (st.RTO < minRTO || st.RTO > longestRTO):
		u.fail("retransmission timeout %v is outside %v to %v", st.RTO, minRTO, longestRTO)
	case !ended && st.CongestionWindow <= 0 && st.State != tcp.StateSynSent && st.State != tcp.StateSynReceived:
		u.fail("congestion window %d", st.CongestionWindow)
	case st.InFlight < 0 || said.synSeen && !said.over && st.InFlight > said.widest+2:
		u.fail("%d bytes in flight, the widest window was %d", st.InFlight, said.widest)
	}
}

// checkBuffer checks the size of the receive buffer: the one that was asked for, or what tuning has made of the first, which
// never shrinks.
func (u *user) checkBuffer(st *tcp.Status) {
	fixed, tuned := u.plan.options.RecvBuffer, u.host.cfg.Stack.RecvBuffer
	switch {
	case fixed > 0 && st.RecvBuffer != fixed:
		u.fail("receive buffer %d, asked for was %d", st.RecvBuffer, fixed)
	case fixed == 0 && (st.RecvBuffer < max(tuned.Initial, u.recvBuffer) || st.RecvBuffer > tuned.Max):
		u.fail("receive buffer %d, it was %d and may come to %d", st.RecvBuffer, u.recvBuffer, tuned.Max)
	}
	u.recvBuffer = st.RecvBuffer
}

// mostSent is the bound of the send queue.
func (u *user) mostSent() int {
	if fixed := u.plan.options.SendBuffer; fixed > 0 {
		return fixed
	}
	return u.host.cfg.Stack.SendBuffer.Max
}

// checkProgress notices when nothing gets through any more.
func (r *run) checkProgress(steps int) {
	var sum uint64
	for _, pair := range r.users {
		for _, u := range pair {
			if u == nil {
				continue
			}
			sum += u.sent + u.received + u.consumed + 1
			for _, b := range []bool{u.established, u.gotEOF, u.finSent, u.released} {
				if b {
					sum++
				}
			}
		}
	}
	switch {
	case sum != r.progress || r.settled():
		r.progress, r.movedAt = sum, r.net.now
	case r.net.now.Sub(r.movedAt) > stallLimit:
		r.fail("stuck: nothing has got through for %v: %s", stallLimit, r.situation())
	}
	if steps > maxSteps {
		r.fail("no end after %d steps: %s", steps, r.situation())
	}
}

// checkEnd checks that everything has been let go when nothing happens any more.
func (r *run) checkEnd() {
	if !r.settled() {
		r.fail("everything has come to rest before the users were done: %s", r.situation())
		return
	}
	for i := range r.plan.conns {
		if !r.plan.conns[i].polite() {
			continue
		}
		if n := &r.renewals[i]; n.met {
			if opener := r.users[i][r.plan.conns[i].opener()]; n.opened > 0 && !opener.transferredEnd() {
				r.fail("connection %d was opened again after a restart and has not been transferred to the end", i)
			}
			continue
		}
		for side, u := range r.users[i] {
			if peer := r.users[i][1-side]; u != nil && u.forgotten || u == nil && peer != nil && peer.forgotten {
				continue
			}
			if u == nil || !u.transferredEnd() {
				r.fail("connection %d has not been transferred to the end from %s", i, r.hosts[side].Name)
			}
		}
	}
	for _, h := range r.hosts {
		r.recount(h)
		if list := h.Stack.Connections(nil); len(list) > 0 {
			var st tcp.Status
			_ = h.Stack.Status(list[0], &st) // an orphan has no status; its number says enough
			r.fail("%s still has %d connections (%v) and will never do anything about them", h.Name, len(list), st.State)
		}
		if n := h.Pool.InUse(); n != 0 {
			r.fail("%s leaks %d bytes of buffers", h.Name, n)
		}
	}
}
