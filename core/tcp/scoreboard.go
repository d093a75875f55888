package tcp

import (
	"fmt"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// record remembers one transmitted range of sequence space until it is cumulatively acknowledged. It may cover a
// super-segment; an acknowledgment that ends inside cuts it in two.
type record struct {
	start, end seqnum.Value
	sentAt     Time // of the latest transmission
	stamp      txStamp
	segment    uint16 // payload of each segment in it, the last one's aside; 0 when they differ
	flags      recordFlags
}

type recordFlags uint8

const (
	recSacked        recordFlags = 1 << iota // the peer holds it (RFC 2018)
	recLost                                  // deemed lost, and not sent again since
	recRetransmitted                         // ever: gives no RTT sample (RFC 6298 §3, Karn)
)

func (r *record) size() seqnum.Size      { return r.start.Size(r.end) }
func (r *record) has(f recordFlags) bool { return r.flags&f != 0 }

// scoreboard holds the records of all that is outstanding, in sequence order and without gaps from SND.UNA to SND.NXT
// (RFC 6675 §3). It knows neither time nor the connection.
type scoreboard struct {
	recs []record // recs[head:] are in use
	head int
	// Bytes by flag, so that pipe is a subtraction.
	sacked, lost seqnum.Size
	resendFrom   seqnum.Value // no record below waits for its retransmission
}

func (b *scoreboard) len() int         { return len(b.recs) - b.head }
func (b *scoreboard) at(i int) *record { return &b.recs[b.head+i] }

// pipe is the estimate of what is in the network (RFC 6675 §4): sent, and neither arrived nor lost.
func (b *scoreboard) pipe(una, nxt seqnum.Value) int {
	return int(una.Size(nxt)) - int(b.sacked) - int(b.lost)
}

// retransmitting counts the bytes that were sent again and may be under way.
func (b *scoreboard) retransmitting() (n int) {
	for i := range b.len() {
		if r := b.at(i); r.flags&(recRetransmitted|recSacked|recLost) == recRetransmitted {
			n += int(r.size())
		}
	}
	return n
}

// push appends a range just sent. A range that continues the last one, sent at the same moment, is joined to it.
func (b *scoreboard) push(pool *recordPool, r record) {
	if n := b.len(); n > 0 {
		last := b.at(n - 1)
		if last.end != r.start {
			panic(fmt.Sprintf("tcp: scoreboard gap from %d to %d", last.end, r.start))
		}
		if last.sentAt == r.sentAt && last.flags == 0 && last.stamp.sameMoment(r.stamp) && last.size() < maxRecord {
			if last.segment == 0 || r.segment != last.segment || int(last.size())%int(last.segment) != 0 {
				last.segment = 0
			}
			last.end, last.stamp = r.end, r.stamp
			return
		}
	} else {
		b.resendFrom = r.start
	}
	b.reserve(pool)
	b.recs = append(b.recs, r)
}

// maxRecord bounds what is joined into one record, so that a loss among many small segments sent at once is found
// as precisely as one among super-segments.
const maxRecord = 64 << 10

// reserve makes room for one more record without losing what is there.
func (b *scoreboard) reserve(pool *recordPool) {
	if len(b.recs) < cap(b.recs) {
		return
	}
	if b.head > 0 && b.head >= len(b.recs)/2 {
		n := copy(b.recs, b.recs[b.head:])
		b.recs, b.head = b.recs[:n], 0
		return
	}
	grown := append(pool.get(2*b.len()+1), b.recs[b.head:]...)
	pool.put(b.recs)
	b.recs, b.head = grown, 0
}

// find returns the index of the record that holds seq, or len when seq is at or behind the end.
func (b *scoreboard) find(seq seqnum.Value) int {
	low, high := 0, b.len()
	for low < high {
		mid := (low + high) / 2
		if b.at(mid).end.LessEq(seq) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// split cuts record i at seq, strictly inside it.
func (b *scoreboard) split(pool *recordPool, i int, seq seqnum.Value) {
	b.reserve(pool)
	b.recs = append(b.recs, record{})
	at := b.head + i
	copy(b.recs[at+1:], b.recs[at:])
	b.recs[at].end = seq
	b.recs[at+1].start = seq
}

// cutAt makes seq a boundary between records, if it lies inside one.
func (b *scoreboard) cutAt(pool *recordPool, seq seqnum.Value) {
	if i := b.find(seq); i < b.len() && b.at(i).start != seq && b.at(i).start.Less(seq) {
		b.split(pool, i, seq)
	}
}

// boundary returns the boundary between segments next to seq: at or behind it for up, else at or before it. A receiver
// holds whole segments: what SACK blocks cut finer would only cost records, as many as an attacker cares to ask for.
func (b *scoreboard) boundary(seq seqnum.Value, up bool) seqnum.Value {
	i := b.find(seq)
	if i == b.len() || b.at(i).segment == 0 {
		return seq
	}
	r := b.at(i)
	segment := seqnum.Size(r.segment)
	over := r.start.Size(seq) % segment
	switch {
	case over == 0:
		return seq
	case up:
		return seqnum.Min(seq.Add(segment-over), r.end)
	default:
		return seq.Sub(over)
	}
}

// unmark takes flags off a record.
func (b *scoreboard) unmark(r *record, flags recordFlags) {
	gone := r.flags & flags
	if gone&recSacked != 0 {
		b.sacked -= r.size()
	}
	if gone&recLost != 0 {
		b.lost -= r.size()
	}
	r.flags &^= flags
}

// lose marks a record as lost, whether it was sent once or again, and reports whether that is news.
func (b *scoreboard) lose(r *record) bool {
	if r.has(recSacked | recLost) {
		return false
	}
	r.flags |= recLost
	b.lost += r.size()
	b.resendFrom = seqnum.Min(b.resendFrom, r.start)
	return true
}

// ack drops what lies below una, and shows each record to visit before it goes.
func (b *scoreboard) ack(pool *recordPool, una seqnum.Value, visit func(*record)) {
	b.cutAt(pool, una)
	for b.len() > 0 && b.at(0).end.LessEq(una) {
		r := b.at(0)
		visit(r)
		b.unmark(r, recSacked|recLost)
		b.head++
	}
	b.resendFrom = seqnum.Max(b.resendFrom, una)
	if b.len() == 0 {
		pool.put(b.recs)
		b.recs, b.head = nil, 0
	}
}

// sack marks [start, end) as held by the peer and shows each record that was not marked before to visit.
func (b *scoreboard) sack(pool *recordPool, start, end seqnum.Value, visit func(*record)) {
	b.cutAt(pool, start)
	b.cutAt(pool, end)
	for i := b.find(start); i < b.len() && b.at(i).start.Less(end); i++ {
		r := b.at(i)
		if r.has(recSacked) {
			continue
		}
		visit(r)
		b.unmark(r, recLost)
		r.flags |= recSacked
		b.sacked += r.size()
	}
}

// loseFirst marks the first size bytes as lost, for peers without SACK (RFC 6582 §3.2).
func (b *scoreboard) loseFirst(pool *recordPool, size int) bool {
	if b.len() == 0 {
		return false
	}
	if first := b.at(0); int(first.size()) > size {
		b.split(pool, 0, first.start.Add(seqnum.Size(size)))
	}
	return b.lose(b.at(0))
}

// loseAll marks everything as lost except what the peer holds; and that too if it reneged.
func (b *scoreboard) loseAll(reneged bool) {
	for i := range b.len() {
		r := b.at(i)
		if reneged {
			b.unmark(r, recSacked)
		}
		b.lose(r)
	}
}

// findAll takes back that anything is lost.
func (b *scoreboard) findAll() {
	for i := range b.len() {
		b.unmark(b.at(i), recLost)
	}
}

// nextLost returns the first record to retransmit, or -1.
func (b *scoreboard) nextLost() int {
	if b.lost == 0 {
		return -1
	}
	i := b.find(b.resendFrom)
	for !b.at(i).has(recLost) {
		i++
	}
	b.resendFrom = b.at(i).start
	return i
}

// resent notes that record i was just retransmitted.
func (b *scoreboard) resent(i, segment int, now Time, stamp txStamp) {
	r := b.at(i)
	b.unmark(r, recLost)
	r.sentAt, r.stamp, r.segment = now, stamp, uint16(segment)
	r.flags |= recRetransmitted
}

// clear gives everything back.
func (b *scoreboard) clear(pool *recordPool) {
	pool.put(b.recs)
	*b = scoreboard{}
}
