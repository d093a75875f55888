package stack

import (
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// The pool is trimmed once after a busy time, and there is no timer while nothing happens.
func TestTrim(t *testing.T) {
	pool := zbuf.NewPool(0)
	s := &shard{stack: &Stack{cfg: Config{Pool: pool}}, now: 1}
	s.trimmer.at = tcp.Never
	step := func(now tcp.Time, turns uint64, armed bool) {
		t.Helper()
		s.now = now
		s.counters.turns += turns
		s.trim()
		if (s.trimmer.at != tcp.Never) != armed {
			t.Errorf("at %d: the timer is at %d", now, s.trimmer.at)
		}
	}
	interval := tcp.Time(trimInterval)
	step(1, trimQuiet, false)
	step(2, 1, true)                      // busy
	step(3, 10*trimQuiet, true)           // no matter how busy, not before its time
	step(interval+2, 1, true)             // still busy: another interval
	step(2*interval+1, 5, true)           // not yet
	step(2*interval+2, 5, false)          // quiet: trimmed
	step(100*interval, trimQuiet, false)  // quiet for good
	step(100*interval, 2*trimQuiet, true) // busy again
}
