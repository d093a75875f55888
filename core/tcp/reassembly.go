package tcp

import (
	"slices"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// reassembly holds what arrived ahead of RCV.NXT. A connection has one only while there is such data. Its bytes are bounded by
// the window that was promised for them, its runs by Limits.OutOfOrder.
type reassembly struct {
	runs  []*oooRun // in order, with a gap before each
	bytes int
	// blocks are what SACK tells the peer, the most recent first (RFC 2018 §4): some of the runs.
	blocks  [wire.MaxSACKBlocks]wire.SACKBlock
	nblocks int
}

// oooRun is data without a gap in it, at its place.
type oooRun struct {
	start seqnum.Value
	data  zbuf.Chain
}

func (r *oooRun) end() seqnum.Value { return r.start.Add(seqnum.Size(r.data.Len())) }

func (r *oooRun) block() wire.SACKBlock { return wire.SACKBlock{Start: r.start, End: r.end()} }

// reassemblyStock is what the reassembly queues of a Stack are made of, and how many runs each may have.
type reassemblyStock struct {
	pool   *zbuf.Pool
	queues freeList[reassembly]
	runs   freeList[oooRun]
	limit  int
}

// insert keeps what of data is new, by reference or, if it is small, by a copy. It reports whether anything was, and
// reports false for room when data that touches no run would have made one too many: then it is dropped, as if it had been
// lost.
func (q *reassembly) insert(stock *reassemblyStock, start seqnum.Value, data zbuf.Slice) (fresh, room bool) {
	origin, end := start, start.Add(seqnum.Size(data.Len()))
	for start.Less(end) {
		i, gapEnd := q.find(start), end
		if i < len(q.runs) {
			next := q.runs[i]
			if next.start.LessEq(start) {
				start = next.end()
				continue
			}
			gapEnd = seqnum.Min(end, next.start)
		}
		piece := data.Sub(int(origin.Size(start)), int(origin.Size(gapEnd)))
		if !q.fill(stock, i, start, piece) {
			return fresh, false
		}
		q.bytes += piece.Len()
		fresh = true
		start = gapEnd
	}
	return fresh, true
}

// fill puts data into the gap before run i, to the runs that it touches or as a run of its own.
func (q *reassembly) fill(stock *reassemblyStock, i int, start seqnum.Value, data zbuf.Slice) bool {
	end := start.Add(seqnum.Size(data.Len()))
	touches := i < len(q.runs) && q.runs[i].start == end
	switch {
	case i > 0 && q.runs[i-1].end() == start:
		q.runs[i-1].data.PushView(stock.pool, data)
		if touches {
			q.join(stock, i)
		}
	case touches:
		q.runs[i].data.PushViewFront(stock.pool, data)
		q.runs[i].start = start
	case len(q.runs) < stock.limit:
		run := stock.runs.get()
		run.start = start
		run.data.PushView(stock.pool, data)
		q.runs = slices.Insert(q.runs, i, run)
	default:
		return false
	}
	return true
}

// join makes one of run i and the one before it.
func (q *reassembly) join(stock *reassemblyStock, i int) {
	kept, gone := q.runs[i-1], q.runs[i]
	start := kept.start
	if zbuf.Join(&kept.data, &gone.data) != &kept.data {
		kept, gone = gone, kept
	}
	kept.start = start
	q.runs[i-1] = kept
	q.runs = slices.Delete(q.runs, i, i+1)
	stock.runs.put(gone)
}

// find returns the index of the first run that ends behind seq.
func (q *reassembly) find(seq seqnum.Value) int {
	low, high := 0, len(q.runs)
	for low < high {
		mid := (low + high) / 2
		if q.runs[mid].end().LessEq(seq) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// run returns the run that holds seq.
func (q *reassembly) run(seq seqnum.Value) (wire.SACKBlock, bool) {
	i := q.find(seq)
	if i == len(q.runs) || seq.Less(q.runs[i].start) {
		return wire.SACKBlock{}, false
	}
	return q.runs[i].block(), true
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
func (q *reassembly) pull(stock *reassemblyStock, nxt seqnum.Value, dst *zbuf.Chain) seqnum.Value {
	n := 0
	for ; n < len(q.runs) && q.runs[n].start.LessEq(nxt); n++ {
		r := q.runs[n]
		q.bytes -= r.data.Len()
		r.data.Skip(min(int(r.start.Size(nxt)), r.data.Len()))
		nxt = nxt.Add(seqnum.Size(r.data.Len()))
		r.data.MoveTo(dst, r.data.Len())
		stock.runs.put(r)
	}
	q.runs = slices.Delete(q.runs, 0, n)
	kept := 0
	for _, b := range q.blocks[:q.nblocks] {
		if nxt.Less(b.End) {
			q.blocks[kept] = b
			kept++
		}
	}
	q.nblocks = kept
	if kept == 0 && len(q.runs) > 0 {
		q.report(q.runs[0].start) // the runs remembered are gone: the next one takes their place
	}
	return nxt
}

// clear gives up everything that is held, and keeps the array.
func (q *reassembly) clear(stock *reassemblyStock) {
	for _, r := range q.runs {
		r.data.Clear()
		stock.runs.put(r)
	}
	clear(q.runs)
	*q = reassembly{runs: q.runs[:0]}
}
