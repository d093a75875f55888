package tcp

// list is a first-in, first-out queue whose links lie in its members: queueing allocates nothing, and a member leaves from
// the middle at once, so that a queue is never longer than what it is about. The zero list is empty; it must not be
// copied.
type list[T any] struct{ root link[T] }

// link is a place in a list. The zero link is in none.
type link[T any] struct {
	prev, next *link[T]
	member     *T
}

// linked reports whether n is in a list.
func (n *link[T]) linked() bool { return n.next != nil }

// push puts member, whose link is n, at the end. It is in no list yet.
func (l *list[T]) push(n *link[T], member *T) {
	if l.root.next == nil {
		l.root.next, l.root.prev = &l.root, &l.root
	}
	*n = link[T]{prev: l.root.prev, next: &l.root, member: member}
	n.prev.next, n.next.prev = n, n
}

// leave takes n out of its list, if it is in one.
func (n *link[T]) leave() {
	if n.linked() {
		n.prev.next, n.next.prev = n.next, n.prev
		*n = link[T]{}
	}
}

// front returns the member that has been in the list for longest, nil when it is empty.
func (l *list[T]) front() *T {
	if l.root.next == nil {
		return nil
	}
	return l.root.next.member // of the root itself: nil
}
