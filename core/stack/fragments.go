package stack

import (
	"sync"
	"time"

	"github.com/MUCZ/Starfish/core/fragment"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// fragments is the reassembly that all shards share: those of one packet may come to different queues, as only the first
// has ports. There are few of them, so a lock does.
type fragments struct {
	mu   sync.Mutex
	held *fragment.Reassembler
}

func (f *fragments) add(now tcp.Time, ip *wire.IP, p *tun.Packet) (whole zbuf.Slice, lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held.Add(time.Duration(now), ip, p.Head.Bytes(), p.Body.Bytes())
}

func (f *fragments) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held.Clear()
}

// receiveFragment holds a fragment until its packet is whole, and passes that on.
func (s *shard) receiveFragment(p *tun.Packet) {
	defer p.Release()
	s.counters.fragmentsIn++
	var ip wire.IP
	if wire.ParseIPSplit(p.Head.Bytes(), p.Body.Len(), &ip) != wire.None {
		s.counters.dropMalformed++
		return
	}
	if s.stack.cfg.DropFragments || !s.owns(ip.Dst) {
		s.counters.dropFragment++
		return
	}
	whole, lost := s.stack.fragments.add(s.now, &ip, p)
	s.counters.dropFragment += uint64(lost)
	if whole.IsZero() {
		return
	}
	s.counters.reassembled++
	s.dispatch(&tun.Packet{Head: whole})
}
