package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// sentByte is what scoreboardModel knows of one byte.
type sentByte struct{ sacked, lost bool }

// scoreboardModel is a scoreboard that keeps a record for each byte.
type scoreboardModel struct {
	una   seqnum.Value
	bytes []sentByte
}

func (m *scoreboardModel) nxt() seqnum.Value { return m.una.Add(seqnum.Size(len(m.bytes))) }

func (m *scoreboardModel) push(n int) { m.bytes = append(m.bytes, make([]sentByte, n)...) }

// ack returns how many bytes were not SACKed before.
func (m *scoreboardModel) ack(n int) (fresh int) {
	for _, b := range m.bytes[:n] {
		if !b.sacked {
			fresh++
		}
	}
	m.bytes = m.bytes[n:]
	m.una = m.una.Add(seqnum.Size(n))
	return fresh
}

func (m *scoreboardModel) sack(from, to int) (fresh int) {
	for i := from; i < to; i++ {
		if !m.bytes[i].sacked {
			fresh++
			m.bytes[i] = sentByte{sacked: true}
		}
	}
	return fresh
}

func (m *scoreboardModel) lose(from, to int) (found bool) {
	for i := from; i < to; i++ {
		if b := &m.bytes[i]; !b.sacked && !b.lost {
			b.lost, found = true, true
		}
	}
	return found
}

func (m *scoreboardModel) loseAll(reneged bool) {
	for i := range m.bytes {
		if !m.bytes[i].sacked || reneged {
			m.bytes[i] = sentByte{lost: true}
		}
	}
}

func (m *scoreboardModel) findAll() {
	for i := range m.bytes {
		m.bytes[i].lost = false
	}
}

// waiting returns the first byte to be retransmitted, -1 when there is none.
func (m *scoreboardModel) waiting() int {
	for i, b := range m.bytes {
		if b.lost {
			return i
		}
	}
	return -1
}

func (m *scoreboardModel) pipe() (n int) {
	for _, b := range m.bytes {
		if !b.sacked && !b.lost {
			n++
		}
	}
	return n
}

// scoreboardTest drives a scoreboard and its model.
type scoreboardTest struct {
	t     *testing.T
	rng   *rand.Rand
	board scoreboard
	pool  recordPool
	model scoreboardModel
	now   Time
	mss   int
}

func (x *scoreboardTest) step() {
	x.now++
	switch op := x.rng.IntN(20); {
	case op < 6:
		x.push()
	case op < 9:
		x.ack()
	case op < 13:
		x.sack()
	case op < 15:
		x.lose()
	case op < 18:
		x.resend()
	case op < 19:
		x.loseFirst()
	case x.rng.IntN(4) == 0:
		x.board.findAll()
		x.model.findAll()
	default:
		reneged := x.rng.IntN(2) == 0
		x.board.loseAll(reneged)
		x.model.loseAll(reneged)
	}
	x.compare()
}

func (x *scoreboardTest) push() {
	n := 1 + x.rng.IntN(3*x.mss)
	if len(x.model.bytes)+n > 60*x.mss {
		return
	}
	start := x.model.nxt()
	x.board.push(&x.pool, record{start: start, end: start.Add(seqnum.Size(n)), sentAt: x.now - Time(x.rng.IntN(2))})
	x.model.push(n)
}

func (x *scoreboardTest) ack() {
	n := x.rng.IntN(len(x.model.bytes)/3 + 1)
	if x.rng.IntN(10) == 0 {
		n = len(x.model.bytes)
	}
	una, fresh := x.model.una.Add(seqnum.Size(n)), 0
	x.board.ack(&x.pool, una, func(r *record) {
		if !r.has(recSacked) {
			fresh += int(r.size())
		}
	})
	if want := x.model.ack(n); fresh != want {
		x.t.Fatalf("ACK of %d bytes showed %d for the first time, want %d", n, fresh, want)
	}
}

func (x *scoreboardTest) sack() {
	if len(x.model.bytes) < 2 {
		return
	}
	from := x.rng.IntN(len(x.model.bytes) - 1)
	to := from + 1 + x.rng.IntN(len(x.model.bytes)-from)
	to = min(to, from+4*x.mss, len(x.model.bytes))
	fresh := 0
	start := x.model.una.Add(seqnum.Size(from))
	x.board.sack(&x.pool, start, start.Add(seqnum.Size(to-from)), func(r *record) { fresh += int(r.size()) })
	if want := x.model.sack(from, to); fresh != want {
		x.t.Fatalf("SACK of [%d, %d) showed %d bytes, want %d", from, to, fresh, want)
	}
}

func (x *scoreboardTest) resend() {
	i, want := x.board.nextLost(), x.model.waiting()
	if (i < 0) != (want < 0) {
		x.t.Fatalf("nextLost is record %d, the model waits at byte %d", i, want)
	}
	if i < 0 {
		return
	}
	r := x.board.at(i)
	if at := int(x.model.una.Size(r.start)); at != want {
		x.t.Fatalf("nextLost is at byte %d, want %d", at, want)
	}
	if int(r.size()) > x.mss {
		x.board.split(&x.pool, i, r.start.Add(seqnum.Size(x.mss)))
	}
	x.board.resent(i, x.mss, x.now, txStamp{})
	for k := range int(x.board.at(i).size()) {
		x.model.bytes[want+k].lost = false
	}
}

// lose marks some record, whatever became of it.
func (x *scoreboardTest) lose() {
	if x.board.len() == 0 {
		return
	}
	r := x.board.at(x.rng.IntN(x.board.len()))
	from, to := int(x.model.una.Size(r.start)), int(x.model.una.Size(r.end))
	if got, want := x.board.lose(r), x.model.lose(from, to); got != want {
		x.t.Fatalf("lose found: %v, want %v", got, want)
	}
}

func (x *scoreboardTest) loseFirst() {
	if len(x.model.bytes) == 0 {
		if x.board.loseFirst(&x.pool, x.mss) {
			x.t.Fatal("a loss on an empty scoreboard")
		}
		return
	}
	first := x.board.at(0)
	n := min(int(first.size()), x.mss)
	if got, want := x.board.loseFirst(&x.pool, x.mss), x.model.lose(0, n); got != want {
		x.t.Fatalf("loseFirst found: %v, want %v", got, want)
	}
}

// compare checks each byte's flags and all that is derived from them.
func (x *scoreboardTest) compare() {
	x.t.Helper()
	b, m := &x.board, &x.model
	if err := b.check(); err != nil {
		x.t.Fatal(err)
	}
	at := m.una
	for i := range b.len() {
		r := b.at(i)
		if r.start != at || r.size() == 0 {
			x.t.Fatalf("record %d is [%d, %d) behind %d", i, r.start, r.end, at)
		}
		for ; at != r.end; at = at.Add(1) {
			got := sentByte{r.has(recSacked), r.has(recLost)}
			if want := m.bytes[m.una.Size(at)]; got != want {
				x.t.Fatalf("byte %d is %+v, want %+v", m.una.Size(at), got, want)
			}
		}
	}
	if at != m.nxt() {
		x.t.Fatalf("records end at %d, want %d", at, m.nxt())
	}
	if got, want := b.pipe(m.una, m.nxt()), m.pipe(); got != want {
		x.t.Fatalf("pipe is %d, want %d", got, want)
	}
}

func TestScoreboardAgainstBytes(t *testing.T) {
	for seed := range uint64(200) {
		x := scoreboardTest{t: t, rng: rand.New(rand.NewPCG(seed, 1)), mss: 5 + int(seed%7)}
		x.model.una = seqnum.Value(0).Sub(seqnum.Size(x.rng.IntN(2000)))
		for range 300 {
			x.step()
		}
		x.board.clear(&x.pool)
		if x.board.len() != 0 {
			t.Fatal("cleared and not empty")
		}
	}
}

func TestScoreboardJoinsWhatIsSentAtOnce(t *testing.T) {
	var b scoreboard
	var pool recordPool
	for i := range seqnum.Value(100) {
		b.push(&pool, record{start: i * 1000, end: (i + 1) * 1000, sentAt: 5})
	}
	if b.len() != 2 {
		t.Errorf("%d records of 100,000 bytes sent at once, want 2: records of more than %d are not joined", b.len(), maxRecord)
	}
	b.push(&pool, record{start: 100_000, end: 100_001, sentAt: 6})
	if b.len() != 3 {
		t.Errorf("%d records, want 3: the last was sent later", b.len())
	}
}

func TestScoreboardGapPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a gap in the sequence was accepted")
		}
	}()
	var b scoreboard
	var pool recordPool
	b.push(&pool, record{start: 0, end: 10})
	b.push(&pool, record{start: 11, end: 12, sentAt: 1})
}

// TestScoreboardBoundary: a SACK block is narrowed to whole segments, where a record says how long they are.
func TestScoreboardBoundary(t *testing.T) {
	var pool recordPool
	var b scoreboard
	b.push(&pool, record{start: 100, end: 3350, segment: 1000, sentAt: 1})
	b.push(&pool, record{start: 3350, end: 3400, segment: 1000, sentAt: 2})
	b.push(&pool, record{start: 3400, end: 3450, segment: 1000, sentAt: 2}) // joined: where its segments end is not known
	for _, c := range []struct {
		seq, up, down seqnum.Value
	}{
		{100, 100, 100},
		{101, 1100, 100},
		{1099, 1100, 100},
		{1100, 1100, 1100},
		{3101, 3350, 3100}, // the last segment is short
		{3349, 3350, 3100},
		{3350, 3350, 3350},
		{3375, 3375, 3375},
		{3450, 3450, 3450},
	} {
		if got := b.boundary(c.seq, true); got != c.up {
			t.Errorf("behind %d: %d, want %d", c.seq, got, c.up)
		}
		if got := b.boundary(c.seq, false); got != c.down {
			t.Errorf("before %d: %d, want %d", c.seq, got, c.down)
		}
	}
	b.clear(&pool)
}
