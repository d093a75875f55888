package tcp

import (
	"github.com/MUCZ/Starfish/core/wire"
)

// listener is a passive open: RFC 9293's LISTEN state, apart from the connections that come of it.
type listener struct {
	index, generation uint32
	local             Endpoint
	backlog           int
	opt               *Options
	accept            acceptQueue
	synCount          int
	fastOpens         int // of these, by TCP Fast Open
	closed            bool
	inEvent           bool
	accepted          uint64
	overflows         uint64
	cookiesUntil      Time // SYN cookies that may still come back expire
}

func (l *listener) id() ListenerID { return ListenerID(makeID(l.index, l.generation)) }

// acceptQueue holds established connections that the user has not taken yet, oldest first.
type acceptQueue = fifo[*conn]

// listenerTable finds listeners by handle and by local endpoint.
type listenerTable struct {
	byEndpoint map[Endpoint]*listener
	slots      []*listener
	free       []uint32
	limit      int
}

func (t *listenerTable) init(limit int) {
	t.byEndpoint = make(map[Endpoint]*listener)
	t.limit = limit
}

// any4 and any6 are the wildcard addresses of listeners: every IPv4 address, and every address of both families,
// as for the standard library's "tcp" network.
var (
	any4 = wire.Addr4([4]byte{})
	any6 = wire.Addr{}
)

// match returns the listener for what arrives at an endpoint: the most specific one.
func (t *listenerTable) match(e Endpoint) *listener {
	if l := t.byEndpoint[e]; l != nil {
		return l
	}
	if e.Addr.Is4() {
		if l := t.byEndpoint[Endpoint{any4, e.Port}]; l != nil {
			return l
		}
	}
	return t.byEndpoint[Endpoint{any6, e.Port}]
}

// conflict reports whether a new listener at e would take what another one has: two wildcards that share addresses
// conflict, as they do for kernel sockets; a specific address beside a wildcard does not.
func (t *listenerTable) conflict(e Endpoint) bool {
	if t.byEndpoint[e] != nil {
		return true
	}
	switch e.Addr {
	case any6:
		return t.byEndpoint[Endpoint{any4, e.Port}] != nil
	case any4:
		return t.byEndpoint[Endpoint{any6, e.Port}] != nil
	default:
		return false
	}
}

func (t *listenerTable) add(l *listener) {
	if n := len(t.free); n > 0 {
		l.index = t.free[n-1]
		t.free = t.free[:n-1]
		l.generation = t.slots[l.index].generation + 1
		t.slots[l.index] = l
	} else {
		l.index, l.generation = uint32(len(t.slots)), 1
		t.slots = append(t.slots, l)
	}
	t.byEndpoint[l.local] = l
}

func (t *listenerTable) remove(l *listener) {
	delete(t.byEndpoint, l.local)
	t.slots[l.index] = &listener{generation: l.generation, closed: true}
	t.free = append(t.free, l.index)
	l.closed = true
}

func (t *listenerTable) get(id ListenerID) *listener {
	index := id.Index()
	if int(index) >= len(t.slots) {
		return nil
	}
	if l := t.slots[index]; l.id() == id && !l.closed {
		return l
	}
	return nil
}

func (t *listenerTable) len() int { return len(t.slots) - len(t.free) }

// announce tells the user that a connection can be accepted.
func (s *Stack) announce(l *listener) {
	if !l.inEvent {
		l.inEvent = true
		s.listenerEvents = append(s.listenerEvents, l)
	}
}

// Listen opens passively at a local endpoint (RFC 9293 §3.10.1). The address "::" stands for every owned address of both
// families, "0.0.0.0" for every IPv4 one; port 0 lets the stack choose. backlog bounds the connections that wait
// for Accept; 0 means the default. Once it is full, handshakes are dropped and the peers try again, as in Linux.
func (s *Stack) Listen(local Endpoint, backlog int, opt *Options) (ListenerID, error) {
	merged, err := s.mergeOptions(opt)
	if err != nil {
		return 0, err
	}
	if s.listeners.len() >= s.listeners.limit {
		return 0, ErrTooMany
	}
	if local.Addr != any4 && local.Addr != any6 && !s.owns(local.Addr) {
		return 0, ErrAddrNotOwned
	}
	if local.Port == 0 {
		port, ok := s.ports.pick(local.Addr, any6, 0, func(port uint16) bool {
			e := Endpoint{local.Addr, port}
			return s.listeners.conflict(e) || s.listeners.match(e) != nil // a port chosen for the user takes nothing from a wildcard
		})
		if !ok {
			return 0, ErrNoPorts
		}
		local.Port = port
	}
	if s.listeners.conflict(local) {
		return 0, ErrAddrInUse
	}
	if backlog <= 0 {
		backlog = s.cfg.Limits.AcceptQueue
	}
	l := &listener{local: local, backlog: backlog, opt: merged}
	s.listeners.add(l)
	return l.id(), nil
}

// CloseListener ends a passive open. Connections that nobody has accepted are aborted.
func (s *Stack) CloseListener(now Time, id ListenerID) error {
	s.begin(now)
	l := s.listeners.get(id)
	if l == nil {
		return ErrNotFound
	}
	s.listeners.remove(l)
	for c := l.accept.pop(); c != nil; c = l.accept.pop() {
		s.abort(c, now)
	}
	s.syns.forget(l)
	return nil
}

// Accept takes the connection that has waited longest. It fails with ErrWouldBlock when there is none.
func (s *Stack) Accept(id ListenerID) (ConnID, error) {
	l := s.listeners.get(id)
	if l == nil {
		return 0, ErrNotFound
	}
	c := l.accept.pop()
	if c == nil {
		return 0, ErrWouldBlock
	}
	if l.accept.len() > 0 {
		s.announce(l)
	}
	c.waiting = false
	if c.state == StateClosed || c.finReceived || c.recvq.Len() > 0 {
		s.post(c, EventReadable)
	}
	if c.state == StateClosed {
		s.post(c, EventClosed)
	}
	return c.id(), nil
}
