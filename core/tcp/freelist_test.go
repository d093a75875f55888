package tcp

import "testing"

func TestFreeListIsBoundedAndUsedAgain(t *testing.T) {
	var l freeList[int]
	first := l.get()
	l.put(first)
	if l.get() != first {
		t.Error("what was put is not used again")
	}
	for range 2 * keptFree {
		l.put(new(int))
	}
	if len(l.free) != keptFree {
		t.Errorf("%d are kept, want %d", len(l.free), keptFree)
	}
}
