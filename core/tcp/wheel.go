package tcp

import "math/bits"

const (
	// wheelTickShift makes a tick 2^16 ns = 65.536 µs: finer than any delay that TCP asks for (the shortest, a pacing
	// gap or a RACK reordering window, is a few hundred microseconds), coarse enough that a wake-up serves every timer
	// due in it, and a shift instead of a division.
	wheelTickShift = 16

	wheelSlotBits = 6
	wheelSlots    = 1 << wheelSlotBits // one uint64 of occupancy a level

	// wheelLevels times 6 bits of tick cover every value of Time: 48 + 16 bits. No deadline is too far.
	wheelLevels  = 8
	wheelMaxTick = 1<<(wheelLevels*wheelSlotBits) - 1

	// wheelCascadeBatch bounds the timers that one call of expire moves to a finer level. A slot of level 4 spans 18
	// minutes and may hold the keep-alive timers of a million connections: packets must not wait for all of them.
	wheelCascadeBatch = 256
)

// timerNode is a timer's place in a wheel. It is embedded in what it times; the zero node is not scheduled.
// A scheduled node must not be copied.
type timerNode struct {
	next, prev *timerNode
	owner      *conn
	deadline   Time
	slot       int32 // 1 + the index in wheel.slots; 0 when not scheduled
}

// scheduled reports whether n is in a wheel.
func (n *timerNode) scheduled() bool { return n.slot != 0 }

// unlink takes n out of the list that it is in.
func (n *timerNode) unlink() {
	n.prev.next = n.next
	n.next.prev = n.prev
}

// link appends n to the list whose sentinel is head.
func (n *timerNode) link(head *timerNode) {
	n.prev = head.prev
	n.next = head
	head.prev.next = n
	head.prev = n
}

// alone reports whether the list whose sentinel is n is empty.
func (n *timerNode) alone() bool { return n.next == n }

// wheel is a hierarchical timing wheel (Varghese and Lauck, SOSP 1987). A node lies at the level of the highest group
// of six bits in which its tick differs from cur; so at every level the occupied slots lie ahead of cur without
// wrapping around, and everything on a lower level is due before anything on a higher one.
//
// It links to its own fields, so it must not be copied after init.
type wheel struct {
	cur       uint64 // the tick up to which everything has been given out
	occupied  [wheelLevels]uint64
	slots     [wheelLevels * wheelSlots]timerNode // sentinels of circular lists
	cascading timerNode                           // sentinel: nodes on their way to a finer level, all due at cur or later
}

// init empties w and starts it at now.
func (w *wheel) init(now Time) {
	*w = wheel{cur: wheelTick(now)}
	for i := range w.slots {
		w.slots[i].next, w.slots[i].prev = &w.slots[i], &w.slots[i]
	}
	w.cascading.next, w.cascading.prev = &w.cascading, &w.cascading
}

// schedule sets n to be due at deadline, whether it was scheduled or not. A deadline in the past is due at once, in
// the same loop over expire if there is one.
func (w *wheel) schedule(n *timerNode, deadline Time) {
	w.cancel(n)
	n.deadline = deadline
	w.place(n)
}

// cancel takes n out of w. It does nothing when n is not scheduled.
func (w *wheel) cancel(n *timerNode) {
	if n.slot == 0 {
		return
	}
	n.unlink()
	w.vacate(n)
}

// next returns a time at which expire may have something to give out or to do: never later than the first deadline
// rounded up to the tick, earlier when that deadline is far. Any schedule, cancel or expire may change the answer.
func (w *wheel) next() (Time, bool) {
	if !w.cascading.alone() {
		return wheelTime(w.cur), true
	}
	level, slot, ok := w.first()
	if !ok {
		return 0, false
	}
	return wheelTime(w.slotStart(level, slot)), true
}

// expire takes out one node whose deadline is not after now, and nil when there is none. It also returns nil, with
// next still not after now, when it has moved as many nodes as one call may: the caller then comes back after other work.
func (w *wheel) expire(now Time) *timerNode {
	nowTick := wheelTick(now)
	for moves := wheelCascadeBatch; ; {
		for !w.cascading.alone() {
			if moves == 0 {
				return nil
			}
			moves--
			n := w.cascading.next
			n.unlink()
			w.place(n)
		}
		level, slot, ok := w.first()
		start := w.slotStart(level, slot)
		if !ok || start > nowTick {
			// Nothing lies between cur and nowTick, so no node changes its level by this.
			w.cur = max(w.cur, nowTick)
			return nil
		}
		w.cur = start
		if level == 0 {
			n := w.slots[slot].next
			w.cancel(n)
			return n
		}
		w.startCascade(level, slot)
	}
}

// place links n by its deadline.
func (w *wheel) place(n *timerNode) {
	// Round up, so that a node is never given out before its deadline.
	tick := wheelTick(n.deadline)
	if wheelTime(tick) < n.deadline && tick < wheelMaxTick {
		tick++
	}
	tick = max(tick, w.cur)
	level := (bits.Len64((tick^w.cur)|1) - 1) / wheelSlotBits
	slot := int(tick>>(level*wheelSlotBits)) % wheelSlots
	index := level*wheelSlots + slot
	n.link(&w.slots[index])
	n.slot = int32(index) + 1
	w.occupied[level] |= 1 << slot
}

// vacate forgets the place of n, which has just been unlinked.
func (w *wheel) vacate(n *timerNode) {
	index := int(n.slot) - 1
	// A node that was cascading names its old slot, which is empty and marked so already.
	if w.slots[index].alone() {
		w.occupied[index/wheelSlots] &^= 1 << (index % wheelSlots)
	}
	n.next, n.prev, n.slot = nil, nil, 0
}

// first returns the occupied slot that comes due first.
func (w *wheel) first() (level, slot int, ok bool) {
	for level, occupied := range &w.occupied {
		if occupied != 0 {
			return level, bits.TrailingZeros64(occupied), true
		}
	}
	return 0, 0, false
}

// slotStart returns the first tick of a slot.
func (w *wheel) slotStart(level, slot int) uint64 {
	shift := level * wheelSlotBits
	return w.cur>>(shift+wheelSlotBits)<<(shift+wheelSlotBits) | uint64(slot)<<shift
}

// startCascade moves the whole list of a slot, at whose first tick cur stands, to the cascading list.
func (w *wheel) startCascade(level, slot int) {
	head := &w.slots[level*wheelSlots+slot]
	w.cascading.next, w.cascading.prev = head.next, head.prev
	head.next.prev, head.prev.next = &w.cascading, &w.cascading
	head.next, head.prev = head, head
	w.occupied[level] &^= 1 << slot
}

// wheelTick returns the tick that t lies in. Flipping the sign bit maps all of Time, in order, onto unsigned numbers.
func wheelTick(t Time) uint64 { return (uint64(t) ^ 1<<63) >> wheelTickShift }

// wheelTime returns the first instant of a tick.
func wheelTime(tick uint64) Time { return Time(tick<<wheelTickShift ^ 1<<63) }
