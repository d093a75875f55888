package tcp

// flowLabel is the IPv6 flow label of a connection's packets after draw timeouts: the same for all of a flow, and hard to
// guess (RFC 6437 §3). Routers that balance load by it send a flow along one path. IPv4 has none.
func (s *Stack) flowLabel(t *tuple, draw uint8) uint32 {
	if t.local.Is4() {
		return 0
	}
	label := uint32(hashTuple(s.isn.key, t, uint64(draw)<<16|hashFlowLabel)) & maxFlowLabel
	return max(label, 1) // 0 says that there is none
}

const maxFlowLabel = 1<<20 - 1

// redrawFlowLabel has the packets of a connection whose path seems to be dead take another one, where there are several.
func (s *Stack) redrawFlowLabel(c *conn) {
	c.flowLabel = s.flowLabel(&c.tuple, c.synRetries+uint8(c.stat.timeouts))
}
