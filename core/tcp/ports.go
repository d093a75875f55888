package tcp

import "github.com/MUCZ/Starfish/core/wire"

// portCounters is the size of the table of RFC 6056 §3.3.4. Destinations that share a counter see gaps in each other's
// ports, which hides how many connections the stack makes; more counters, less collision between destinations.
const portCounters = 1024

// ports selects ephemeral ports by RFC 6056 §3.3.4, Algorithm 4 (double-hash port selection): towards one destination
// they are taken in turn, so that each rests as long as possible before it comes again, from a start that can't be guessed.
type ports struct {
	key         [2]uint64
	first, last uint16
	counters    [portCounters]uint32
}

// init sets the secret and the range, both ends included, first not above last. RFC 6056 §3.2 would take all of
// 1024–65535; the narrower range of Config leaves the rest to listeners that come later.
func (p *ports) init(secret [16]byte, first, last uint16) {
	p.key, p.first, p.last = sipKey(secret), first, last
	for i := range p.counters {
		p.counters[i] = uint32(sipHash(p.key, uint64(i), hashPortStart))
	}
}

// pick returns a port of the range for which inUse says no, for a connection from local to the remote endpoint. It
// asks about every port at most once, and reports false when all are in use.
func (p *ports) pick(local, remote wire.Addr, remotePort uint16, inUse func(port uint16) bool) (uint16, bool) {
	t := tuple{local: local, remote: remote, remotePort: remotePort}
	offset, index := hashTuple(p.key, &t, hashPortOffset), hashTuple(p.key, &t, hashPortIndex)
	counter := &p.counters[index%portCounters]

	size := uint32(p.last-p.first) + 1
	start := (uint32(offset)%size + *counter%size) % size
	for i := range size {
		port := p.first + uint16((start+i)%size)
		if !inUse(port) {
			*counter = (*counter%size + i + 1) % size
			return port, true
		}
	}
	return 0, false
}
