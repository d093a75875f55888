package sim

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// user is who holds one end of a connection. It acts on events and on its own pauses only, never by polling, so that
// an event that the engine forgets stops it for good.
type user struct {
	run  *run
	host *Host
	conn int // index in the plan
	side int
	plan *userPlan
	id   tcp.ConnID

	established, readable, writable bool
	sendResting, readResting        bool
	gotEOF, finSent, readShut       bool
	released                        bool
	ended                           bool     // the connection has, and what came may still be to be read
	stalled                         bool     // it has rested as its plan says
	forgotten                       bool     // its peer never knew of the connection, see forgottenByCookie
	connectAt                       tcp.Time // by the peer's clock
	err                             error    // why the connection ended

	outbox   zbuf.Chain // made and not yet taken by Send
	made     uint64     // bytes made
	sent     uint64     // bytes taken by Send
	received uint64
	consumed uint64

	recvBuffer int // the size of the receive buffer when it was looked at last
}

func (u *user) peer() *user          { return u.run.users[u.conn][1-u.side] }
func (u *user) stack() *tcp.Stack    { return u.host.Stack }
func (u *user) sends() content       { return u.run.plan.conns[u.conn].contentKeys[u.side] }
func (u *user) hears() content       { return u.run.plan.conns[u.conn].contentKeys[1-u.side] }
func (u *user) now() tcp.Time        { return u.host.Now() }
func (u *user) polite() bool         { return u.run.plan.conns[u.conn].polite() && !u.run.renewals[u.conn].met }
func (u *user) allSent() bool        { return u.sent == uint64(u.plan.total) }
func (u *user) transferredEnd() bool { return u.gotEOF && u.allSent() && u.peerComplete() }

// peerComplete reports whether the peer's user has all that this one has sent, the end included.
func (u *user) peerComplete() bool {
	return slices.ContainsFunc(u.peers(), func(p *user) bool { return p.gotEOF && p.received == u.sent })
}

func (u *user) String() string { return fmt.Sprintf("%s.%d", u.host.Name, u.conn) }

// tracef notes a call of the user.
func (u *user) tracef(format string, args ...any) {
	if u.run.net.trace != nil {
		u.run.net.tracef("%v "+format, append([]any{u}, args...)...)
	}
}

func (u *user) fail(format string, args ...any) {
	u.run.fail("%v: "+format, append([]any{u}, args...)...)
}

// onEvent takes what the stack tells about the connection.
func (u *user) onEvent(f tcp.EventFlags) {
	u.tracef("event %08b", f)
	if u.released {
		u.fail("an event for a handle that was given up")
		return
	}
	if f&tcp.EventEstablished != 0 {
		u.established, u.readable, u.writable = true, true, true
	}
	u.readable = u.readable || f&tcp.EventReadable != 0
	u.writable = u.writable || f&tcp.EventWritable != 0
	if f&tcp.EventClosed != 0 {
		u.readable = true // the queue may still hold bytes, and gives the reason behind them
		u.onClosed()
	}
	u.act()
}

// onClosed looks at why the connection ended.
func (u *user) onClosed() {
	var st tcp.Status
	if err := u.stack().Status(u.id, &st); err != nil {
		u.fail("status of an ended connection: %v", err)
		return
	}
	u.err, u.ended = st.Err, true
	u.tracef("ended: %v", st.Err)
	if st.State != tcp.StateClosed && st.State != tcp.StateTimeWait {
		u.fail("EventClosed in %v", st.State)
	}
	if st.Err == nil || !u.polite() {
		return
	}
	// RFC 9293 §3.4.2: TIME-WAIT is there to repeat the last ACK; where the link loses it for longer than that, a
	// reset answers the last FIN. By then everything has arrived.
	if u.transferredEnd() && (errors.Is(st.Err, tcp.ErrReset) || errors.Is(st.Err, tcp.ErrTimeout)) {
		return
	}
	if u.forgottenByCookie(st.Err) {
		u.forgotten = true
		return
	}
	u.fail("the connection ended: %v", st.Err)
}

// act does what the user can do now.
func (u *user) act() {
	if u.released || !u.established {
		u.leaveIfEnded()
		return
	}
	u.send()
	u.receive()
	u.leave()
}

// send gives the stack the next piece.
func (u *user) send() {
	if u.sendResting || !u.writable || u.finSent || u.err != nil {
		return
	}
	if u.outbox.Len() == 0 && u.made < uint64(u.plan.total) {
		u.produce(min(u.plan.piece, u.plan.total-int(u.made)))
	}
	if n := u.outbox.Len(); n > 0 {
		took, err := u.stack().Send(u.now(), u.id, &u.outbox)
		u.tracef("send %d: %d, %v", n, took, err)
		if err != nil {
			u.checkError("send", err)
			return
		}
		u.sent += uint64(took)
		if took < n {
			u.writable = false
			return
		}
	}
	if u.allSent() {
		return
	}
	u.sendResting = true
	u.run.net.At(u.run.net.now.Add(u.plan.sendPause), func() {
		u.sendResting = false
		u.act()
	})
}

// produce fills the outbox with the next n bytes of the stream.
func (u *user) produce(n int) {
	for n > 0 {
		s, ok := u.host.Pool.Get(min(n, zbuf.MaxBlock))
		if !ok {
			u.fail("no memory for a piece")
			return
		}
		u.sends().fill(s.Bytes(), u.made)
		u.made += uint64(s.Len())
		n -= s.Len()
		u.outbox.Push(s)
	}
}

// receive takes the next bytes from the stack and checks them.
func (u *user) receive() {
	if u.readResting || !u.readable || u.gotEOF {
		return
	}
	var in zbuf.Chain
	n, err := u.stack().Receive(u.id, &in, u.plan.limit)
	u.tracef("receive up to %d: %d, %v", u.plan.limit, n, err)
	u.check(&in, n)
	in.Clear()
	switch {
	case n > 0:
		u.consume(n)
	case errors.Is(err, tcp.ErrWouldBlock):
		u.readable = false
	case errors.Is(err, io.EOF):
		u.onEOF()
	case err != nil:
		u.readable = false
		u.checkError("receive", err)
	default:
		u.fail("Receive gave nothing and no error")
	}
	if u.plan.deaf && !u.readShut && u.received > uint64(u.plan.abortAfter) {
		u.readShut = true
		u.tracef("close read")
		if err := u.stack().CloseRead(u.now(), u.id); err != nil {
			u.checkError("close read", err)
		}
	}
	if u.readable && !u.gotEOF {
		u.readResting = true
		u.run.net.At(u.run.net.now.Add(u.pause()), func() {
			u.readResting = false
			u.act()
		})
	}
}

// pause is how long the user rests before it reads on.
func (u *user) pause() time.Duration {
	if u.plan.stall > 0 && !u.stalled && u.received >= uint64(u.plan.stallAfter) {
		u.stalled = true
		return u.plan.stall
	}
	return u.plan.readPause
}

// check compares what came with the peer's stream.
func (u *user) check(in *zbuf.Chain, n int) {
	if in.Len() != n || n > u.plan.limit {
		u.fail("Receive said %d of at most %d bytes and gave %d", n, u.plan.limit, in.Len())
	}
	pos := u.received
	for _, s := range in.Views(nil, in.Start(), in.Len()) {
		if i := u.hears().mismatch(s.Bytes(), pos); i >= 0 {
			u.fail("received a byte that was never sent there, at %d", pos+uint64(i))
			return
		}
		pos += uint64(s.Len())
	}
	u.received = pos
	if n > 0 && u.gotEOF {
		u.fail("%d bytes after the end of the stream", n)
	}
	if peers := u.peers(); len(peers) > 0 && !slices.ContainsFunc(peers, func(p *user) bool { return u.received <= p.sent }) {
		u.fail("received %d bytes, the peer's user has sent %d", u.received, peers[0].sent)
	}
}

// consume tells the stack, after a while, that the bytes are done with.
func (u *user) consume(n int) {
	if u.plan.hold == 0 {
		u.consumeNow(n)
		return
	}
	u.run.net.At(u.run.net.now.Add(u.plan.hold), func() {
		if !u.released {
			u.consumeNow(n)
		}
	})
}

func (u *user) consumeNow(n int) {
	u.consumed += uint64(n)
	u.tracef("consumed %d", n)
	u.stack().Consumed(u.now(), u.id, n)
}

// onEOF checks that the end of the stream is where the peer put it.
func (u *user) onEOF() {
	u.gotEOF = true
	if u.readShut {
		return
	}
	peers := u.peers()
	if slices.ContainsFunc(peers, func(p *user) bool { return p.finSent && u.received == p.sent }) {
		return
	}
	switch {
	case len(peers) == 0:
		u.fail("the end of the stream of a peer that never was")
	case !peers[0].finSent:
		u.fail("the end of the stream, but the peer's user has not closed")
	default:
		u.fail("the end of the stream after %d bytes of %d", u.received, peers[0].sent)
	}
}

// checkError judges an error of a call on a connection that was established.
func (u *user) checkError(what string, err error) {
	if u.err == nil {
		u.err = err
	}
	if u.polite() && !u.transferredEnd() && !u.forgotten {
		u.fail("%s: %v", what, err)
	}
}

// cookieLife is how long a SYN cookie is good at least.
const cookieLife = 128 * time.Second

// forgottenByCookie reports whether a connection was reset because the other end never remembered it: it had answered the
// SYN by a cookie, and the link has lost everything that was to bring the cookie back, until it was too old. RFC 4987 §3.6
// has no remedy, and Linux resets such a connection too. What did reach the passive end in time must have made the
// connection there.
func (u *user) forgottenByCookie(reason error) bool {
	c, peer := &u.run.plan.conns[u.conn], u.run.plan.hosts[1-u.side]
	return errors.Is(reason, tcp.ErrReset) && peer.Stack.SynCookies == tcp.SynCookiesAlways && c.opens[u.side] && !c.opens[1-u.side] &&
		u.peer() == nil && u.run.hosts[1-u.side].Now().Sub(u.connectAt) > cookieLife
}

// leave ends the user's part when its time has come.
func (u *user) leave() {
	switch p := u.plan; p.ending {
	case endAbort:
		if u.received+u.sent >= uint64(p.abortAfter) || u.allSent() && u.gotEOF {
			u.abort()
			return
		}
	case endClose:
		if u.allSent() {
			u.finSent = true
			u.close()
			return
		}
	case endHalfClose:
		u.closeWrite(u.allSent())
	case endAnswer:
		u.closeWrite(u.allSent() && u.gotEOF)
	}
	if u.finSent && u.gotEOF {
		u.close()
		return
	}
	u.leaveIfEnded()
}

func (u *user) closeWrite(due bool) {
	if !due || u.finSent || u.err != nil {
		return
	}
	u.finSent = true
	u.tracef("close write")
	if err := u.stack().CloseWrite(u.now(), u.id); err != nil {
		u.checkError("close write", err)
	}
}

// leaveIfEnded lets go of a connection that has failed, once what it still held is read.
func (u *user) leaveIfEnded() {
	if !u.released && u.err != nil && (!u.readable || u.gotEOF || !u.established) {
		u.close()
	}
}

func (u *user) close() {
	// What was received and not consumed counts as unread, and would make a reset of the close.
	u.consumeNow(int(u.received - u.consumed))
	u.tracef("close")
	u.release(u.stack().Close(u.now(), u.id))
}

func (u *user) abort() {
	u.tracef("abort")
	u.release(u.stack().Abort(u.now(), u.id))
}

func (u *user) release(err error) {
	if err != nil {
		u.fail("letting go: %v", err)
	}
	u.released = true
	u.outbox.Clear()
	var st tcp.Status
	if err := u.stack().Status(u.id, &st); !errors.Is(err, tcp.ErrNotFound) {
		u.fail("a handle that was given up has a status (%v)", err)
	}
	u.run.renew(u)
}
