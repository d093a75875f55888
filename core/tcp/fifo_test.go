package tcp

import "testing"

func TestFIFOKeepsOrderAndItsArray(t *testing.T) {
	var q fifo[int]
	in, out := 0, 0
	for round := range 200 {
		for range 1 + round%5 {
			in++
			q.push(in)
		}
		for range 1 + round%5 {
			out++
			if got := q.pop(); got != out {
				t.Fatalf("popped %d, want %d", got, out)
			}
		}
		if q.len() != in-out {
			t.Fatalf("%d in the queue, want %d", q.len(), in-out)
		}
	}
	if got := q.pop(); got != 0 || cap(q.list) > 16 {
		t.Errorf("popped %d from an empty queue with room for %d", got, cap(q.list))
	}
}
