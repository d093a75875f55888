package tcp

import "math/bits"

// recordPool keeps arrays of records for scoreboards, by size: a connection has one only while something is
// outstanding, and taking it up again allocates nothing.
type recordPool struct {
	free [recordClasses][][]record
}

const (
	smallestRecordCap = 4
	recordClasses     = 15
	// keptRecords bounds what is kept of one class: one array of the largest, thousands of the smallest. Beyond it the
	// runtime takes arrays back, and those that are larger than any class.
	keptRecords = smallestRecordCap << (recordClasses - 1)
)

func recordClass(n int) int { return bits.Len(uint(max(n, smallestRecordCap)-1)) - 2 }

// get returns an empty array with room for at least n records.
func (p *recordPool) get(n int) []record {
	class := recordClass(n)
	if class >= recordClasses {
		return make([]record, 0, n)
	}
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
	class := recordClass(cap(recs))
	if cap(recs) > 0 && class < recordClasses && len(p.free[class]) < keptRecords/cap(recs) {
		p.free[class] = append(p.free[class], recs[:0])
	}
}
