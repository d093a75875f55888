package stack

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

// What one turn of the loop does at most of each kind, so that none of them keeps the others waiting.
const (
	commandBudget  = 64
	noteBudget     = 256
	packetBudget   = 64 // in and out; of 64 KiB each at most, so 4 MiB: some hundred microseconds
	eventBudget    = 1024
	socketRounds   = 4 // vectored reads or writes on one attached socket
	noBuffersPause = time.Millisecond
)

// shard is one engine and all that it talks to. Its fields are its goroutine's, except for those that say otherwise.
type shard struct {
	stack  *Stack
	index  int
	engine *tcp.Stack
	queue  tun.Queue // nil without a device
	poll   *poller
	now    tcp.Time // of this turn

	conns     []*Conn         // by ConnID.Index, nil where the user has let go
	listeners []*listenerPart // by ListenerID.Index
	out       output
	in        input
	sockets   socketBuffers
	icmp      icmpResponder
	counters  counters
	trimmer   trimmer

	stopping bool
	woke     bool // some user's goroutine was made runnable since the last wait

	// For everybody:
	commands chan command
	notes    noteList
	inbox    inbox
	asleep   atomic.Bool
	done     chan struct{} // closed when the goroutine has ended
}

func newShard(s *Stack, index int, secret [16]byte) (*shard, error) {
	// A secret of its own for each shard would give one flow different initial sequence numbers, if shards change.
	engine, err := tcp.New(s.cfg.engine(index, s.owned.has, secret))
	if err != nil {
		return nil, err
	}
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	shard := &shard{
		stack: s, index: index, engine: engine, poll: poll,
		commands: make(chan command, commandQueue),
		done:     make(chan struct{}),
	}
	shard.icmp.refill(s.now())
	shard.trimmer.at = tcp.Never
	if s.cfg.Device != nil {
		shard.queue = s.cfg.Device.Queues()[index]
		if err := shard.watchDevice(); err != nil {
			_ = poll.close() // the first error is the one to tell
			return nil, err
		}
	}
	return shard, nil
}

// run is the shard's goroutine.
func (s *shard) run() {
	defer close(s.done)
	busy := false
	for !s.stopping {
		busy = s.turn(s.wait(busy))
	}
	s.shutDown()
}

// wait returns the descriptors that are ready. It waits for one, a wake-up or a timer unless there is work already.
func (s *shard) wait(busy bool) []unix.EpollEvent {
	if busy {
		return s.poll.poll()
	}
	if s.woke {
		// Whom we woke runs next, on this processor, and often leaves work that needs no wake-up as we are not asleep.
		s.woke = false
		runtime.Gosched()
		if s.hasMail() {
			return s.poll.poll()
		}
	}
	timeout := s.untilTimer()
	if timeout == 0 {
		return s.poll.poll()
	}
	s.poll.prepare(timeout)
	s.asleep.Store(true)
	defer s.asleep.Store(false)
	if s.hasMail() {
		return s.poll.poll()
	}
	s.counters.waits++
	return s.poll.wait()
}

// hasMail reports whether others have left work for the shard.
func (s *shard) hasMail() bool {
	return len(s.commands) > 0 || !s.notes.empty() || s.inbox.waiting() ||
		s.out.heldFor != nil && s.out.heldFor.inbox.hasRoom() || s.in.heldFor != nil && s.in.heldFor.inbox.hasRoom()
}

// untilTimer returns the time until the next timer is due, below 0 when there is none.
func (s *shard) untilTimer() time.Duration {
	next := min(s.engine.PollTimeout(), s.in.resumeAt(), s.sockets.nextRetry(), s.trimmer.at)
	if next == tcp.Never {
		return -1
	}
	return max(0, next.Sub(s.stack.now()))
}

// turn does one round of everything and reports whether there is more to do without waiting.
func (s *shard) turn(ready []unix.EpollEvent) (busy bool) {
	s.counters.turns++
	s.now = s.stack.now()
	sockets := s.sortEvents(ready)
	busy = s.runCommands()
	busy = s.runNotes() || busy
	busy = s.takeInbox() || busy
	busy = s.readDevice() || busy
	for i := range sockets {
		s.socketReady(&sockets[i])
	}
	s.retryStarving()
	s.trim()
	if s.engine.PollTimeout() <= s.now {
		s.engine.HandleTimeout(s.now)
	}
	busy = s.deliver() || busy
	busy = s.transmit() || busy
	// What sending has brought about: there is rarely anything, and it must not wait for the next packet.
	return s.deliver() || busy
}

// sortEvents takes the device out of ready and leaves the sockets.
func (s *shard) sortEvents(ready []unix.EpollEvent) []unix.EpollEvent {
	sockets := ready[:0]
	for i := range ready {
		e := &ready[i]
		if *eventKey(e) == keyDevice {
			s.deviceReady(e.Events)
		} else {
			sockets = append(sockets, *e)
		}
	}
	return sockets
}

func (s *shard) socketReady(e *unix.EpollEvent) {
	if c := s.conn(tcp.ConnID(*eventKey(e))); c != nil {
		c.edge.onSocket(s, e.Events)
	}
}

// conn returns the connection that id names, nil when its user has let go of it.
func (s *shard) conn(id tcp.ConnID) *Conn {
	i := id.Index()
	if int(i) >= len(s.conns) || s.conns[i] == nil || s.conns[i].id != id {
		return nil
	}
	return s.conns[i]
}

// enter puts c in the table.
func (s *shard) enter(c *Conn) {
	i := int(c.id.Index())
	for len(s.conns) <= i {
		s.conns = append(s.conns, nil)
	}
	s.conns[i] = c
}

// leave takes c out of the table: the engine's handle is used no more.
func (s *shard) leave(c *Conn) {
	if s.conn(c.id) == c {
		s.conns[c.id.Index()] = nil
	}
}

// deliver tells users and sockets what has happened and reports whether anything had.
func (s *shard) deliver() (any bool) {
	var e tcp.Event
	for range eventBudget {
		if !s.engine.PollEvent(&e) {
			return any
		}
		any = true
		if e.Flags&tcp.EventAccepted != 0 {
			s.accept(e.Listener)
			continue
		}
		if c := s.conn(e.Conn); c != nil {
			c.onEvent(s, e.Flags)
		}
	}
	return true
}

// shutDown ends everything that the shard holds.
func (s *shard) shutDown() {
	s.now = s.stack.now()
	for _, part := range s.listeners {
		if part != nil {
			part.owner.shut()
			_ = s.engine.CloseListener(s.now, part.id) // the table holds live handles only
		}
	}
	for _, c := range s.conns {
		if c != nil {
			c.onStackClosed(s)
		}
	}
	s.abortOrphans()
	// RSTs go out as far as the device takes them: nobody waits for it any more.
	for s.transmit() && !s.out.full {
		s.inbox.clear()
	}
	s.drainEngine()
	s.out.drop()
	s.in.drop()
	s.inbox.clear()
	s.sockets.release()
	if s.queue != nil {
		_ = s.poll.remove(s.queue.FD()) // it goes with the poller in any case
	}
}

// drainEngine takes what the engine still has to say: until it is polled, it keeps what belongs to it.
func (s *shard) drainEngine() {
	var e tcp.Event
	for s.engine.PollEvent(&e) {
		continue
	}
	for s.engine.PollTransmit(s.now, &s.out.transmit) {
		continue
	}
}

// abortOrphans ends the connections whose users let go long ago and which still hold buffers.
func (s *shard) abortOrphans() {
	for _, id := range s.engine.Connections(nil) {
		_ = s.engine.Abort(s.now, id) // one that is ending already is fine
	}
}
