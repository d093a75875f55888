package tcp

// freeList keeps values that connections need only at times, for the next one that does.
type freeList[T any] struct{ free []*T }

// keptFree bounds a free list; more go back to the runtime.
const keptFree = 1024

// get returns a value as put left it, or a new one.
func (l *freeList[T]) get() *T {
	n := len(l.free)
	if n == 0 {
		return new(T)
	}
	v := l.free[n-1]
	l.free = l.free[:n-1]
	return v
}

func (l *freeList[T]) put(v *T) {
	if len(l.free) < keptFree {
		l.free = append(l.free, v)
	}
}
