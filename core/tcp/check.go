package tcp

import (
	"errors"
	"fmt"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// Check recounts everything that the Stack derives or links, and reports the first thing that does not agree. It is for
// tests and the simulator: it walks all connections, and none of its findings can be brought about from outside.
func (s *Stack) Check() error {
	t, err := s.checkConns()
	if err != nil {
		return err
	}
	if err := s.checkQueues(&t); err != nil {
		return err
	}
	if t.held != s.budget.held || t.promised != s.budget.promised {
		return fmt.Errorf("connections hold %d bytes and promise %v, counted %d and %v", t.held, t.promised, s.budget.held, s.budget.promised)
	}
	if err := s.checkListeners(&t); err != nil {
		return err
	}
	return s.checkRecords()
}

// tally is what one walk over the slots counts.
type tally struct {
	inFlows, waiting     int
	inTransmit, inEvent  int
	established, orphans uint64
	held                 int64
	promised             [2]int64
}

// add counts a slot, whether it is in use or not: one that ended may still be in a queue.
func (t *tally) add(s *Stack, c *conn) {
	if c.queued.inTransmit {
		t.inTransmit++
	}
	if c.queued.inEvent {
		t.inEvent++
	}
	t.held += int64(c.rcv.held)
	if s.budget.counts(c) {
		t.promised[s.budget.epoch-c.rcv.epoch] += int64(c.rcv.promised)
	}
	if !c.inUse() {
		return
	}
	if c.inFlows {
		t.inFlows++
	}
	if c.waiting {
		t.waiting++
	}
	if synchronized.has(c.state) && c.state != StateTimeWait {
		t.established++
	}
	if c.orphan {
		t.orphans++
	}
}

// checkConns checks the slots, what finds them, and each connection.
func (s *Stack) checkConns() (tally, error) {
	var sum tally
	t := &s.conns
	slots := len(t.chunks) * connChunk
	free := make([]bool, slots)
	for _, index := range t.free {
		if free[index] {
			return sum, fmt.Errorf("slot %d is free twice", index)
		}
		free[index] = true
	}
	if t.used+len(t.free) != slots {
		return sum, fmt.Errorf("%d slots in use and %d free are not %d", t.used, len(t.free), slots)
	}
	for n, chunk := range t.chunks {
		for i := range chunk {
			c := &chunk[i]
			sum.add(s, c)
			if err := s.checkSlot(c, free[n*connChunk+i]); err != nil {
				return sum, err
			}
		}
	}
	if sum.inFlows != len(t.byTuple) {
		return sum, fmt.Errorf("%d connections are on the wire, and %d tuples", sum.inFlows, len(t.byTuple))
	}
	if sum.established != s.stats.CurrEstab {
		return sum, fmt.Errorf("%d connections are established, CurrEstab says %d", sum.established, s.stats.CurrEstab)
	}
	if sum.orphans != s.stats.Orphans {
		return sum, fmt.Errorf("%d connections are orphans, Orphans says %d", sum.orphans, s.stats.Orphans)
	}
	return sum, nil
}

// checkSlot checks what a slot holds.
func (s *Stack) checkSlot(c *conn, free bool) error {
	if free {
		if c.inUse() || c.inFlows || c.timers.node.scheduled() {
			return fmt.Errorf("free slot %d holds a connection in %v", c.index, c.state)
		}
		return nil
	}
	if c.inFlows && s.conns.byTuple[c.tuple] != c {
		return fmt.Errorf("connection %d is not found by its tuple", c.index)
	}
	if err := s.checkConn(c); err != nil {
		return fmt.Errorf("connection %d, %v to %v, in %v: %w", c.index, c.tuple.localEndpoint(), c.tuple.remoteEndpoint(), c.state, err)
	}
	return nil
}

func (s *Stack) checkConn(c *conn) error {
	if onWire := c.state != StateClosed && c.state != StateTimeWait; onWire != c.inFlows {
		return fmt.Errorf("on the wire: %v", c.inFlows)
	}
	if r := s.syns.get(c.tuple); c.fastOpening != (c.inFlows && r != nil && r.conn == c) {
		return fmt.Errorf("by fast open: %v", c.fastOpening)
	}
	if c.orphan != (c.released && c.inFlows) {
		return fmt.Errorf("an orphan: %v", c.orphan)
	}
	held := c.rcv.unconsumed
	if c.ooo != nil {
		held += c.ooo.bytes
	}
	if held != int(c.rcv.held) {
		return fmt.Errorf("holds %d bytes for its user, the budget says %d", held, c.rcv.held)
	}
	if c.rcv.unconsumed < c.recvq.Len() {
		return fmt.Errorf("%d bytes are not consumed of %d not received", c.rcv.unconsumed, c.recvq.Len())
	}
	if c.waiting && (c.listener == nil || c.released) {
		return errors.New("waits for Accept without a listener")
	}
	if !c.inFlows {
		return c.checkOffWire()
	}
	for _, check := range []func() error{
		c.checkSendSequence, c.sent.check, c.checkReceive, c.checkTimers, c.checkDuties,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkOffWire: a connection that packets don't reach holds nothing but what the user has not received.
func (c *conn) checkOffWire() error {
	switch {
	case c.sent.len() != 0 || c.sent.recs != nil:
		return errors.New("holds records")
	case c.sendq.Len() != 0:
		return fmt.Errorf("holds %d bytes to send", c.sendq.Len())
	case c.ooo != nil:
		return errors.New("holds a reassembly queue")
	case c.timers.node.scheduled():
		return errors.New("has a timer")
	}
	return nil
}

// checkSendSequence: SND.UNA, SND.NXT, the send queue, the records and our FIN tell the same story.
func (c *conn) checkSendSequence() error {
	if !synchronized.has(c.state) {
		if c.snd.una != c.snd.iss || c.snd.nxt != c.snd.iss.Add(1) || c.sent.len() != 0 || c.sendq.Start() != 0 || c.sendq.End() != 0 && !c.opt.FastOpen {
			return fmt.Errorf("una %d and nxt %d after iss %d", c.snd.una, c.snd.nxt, c.snd.iss)
		}
		return nil
	}
	front := c.seqOf(c.sendq.Start())
	finAcked := c.finSent && c.snd.una == c.finSeq().Add(1)
	end := c.finSeq()
	if c.finSent {
		end = end.Add(1)
	}
	switch {
	case c.finSent && !finQueued.has(c.state):
		return errors.New("has sent a FIN")
	case (c.state == StateFinWait2) != finAcked:
		return fmt.Errorf("FIN acknowledged: %v", finAcked)
	case !finAcked && front != c.snd.una:
		return fmt.Errorf("the send queue begins at %d, una is %d", front, c.snd.una)
	case c.finSent && c.snd.nxt != end, end.Less(c.snd.nxt), c.snd.nxt.Less(c.snd.una):
		return fmt.Errorf("una %d, nxt %d, end of data and FIN %d", c.snd.una, c.snd.nxt, end)
	}
	at := c.snd.una
	for i := range c.sent.len() {
		r := c.sent.at(i)
		if r.start != at || !r.start.Less(r.end) {
			return fmt.Errorf("record %d is [%d, %d) behind %d", i, r.start, r.end, at)
		}
		at = r.end
	}
	if at != c.snd.nxt {
		return fmt.Errorf("records end at %d, nxt is %d", at, c.snd.nxt)
	}
	return nil
}

// check recounts what is kept about the records.
func (b *scoreboard) check() error {
	var sacked, lost seqnum.Size
	for i := range b.len() {
		r := b.at(i)
		if r.has(recSacked) {
			sacked += r.size()
		}
		if r.has(recLost) {
			lost += r.size()
			if r.start.Less(b.resendFrom) {
				return fmt.Errorf("record %d at %d waits for retransmission below %d", i, r.start, b.resendFrom)
			}
		}
		if r.has(recSacked) && r.has(recLost) {
			return fmt.Errorf("record %d has flags %b", i, r.flags)
		}
	}
	if sacked != b.sacked || lost != b.lost {
		return fmt.Errorf("%d SACKed, %d lost, counted %d, %d", sacked, lost, b.sacked, b.lost)
	}
	return nil
}

func (c *conn) checkReceive() error {
	switch {
	case c.state == StateSynSent:
		return nil
	case c.rcv.adv.Less(c.rcv.nxt):
		return fmt.Errorf("the window ends at %d, before nxt %d", c.rcv.adv, c.rcv.nxt)
	case c.finReceived && receivesData.has(c.state):
		return errors.New("has received a FIN")
	case c.ooo == nil:
		return nil
	case len(c.ooo.runs) == 0:
		return errors.New("keeps an empty reassembly queue")
	}
	return c.ooo.check(c.rcv.nxt, c.rcv.adv)
}

// check: runs lie in order, with gaps between them, ahead of nxt and before adv, and SACK tells the peer what is held and no
// more.
func (q *reassembly) check(nxt, adv seqnum.Value) error {
	at, bytes := nxt.Add(1), 0
	for _, r := range q.runs {
		if r.start.Less(at) || r.data.Len() == 0 || adv.Less(r.end()) {
			return fmt.Errorf("out-of-order run [%d, %d) is not within %d and %d", r.start, r.end(), at, adv)
		}
		at = r.end().Add(1)
		bytes += r.data.Len()
	}
	if bytes != q.bytes {
		return fmt.Errorf("%d bytes out of order, counted %d", bytes, q.bytes)
	}
	if q.nblocks == 0 {
		return errors.New("out-of-order data and nothing to report by SACK")
	}
	for _, b := range q.blocks[:q.nblocks] {
		run, ok := q.run(b.Start)
		if !ok || !b.Start.Less(b.End) || run.End.Less(b.End) {
			return fmt.Errorf("SACK block [%d, %d) is not held", b.Start, b.End)
		}
	}
	return nil
}

// checkTimers: the wheel looks at the connection no later than its first deadline.
func (c *conn) checkTimers() error {
	for id, deadline := range c.timers.deadline {
		if node := &c.timers.node; deadline != 0 && (!node.scheduled() || node.owner != c || deadline < node.deadline) {
			return fmt.Errorf("timer %d, due at %d, is not in the wheel in time", id, deadline)
		}
	}
	return nil
}

// checkDuties: whatever a connection owes, something will make it do.
func (c *conn) checkDuties() error {
	on, queued := c.timers.on, c.queued.inTransmit
	switch {
	case (c.ackNow || c.probeNow || c.synNow) && !queued:
		return errors.New("owes a segment and is not queued")
	case !c.synNow && c.outstanding() && !on(timerRetransmit):
		return errors.New("waits for an ACK without a retransmission timer")
	case !synchronized.has(c.state):
		return nil
	case c.hasUnsent() && !c.outstanding() && !queued && !on(timerPersist) && !on(timerPacing) && !c.opt.Cork:
		return errors.New("has data to send and nothing to wait for")
	case c.rcv.ackedUpTo != c.rcv.nxt && !c.ackNow && !on(timerDelayedAck):
		return errors.New("has received data and will not acknowledge it")
	}
	return nil
}

// checkQueues: the links of the queues and the marks on their members agree.
func (s *Stack) checkQueues(t *tally) error {
	transmit, event := t.inTransmit, t.inEvent
	var last *conn
	for c := s.transmitFirst; c != nil; c = c.queued.transmit {
		if !c.queued.inTransmit {
			return fmt.Errorf("connection %d is in the transmit queue unmarked", c.index)
		}
		transmit--
		last = c
	}
	if last != s.transmitLast {
		return errors.New("the transmit queue does not end at its last member")
	}
	last = nil
	for c := s.eventFirst; c != nil; c = c.queued.event {
		if !c.queued.inEvent {
			return fmt.Errorf("connection %d is in the event queue unmarked", c.index)
		}
		event--
		last = c
	}
	if last != s.eventLast {
		return errors.New("the event queue does not end at its last member")
	}
	if transmit != 0 || event != 0 {
		return fmt.Errorf("the transmit queue lacks %d members and the event queue %d", transmit, event)
	}
	return nil
}

// checkListeners: both ways to a listener, its accept queue and its handshakes.
func (s *Stack) checkListeners(t *tally) error {
	waiting := t.waiting
	for endpoint, l := range s.listeners.byEndpoint {
		if s.listeners.get(l.id()) != l || l.local != endpoint {
			return fmt.Errorf("listener at %v has a stale handle", endpoint)
		}
		if l.accept.len() > l.backlog {
			return fmt.Errorf("%d connections wait at %v, allowed are %d", l.accept.len(), endpoint, l.backlog)
		}
		for _, c := range l.accept.list[l.accept.head:] {
			if !c.waiting || c.listener != l || !c.inUse() {
				return fmt.Errorf("connection %d does not wait at %v", c.index, endpoint)
			}
			waiting--
		}
		synCount := 0
		for _, r := range s.syns.byTuple {
			if r.listener == l {
				synCount++
			}
		}
		if synCount != l.synCount || synCount > s.cfg.Limits.SynQueue {
			return fmt.Errorf("%d handshakes at %v, counted %d", synCount, endpoint, l.synCount)
		}
	}
	if waiting != 0 {
		return fmt.Errorf("%d connections wait for Accept in no queue", waiting)
	}
	if len(s.listeners.byEndpoint) != s.listeners.len() {
		return fmt.Errorf("%d listeners, %d by endpoint", s.listeners.len(), len(s.listeners.byEndpoint))
	}
	return nil
}

// checkRecords: handshakes and TIME-WAIT records are found by their tuples and wait in order.
func (s *Stack) checkRecords() error {
	for t, r := range s.syns.byTuple {
		if r.tuple != t || r.conn == nil && r.listener.closed || !r.waiting.linked() || s.conns.byTuple[t] != r.conn {
			return fmt.Errorf("handshake of %v is out of place", t.remoteEndpoint())
		}
	}
	for t, w := range s.timeWait.byTuple {
		if w.tuple != t || !w.place.linked() || s.conns.byTuple[t] != nil {
			return fmt.Errorf("TIME-WAIT record of %v is out of place", t.remoteEndpoint())
		}
		if w.user != nil && (w.user.state != StateTimeWait || w.user.tuple != t) {
			return fmt.Errorf("TIME-WAIT record of %v has a user in %v", t.remoteEndpoint(), w.user.state)
		}
	}
	if len(s.timeWait.byTuple) > s.cfg.Limits.TimeWait {
		return fmt.Errorf("%d TIME-WAIT records, allowed are %d", len(s.timeWait.byTuple), s.cfg.Limits.TimeWait)
	}
	waiting := 0
	for level := range s.syns.waiting {
		n, ok := s.syns.waiting[level].count(func(r *synRecord) Time { return r.retryAt })
		if !ok {
			return fmt.Errorf("handshakes of retry level %d are not in order", level)
		}
		waiting += n
	}
	wait, ok := s.timeWait.order.count(func(w *timeWait) Time { return w.expires })
	if !ok || waiting != len(s.syns.byTuple) || wait != len(s.timeWait.byTuple) {
		return fmt.Errorf("%d handshakes wait of %d, %d TIME-WAIT records of %d, in order: %v",
			waiting, len(s.syns.byTuple), wait, len(s.timeWait.byTuple), ok)
	}
	return nil
}

// count returns how many members there are, and whether they come in the order of their times.
func (l *list[T]) count(when func(*T) Time) (n int, ordered bool) {
	ordered = true
	last := Time(0)
	for at := l.root.next; at != nil && at != &l.root; at = at.next {
		ordered = ordered && last <= when(at.member)
		last = when(at.member)
		n++
	}
	return n, ordered
}
