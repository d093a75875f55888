package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// HostConfig is what a host is made with.
type HostConfig struct {
	Addrs []wire.Addr
	// Stack configures the engine; Pool, Owns and Secret are filled in.
	Stack tcp.Config
	// Memory limits the pool, in bytes; 0 for the pool's default.
	Memory int64
	// Batch is how long packets wait for company before the host looks at them, as with interrupt moderation.
	Batch time.Duration
	// Join merges consecutive segments of one batch into super-segments.
	Join bool
	// Split is the chance that a packet's payload comes in a buffer of its own.
	Split float64
	// Jumps are when the host's clock leaps ahead, as after a suspension.
	Jumps []Jump
}

// Jump is a leap of a clock, at a time of the network.
type Jump struct {
	At tcp.Time
	By time.Duration
}

// Host is a Stack with its addresses and its memory.
type Host struct {
	Name  string
	Stack *tcp.Stack
	Pool  *zbuf.Pool
	// OnEvent is told what the stack has to tell. It may call the stack.
	OnEvent func(tcp.Event)
	// PoolDrops counts packets that found no buffer.
	PoolDrops uint64

	cfg      HostConfig
	net      *Network
	index    int
	rng      *rand.Rand
	routes   map[wire.Addr]*direction
	inbox    []packet
	active   bool          // something happened to the stack in this step
	ahead    time.Duration // of the network's time, by jumps
	dueAt    tcp.Time      // what due said when the network last looked for what is next
	transmit tcp.Transmit
}

// Addr returns the host's address of a family.
func (h *Host) Addr(v6 bool) wire.Addr {
	for _, a := range h.cfg.Addrs {
		if a.Is4() != v6 {
			return a
		}
	}
	panic(fmt.Sprintf("sim: host %s has no address of the family", h.Name))
}

// boot gives the host a stack that knows nothing.
func (h *Host) boot() error {
	h.Pool = newPool(h.cfg.Memory)
	engine := h.cfg.Stack
	engine.Pool = h.Pool
	engine.Owns = func(a wire.Addr) bool { return slices.Contains(h.cfg.Addrs, a) }
	binary.LittleEndian.PutUint64(engine.Secret[:], h.rng.Uint64())
	binary.LittleEndian.PutUint64(engine.Secret[8:], h.rng.Uint64())
	stack, err := tcp.New(engine)
	if err != nil {
		return fmt.Errorf("sim: host %s: %w", h.Name, err)
	}
	h.Stack = stack
	return nil
}

// sparePools are pools of the usual limit with nothing in use, from runs that are over: the memory that they keep costs more
// to get than much of what a scenario does.
var sparePools sync.Pool

func newPool(limit int64) *zbuf.Pool {
	if p, ok := sparePools.Get().(*zbuf.Pool); ok && limit == 0 {
		return p
	}
	return zbuf.NewPool(limit)
}

// shutDown ends the host's life, and leaves its memory to others if nobody holds any.
func (h *Host) shutDown() {
	if h.cfg.Memory == 0 && h.Pool.InUse() == 0 {
		sparePools.Put(h.Pool)
	}
	h.Pool, h.Stack = nil, nil
}

// Now returns the time by the host's clock, which all calls of its stack go by.
func (h *Host) Now() tcp.Time { return h.net.now.Add(h.ahead) }

// due returns when the stack's timers want to be looked at, in the network's time.
func (h *Host) due() tcp.Time {
	at := h.Stack.PollTimeout()
	if at == tcp.Never {
		return at
	}
	return at.Add(-h.ahead)
}

// wake rounds the arrival of a packet up to when the host looks at it.
func (h *Host) wake(at tcp.Time) tcp.Time {
	if h.cfg.Batch == 0 {
		return at
	}
	b := tcp.Time(h.cfg.Batch)
	return (at + b - 1) / b * b
}

// receive hands what has arrived to the stack.
func (h *Host) receive() {
	if h.net.OnDeliver != nil {
		for _, p := range h.inbox {
			h.net.OnDeliver(h, p.seen())
		}
	}
	list := h.inbox
	if h.cfg.Join {
		list = join(list)
	}
	for _, p := range list {
		h.net.note(h, 'r', p.data)
		if in, ok := h.load(p); ok {
			h.Stack.HandlePacket(h.Now(), in)
		} else {
			h.PoolDrops++
			h.net.tracef("%s: no buffer: %s", h.Name, describe(p.data))
		}
		h.net.recycle(p.data)
	}
	clear(h.inbox)
	h.inbox = h.inbox[:0]
}

// load copies a packet into the host's memory.
func (h *Host) load(p packet) (tcp.Packet, bool) {
	in := tcp.Packet{SegmentSize: p.segmentSize, Trusted: p.trusted}
	head := p.data
	var v parsed
	if chance(h.rng, h.cfg.Split) && v.parse(&p) && v.payload > 0 {
		at := v.ip.HeaderLen + v.tcp.HeaderLen + h.rng.IntN(v.payload)
		head = p.data[:at]
	}
	var ok bool
	if in.Head, ok = h.Pool.Get(len(head)); !ok {
		return tcp.Packet{}, false
	}
	copy(in.Head.Bytes(), head)
	if rest := p.data[len(head):]; len(rest) > 0 {
		if in.Body, ok = h.Pool.Get(len(rest)); !ok {
			in.Head.Release()
			return tcp.Packet{}, false
		}
		copy(in.Body.Bytes(), rest)
	}
	return in, true
}

// pump takes everything that the stack wants to send and to tell, and returns how much that was.
func (h *Host) pump() int {
	done := 0
	for ; done < maxPerInstant && h.Stack.PollTransmit(h.Now(), &h.transmit); done++ {
		h.emit(&h.transmit)
	}
	for e := (tcp.Event{}); done < maxPerInstant && h.Stack.PollEvent(&e); done++ {
		if h.OnEvent != nil {
			h.OnEvent(e)
		}
	}
	return done
}

// emit puts a segment on its way.
func (h *Host) emit(t *tcp.Transmit) {
	p := whole(t, h.net.alloc(len(t.Header)+t.PayloadLen))
	h.net.note(h, 's', p.data)
	d := h.routes[t.Dst]
	if d == nil {
		h.net.tracef("%s: no route to %v", h.Name, t.Dst)
		h.net.recycle(p.data)
		return
	}
	if d.link.Whole {
		if h.net.OnSend != nil {
			h.net.OnSend(h, p.seen())
		}
		d.send(p)
		return
	}
	pieces := 0
	cut(p, t.TransportStart, h.net.alloc, func(piece packet) {
		if h.net.OnSend != nil {
			h.net.OnSend(h, piece.seen())
		}
		pieces++
		d.send(piece)
	})
	if pieces > 1 {
		h.net.recycle(p.data)
	}
}
