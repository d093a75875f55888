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

// hashTuple is a keyed hash of a tuple, whose ports may be 0 where they don't matter. The low 32 bits of purpose say what it
// is for, and may tell several hashes for it apart.
func hashTuple(key [2]uint64, t *tuple, purpose uint64) uint64 {
	lhi, llo := t.local.Hash64()
	rhi, rlo := t.remote.Hash64()
	return sipHash(key, lhi, llo, rhi, rlo, uint64(t.localPort)<<48|uint64(t.remotePort)<<32|purpose)
}

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
	return seqnum.Value(uint32(now/isnTick) + uint32(hashTuple(g.key, &t, hashISN)))
}

// tsOffset returns what to add to the timestamp clock towards one peer. RFC 7323 §7.1 asks for an offset for each
// connection, so that the clock doesn't tell how long the machine is up. It is the same for all connections of a pair of addresses,
// because RFC 6191 §2 takes a new connection over TIME-WAIT only when its timestamps go on from the old one's.
func (g *isnGenerator) tsOffset(local, remote wire.Addr) uint32 {
	return uint32(hashTuple(g.key, &tuple{local: local, remote: remote}, hashTimestamp))
}

// probeSeed seeds what the congestion control of a connection draws at random, so that flows of one path don't act in step.
func (s *Stack) probeSeed(c *conn) uint64 { return hashTuple(s.isn.key, &c.tuple, hashProbeSeed) }
