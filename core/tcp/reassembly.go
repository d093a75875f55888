package tcp

import (
	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// reassembly holds what arrived ahead of RCV.NXT. A connection has one only while there is such data.
type reassembly struct {
	ranges []oooRange // in order, without overlap
	bytes  int
	// blocks are what SACK tells the peer, the most recent first (RFC 2018 §4): the runs of adjacent ranges.
	blocks  [wire.MaxSACKBlocks]wire.SACKBlock
	nblocks int
}

// oooRange is one piece of data at its place.
type oooRange struct {
	start seqnum.Value
	data  zbuf.Slice
}

func (r *oooRange) end() seqnum.Value { return r.start.Add(seqnum.Size(r.data.Len())) }

// insert takes over data's reference and keeps what of it is new. It reports whether anything was, and reports
// false for room when limit ranges are there already: then data is dropped, as if it had been lost.
func (q *reassembly) insert(start seqnum.Value, data zbuf.Slice, limit int) (fresh, room bool) {
	origin, end := start, start.Add(seqnum.Size(data.Len()))
	i := q.find(start)
	for start.Less(end) {
		gapEnd := end
		if i < len(q.ranges) {
			next := &q.ranges[i]
			if next.start.LessEq(start) {
				start = seqnum.Max(start, next.end())
				i++
				continue
			}
			gapEnd = seqnum.Min(end, next.start)
		}
		if len(q.ranges) >= limit {
			data.Release()
			return fresh, false
		}
		piece := data.Sub(int(origin.Size(start)), int(origin.Size(gapEnd))).Retain()
		q.ranges = append(q.ranges, oooRange{})
		copy(q.ranges[i+1:], q.ranges[i:])
		q.ranges[i] = oooRange{start: start, data: piece}
		q.bytes += piece.Len()
		fresh = true
		start = gapEnd
		i++
	}
	data.Release()
	return fresh, true
}

// find returns the index of the first range that ends behind seq.
func (q *reassembly) find(seq seqnum.Value) int {
	low, high := 0, len(q.ranges)
	for low < high {
		mid := (low + high) / 2
		if q.ranges[mid].end().LessEq(seq) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// run returns the run of adjacent ranges around the range that holds seq.
func (q *reassembly) run(seq seqnum.Value) (wire.SACKBlock, bool) {
	i := q.find(seq)
	if i == len(q.ranges) || seq.Less(q.ranges[i].start) {
		return wire.SACKBlock{}, false
	}
	first, last := i, i
	for first > 0 && q.ranges[first-1].end() == q.ranges[first].start {
		first--
	}
	for last+1 < len(q.ranges) && q.ranges[last].end() == q.ranges[last+1].start {
		last++
	}
	return wire.SACKBlock{Start: q.ranges[first].start, End: q.ranges[last].end()}, true
}

// report brings the run around seq to the front of the blocks. RFC 2018 §4: "The first SACK block … MUST specify the
// contiguous block of data containing the segment which triggered this ACK"; the others repeat the most recent ones.
func (q *reassembly) report(seq seqnum.Value) {
	run, ok := q.run(seq)
	if !ok {
		return
	}
	blocks := [wire.MaxSACKBlocks]wire.SACKBlock{run}
	n := 1
	for _, old := range q.blocks[:q.nblocks] {
		inside := run.Start.LessEq(old.Start) && old.End.LessEq(run.End)
		if !inside && n < len(blocks) {
			blocks[n] = old
			n++
		}
	}
	q.blocks, q.nblocks = blocks, n
}

// pull moves what continues nxt into dst and returns the new RCV.NXT.
func (q *reassembly) pull(nxt seqnum.Value, dst *zbuf.Chain) seqnum.Value {
	n := 0
	for ; n < len(q.ranges) && q.ranges[n].start.LessEq(nxt); n++ {
		r := &q.ranges[n]
		q.bytes -= r.data.Len()
		if skip := int(r.start.Size(nxt)); skip < r.data.Len() {
			dst.Push(r.data.Sub(skip, r.data.Len()))
			nxt = r.end()
		} else {
			r.data.Release()
		}
	}
	rest := copy(q.ranges, q.ranges[n:])
	clear(q.ranges[rest:])
	q.ranges = q.ranges[:rest]
	kept := 0
	for _, b := range q.blocks[:q.nblocks] {
		if nxt.Less(b.End) {
			q.blocks[kept] = b
			kept++
		}
	}
	q.nblocks = kept
	if kept == 0 && len(q.ranges) > 0 {
		q.report(q.ranges[0].start) // the runs remembered are gone: the next one takes their place
	}
	return nxt
}

// clear gives up everything that is held, and keeps the array.
func (q *reassembly) clear() {
	for i := range q.ranges {
		q.ranges[i].data.Release()
	}
	clear(q.ranges)
	*q = reassembly{ranges: q.ranges[:0]}
}
