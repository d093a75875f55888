package stack

import (
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// sendInternal takes a packet from one of the Stack's addresses to another. It reports false when the receiver's inbox is
// full: the packet is kept, as a queue on the way would. There is no wire that could spoil it, and so no checksum.
func (s *shard) sendInternal(t *tcp.Transmit) bool {
	var p tcp.Packet
	ok := s.stack.memory.takes(len(t.Header) + t.PayloadLen)
	if ok {
		p, ok = s.pack(t)
	}
	if !ok {
		s.counters.dropNoBuffers++
		return true // lost, as on any link; the memory may be there when TCP sends it again
	}
	s.counters.packetsInternal++
	s.counters.bytesInternal += uint64(len(t.Header) + t.PayloadLen)
	if tap := s.stack.tap.Load(); tap != nil {
		(*tap)(Tapped{
			Direction: Internal, Time: s.now, Shard: s.index, Header: t.Header, Payload: t.Payload, SegmentSize: t.SegmentSize,
		})
	}
	owner := s.packetOwner(t)
	if !s.put(p, owner) {
		s.out.held, s.out.heldFor = p, owner
		return false
	}
	return true
}

// put adds a packet to a shard's inbox and reports whether there was room.
func (s *shard) put(p tcp.Packet, owner *shard) bool {
	if !owner.inbox.put(p, s) {
		s.counters.inboxFull++
		return false
	}
	if owner != s {
		owner.rouse()
	}
	return true
}

// pack makes a packet to be received of one that is sent: the header is copied, the payload shared when it is in one
// piece.
func (s *shard) pack(t *tcp.Transmit) (tcp.Packet, bool) {
	pool := s.stack.cfg.Pool
	head, ok := pool.Get(len(t.Header))
	if !ok {
		return tcp.Packet{}, false
	}
	copy(head.Bytes(), t.Header)
	p := tcp.Packet{Head: head, SegmentSize: t.SegmentSize, Trusted: true}
	switch len(t.Payload) {
	case 0:
	case 1:
		p.Body = t.Payload[0].Retain()
	default:
		if p.Body, ok = join(pool, t.Payload, t.PayloadLen); !ok {
			head.Release()
			return tcp.Packet{}, false
		}
	}
	return p, true
}

// join copies pieces of n bytes in all into one block.
func join(pool *zbuf.Pool, pieces []zbuf.Slice, n int) (zbuf.Slice, bool) {
	whole, ok := pool.Get(n)
	if !ok {
		return zbuf.Slice{}, false
	}
	to := whole.Bytes()
	for _, piece := range pieces {
		to = to[copy(to, piece.Bytes()):]
	}
	return whole, true
}

// packetOwner returns the shard of a packet's flow.
func (s *shard) packetOwner(t *tcp.Transmit) *shard {
	if len(s.stack.shards) == 1 {
		return s
	}
	ports := t.Header[t.TransportStart:]
	return s.stack.shardOf(
		tcp.Endpoint{Addr: t.Src, Port: uint16(ports[0])<<8 | uint16(ports[1])},
		tcp.Endpoint{Addr: t.Dst, Port: uint16(ports[2])<<8 | uint16(ports[3])},
	)
}
