package stack

import (
	"sync"
	"testing"
)

type countedNote struct {
	note note
	seen int
}

func (c *countedNote) onNote(*shard) { c.seen++ }

func TestNotesAreTakenInOrderAndOnce(t *testing.T) {
	var list noteList
	notes := make([]countedNote, 5)
	for i := range notes {
		notes[i].note.about = &notes[i]
	}
	add := func(i int, want bool) {
		t.Helper()
		if got := list.add(&notes[i].note); got != want {
			t.Errorf("add %d: %v, want %v", i, got, want)
		}
	}
	take := func(want int) {
		t.Helper()
		n := list.take()
		if n == nil || n != &notes[want].note {
			t.Fatalf("took %v, want note %d", n, want)
		}
	}
	add(0, true)
	add(1, true)
	add(0, false)
	take(0)
	add(0, true) // taken: it may come again
	add(2, true)
	take(1)
	take(0)
	take(2)
	if n := list.take(); n != nil || !list.empty() {
		t.Errorf("took %v from an empty list", n)
	}
}

// No note that is added after the last look is missed.
func TestNotesUnderContention(t *testing.T) {
	const writers, rounds = 4, 5000
	var list noteList
	notes := make([]countedNote, 3)
	for i := range notes {
		notes[i].note.about = &notes[i]
	}
	var pending [3]struct {
		sync.Mutex
		n int
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range rounds {
				p := &pending[i%3]
				p.Lock()
				p.n++
				p.Unlock()
				list.add(&notes[i%3].note)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	total := 0
	collect := func() {
		for n := list.take(); n != nil; n = list.take() {
			for i := range notes {
				if n == &notes[i].note {
					p := &pending[i]
					p.Lock()
					total += p.n
					p.n = 0
					p.Unlock()
				}
			}
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		collect()
	}
	if total != writers*rounds {
		t.Errorf("%d of %d were noticed", total, writers*rounds)
	}
}
