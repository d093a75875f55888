package stack

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// Listen listens at a local address such as ":80", "10.144.0.2:80" or "[::]:0". Network is tcp, tcp4 or tcp6. Without
// a host it is every owned address, with tcp4 every IPv4 one (tcp6 does not shut IPv4 out); port 0 stands for one that is free.
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	local, err := s.resolveLocal(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	l, err := s.ListenTCP(local, 0, &netOptions)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// portTries is how often a free port is asked for when one shard's choice is taken on another.
const portTries = 16

// ListenTCP listens at local: an owned address, 0.0.0.0 for every owned IPv4 address, or :: (or the zero Addr) for all.
// Backlog bounds the connections that wait for Accept, 0 stands for the default. Opt, which may be nil, is for the
// connections that are accepted.
func (s *Stack) ListenTCP(local netip.AddrPort, backlog int, opt *tcp.Options) (*Listener, error) {
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port())
	}
	s.listening.Lock()
	defer s.listening.Unlock()
	tries := 1
	if local.Port() == 0 {
		tries = portTries
	}
	var err error
	for range tries {
		var l *Listener
		if l, err = s.listen(tcp.EndpointFrom(local), backlog, opt); err == nil {
			s.listeners.add(l)
			return l, nil
		}
		if !errors.Is(err, tcp.ErrAddrInUse) {
			break
		}
	}
	return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(local), Err: userError(err)}
}

// listen makes a listener on all shards, or on none. With port 0 the first shard chooses.
func (s *Stack) listen(local tcp.Endpoint, backlog int, opt *tcp.Options) (*Listener, error) {
	l := &Listener{stack: s, local: local, closed: make(chan struct{})}
	var err error
	for _, shard := range s.shards {
		if err = l.open(shard, backlog, opt); err != nil {
			break
		}
	}
	if err != nil {
		for _, part := range l.parts {
			_ = part.shard.call(part.close)
		}
		return nil, err
	}
	// Events until now found no room to put connections; each shard looks again.
	for _, part := range l.parts {
		part.shard.mention(&part.note)
	}
	return l, nil
}

// open makes l's part of one shard.
func (l *Listener) open(on *shard, backlog int, opt *tcp.Options) error {
	var result error
	err := on.call(func(s *shard) {
		part := &listenerPart{owner: l, shard: on}
		part.note.about = part
		if part.id, result = s.engine.Listen(l.local, backlog, opt); result != nil {
			return
		}
		var st tcp.ListenerStatus
		if result = s.engine.ListenerStatus(part.id, &st); result != nil {
			return
		}
		l.local.Port = st.Local.Port
		if l.ready == nil {
			l.ready = make(chan *Conn, max(1, min(maxReady, st.Backlog)))
		}
		l.parts = append(l.parts, part)
		s.enterListener(part)
	})
	return errors.Join(err, result)
}

func (s *shard) enterListener(part *listenerPart) {
	i := int(part.id.Index())
	for len(s.listeners) <= i {
		s.listeners = append(s.listeners, nil)
	}
	s.listeners[i] = part
}

// listenerSet is the listeners of a Stack.
type listenerSet struct {
	mu  sync.Mutex
	all map[*Listener]struct{}
}

func (set *listenerSet) add(l *Listener) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.all == nil {
		set.all = make(map[*Listener]struct{})
	}
	set.all[l] = struct{}{}
}

func (set *listenerSet) remove(l *Listener) {
	set.mu.Lock()
	defer set.mu.Unlock()
	delete(set.all, l)
}

// list returns the listeners in no particular order.
func (set *listenerSet) list() []*Listener {
	set.mu.Lock()
	defer set.mu.Unlock()
	list := make([]*Listener, 0, len(set.all))
	for l := range set.all {
		list = append(list, l)
	}
	return list
}

// Listeners returns the listeners in no particular order.
func (s *Stack) Listeners() []*Listener { return s.listeners.list() }

// wildcard returns the address that stands for all of a network.
func wildcard(network string) netip.Addr {
	if network == "tcp4" {
		return netip.IPv4Unspecified()
	}
	return wire.Addr{}.Netip()
}
