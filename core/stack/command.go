package stack

import (
	"net"
)

// commandQueue bounds the commands that wait for one shard; callers beyond it wait for their turn.
const commandQueue = 1024

// command is one call that a shard is to make.
type command struct {
	run  func(s *shard)
	done chan struct{}
}

// call runs f on the shard's goroutine and returns when it has. It returns net.ErrClosed when the Stack is closed and f
// was not run. The shard's own goroutine must not call it.
func (s *shard) call(f func(s *shard)) error {
	c := command{run: f, done: make(chan struct{})}
	select {
	case s.commands <- c:
	case <-s.done:
		return net.ErrClosed
	}
	s.rouse()
	select {
	case <-c.done:
		return nil
	case <-s.done:
	}
	select {
	case <-c.done: // it was the last that ran
		return nil
	default:
		return net.ErrClosed
	}
}

// runCommands runs a batch and reports whether there may be more.
func (s *shard) runCommands() bool {
	for range commandBudget {
		select {
		case c := <-s.commands:
			c.run(s)
			close(c.done)
		default:
			return false
		}
	}
	return true
}

// mention adds a note and wakes the shard if it sleeps.
func (s *shard) mention(n *note) {
	if s.notes.add(n) {
		s.rouse()
	}
}

// rouse wakes the shard if it sleeps. What it is to find must be in place before.
func (s *shard) rouse() {
	if s.asleep.Load() && s.asleep.CompareAndSwap(true, false) {
		s.poll.wake()
	}
}

// runNotes looks at what users have done and reports whether there may be more.
func (s *shard) runNotes() bool {
	for range noteBudget {
		n := s.notes.take()
		if n == nil {
			return false
		}
		n.about.onNote(s)
	}
	return true
}
