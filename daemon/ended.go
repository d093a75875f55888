package daemon

import (
	"cmp"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// ending is how a connection ended.
type ending struct {
	errno   syscall.Errno // 0 after a normal end
	message string        // what there is to say beside the number
	when    time.Time
}

// endingOf is how a connection ended that err ended, or nothing out of order.
func endingOf(err error, when time.Time) ending {
	return ending{errno: errnoOf(err), message: endMessage(err), when: when}
}

func (e ending) proto() *starfishv1.ConnectionEnd {
	end := &starfishv1.ConnectionEnd{EndTime: timestamppb.New(e.when)}
	if e.errno != 0 {
		end.Reason, end.Message = reason(e.errno), cmp.Or(e.message, e.errno.Error())
	}
	return end
}

// endedConn is what is remembered of a connection that ended. The owner is kept, not the connection: a stack.Conn would
// hold its buffers.
type endedConn struct {
	summary summary
	end     ending
}

// endedLog remembers a bounded number of connections that ended; the oldest goes first.
type endedLog struct {
	limit int
	byID  map[uint64]endedConn
	ring  []uint64 // ids by age, from next on the oldest
	next  int
}

func newEndedLog(limit int) endedLog {
	return endedLog{limit: limit, byID: make(map[uint64]endedConn)}
}

func (l *endedLog) add(c *connection, end ending) {
	l.byID[c.id] = endedConn{c.summary, end}
	if len(l.ring) < l.limit {
		l.ring = append(l.ring, c.id)
		return
	}
	delete(l.byID, l.ring[l.next])
	l.ring[l.next] = c.id
	l.next = (l.next + 1) % len(l.ring)
}

// resize forgets the oldest when the limit has shrunk.
func (l *endedLog) resize(limit int) {
	ordered := append(append([]uint64(nil), l.ring[l.next:]...), l.ring[:l.next]...)
	for len(ordered) > limit {
		delete(l.byID, ordered[0])
		ordered = ordered[1:]
	}
	l.limit, l.ring, l.next = limit, ordered, 0
}

func (r *registry) endedConnection(id uint64) (endedConn, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.ended.byID[id]
	return e, ok
}
