package tcp

import (
	"github.com/MUCZ/Starfish/core/wire"
)

// Stack is the TCP of one shard: its connections, listeners and timers. One goroutine owns it.
type Stack struct {
	cfg   Config
	stats Stats

	conns     connTable
	listeners listenerTable
	timeWait  timeWaitTable
	syns      synTable

	wheel   wheel
	started bool // the wheel has been set to the time of the first call

	transmitFirst, transmitLast *conn
	eventFirst, eventLast       *conn
	listenerEvents              []*listener
	replies                     replyQueue

	fastOpenCookies cookieCache

	isn        isnGenerator
	ports      ports
	records    recordPool
	undos      freeList[undoState]
	searches   freeList[mtuSearch]
	ecns       freeList[ecnState]
	tunings    freeList[rcvTuning]
	reassembly reassemblyStock
	strangers  tokenBucket // RSTs to what matches nothing
	budget     recvBudget
	sample     ackSample // of one ACK: an argument of an interface's method would be allocated each time
}

// New returns an empty Stack.
func New(cfg Config) (*Stack, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, isn: newISNGenerator(cfg.Secret)}
	s.budget.limit = cfg.Limits.ReceiveMemory
	s.reassembly.pool, s.reassembly.limit = cfg.Pool, cfg.Limits.OutOfOrder
	s.ports.init(cfg.Secret, cfg.FirstPort, cfg.LastPort)
	s.conns.init(cfg.Limits.Connections)
	s.listeners.init(cfg.Limits.Listeners)
	s.timeWait.init()
	s.syns.init()
	return s, nil
}

// begin is called first by everything that is told the time.
func (s *Stack) begin(now Time) {
	if !s.started {
		s.wheel.init(now)
		s.started = true
	}
	s.budget.turn(now)
}

// HandleTimeout runs the timers that are due. Call it when PollTimeout's time has come; a call too early does nothing.
func (s *Stack) HandleTimeout(now Time) {
	s.begin(now)
	for node := s.wheel.expire(now); node != nil; node = s.wheel.expire(now) {
		s.runTimers(node.owner, now)
	}
	s.expireSyns(now)
	s.expireTimeWait(now)
}

// PollTimeout returns when HandleTimeout wants to be called next, Never when it does not. Any other call may change
// the answer.
func (s *Stack) PollTimeout() Time {
	next := min(s.syns.deadline(), s.timeWait.deadline())
	if s.started {
		if t, ok := s.wheel.next(); ok {
			next = min(next, t)
		}
	}
	return next
}

// wantTransmit puts c in the queue of connections that may have a segment to send. Whether it has is for the segment
// builder alone to say.
func (s *Stack) wantTransmit(c *conn) {
	if c.queued.inTransmit {
		return
	}
	c.queued.inTransmit = true
	if s.transmitLast == nil {
		s.transmitFirst = c
	} else {
		s.transmitLast.queued.transmit = c
	}
	s.transmitLast = c
}

func (s *Stack) popTransmit() {
	c := s.transmitFirst
	s.transmitFirst = c.queued.transmit
	if s.transmitFirst == nil {
		s.transmitLast = nil
	}
	c.queued.transmit, c.queued.inTransmit = nil, false
}

// PollTransmit builds the next segment or super-segment into t, and reports false when there is nothing to send now.
// What an earlier call returned in t is overwritten. Connections take turns.
func (s *Stack) PollTransmit(now Time, t *Transmit) bool {
	s.begin(now)
	t.reset()
	if s.pollReply(now, t) {
		return true
	}
	for s.transmitFirst != nil {
		c := s.transmitFirst
		s.popTransmit()
		if s.dying(c) {
			continue
		}
		if s.build(c, now, t) {
			s.wantTransmit(c)
			return true
		}
	}
	return false
}

// dying reports whether a connection that is still linked in a queue has nothing to say any more, and frees its slot
// once no queue holds it.
func (s *Stack) dying(c *conn) bool {
	if c.state != StateClosed && c.state != StateTimeWait {
		return false
	}
	s.maybeFree(c)
	return true
}

// post tells the user about c, if the user has a handle on it.
func (s *Stack) post(c *conn, flags EventFlags) {
	if c.released || c.waiting {
		return
	}
	c.queued.events |= flags
	if c.queued.inEvent {
		return
	}
	c.queued.inEvent = true
	if s.eventLast == nil {
		s.eventFirst = c
	} else {
		s.eventLast.queued.event = c
	}
	s.eventLast = c
}

// PollEvent takes the next event into e, and reports false when there is none.
func (s *Stack) PollEvent(e *Event) bool {
	for n := len(s.listenerEvents); n > 0; n = len(s.listenerEvents) {
		l := s.listenerEvents[n-1]
		s.listenerEvents[n-1] = nil
		s.listenerEvents = s.listenerEvents[:n-1]
		l.inEvent = false
		if !l.closed && l.accept.len() > 0 {
			*e = Event{Listener: l.id(), Flags: EventAccepted}
			return true
		}
	}
	for s.eventFirst != nil {
		c := s.eventFirst
		s.eventFirst = c.queued.event
		if s.eventFirst == nil {
			s.eventLast = nil
		}
		flags := c.queued.events
		c.queued.event, c.queued.inEvent, c.queued.events = nil, false, 0
		if c.released {
			s.maybeFree(c)
			continue
		}
		*e = Event{Conn: c.id(), Flags: flags}
		return true
	}
	return false
}

// Stats returns the Stack's counters, for its owner to read at any time.
func (s *Stack) Stats() *Stats { return &s.stats }

// owns reports whether an address is ours and can be one end of a connection.
func (s *Stack) owns(a wire.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsBroadcast() && s.cfg.Owns(a)
}

func (s *Stack) dropReassembly(c *conn) {
	if c.ooo == nil {
		return
	}
	c.ooo.clear(&s.reassembly)
	s.reassembly.queues.put(c.ooo)
	c.ooo = nil
	s.settle(c, false)
}
