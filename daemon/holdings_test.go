package daemon

import (
	"slices"
	"testing"
)

// fill adds n listeners of s.
func (h *holdings[T]) fill(s *session, n int, item func(*session) T) []T {
	var items []T
	for range n {
		h.reserve(s)
		items = append(items, item(s))
		h.add(items[len(items)-1])
	}
	return items
}

func listenerOf(s *session) *listener { return &listener{entry: entry{owner: s}} }

// walk pages through everything that shown accepts, and returns the ids and the number of pages.
func walk(t *testing.T, h *holdings[*listener], n int, shown func(*session) bool) (ids []uint64, pages int) {
	t.Helper()
	for after, more := uint64(0), true; more; pages++ {
		var items []*listener
		items, after, more = h.page(after, n, shown)
		if len(items) > n {
			t.Fatalf("a page has %d of %d", len(items), n)
		}
		for _, l := range items {
			ids = append(ids, l.id)
		}
	}
	return ids, pages
}

func TestHoldingsInPages(t *testing.T) {
	h := newHoldings[*listener]()
	mine, others := &session{peer: peer{uid: 1}}, &session{peer: peer{uid: 2}}
	const count = 4 * maxLooked
	all := h.fill(others, count, listenerOf)
	h.fill(mine, 1, listenerOf)
	// A page costs what it holds, not what there is: a pass over everything for each of these would take minutes.
	ids, pages := walk(t, &h, 50, func(*session) bool { return true })
	if len(ids) != count+1 || !slices.IsSorted(ids) || pages != count/50+1 {
		t.Errorf("%d ids in %d pages", len(ids), pages)
	}
	// What is hidden is passed over in bounded steps.
	ids, pages = walk(t, &h, 50, func(s *session) bool { return s == mine })
	if !slices.Equal(ids, []uint64{count + 1}) || pages != 5 {
		t.Errorf("mine: %v in %d pages", ids, pages)
	}
	// A page goes on behind an id that has gone, and what has gone is forgotten.
	first, after, _ := h.page(0, 10, func(*session) bool { return true })
	h.remove(first[9])
	if next, _, _ := h.page(after, 1, func(*session) bool { return true }); len(next) != 1 || next[0].id != 11 {
		t.Errorf("behind an id that has gone: %v", next)
	}
	for _, l := range all {
		h.remove(l)
	}
	if ids, _ = walk(t, &h, 50, func(*session) bool { return true }); !slices.Equal(ids, []uint64{count + 1}) || len(h.order) > minOrder+2 {
		t.Errorf("left: %v, in %d places", ids, len(h.order))
	}
}

func TestHoldingsKeepCount(t *testing.T) {
	h := newHoldings[*listener]()
	s := &session{peer: peer{uid: 1}}
	l := h.fill(s, 1, listenerOf)[0]
	h.reserve(s)
	if h.total() != 2 || h.users[1] != 2 || len(h.of(s)) != 1 {
		t.Errorf("%d in all, %d of the user, %d of the session", h.total(), h.users[1], len(h.of(s)))
	}
	s.ended = true
	if h.add(listenerOf(s)) {
		t.Error("an ended session was given something")
	}
	if !h.remove(l) || h.remove(l) || h.total() != 0 || len(h.users) != 0 || len(h.sessions) != 0 {
		t.Errorf("left: %+v", h)
	}
}
