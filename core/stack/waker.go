package stack

// waker lets one goroutine wait until another has something for it. A mutex of its owner guards it.
type waker struct {
	ch      chan struct{} // made when somebody waits for the first time; holds one token at most
	waiting bool
}

// arm returns the channel to receive one token from, after the mutex is unlocked.
func (w *waker) arm() <-chan struct{} {
	if w.ch == nil {
		w.ch = make(chan struct{}, 1)
	}
	w.waiting = true
	return w.ch
}

// wake sends who waits a token, and reports whether somebody did.
func (w *waker) wake() bool {
	if !w.waiting {
		return false
	}
	w.waiting = false
	w.ch <- struct{}{}
	return true
}

// disarm ends a wait that something else has ended.
func (w *waker) disarm() {
	if w.waiting {
		w.waiting = false
		return
	}
	<-w.ch
}
