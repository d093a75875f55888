package client

import (
	"testing"
	"time"
)

func TestDeadlineMoves(t *testing.T) {
	d := newDeadline()
	if isClosed(d.done()) {
		t.Error("passed without being set")
	}
	d.set(time.Now().Add(-time.Second))
	if !isClosed(d.done()) {
		t.Error("a time in the past has not passed")
	}
	d.set(time.Time{})
	if isClosed(d.done()) {
		t.Error("passed after it was taken away")
	}
	d.set(time.Now().Add(time.Millisecond))
	<-d.done()
	d.set(time.Now().Add(time.Hour))
	if isClosed(d.done()) {
		t.Error("passed after it was moved away")
	}
	d.set(time.Now().Add(time.Millisecond))
	<-d.done()
}
