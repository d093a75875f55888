package tcp

// fifo is a first-in, first-out queue in one array, which it uses again: in the steady state it allocates nothing. The zero
// fifo is empty.
type fifo[T any] struct {
	list []T // list[head:] are in the queue
	head int
}

func (q *fifo[T]) len() int { return len(q.list) - q.head }

// push puts v at the end.
func (q *fifo[T]) push(v T) {
	if q.head > 0 && q.head >= len(q.list)/2 && len(q.list) == cap(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, v)
}

// pop takes the first value, and returns the zero value when there is none.
func (q *fifo[T]) pop() T {
	var zero T
	if q.len() == 0 {
		return zero
	}
	v := q.list[q.head]
	q.list[q.head] = zero
	q.head++
	if q.len() == 0 {
		q.list, q.head = q.list[:0], 0
	}
	return v
}
