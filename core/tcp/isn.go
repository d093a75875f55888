package tcp

import (
	"encoding/binary"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// isnTick is the period of the clock that drives initial sequence numbers (RFC 9293 §3.4.1, MUST-8), M of RFC 6528
// §3: "the 4 microsecond timer".
const isnTick = 4000 // ns

// The last word of every hash says what it is for, so that one output tells nothing about another.
const (
	hashISN = iota + 1
	hashTimestamp
	hashPortOffset
	hashPortIndex
	hashPortStart
	hashCookie
	hashCookieIRS
	hashFastOpen
	hashFlowLabel
	hashProbeSeed
)

// isnGenerator makes what a connection starts to count from: its initial sequence number and its timestamp offset.
type isnGenerator struct{ key [2]uint64 }

// newISNGenerator returns a generator with a secret that only this stack knows.
func newISNGenerator(secret [16]byte) isnGenerator { return isnGenerator{key: sipKey(secret)} }

// sipKey returns a secret as a key of sipHash.
func sipKey(secret [16]byte) [2]uint64 {
	return [2]uint64{binary.LittleEndian.Uint64(secret[:8]), binary.LittleEndian.Uint64(secret[8:])}
}

// isn returns the initial sequence number of a connection that opens now. RFC 6528 §3: ISN = M + F(localip, localport,
// remoteip, remoteport, secretkey). Successive incarnations of one connection move forward with M, and nobody off the
// path learns one connection's numbers from another's.
func (g *isnGenerator) isn(now Time, t tuple) seqnum.Value {
	lhi, llo := t.local.Hash64()
	rhi, rlo := t.remote.Hash64()
	ports := uint64(t.localPort)<<48 | uint64(t.remotePort)<<32
	f := sipHash(g.key, lhi, llo, rhi, rlo, ports|hashISN)
	return seqnum.Value(uint32(now/isnTick) + uint32(f))
}

// tsOffset returns what to add to the timestamp clock towards one peer. RFC 7323 §7.1 asks for an offset for each
// connection, so that the clock doesn't tell how long the machine is up. It is the same for all connections of a pair of addresses,
// because RFC 6191 §2 takes a new connection over TIME-WAIT only when its timestamps go on from the old one's.
func (g *isnGenerator) tsOffset(local, remote wire.Addr) uint32 {
	lhi, llo := local.Hash64()
	rhi, rlo := remote.Hash64()
	return uint32(sipHash(g.key, lhi, llo, rhi, rlo, hashTimestamp))
}

// probeSeed seeds what the congestion control of a connection draws at random, so that flows of one path don't act in step.
func (s *Stack) probeSeed(c *conn) uint64 {
	lhi, llo := c.tuple.local.Hash64()
	rhi, rlo := c.tuple.remote.Hash64()
	ports := uint64(c.tuple.localPort)<<48 | uint64(c.tuple.remotePort)<<32
	return sipHash(s.isn.key, lhi, llo, rhi, rlo, ports|hashProbeSeed)
}
