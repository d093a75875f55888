package stack

import (
	"sync"
	"sync/atomic"

	"github.com/MUCZ/Starfish/core/tcp"
)

// inboxSize bounds the packets that wait for one shard: as many as fill 16 MiB with super-segments.
const inboxSize = 256

// inbox takes the packets that reach a shard from other shards, or over the internal link.
type inbox struct {
	mu      sync.Mutex
	packets []tcp.Packet
	blocked []*shard // those that found it full and wait
	count   atomic.Int32

	spare []tcp.Packet // the taker's: what packets becomes next
}

// put adds p, whose references pass to the inbox. It reports false when the inbox is full: then from is woken when there
// is room again, and p stays its own.
func (b *inbox) put(p tcp.Packet, from *shard) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.packets) >= inboxSize {
		for _, s := range b.blocked {
			if s == from {
				return false
			}
		}
		b.blocked = append(b.blocked, from)
		return false
	}
	b.packets = append(b.packets, p)
	b.count.Store(int32(len(b.packets)))
	return true
}

// waiting reports whether there is a packet.
func (b *inbox) waiting() bool { return b.count.Load() > 0 }

// take returns all packets in order. They are valid until the next take.
func (b *inbox) take() []tcp.Packet {
	b.mu.Lock()
	packets := b.packets
	b.packets, b.spare = b.spare[:0], packets
	b.count.Store(0)
	for i, s := range b.blocked {
		s.rouse()
		b.blocked[i] = nil
	}
	b.blocked = b.blocked[:0]
	b.mu.Unlock()
	return packets
}

// hasRoom reports whether put would take a packet.
func (b *inbox) hasRoom() bool { return b.count.Load() < inboxSize }

func (b *inbox) clear() {
	packets := b.take()
	for i := range packets {
		packets[i].Release()
	}
}

// takeInbox hands the packets to the engine. There may be more at once.
func (s *shard) takeInbox() bool {
	if !s.inbox.waiting() {
		return false
	}
	packets := s.inbox.take()
	for i := range packets {
		s.engine.HandlePacket(s.now, packets[i])
		packets[i] = tcp.Packet{}
	}
	return s.inbox.waiting()
}
