package tcp

import "testing"

func TestRecordPoolGivesRoom(t *testing.T) {
	var p recordPool
	for _, n := range []int{0, 1, 4, 5, 8, 9, 1000, 1024, 1025, 40_000, 3 << 20} {
		recs := p.get(n)
		if len(recs) != 0 || cap(recs) < n {
			t.Errorf("room for %d of %d records, %d in use", cap(recs), n, len(recs))
		}
		p.put(append(recs, record{start: 1}))
		if again := p.get(n); len(again) != 0 || cap(again) < n {
			t.Errorf("the second time: room for %d of %d records, %d in use", cap(again), n, len(again))
		}
	}
}

func TestRecordPoolReuses(t *testing.T) {
	var p recordPool
	p.put(p.get(100))
	if n := testing.AllocsPerRun(100, func() { p.put(p.get(100)) }); n != 0 {
		t.Errorf("%v allocations for an array that was given back", n)
	}
	p.put(nil) // a scoreboard that never held anything
}

func TestRecordPoolKeepsABoundedNumber(t *testing.T) {
	var p recordPool
	for class := range recordClasses {
		for range keptRecords/(smallestRecordCap<<class) + 1 {
			p.put(make([]record, 0, smallestRecordCap<<class))
		}
		if n := len(p.free[class]) * smallestRecordCap << class; n != keptRecords {
			t.Errorf("%d records kept of class %d, want %d", n, class, keptRecords)
		}
		p.free[class] = nil
	}
}
