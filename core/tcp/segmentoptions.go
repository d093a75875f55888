package tcp

import "github.com/MUCZ/Starfish/core/wire"

// putOptions adds to the options of a segment what comes and goes: feedback about ECN, and SACK.
func (c *conn) putOptions(o *wire.Options, data bool) {
	blocks := c.sackBlocks()
	c.ecn.putAccECN(o, data, blocks)
	if blocks > 0 {
		c.putSACK(o)
	}
}

// optionLen is what such options add to the header of a segment with data now: they are off its payload (RFC 9293 §3.7.1,
// MUST-16). A segment too small to be halved by them goes without.
func (c *conn) optionLen() int {
	if c.ecn == nil && c.sackBlocks() == 0 {
		return 0
	}
	var o wire.Options
	if c.timestampsOn {
		o.Set = wire.OptTimestamps
	}
	timestamps := o.WireLen()
	c.putOptions(&o, true)
	if n := o.WireLen() - timestamps; n <= c.mss/2 {
		return n
	}
	return 0
}

// segmentSize is the payload of a full segment now.
func (c *conn) segmentSize() int { return c.mss - c.optionLen() }

// sackBlocks is how many blocks there are to report.
func (c *conn) sackBlocks() (n int) {
	if !c.sackOn {
		return 0
	}
	if c.rcv.dsack != (wire.SACKBlock{}) {
		n = 1
	}
	if c.ooo != nil {
		n += c.ooo.nblocks
	}
	return n
}

// putSACK adds the SACK option: a duplicate first (RFC 2883 §4), then the runs.
func (c *conn) putSACK(o *wire.Options) {
	n := 0
	if c.rcv.dsack != (wire.SACKBlock{}) {
		o.SACK[0] = c.rcv.dsack
		n = 1
	}
	if c.ooo != nil {
		most := wire.MaxSACKBlocks
		if c.timestampsOn {
			most-- // RFC 2018 §3: with timestamps three blocks fit
		}
		n += copy(o.SACK[n:most], c.ooo.blocks[:c.ooo.nblocks])
	}
	o.SACKBlocks = uint8(n)
	o.Set |= wire.OptSACK
}
