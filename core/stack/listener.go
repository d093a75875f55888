package stack

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/MUCZ/Starfish/core/tcp"
)

// maxReady bounds the connections that a Listener has taken from the engines ahead of Accept. The rest of the backlog
// waits in the engines, so that their bounds hold.
const maxReady = 128

// Listener is a listening endpoint. It implements net.Listener, and its methods may be called from any number of
// goroutines.
type Listener struct {
	stack   *Stack
	local   tcp.Endpoint
	parts   []*listenerPart // one for each shard
	ready   chan *Conn
	closed  chan struct{}
	closing sync.Once

	filling sync.Mutex // of ready: who holds it knows that there is room
}

// listenerPart is a Listener's share of one shard.
type listenerPart struct {
	note  note
	owner *Listener
	shard *shard
	id    tcp.ListenerID
	more  atomic.Bool // the engine has connections that ready had no room for
}

// Addr returns the endpoint, a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local.AddrPort()) }

// Accept waits for a connection and returns it.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptContext(context.Background())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptContext is Accept for as long as ctx lives.
func (l *Listener) AcceptContext(ctx context.Context) (*Conn, error) {
	// A closed listener gives none, and connections that wait come before the end of ctx.
	select {
	case <-l.closed:
		return nil, l.opError("accept", net.ErrClosed)
	default:
	}
	select {
	case c := <-l.ready:
		return l.taken(c), nil
	default:
	}
	select {
	case c := <-l.ready:
		return l.taken(c), nil
	case <-l.closed:
		return nil, l.opError("accept", net.ErrClosed)
	case <-ctx.Done():
		return nil, l.opError("accept", contextError(ctx.Err()))
	}
}

// taken asks shards for more once half of what was ready is gone.
func (l *Listener) taken(c *Conn) *Conn {
	if len(l.ready) > cap(l.ready)/2 {
		return c
	}
	for _, part := range l.parts {
		if part.more.Load() && part.more.CompareAndSwap(true, false) {
			part.shard.mention(&part.note)
		}
	}
	return c
}

func (l *Listener) opError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: l.Addr(), Err: userError(err)}
}

// Close stops listening. Connections that nobody has accepted are aborted.
func (l *Listener) Close() error {
	if !l.shut() {
		return l.opError("close", net.ErrClosed)
	}
	for _, part := range l.parts {
		// An error says that the Stack is closed, and the listener with it.
		_ = part.shard.call(part.close)
	}
	l.abortReady()
	return nil
}

// shut ends Accept and reports whether this is the first time.
func (l *Listener) shut() (first bool) {
	l.closing.Do(func() {
		first = true
		close(l.closed)
		l.stack.listeners.remove(l)
	})
	return first
}

// abortReady ends the connections that nobody will accept. No shard adds to them once closed is closed.
func (l *Listener) abortReady() {
	l.filling.Lock()
	defer l.filling.Unlock()
	for {
		select {
		case c := <-l.ready:
			_ = c.Abort() // it can't have been closed: nobody had it
		default:
			return
		}
	}
}

// Status returns what the listener looks like to the engines, summed up.
func (l *Listener) Status() (tcp.ListenerStatus, error) {
	sum := tcp.ListenerStatus{Local: l.local, AcceptQueue: len(l.ready)}
	for _, part := range l.parts {
		var st tcp.ListenerStatus
		result := net.ErrClosed
		err := part.shard.call(func(s *shard) { result = s.engine.ListenerStatus(part.id, &st) })
		if err == nil {
			err = result
		}
		if err != nil {
			return tcp.ListenerStatus{}, l.opError("status", err)
		}
		sum.ID = st.ID
		sum.Backlog = st.Backlog
		sum.AcceptQueue += st.AcceptQueue
		sum.SynQueue += st.SynQueue
		sum.Accepted += st.Accepted
		sum.Overflows += st.Overflows
	}
	return sum, nil
}

// close gives the engine's listener up. The shard's goroutine calls it.
func (part *listenerPart) close(s *shard) {
	_ = s.engine.CloseListener(s.now, part.id) // the handle is live: nobody else closes it
	s.listeners[part.id.Index()] = nil
}

// onNote takes more connections from the engine: there is room again.
func (part *listenerPart) onNote(s *shard) {
	if s.listener(part.id) == part {
		part.fill(s)
	}
}

// accept takes what waits at a listener.
func (s *shard) accept(id tcp.ListenerID) {
	if part := s.listener(id); part != nil {
		part.fill(s)
	}
}

func (s *shard) listener(id tcp.ListenerID) *listenerPart {
	i := id.Index()
	if int(i) >= len(s.listeners) || s.listeners[i] == nil || s.listeners[i].id != id {
		return nil
	}
	return s.listeners[i]
}

// fill moves connections from the engine's queue to ready as far as there is room.
func (part *listenerPart) fill(s *shard) {
	l := part.owner
	l.filling.Lock()
	defer l.filling.Unlock()
	for {
		if len(l.ready) == cap(l.ready) {
			part.more.Store(true)
			// Accept may have emptied ready before it could see that there is more.
			if len(l.ready) == cap(l.ready) || !part.more.CompareAndSwap(true, false) {
				return
			}
		}
		select {
		case <-l.closed:
			return // close aborts what the engine has
		default:
		}
		id, err := s.engine.Accept(part.id)
		if err != nil {
			return
		}
		c, ended, err := s.newConn(id)
		if err != nil {
			continue // gone already
		}
		l.ready <- c
		// What came before the connection had its place in the table was told to nobody.
		missed := tcp.EventReadable
		if ended {
			missed |= tcp.EventClosed
		}
		c.onEvent(s, missed)
	}
}
