package daemon

import (
	"maps"
	"slices"
)

// entry is what the books have of everything that a session owns.
type entry struct {
	id    uint64 // small, rising, never used twice
	owner *session
}

func (e *entry) booked() *entry { return e }

// owned is a *connection or a *listener.
type owned interface {
	comparable
	booked() *entry
}

// holdings are all connections, or all listeners, by their ids and by who has them. The registry's lock guards them.
type holdings[T owned] struct {
	byID     map[uint64]T
	order    []uint64 // the ids of byID as they rise, and among them some that have gone
	last     uint64   // the id given last
	opening  int      // reserved and not added yet
	users    tally    // of each user, those that are being opened included
	sessions map[*session]map[uint64]T
}

func newHoldings[T owned]() holdings[T] {
	return holdings[T]{byID: make(map[uint64]T), users: make(tally), sessions: make(map[*session]map[uint64]T)}
}

// total counts those that are being opened as well.
func (h *holdings[T]) total() int { return len(h.byID) + h.opening }

// reserve makes room for one before it is opened. Give the room back with unreserve, or fill it with add.
func (h *holdings[T]) reserve(s *session) {
	h.opening++
	h.users.add(s.peer.uid, 1)
}

func (h *holdings[T]) unreserve(s *session) {
	h.opening--
	h.users.add(s.peer.uid, -1)
}

// add fills reserved room: it gives item its id. It reports false, and gives the room back, when the session of its owner
// has ended meanwhile.
func (h *holdings[T]) add(item T) bool {
	e := item.booked()
	if e.owner.ended {
		h.unreserve(e.owner)
		return false
	}
	h.opening--
	h.last++
	e.id = h.last
	h.byID[e.id] = item
	h.order = append(h.order, e.id)
	if h.sessions[e.owner] == nil {
		h.sessions[e.owner] = make(map[uint64]T)
	}
	h.sessions[e.owner][e.id] = item
	return true
}

// remove reports whether item was still there.
func (h *holdings[T]) remove(item T) bool {
	e := item.booked()
	if h.byID[e.id] != item {
		return false
	}
	delete(h.byID, e.id)
	h.users.add(e.owner.peer.uid, -1)
	mine := h.sessions[e.owner]
	if delete(mine, e.id); len(mine) == 0 {
		delete(h.sessions, e.owner)
	}
	h.compact()
	return true
}

// compact drops ids that have gone from order once they are more than half of it: each costs no more than its adding.
func (h *holdings[T]) compact() {
	if len(h.order) <= 2*len(h.byID)+minOrder {
		return
	}
	alive := make([]uint64, 0, 2*len(h.byID)) // and gives the room of a peak back
	for _, id := range h.order {
		if _, there := h.byID[id]; there {
			alive = append(alive, id)
		}
	}
	h.order = alive
}

// minOrder is how many ids are not worth compacting.
const minOrder = 64

// of returns what a session has.
func (h *holdings[T]) of(s *session) []T { return slices.Collect(maps.Values(h.sessions[s])) }

// maxLooked bounds the ids that one page looks at under the lock, some milliseconds: those that are hidden from who asks
// don't count in a page.
const maxLooked = 100_000

// page returns up to n items that shown accepts, by rising id behind after; the last id it looked at, from where the next
// page goes on; and whether there is one.
func (h *holdings[T]) page(after uint64, n int, shown func(owner *session) bool) (items []T, last uint64, more bool) {
	from, found := slices.BinarySearch(h.order, after)
	if found {
		from++
	}
	last = after
	for i, id := range h.order[from:] {
		if len(items) == n || i == maxLooked {
			return items, last, true
		}
		last = id
		if item, there := h.byID[id]; there && shown(item.booked().owner) {
			items = append(items, item)
		}
	}
	return items, last, false
}

// tally counts what each user has; those who have nothing take no room.
type tally map[uint32]int

func (t tally) add(uid uint32, n int) {
	if t[uid] += n; t[uid] == 0 {
		delete(t, uid)
	}
}
