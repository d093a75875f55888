package stack

import (
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Counter is one named counter.
type Counter struct {
	Name  string
	Value uint64
}

// Stats are the counters of a Stack, summed up over its shards.
type Stats struct {
	Counters []Counter // the engine's, then the shell's, in an order that does not change
	Pool     zbuf.Stats
}

// Stats returns the counters. The shards are asked one after the other, not at one instant.
func (s *Stack) Stats() (Stats, error) {
	var st Stats
	for _, part := range s.shards {
		i := 0
		add := func(name string, value uint64) {
			if i == len(st.Counters) {
				st.Counters = append(st.Counters, Counter{Name: name})
			}
			st.Counters[i].Value += value
			i++
		}
		err := part.call(func(s *shard) {
			s.engine.Stats().Each(add)
			s.counters.each(add)
		})
		if err != nil {
			return Stats{}, err
		}
	}
	st.Counters = append(st.Counters, Counter{"WritesWithoutBuffers", s.writesWithoutBuffers.Load()})
	st.Pool = s.cfg.Pool.Stats()
	return st, nil
}

// ConnInfo is one connection as a snapshot shows it.
type ConnInfo struct {
	Conn   *Conn // nil when its user has let go of it
	Shard  int
	Status tcp.Status
}

// snapshotBatch is how many connections a shard describes before it turns to its work again.
const snapshotBatch = 256

// Connections calls visit for every connection until that returns false. Each is as it was at some time during the call;
// those that come or go meanwhile may be missing.
func (s *Stack) Connections(visit func(*ConnInfo) bool) error {
	for _, part := range s.shards {
		var ids []tcp.ConnID
		if err := part.call(func(s *shard) { ids = s.engine.Connections(nil) }); err != nil {
			return err
		}
		infos := make([]ConnInfo, 0, min(len(ids), snapshotBatch))
		for len(ids) > 0 {
			batch := ids[:min(len(ids), snapshotBatch)]
			ids = ids[len(batch):]
			infos = infos[:0]
			if err := part.call(func(s *shard) { infos = s.describe(infos, batch) }); err != nil {
				return err
			}
			for i := range infos {
				if !visit(&infos[i]) {
					return nil
				}
			}
		}
	}
	return nil
}

// describe appends what can be said of connections.
func (s *shard) describe(infos []ConnInfo, ids []tcp.ConnID) []ConnInfo {
	for _, id := range ids {
		info := ConnInfo{Conn: s.conn(id), Shard: s.index}
		if info.Conn != nil {
			info.Conn.settle(s)
		}
		if s.engine.OrphanStatus(id, &info.Status) == nil {
			infos = append(infos, info)
		}
	}
	return infos
}

// settle tells the engine what the user has taken, so that its status does not count that as unread.
func (c *Conn) settle(s *shard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	(*userEdge)(c).tellConsumed(s)
}
