package tcp

import "math/bits"

// recordPool keeps arrays of records for scoreboards, by size: a connection has one only while something is
// outstanding, and taking it up again allocates nothing.
type recordPool struct {
	free [recordClasses][][]record
}

const (
	recordClasses     = 20
	keptRecordArrays  = 256 // per class; more go back to the runtime
	smallestRecordCap = 4
)

func recordClass(n int) int { return bits.Len(uint(max(n, smallestRecordCap)-1)) - 2 }

// get returns an empty array with room for at least n records.
func (p *recordPool) get(n int) []record {
	class := recordClass(n)
	list := p.free[class]
	if len(list) == 0 {
		return make([]record, 0, smallestRecordCap<<class)
	}
	last := list[len(list)-1]
	p.free[class] = list[:len(list)-1]
	return last
}

// put takes back what get returned.
func (p *recordPool) put(recs []record) {
	if cap(recs) == 0 {
		return
	}
	class := recordClass(cap(recs))
	if len(p.free[class]) < keptRecordArrays {
		p.free[class] = append(p.free[class], recs[:0])
	}
}
