package stack

import (
	"sync/atomic"
)

// noted is what a note is about.
type noted interface {
	// onNote looks at what the user has done. The shard's goroutine calls it.
	onNote(s *shard)
}

// note asks a shard to look at something, once for any number of reasons since the last look. It is a part of what it
// is about, so that the number of notes is bounded by that of connections and listeners, and none is allocated.
type note struct {
	next   *note
	about  noted
	queued atomic.Bool
}

// noteList is a list of notes that many add to and one takes.
type noteList struct {
	head atomic.Pointer[note]
	// taken are notes that were taken off head and not yet looked at, oldest first. They are the taker's alone.
	taken *note
}

// add puts n in the list and reports whether it was not there yet.
func (l *noteList) add(n *note) bool {
	if n.queued.Load() || !n.queued.CompareAndSwap(false, true) {
		return false
	}
	for {
		head := l.head.Load()
		n.next = head
		if l.head.CompareAndSwap(head, n) {
			return true
		}
	}
}

// take returns the next note, nil when there is none. Once it is taken the same note can be added again, so that
// nothing that was done after this is missed.
func (l *noteList) take() *note {
	if l.taken == nil {
		for n := l.head.Swap(nil); n != nil; {
			next := n.next
			n.next, l.taken = l.taken, n
			n = next
		}
	}
	n := l.taken
	if n == nil {
		return nil
	}
	l.taken, n.next = n.next, nil
	n.queued.Store(false)
	return n
}

// empty reports whether nothing waits. The taker may call it.
func (l *noteList) empty() bool { return l.taken == nil && l.head.Load() == nil }
