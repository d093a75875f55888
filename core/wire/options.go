package wire

import (
	"encoding/binary"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// OptionSet says which options a header carries.
type OptionSet uint8

// The options that the stack understands.
const (
	OptMSS OptionSet = 1 << iota
	OptWindowScale
	OptSACKPermitted
	OptSACK
	OptTimestamps
	OptFastOpen
	OptAccECN
)

// Has reports whether all options of x are present.
func (o OptionSet) Has(x OptionSet) bool { return o&x == x }

// SACKBlock is one block of the SACK option: [Start, End) has arrived (RFC 2018 §3).
type SACKBlock struct{ Start, End seqnum.Value }

// MaxSACKBlocks is what fits in 40 bytes of options.
const MaxSACKBlocks = 4

// MaxWindowScale is the largest shift count (RFC 7323 §2.3).
const MaxWindowScale = 14

// Options are the TCP options of one segment.
type Options struct {
	Set            OptionSet
	WindowScale    uint8 // RFC 7323 §2.2; a parsed value above 14 is held as 14 (§2.3)
	MSS            uint16
	TSVal, TSEcr   uint32
	SACK           [MaxSACKBlocks]SACKBlock
	SACKBlocks     uint8
	FastOpenLen    uint8 // bytes of FastOpenCookie in use; 0 with OptFastOpen set is a cookie request
	FastOpenTrial  bool  // as the experiment that came before RFC 7413 wrote it: kind 254 (RFC 6994)
	FastOpenCookie [16]byte
	AccECN         AccECN
}

// Option kinds (IANA TCP parameters).
const (
	kindEnd           = 0
	kindNop           = 1
	kindMSS           = 2
	kindWindowScale   = 3
	kindSACKPermitted = 4
	kindSACK          = 5
	kindTimestamps    = 8
	kindFastOpen      = 34
	kindAccECN0       = 172
	kindAccECN1       = 174
	kindExperiment    = 254
)

// Lengths of options, kind and length bytes included. With padding each fills words of 4 bytes.
const (
	lenMSS           = 4
	lenWindowScale   = 3
	lenSACKPermitted = 2
	lenTimestamps    = 10
	lenSACKBlock     = 8

	fastOpenTrial = 0xf989 // the ExID of Fast Open's experiment
)

// MaxOptionsLen is the room for options in a header.
const MaxOptionsLen = MaxTCPHeaderLen - TCPHeaderLen

// SACKLen is what a SACK option of so many blocks takes in a header, with its padding.
func SACKLen(blocks int) int { return 4 + blocks*lenSACKBlock }

// alignedTimestamps are the first four of the twelve bytes that RFC 7323 appendix A recommends, and that almost every
// segment of an established connection has as its only option.
const alignedTimestamps = kindNop<<24 | kindNop<<16 | kindTimestamps<<8 | lenTimestamps

// parse reads the options in b. RFC 9293 MUST-7 wants an illegal option length survived: what follows one can't be
// told and is ignored. Of an option that comes twice the first counts.
func (o *Options) parse(b []byte) {
	*o = Options{}
	if len(b) == 12 && binary.BigEndian.Uint32(b) == alignedTimestamps {
		o.Set = OptTimestamps
		o.TSVal = binary.BigEndian.Uint32(b[4:])
		o.TSEcr = binary.BigEndian.Uint32(b[8:])
		return
	}
	for len(b) > 0 {
		switch b[0] {
		case kindEnd:
			return
		case kindNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 {
			return
		}
		n := int(b[1])
		if n < 2 || n > len(b) || !o.parseOne(b[0], b[2:n]) {
			return
		}
		b = b[n:]
	}
}

// parseOne reads the value v of one option, and reports whether its length is legal. RFC 9293 MUST-6: an option that
// is not known is ignored.
func (o *Options) parseOne(kind byte, v []byte) bool {
	switch kind {
	case kindMSS:
		if len(v) != lenMSS-2 {
			return false
		}
		if o.add(OptMSS) {
			o.MSS = binary.BigEndian.Uint16(v)
		}
	case kindWindowScale:
		if len(v) != lenWindowScale-2 {
			return false
		}
		if o.add(OptWindowScale) {
			o.WindowScale = min(v[0], MaxWindowScale)
		}
	case kindSACKPermitted:
		if len(v) != lenSACKPermitted-2 {
			return false
		}
		o.add(OptSACKPermitted)
	case kindSACK:
		return o.parseSACK(v)
	case kindTimestamps:
		if len(v) != lenTimestamps-2 {
			return false
		}
		if o.add(OptTimestamps) {
			o.TSVal = binary.BigEndian.Uint32(v)
			o.TSEcr = binary.BigEndian.Uint32(v[4:])
		}
	case kindFastOpen:
		o.parseFastOpen(v, false)
	case kindExperiment:
		if len(v) >= 2 && binary.BigEndian.Uint16(v) == fastOpenTrial {
			o.parseFastOpen(v[2:], true)
		}
	case kindAccECN0, kindAccECN1:
		o.parseAccECN(kind, v)
	}
	return true
}

// add marks an option as present, and reports whether it wasn't yet.
func (o *Options) add(x OptionSet) bool {
	fresh := o.Set&x == 0
	o.Set |= x
	return fresh
}

func (o *Options) parseSACK(v []byte) bool {
	blocks := len(v) / lenSACKBlock
	if len(v)%lenSACKBlock != 0 || blocks == 0 || blocks > MaxSACKBlocks {
		return false
	}
	if !o.add(OptSACK) {
		return true
	}
	o.SACKBlocks = uint8(blocks)
	for i := range blocks {
		b := v[i*lenSACKBlock:]
		o.SACK[i] = SACKBlock{
			Start: seqnum.Value(binary.BigEndian.Uint32(b)),
			End:   seqnum.Value(binary.BigEndian.Uint32(b[4:])),
		}
	}
	return true
}

// parseFastOpen takes a cookie. RFC 7413 §4.1.1: it is of 4 to 16 bytes, their number even; none at all is a request.
// "Options with invalid Length values … MUST be ignored".
func (o *Options) parseFastOpen(v []byte, trial bool) {
	if n := len(v); n != 0 && (n < 4 || n > len(o.FastOpenCookie) || n%2 != 0) {
		return
	}
	if o.add(OptFastOpen) {
		o.FastOpenLen, o.FastOpenTrial = uint8(copy(o.FastOpenCookie[:], v)), trial
	}
}

// WireLen is the length of the options as PutSegment writes them, padding included: at most 40 bytes. Counters of Accurate ECN
// that don't fit beside the other options are left off, and then SACK blocks.
func (o *Options) WireLen() int {
	n := o.fixedLen()
	n += o.accECNLen(n)
	if blocks := o.blocksThatFit(n); blocks > 0 {
		n += SACKLen(blocks)
	}
	return n
}

// fixedLen is the length of all options but SACK and Accurate ECN, which may give way.
func (o *Options) fixedLen() int {
	n := 0
	if o.Set&OptMSS != 0 {
		n += 4
	}
	if o.Set&OptTimestamps != 0 {
		n += 12 // the two bytes that align it are SACK-permitted's when there is one
	} else if o.Set&OptSACKPermitted != 0 {
		n += 4
	}
	if o.Set&OptWindowScale != 0 {
		n += 4
	}
	if o.Set&OptFastOpen != 0 {
		n += (o.fastOpenHead() + len(o.cookie()) + 3) &^ 3
	}
	return n
}

// fastOpenHead is what stands before a cookie: kind, length, and what tells an experiment from others.
func (o *Options) fastOpenHead() int {
	if o.FastOpenTrial {
		return 4
	}
	return 2
}

func (o *Options) cookie() []byte {
	return o.FastOpenCookie[:min(int(o.FastOpenLen), len(o.FastOpenCookie))]
}

// blocksThatFit is the number of SACK blocks to write beside other options of n bytes.
func (o *Options) blocksThatFit(n int) int {
	if o.Set&OptSACK == 0 {
		return 0
	}
	return min(int(o.SACKBlocks), MaxSACKBlocks, max(0, MaxOptionsLen-4-n)/lenSACKBlock)
}

// put writes the options into b in the order and alignment of Linux, which middleboxes know best, and returns their
// length.
func (o *Options) put(b []byte) int {
	if o.Set == 0 {
		return 0
	}
	n := o.WireLen()
	b = b[:n]
	if o.Set&OptMSS != 0 {
		binary.BigEndian.PutUint32(b, kindMSS<<24|lenMSS<<16|uint32(o.MSS))
		b = b[4:]
	}
	switch {
	case o.Set&OptTimestamps != 0:
		first := uint32(alignedTimestamps)
		if o.Set&OptSACKPermitted != 0 {
			first = kindSACKPermitted<<24 | lenSACKPermitted<<16 | kindTimestamps<<8 | lenTimestamps
		}
		binary.BigEndian.PutUint32(b, first)
		binary.BigEndian.PutUint32(b[4:], o.TSVal)
		binary.BigEndian.PutUint32(b[8:], o.TSEcr)
		b = o.putAccECN(b[12:])
	case o.Set&OptSACKPermitted != 0:
		b = o.putAccECN(b)
		binary.BigEndian.PutUint32(b, kindNop<<24|kindNop<<16|kindSACKPermitted<<8|lenSACKPermitted)
		b = b[4:]
	default:
		b = o.putAccECN(b)
	}
	if o.Set&OptWindowScale != 0 {
		binary.BigEndian.PutUint32(b, kindNop<<24|kindWindowScale<<16|lenWindowScale<<8|uint32(o.WindowScale))
		b = b[4:]
	}
	b = o.putSACK(b)
	o.putFastOpen(b)
	return n
}

// putSACK writes as many blocks as b has room for beside the options still to come, and returns the rest of b.
func (o *Options) putSACK(b []byte) []byte {
	n := o.fixedLen()
	blocks := o.blocksThatFit(n + o.accECNLen(n))
	if blocks == 0 {
		return b
	}
	binary.BigEndian.PutUint32(b, kindNop<<24|kindNop<<16|kindSACK<<8|uint32(2+blocks*lenSACKBlock))
	b = b[4:]
	for _, block := range o.SACK[:blocks] {
		binary.BigEndian.PutUint32(b, uint32(block.Start))
		binary.BigEndian.PutUint32(b[4:], uint32(block.End))
		b = b[lenSACKBlock:]
	}
	return b
}

// putFastOpen fills the rest of b: the option and its padding, which Linux puts behind it.
func (o *Options) putFastOpen(b []byte) {
	if o.Set&OptFastOpen == 0 {
		return
	}
	cookie, head := o.cookie(), o.fastOpenHead()
	b[0], b[1] = kindFastOpen, uint8(head+len(cookie))
	if o.FastOpenTrial {
		b[0] = kindExperiment
		binary.BigEndian.PutUint16(b[2:], fastOpenTrial)
	}
	copy(b[head:], cookie)
	for i := head + len(cookie); i < len(b); i++ {
		b[i] = kindNop
	}
}
