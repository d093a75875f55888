package tcp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const wheelTickLen = Time(1) << wheelTickShift

// wheelCeil rounds t up to the wheel's tick.
func wheelCeil(t Time) Time {
	if floor := wheelTime(wheelTick(t)); floor != t {
		return floor + wheelTickLen
	}
	return t
}

func TestWheelGivesOutAtTheTickAfterTheDeadline(t *testing.T) {
	starts := []Time{0, 1, -1, 12345, Time(time.Hour), -Time(time.Hour) + 77, 1 << 62, math.MinInt64}
	delays := []time.Duration{
		0, 1, 65535, 65536, 65537, time.Millisecond, 4 * time.Millisecond, 200 * time.Millisecond, time.Second,
		17 * time.Second, time.Minute, 18 * time.Minute, 2 * time.Hour, 24 * time.Hour, 365 * 24 * time.Hour,
		9 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour,
	}
	for _, start := range starts {
		for _, delay := range delays {
			t.Run(fmt.Sprintf("%d+%v", start, delay), func(t *testing.T) {
				var w wheel
				w.init(start)
				var n timerNode
				w.schedule(&n, start.Add(delay))
				at, hops := wheelRunUntilExpired(t, &w, &n, start)
				if want := max(wheelCeil(start.Add(delay)), start); at != want {
					t.Errorf("given out at %d, want %d", at, want)
				}
				if hops > wheelLevels {
					t.Errorf("took %d wake-ups, want at most one a level", hops)
				}
			})
		}
	}
}

// wheelRunUntilExpired jumps from one answer of next to the following until n, the only node, is given out.
func wheelRunUntilExpired(t *testing.T, w *wheel, n *timerNode, now Time) (at Time, hops int) {
	t.Helper()
	for {
		at, ok := w.next()
		if !ok {
			t.Fatal("next: nothing scheduled")
		}
		if hops > 0 && at <= now {
			t.Fatalf("next = %d makes no progress at %d", at, now)
		}
		now = max(now, at)
		hops++
		if got := w.expire(now); got != nil {
			if got != n || n.scheduled() {
				t.Fatalf("gave out %p (scheduled %v), want %p", got, got.scheduled(), n)
			}
			return now, hops
		}
	}
}

func TestWheelDeadlineInThePastIsDueAtOnce(t *testing.T) {
	var w wheel
	w.init(Time(time.Hour))
	if w.expire(Time(2*time.Hour)) != nil {
		t.Fatal("empty wheel gave out a node")
	}
	var n timerNode
	w.schedule(&n, 5)
	if at, ok := w.next(); !ok || at > Time(2*time.Hour) {
		t.Fatalf("next = %d, %v, want not after now", at, ok)
	}
	if got := w.expire(Time(2 * time.Hour)); got != &n {
		t.Fatalf("expire = %p, want the node", got)
	}
}

func TestWheelTheEndOfTimeIsADeadline(t *testing.T) {
	var w wheel
	w.init(0)
	var n timerNode
	w.schedule(&n, Never)
	for range wheelLevels {
		at, ok := w.next()
		if !ok || w.expire(at-1) != nil {
			t.Fatal("given out too early, or lost")
		}
		if w.expire(at) == &n {
			return
		}
	}
	t.Fatal("never given out")
}

func TestWheelCancelAndReschedule(t *testing.T) {
	var w wheel
	w.init(0)
	var n timerNode
	w.cancel(&n)
	w.schedule(&n, Time(time.Second))
	w.schedule(&n, Time(time.Minute))
	if n.deadline != Time(time.Minute) {
		t.Fatalf("deadline = %d", n.deadline)
	}
	if w.expire(Time(2*time.Second)) != nil {
		t.Fatal("given out by the old deadline")
	}
	w.cancel(&n)
	if _, ok := w.next(); ok || n.scheduled() {
		t.Fatal("still scheduled after cancel")
	}
	if w.expire(Time(time.Hour)) != nil {
		t.Fatal("cancelled node given out")
	}
}

func TestWheelBoundsTheWorkOfOneCall(t *testing.T) {
	const n = 10*wheelCascadeBatch + 3
	var w wheel
	w.init(0)
	nodes := make([]timerNode, n)
	deadline := Time(2 * time.Hour)
	for i := range nodes {
		w.schedule(&nodes[i], deadline)
	}
	w.cancel(&nodes[n-1])
	var now Time
	var out, pauses int
	for {
		at, ok := w.next()
		if !ok {
			break
		}
		now = max(now, at)
		for w.expire(now) != nil {
			out++
		}
		if !w.cascading.alone() {
			pauses++
			// What is between two slots can still be cancelled and scheduled.
			last := w.cascading.prev
			w.cancel(last)
			w.schedule(last, deadline)
			if at, ok := w.next(); !ok || at > now {
				t.Fatalf("next = %d, %v in the middle of a cascade at %d", at, ok, now)
			}
		}
	}
	if out != n-1 || now != wheelCeil(deadline) {
		t.Errorf("%d nodes until %d, want %d until %d", out, now, n-1, wheelCeil(deadline))
	}
	if pauses < n/wheelCascadeBatch {
		t.Errorf("%d pauses, want one for each %d nodes", pauses, wheelCascadeBatch)
	}
}

// wheelModel is the naive wheel: a map.
type wheelModel map[*timerNode]Time

func (m wheelModel) earliest() (Time, bool) {
	first, ok := Never, false
	for _, d := range m {
		first, ok = min(first, d), true
	}
	return first, ok
}

func TestWheelAgainstModel(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		wheelAgainstModel(t, uint64(seed))
	}
}

func wheelAgainstModel(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	now := Time(r.Uint64N(1<<62)) - 1<<61
	var w wheel
	w.init(now)
	model := wheelModel{}
	nodes := make([]timerNode, 1+r.IntN(400))
	// Spans are spread over the magnitudes, from nanoseconds to weeks.
	span := func() Time { return Time(r.Uint64N(1 << (1 + r.UintN(50)))) }
	for range 2000 {
		n := &nodes[r.IntN(len(nodes))]
		switch r.IntN(8) {
		case 0, 1, 2, 3:
			deadline := now + span() - span()/16
			w.schedule(n, deadline)
			model[n] = deadline
		case 4, 5:
			w.cancel(n)
			delete(model, n)
		case 6:
			now += span()
		default:
			if at, ok := w.next(); ok {
				now = max(now, at)
			}
		}
		wheelExpireBoth(t, &w, model, now)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// wheelExpireBoth takes out of both what is due at now, and compares.
func wheelExpireBoth(t *testing.T, w *wheel, model wheelModel, now Time) {
	t.Helper()
	for {
		for n := w.expire(now); n != nil; n = w.expire(now) {
			deadline, ok := model[n]
			if !ok || deadline > now || n.deadline != deadline || n.scheduled() {
				t.Errorf("gave out a node with deadline %d (known %v) at %d", deadline, ok, now)
			}
			delete(model, n)
		}
		if at, ok := w.next(); !ok || at > now {
			break
		}
	}
	earliest, left := model.earliest()
	at, ok := w.next()
	if ok != left {
		t.Errorf("next reports %v, %d nodes left", ok, len(model))
	}
	if left && (at > wheelCeil(earliest) || wheelCeil(earliest) <= now) {
		t.Errorf("next = %d at %d, earliest deadline %d", at, now, earliest)
	}
}

func TestWheelDoesNotAllocate(t *testing.T) {
	var w wheel
	w.init(0)
	nodes := make([]timerNode, 64)
	var now Time
	if got := testing.AllocsPerRun(1000, func() {
		for i := range nodes {
			w.schedule(&nodes[i], now+Time(i)*Time(time.Millisecond))
		}
		w.cancel(&nodes[3])
		now += Time(time.Second)
		for w.expire(now) != nil {
		}
		w.next()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// A retransmission timer is pushed back by every acknowledgement and almost never fires.
func BenchmarkWheelReschedule(b *testing.B) {
	var w wheel
	w.init(0)
	nodes := make([]timerNode, 10_000)
	var now Time
	b.ReportAllocs()
	for i := range b.N {
		now += 1000
		w.schedule(&nodes[i%len(nodes)], now+Time(200*time.Millisecond))
		if at, _ := w.next(); at <= now {
			w.expire(now)
		}
	}
}

func BenchmarkWheelExpire(b *testing.B) {
	var w wheel
	w.init(0)
	nodes := make([]timerNode, 100_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range nodes {
		w.schedule(&nodes[i], Time(r.Int64N(int64(time.Minute))))
	}
	var now Time
	b.ReportAllocs()
	for range b.N {
		n := w.expire(now)
		for n == nil {
			now, _ = w.next()
			n = w.expire(now)
		}
		w.schedule(n, now+Time(time.Minute))
	}
}
