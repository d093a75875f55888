package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// maxPerInstant bounds what may happen without time going on: a stack that sends or wakes up without end is an error,
// not a hang. The largest window in packets of the smallest segment stays below.
const maxPerInstant = 1 << 20

// Network is hosts, the links between them and the time.
type Network struct {
	// OnSend sees each packet that a host gives to a link, and OnDeliver each that comes out, before segments are joined.
	OnSend    func(h *Host, p Seen)
	OnDeliver func(h *Host, p Seen)

	seed    uint64
	now     tcp.Time
	events  eventHeap
	serial  uint64
	hosts   []*Host
	still   int // steps since the time last went on
	hash    uint64
	buffers [2][][]byte // small ones and large ones
	trace   *trace
}

// Seen is a packet on a link.
type Seen struct {
	Data []byte
	// SegmentSize is the payload of each segment of a super-segment, on a link that carries them whole; else 0.
	SegmentSize int
	// Unchecked says that the transport checksum was never completed: the link is one that needs none.
	Unchecked bool
}

// New returns an empty network whose every draw follows from seed. Its time starts above 0, as tcp.Time wants.
func New(seed uint64) *Network {
	return &Network{seed: seed, now: 1, hash: fnvOffset}
}

// Now returns the time.
func (n *Network) Now() tcp.Time { return n.now }

// TraceHash returns a hash over all packets that stacks have sent and received so far and over their times: two runs of
// one seed have the same.
func (n *Network) TraceHash() uint64 { return n.hash }

// random returns the generator of one part of the network. Each part has its own, so that a change in one leaves the
// draws of the others alone.
func (n *Network) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(n.seed, part)) }

// Parts of a network that draw.
const (
	partHost = 1 << 32 * (iota + 1)
	partLink
	partScenario
)

// AddHost adds a host.
func (n *Network) AddHost(name string, cfg HostConfig) (*Host, error) {
	h := &Host{
		Name:   name,
		cfg:    cfg,
		net:    n,
		index:  len(n.hosts),
		routes: make(map[wire.Addr]*direction),
	}
	h.rng = n.random(partHost + uint64(h.index))
	if err := h.boot(); err != nil {
		return nil, err
	}
	n.hosts = append(n.hosts, h)
	for _, j := range cfg.Jumps {
		n.At(j.At, func() {
			h.ahead += j.By
			n.tracef("%s: the clock jumps by %v", h.Name, j.By)
		})
	}
	return h, nil
}

// Connect joins two hosts: there is how packets get from a to b, back the other way.
func (n *Network) Connect(a, b *Host, there, back Link) {
	n.addDirection(a, b, there)
	n.addDirection(b, a, back)
}

func (n *Network) addDirection(from, to *Host, cfg Link) {
	part := partLink + uint64(from.index)<<16 + uint64(to.index)
	d := &direction{Impairment: NewImpairment(cfg, n.random(part)), net: n, from: from, to: to}
	for _, a := range to.cfg.Addrs {
		from.routes[a] = d
	}
}

// LinkStats returns what became of the packets from a to b.
func (n *Network) LinkStats(a, b *Host) LinkStats {
	if d := a.routes[b.cfg.Addrs[0]]; d != nil {
		return d.Stats()
	}
	return LinkStats{}
}

// At plans a call at a time, now at the earliest.
func (n *Network) At(t tcp.Time, fn func()) { n.schedule(event{at: t, run: fn}) }

func (n *Network) schedule(e event) {
	if e.host != nil {
		e.at = e.host.wake(e.at)
	}
	e.at = max(e.at, n.now)
	n.serial++
	e.serial = n.serial
	n.events.push(e)
}

// next returns when something happens next.
func (n *Network) next() tcp.Time {
	at := tcp.Never
	if len(n.events) > 0 {
		at = n.events[0].at
	}
	for _, h := range n.hosts {
		h.dueAt = h.due()
		at = min(at, h.dueAt)
	}
	return at
}

// Step goes on to the next instant at which something happens and does all that is due in it. It reports false when
// nothing ever happens again. The error is a stack that keeps busy without time going on.
func (n *Network) Step() (bool, error) {
	at := n.next()
	if at == tcp.Never {
		return false, nil
	}
	if at > n.now {
		n.now, n.still = at, 0
	}
	n.still++
	called := n.runEvents()
	for _, h := range n.hosts {
		h.active = called
		if len(h.inbox) > 0 {
			h.active = true
			h.receive()
		}
		if h.active { // else nothing has changed it
			h.dueAt = h.due()
		}
		if h.dueAt <= n.now {
			h.active = true
			h.Stack.HandleTimeout(h.Now())
		}
	}
	return true, n.Settle()
}

// runEvents runs the calls that are due, and puts the packets that are due into the inboxes. It reports whether there were
// calls: they may be about any stack.
func (n *Network) runEvents() (called bool) {
	last := n.serial // what a call plans for now is for the next step
	for len(n.events) > 0 && n.events[0].at <= n.now && n.events[0].serial <= last {
		e := n.events.pop()
		if e.run != nil {
			e.run()
			called = true
			continue
		}
		e.host.inbox = append(e.host.inbox, e.packet)
	}
	return called
}

// Settle sends and tells what the stacks have ready now. Call it after calls into a stack from outside of Step.
func (n *Network) Settle() error {
	done := 0
	for busy := true; busy; {
		busy = false
		for _, h := range n.hosts {
			k := h.pump()
			h.active = h.active || k > 0
			done += k
			busy = busy || k > 0
		}
		if done >= maxPerInstant {
			return fmt.Errorf("sim: the stacks keep busy at %v: %d packets and events in one instant", n.now, done)
		}
	}
	if n.still > maxPerInstant {
		return fmt.Errorf("sim: the time stands still at %v", n.now)
	}
	return nil
}

// FNV-1a, in steps of eight bytes where there are eight.
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

func (n *Network) mix(v uint64) {
	n.hash = (n.hash ^ v) * fnvPrime
	n.hash ^= n.hash >> 29
}

// note takes a packet that a stack sends ('s') or receives ('r') into the hash and the trace.
func (n *Network) note(h *Host, what byte, data []byte) {
	n.mix(uint64(n.now))
	n.mix(uint64(h.index)<<32 | uint64(what)<<16 | uint64(len(data)))
	b := data
	for ; len(b) >= 8; b = b[8:] {
		n.mix(binary.LittleEndian.Uint64(b))
	}
	for _, c := range b {
		n.mix(uint64(c))
	}
	if n.trace != nil {
		arrow := "->"
		if what == 'r' {
			arrow = "<-"
		}
		n.tracef("%s %s %s", h.Name, arrow, describe(data))
	}
}

// routerFor returns the address of the router that answers about a packet.
func (n *Network) routerFor(data []byte) wire.Addr {
	if data[0]>>4 == 4 {
		return wire.Addr4([4]byte{192, 0, 2, 254})
	}
	return wire.Addr16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 0xfe})
}

// Buffers come in two sizes, and a few of each are kept.
const (
	smallBuffer = 2048
	largeBuffer = wire.IPv6HeaderLen + wire.MaxPacketLen
	keptBuffers = 256
)

// alloc returns a buffer of n bytes.
func (n *Network) alloc(size int) []byte {
	kind, length := 0, smallBuffer
	if size > smallBuffer {
		kind, length = 1, largeBuffer
	}
	list := &n.buffers[kind]
	if last := len(*list) - 1; last >= 0 {
		b := (*list)[last]
		*list = (*list)[:last]
		return b[:size]
	}
	return make([]byte, size, length)
}

// recycle takes a buffer back.
func (n *Network) recycle(b []byte) {
	kind := 0
	switch c := cap(b); {
	case c < smallBuffer:
		return
	case c >= largeBuffer:
		kind = 1
	}
	if list := &n.buffers[kind]; len(*list) < keptBuffers {
		*list = append(*list, b)
	}
}
