package differential

import (
	"github.com/MUCZ/Starfish/core/tcp"
)

// transition is what one step does to the state; both may be the same.
type transition struct {
	from, to tcp.State
}

// pair is two transitions in a row.
type pair struct {
	first, second transition
}

// event is a transition with the step that brought it about, and how many segments answered it.
type event struct {
	transition
	step    Step
	answers int
}

// Coverage is the pairs of transitions and the events that sequences have reached.
type Coverage struct {
	pairs  map[pair]bool
	events map[event]bool
}

// NewCoverage returns one of nothing.
func NewCoverage() *Coverage {
	return &Coverage{pairs: make(map[pair]bool), events: make(map[event]bool)}
}

// Add notes what a sequence reached, and reports whether some of it is new.
func (c *Coverage) Add(s Sequence, trace Trace) bool {
	before := len(c.pairs) + len(c.events)
	state := tcp.StateClosed
	var last transition
	for i, o := range trace {
		t := transition{state, o.State}
		c.events[event{t, s.Steps[i], min(len(o.Answers), 2)}] = true
		if i > 0 {
			c.pairs[pair{last, t}] = true
		}
		state, last = o.State, t
	}
	return len(c.pairs)+len(c.events) > before
}

// Pairs is the number of pairs of transitions, those that stay in a state included.
func (c *Coverage) Pairs() int { return len(c.pairs) }

// Moves is the number of pairs in which both transitions change the state.
func (c *Coverage) Moves() int {
	n := 0
	for p := range c.pairs {
		if p.first.from != p.first.to && p.second.from != p.second.to {
			n++
		}
	}
	return n
}

// Events is the number of different steps in a state with their outcomes.
func (c *Coverage) Events() int { return len(c.events) }
