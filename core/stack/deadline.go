package stack

import (
	"time"
)

// deadline is the time at which one direction's calls give up. The Conn's mutex guards it.
type deadline struct {
	timer   *time.Timer
	at      time.Time // monotonic; zero when there is none
	expired bool
}

// passed reports whether a deadline, which may be nil, has passed.
func (d *deadline) passed() bool { return d != nil && d.expired }

// setDeadline sets *d, which is made when it is needed for the first time, and has it wake w. It wants c.mu.
func (c *Conn) setDeadline(d **deadline, w *waker, t time.Time) {
	if *d == nil {
		if t.IsZero() {
			return
		}
		*d = new(deadline)
	}
	(*d).set(c, w, t)
}

func (d *deadline) set(c *Conn, w *waker, t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.expired, d.at = false, time.Time{}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.expired = true
		w.wake()
		return
	}
	d.at = time.Now().Add(left)
	if d.timer != nil {
		d.timer.Reset(left)
		return
	}
	d.timer = time.AfterFunc(left, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		// A timer that was about to run when it was set anew runs for the old time.
		if d.at.IsZero() || time.Now().Before(d.at) {
			return
		}
		d.expired = true
		w.wake()
	})
}

// stopDeadlines keeps timers from holding on to a connection that is closed. It wants c.mu.
func (c *Conn) stopDeadlines() {
	for _, d := range []*deadline{c.readExpiry, c.writeExpiry} {
		if d != nil && d.timer != nil {
			d.timer.Stop()
		}
	}
}
