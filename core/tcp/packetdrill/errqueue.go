package packetdrill

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// errQueue is what Linux tells of sends by recvmsg with MSG_ERRQUEUE. The engine has no such queue: it is filled by what the
// runner sees of transmissions and acknowledgments in the connection's state.
type errQueue struct {
	zeroCopy bool   // SO_ZEROCOPY is on
	stamping int64  // the flags of SO_TIMESTAMPING
	keyBase  uint64 // the byte that its keys count from
	written  uint64 // bytes that the engine has taken
	copies   uint32 // sends with MSG_ZEROCOPY
	awaited  []awaited
	notes    []errNote
	told     uint64 // notes ever added
}

// awaited is a send of which something is to be told once byte end-1 has got somewhere.
type awaited struct {
	end      uint64
	copyID   uint32
	zeroCopy bool
	sent     bool // its transmission was told
	stamping int64
}

// errNote is one entry: struct sock_extended_err, and a time.
type errNote struct {
	errno, origin, code, info, data int64
	at                              tcp.Time // 0: none
}

// wrote notes that a send of n bytes was taken, and what is to be told of it.
func (q *errQueue) wrote(n int64, zeroCopy bool) {
	a := awaited{end: q.written, zeroCopy: zeroCopy && q.zeroCopy && n > 0}
	if n > 0 {
		a.stamping = q.stamping
	}
	if a.zeroCopy {
		a.copyID = q.copies
		q.copies++
	}
	if a.zeroCopy || a.stamping != 0 {
		q.awaited = append(q.awaited, a)
	}
}

// progress tells of what was transmitted and acknowledged since.
func (q *errQueue) progress(now tcp.Time, sent, acked uint64) {
	for i := range q.awaited {
		a := &q.awaited[i]
		if a.sent || sent < a.end {
			continue
		}
		a.sent = true
		q.stamp(a, now, constants["SOF_TIMESTAMPING_TX_SCHED"], constants["SCM_TSTAMP_SCHED"])
		q.stamp(a, now, constants["SOF_TIMESTAMPING_TX_SOFTWARE"], constants["SCM_TSTAMP_SND"])
	}
	for len(q.awaited) > 0 && acked >= q.awaited[0].end {
		a := &q.awaited[0]
		q.stamp(a, now, constants["SOF_TIMESTAMPING_TX_ACK"], constants["SCM_TSTAMP_ACK"])
		if a.zeroCopy {
			q.complete(int64(a.copyID))
		}
		q.awaited = q.awaited[1:]
	}
}

// stamp adds the time of a step to the queue if that was asked for.
func (q *errQueue) stamp(a *awaited, now tcp.Time, flag, kind int64) {
	if a.stamping&flag == 0 {
		return
	}
	n := errNote{errno: constants["ENOMSG"], origin: constants["SO_EE_ORIGIN_TIMESTAMPING"], info: kind, at: now}
	if a.stamping&constants["SOF_TIMESTAMPING_OPT_ID"] != 0 {
		n.data = int64(uint32(a.end - q.keyBase - 1))
	}
	q.add(n)
}

// complete tells that a send's buffer can be used again. The engine has copied it, as the runner gives it copies only. One
// entry stands for sends that follow each other.
func (q *errQueue) complete(id int64) {
	if n := len(q.notes); n > 0 {
		if last := &q.notes[n-1]; last.origin == constants["SO_EE_ORIGIN_ZEROCOPY"] && last.data+1 == id {
			last.data = id
			q.told++
			return
		}
	}
	q.add(errNote{origin: constants["SO_EE_ORIGIN_ZEROCOPY"], code: constants["SO_EE_CODE_ZEROCOPY_COPIED"], info: id, data: id})
}

func (q *errQueue) add(n errNote) {
	q.notes = append(q.notes, n)
	q.told++
}

// receiveError is recvmsg with MSG_ERRQUEUE.
func (r *runner) receiveError(c *Call, s *socket) (int64, error) {
	if len(s.errs.notes) == 0 {
		return 0, tcp.ErrWouldBlock
	}
	n := s.errs.notes[0]
	s.errs.notes = s.errs.notes[1:]
	control, ok := c.Args[1].field("msg_control")
	if !ok || control.Kind == ExprEllipsis {
		return 0, nil
	}
	for i := range control.Args {
		if err := r.compareErrNote(&n, &control.Args[i]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// compareErrNote compares an entry of the error queue with one of the control messages that a script wants.
func (r *runner) compareErrNote(n *errNote, want *Expr) error {
	data, ok := want.field("cmsg_data")
	if !ok {
		return failf(ParseError, 0, "a control message without cmsg_data")
	}
	switch controlType(want) {
	case "SCM_TIMESTAMPING", "SO_TIMESTAMPING":
		return r.compareStamp(n, &data)
	case "CMSG_TYPE_RECVERR", "IP_RECVERR", "IPV6_RECVERR":
		return n.compare(&data)
	default:
		return failf(Unsupported, 0, "control message %s", controlType(want))
	}
}

// compare compares the fields of struct sock_extended_err that a script names.
func (n *errNote) compare(want *Expr) error {
	fields := map[string]int64{
		"ee_errno": n.errno, "ee_origin": n.origin, "ee_type": 0, "ee_code": n.code, "ee_info": n.info, "ee_data": n.data, "ee_pad": 0,
	}
	for i := range want.Args {
		e := &want.Args[i]
		got, known := fields[e.Field]
		if !known {
			return failf(Unsupported, 0, "%s of an error", e.Field)
		}
		if e.Kind == ExprEllipsis {
			continue
		}
		v, err := eval(e)
		if err != nil {
			return err
		}
		if v != got {
			return failf(WrongResult, 0, "%s is %d, want %d", e.Field, got, v)
		}
	}
	return nil
}

// compareStamp compares a time since the script began.
func (r *runner) compareStamp(n *errNote, want *Expr) error {
	var at time.Duration
	for _, f := range []struct {
		name string
		unit time.Duration
	}{{"scm_sec", time.Second}, {"scm_nsec", time.Nanosecond}} {
		field, ok := want.field(f.name)
		if !ok {
			return failf(ParseError, 0, "a timestamp without %s", f.name)
		}
		v, err := eval(&field)
		if err != nil {
			return err
		}
		at += time.Duration(v) * f.unit
	}
	if n.at == 0 {
		return failf(WrongResult, 0, "the entry has no timestamp")
	}
	if got := n.at.Sub(startOfTime); (got - at).Abs() > r.set.tolerance {
		return failf(WrongResult, 0, "the timestamp is %v, want %v", got, at)
	}
	return nil
}
