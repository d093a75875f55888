package stack

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

const (
	// trimInterval is how long the pool keeps what a burst of traffic has made it grow to.
	trimInterval = 30 * time.Second
	// trimQuiet is how many turns in that time still count as quiet.
	trimQuiet = 1000
)

// trimmer has the pool give free blocks back to the system when a shard has been quiet. While there is nothing to give
// back, there is no timer.
type trimmer struct {
	at    tcp.Time
	turns uint64 // of the shard when the interval began
}

// trim runs the first shard's trimmer: the pool is everybody's.
func (s *shard) trim() {
	if s.index != 0 {
		return
	}
	t := &s.trimmer
	switch {
	case t.at == tcp.Never && s.counters.turns-t.turns > trimQuiet:
	case s.now < t.at:
		return
	case s.counters.turns-t.turns <= trimQuiet:
		t.at, t.turns = tcp.Never, s.counters.turns
		go s.stack.cfg.Pool.Trim() // a system call for each block is too much to wait for
		return
	}
	t.at, t.turns = s.now.Add(trimInterval), s.counters.turns
}
