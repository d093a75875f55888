package tcp

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestTimersRunOnTime arms and disarms timers at random: the wheel gives the connection out at the first deadline or up
// to a tick later, however often deadlines moved away.
func TestTimersRunOnTime(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	s, c := p.a.stack, p.a.conn(ida)
	rng := rand.New(rand.NewPCG(1, 8))
	ran := map[timerID]Time{}
	defer func(saved [numTimers]func(*Stack, *conn, Time)) { timerHandlers = saved }(timerHandlers)
	for id := range timerHandlers {
		timerHandlers[id] = func(_ *Stack, _ *conn, now Time) { ran[timerID(id)] = now }
	}
	want := map[timerID]Time{}
	for range 20_000 {
		id := timerID(rng.IntN(int(numTimers)))
		switch rng.IntN(5) {
		case 0, 1, 2:
			d := time.Duration(rng.Int64N(int64(time.Microsecond) << rng.IntN(30)))
			want[id] = p.now.Add(d)
			s.arm(c, id, want[id])
		case 3:
			delete(want, id)
			c.disarm(id)
		default:
			p.now = p.now.Add(time.Duration(rng.Int64N(int64(time.Microsecond) << rng.IntN(25))))
			clear(ran)
			s.HandleTimeout(p.now)
			const tick = Time(1 << wheelTickShift)
			for id, deadline := range want {
				switch at, ok := ran[id]; {
				case ok && at < deadline:
					t.Fatalf("timer %d ran %v early", id, deadline.Sub(at))
				case !ok && deadline+tick <= p.now:
					t.Fatalf("timer %d did not run, due %v ago", id, p.now.Sub(deadline))
				case ok:
					delete(want, id)
				}
				delete(ran, id)
			}
			if len(ran) > 0 {
				t.Fatalf("timers %v ran and were off", ran)
			}
		}
		if err := c.checkTimers(); err != nil {
			t.Fatal(err)
		}
		for id, deadline := range want {
			if !c.timers.on(id) || s.PollTimeout() > deadline+1<<wheelTickShift {
				t.Fatalf("timer %d is on: %v, due at %d, the stack says %d", id, c.timers.on(id), deadline, s.PollTimeout())
			}
		}
	}
	s.disarmAll(c)
	if c.timers.node.scheduled() || s.PollTimeout() != Never {
		t.Error("a timer is left")
	}
}

// TestEveryTimerHasAHandler: a timer without one would panic when it fires.
func TestEveryTimerHasAHandler(t *testing.T) {
	for id, handler := range timerHandlers {
		if handler == nil {
			t.Errorf("timer %d has no handler", id)
		}
	}
}

// TestTimerMovedAwayCostsNoWakeUpEach: the retransmission timer moves with each ACK, the wheel is touched once per RTO.
func TestTimerMovedAwayCostsNoWakeUpEach(t *testing.T) {
	p := newPair(t)
	ida, _ := p.connect(nil)
	s, c := p.a.stack, p.a.conn(ida)
	s.disarmAll(c)
	s.arm(c, timerRetransmit, p.now.Add(time.Second))
	first := c.timers.node.deadline
	for range 100 {
		p.now = p.now.Add(time.Millisecond)
		s.arm(c, timerRetransmit, p.now.Add(time.Second))
	}
	if c.timers.node.deadline != first {
		t.Error("the wheel was told of a deadline that moved away")
	}
	if err := c.checkTimers(); err != nil {
		t.Error(err)
	}
}
