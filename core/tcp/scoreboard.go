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
	flags      recordFlags
}

type recordFlags uint8

const (
	recSacked        recordFlags = 1 << iota // the peer holds it (RFC 2018)
	recLost                                  // deemed lost (RFC 6675 IsLost, or a timeout)
	recInRetransmit                          // retransmitted since it was deemed lost, and on its way
	recRetransmitted                         // ever: gives no RTT sample (RFC 6298 §3, Karn)
)

func (r *record) size() seqnum.Size      { return r.start.Size(r.end) }
func (r *record) has(f recordFlags) bool { return r.flags&f != 0 }

// scoreboard holds the records of all that is outstanding, in sequence order and without gaps from SND.UNA to SND.NXT
// (RFC 6675 §3). It knows neither time nor the connection.
type scoreboard struct {
	recs []record // recs[head:] are in use
	head int
	// Bytes by flag, each record counted once per flag, so that pipe is a subtraction.
	sacked, lost, retransmit seqnum.Size
	lostBelow                seqnum.Value // what lies below was looked at by markLost: later calls go on from here
	resendFrom               seqnum.Value // no record below waits for its retransmission
	highSacked               seqnum.Value // the highest sequence number that was SACKed; valid while sacked > 0
}

func (b *scoreboard) len() int         { return len(b.recs) - b.head }
func (b *scoreboard) at(i int) *record { return &b.recs[b.head+i] }

// pipe is the estimate of what is in the network (RFC 6675 §4): sent, and neither arrived nor lost.
func (b *scoreboard) pipe(una, nxt seqnum.Value) int {
	return int(una.Size(nxt)) - int(b.sacked) - int(b.lost) + int(b.retransmit)
}

// push appends a range just sent. A range that continues the last one, sent at the same moment, is joined to it.
func (b *scoreboard) push(pool *recordPool, r record) {
	if n := b.len(); n > 0 {
		last := b.at(n - 1)
		if last.end != r.start {
			panic(fmt.Sprintf("tcp: scoreboard gap from %d to %d", last.end, r.start))
		}
		if last.sentAt == r.sentAt && last.flags == 0 && last.stamp == r.stamp && last.size() < maxRecord {
			last.end = r.end
			return
		}
	} else {
		b.lostBelow, b.resendFrom = r.start, r.start
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

// forget takes a record's flags out of the counts.
func (b *scoreboard) forget(r *record, flags recordFlags) {
	gone := r.flags & flags
	if gone&recSacked != 0 {
		b.sacked -= r.size()
	}
	if gone&recLost != 0 {
		b.lost -= r.size()
	}
	if gone&recInRetransmit != 0 {
		b.retransmit -= r.size()
	}
	r.flags &^= flags
}

func (b *scoreboard) add(r *record, flags recordFlags) {
	fresh := flags &^ r.flags
	if fresh&recSacked != 0 {
		b.sacked += r.size()
	}
	if fresh&recLost != 0 {
		b.lost += r.size()
	}
	if fresh&recInRetransmit != 0 {
		b.retransmit += r.size()
	}
	r.flags |= flags
}

// ack drops what lies below una, and shows each record to visit before it goes.
func (b *scoreboard) ack(pool *recordPool, una seqnum.Value, visit func(*record)) {
	b.cutAt(pool, una)
	for b.len() > 0 && b.at(0).end.LessEq(una) {
		r := b.at(0)
		visit(r)
		b.forget(r, recSacked|recLost|recInRetransmit)
		b.head++
	}
	b.lostBelow = seqnum.Max(b.lostBelow, una)
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
		b.forget(r, recLost|recInRetransmit)
		if b.sacked == 0 || b.highSacked.Less(r.end) {
			b.highSacked = r.end
		}
		b.add(r, recSacked)
	}
}

// markLost applies RFC 6675's IsLost: a range is lost when more than (DupThresh - 1) segments' worth of bytes above
// it were SACKed. It reports whether any new loss was found.
func (b *scoreboard) markLost(mss int) bool {
	if b.sacked == 0 {
		return false
	}
	need := seqnum.Size((dupThresh - 1) * mss)
	var above seqnum.Size
	i := b.find(b.highSacked.Sub(1))
	for ; i >= 0; i-- {
		if r := b.at(i); r.has(recSacked) {
			above += r.size()
			if above > need {
				break
			}
		}
	}
	if i <= 0 {
		return false
	}
	return b.loseBelow(b.at(i).start)
}

// loseBelow marks what lies below seq, and was not looked at before, as lost unless it was SACKed.
func (b *scoreboard) loseBelow(seq seqnum.Value) (found bool) {
	for i := b.find(b.lostBelow); i < b.len() && b.at(i).start.Less(seq); i++ {
		if r := b.at(i); !r.has(recSacked | recLost) {
			b.add(r, recLost)
			found = true
		}
	}
	b.lostBelow = seqnum.Max(b.lostBelow, seq)
	return found
}

// loseFirst marks the first size bytes as lost, for peers without SACK (RFC 6582 §3.2).
func (b *scoreboard) loseFirst(pool *recordPool, size int) bool {
	if b.len() == 0 {
		return false
	}
	first := b.at(0)
	if int(first.size()) > size {
		b.split(pool, 0, first.start.Add(seqnum.Size(size)))
		first = b.at(0)
	}
	if first.has(recSacked) || first.has(recLost) && !first.has(recInRetransmit) {
		return false
	}
	b.forget(first, recInRetransmit)
	b.add(first, recLost)
	b.resendFrom = first.start
	return true
}

// loseAll marks everything as lost after a timeout, except what the peer holds, unless it reneged.
func (b *scoreboard) loseAll(reneged bool) {
	for i := range b.len() {
		r := b.at(i)
		if reneged {
			b.forget(r, recSacked)
		}
		if !r.has(recSacked) {
			b.forget(r, recInRetransmit)
			b.add(r, recLost)
		}
	}
	if b.len() > 0 {
		b.lostBelow, b.resendFrom = b.at(b.len()-1).end, b.at(0).start
	}
}

// nextLost returns the first record to retransmit, or -1.
func (b *scoreboard) nextLost() int {
	if b.lost <= b.retransmit {
		return -1
	}
	for i := b.find(b.resendFrom); i < b.len(); i++ {
		if r := b.at(i); r.has(recLost) && !r.has(recInRetransmit) {
			b.resendFrom = r.start
			return i
		}
	}
	return -1
}

// resent notes that record i was just retransmitted.
func (b *scoreboard) resent(i int, now Time, stamp txStamp) {
	r := b.at(i)
	r.sentAt, r.stamp = now, stamp
	b.add(r, recInRetransmit|recRetransmitted)
}

// clear gives everything back.
func (b *scoreboard) clear(pool *recordPool) {
	pool.put(b.recs)
	*b = scoreboard{}
}
