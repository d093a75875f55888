package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// randomOptions has any combination, those that don't fit included, in the form in which a parser gives them.
func randomOptions(r *rand.Rand) Options {
	o := Options{Set: OptionSet(r.Uint32()) & (OptAccECN<<1 - 1)}
	if o.Set.Has(OptMSS) {
		o.MSS = uint16(r.Uint32())
	}
	if o.Set.Has(OptWindowScale) {
		o.WindowScale = uint8(r.IntN(MaxWindowScale + 1))
	}
	if o.Set.Has(OptTimestamps) {
		o.TSVal, o.TSEcr = r.Uint32(), r.Uint32()
	}
	if o.Set.Has(OptSACK) {
		o.SACKBlocks = uint8(1 + r.IntN(MaxSACKBlocks))
		for i := range o.SACKBlocks {
			o.SACK[i] = SACKBlock{seqnum.Value(r.Uint32()), seqnum.Value(r.Uint32())}
		}
	}
	if o.Set.Has(OptFastOpen) {
		o.FastOpenLen = [...]uint8{0, 4, 6, 8, 10, 12, 14, 16}[r.IntN(8)]
		copy(o.FastOpenCookie[:o.FastOpenLen], randomBytes(r, 16))
		o.FastOpenTrial = r.IntN(4) == 0
	}
	if o.Set.Has(OptAccECN) {
		o.AccECN.ECT1First, o.AccECN.Fields = r.IntN(2) == 1, uint8(r.IntN(MaxAccECNFields+1))
		for i, mark := range o.AccECN.Order() {
			if i < int(o.AccECN.Fields) {
				o.AccECN.Bytes[mark] = r.Uint32N(AccECNModulus)
			}
		}
	}
	return o
}

// whatFits is o without the counters and SACK blocks that WireLen says are left off.
func whatFits(o Options) Options {
	if o.Set.Has(OptAccECN) {
		o = countersThatFit(o)
	}
	if !o.Set.Has(OptSACK) {
		return o
	}
	without := o
	without.Set &^= OptSACK
	blocks := uint8(max(0, o.WireLen()-without.WireLen()-4) / lenSACKBlock)
	for i := blocks; i < MaxSACKBlocks; i++ {
		o.SACK[i] = SACKBlock{}
	}
	o.SACKBlocks = blocks
	if blocks == 0 {
		o.Set &^= OptSACK
	}
	return o
}

// counters are the first of the counters of Accurate ECN, each with a value that tells it from the others.
func counters(fields int, ect1First bool) AccECN {
	a := AccECN{Fields: uint8(fields), ECT1First: ect1First}
	for i, mark := range a.Order() {
		if i < fields {
			a.Bytes[mark] = [...]uint32{ECT0: 0xe0, ECT1: 0xe1, CE: 0xce}[mark]
		}
	}
	return a
}

// countersThatFit is o without the counters of Accurate ECN for which the other options leave no room.
func countersThatFit(o Options) Options {
	others := o
	others.Set &^= OptAccECN | OptSACK
	others.AccECN = AccECN{}
	room := MaxOptionsLen - others.WireLen()
	if room < 4 {
		o.Set, o.AccECN = o.Set&^OptAccECN, AccECN{}
		return o
	}
	fields := min(int(o.AccECN.Fields), (room-2)/3)
	for i, mark := range o.AccECN.Order() {
		if i >= fields {
			o.AccECN.Bytes[mark] = 0
		}
	}
	o.AccECN.Fields = uint8(fields)
	return o
}

func TestOptionsOnTheWire(t *testing.T) {
	blocks := [MaxSACKBlocks]SACKBlock{{1, 2}, {3, 4}, {5, 6}, {7, 8}}
	cookie := [16]byte{0xa, 0xb, 0xc, 0xd, 0xe, 0xf}
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"none", Options{}, ""},
		{"MSS", Options{Set: OptMSS, MSS: 1460}, "020405b4"},
		{"SACK permitted alone", Options{Set: OptSACKPermitted}, "01010402"},
		{"window scale", Options{Set: OptWindowScale, WindowScale: 7}, "01030307"},
		{"timestamps", Options{Set: OptTimestamps, TSVal: 1, TSEcr: 2}, "0101080a 00000001 00000002"},
		{"timestamps and SACK permitted", Options{Set: OptTimestamps | OptSACKPermitted, TSVal: 1}, "0402080a 00000001 00000000"},
		{"one block", Options{Set: OptSACK, SACKBlocks: 1, SACK: blocks}, "0101050a 00000001 00000002"},
		{
			"four blocks",
			Options{Set: OptSACK, SACKBlocks: 4, SACK: blocks},
			"01010522 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008",
		},
		{
			"three blocks fit beside timestamps",
			Options{Set: OptSACK | OptTimestamps, SACKBlocks: 4, SACK: blocks},
			"0101080a 00000000 00000000 0101051a 00000001 00000002 00000003 00000004 00000005 00000006",
		},
		{"no blocks", Options{Set: OptSACK}, ""},
		{"cookie request", Options{Set: OptFastOpen}, "22020101"},
		{"cookie request of the experiment", Options{Set: OptFastOpen, FastOpenTrial: true}, "fe04f989"},
		{"cookie of the experiment", Options{Set: OptFastOpen, FastOpenTrial: true, FastOpenLen: 6, FastOpenCookie: cookie}, "fe0af9890a0b0c0d0e0f0101"},
		{"cookie of 4", Options{Set: OptFastOpen, FastOpenLen: 4, FastOpenCookie: cookie}, "22060a0b0c0d0101"},
		{"no counter", Options{Set: OptAccECN}, "ac020101"},
		{"three counters", Options{Set: OptAccECN, AccECN: counters(3, false)}, "ac0b 0000e0 0000ce 0000e1 01"},
		{"two counters, ECT(1) first", Options{Set: OptAccECN, AccECN: counters(2, true)}, "ae08 0000e1 0000ce"},
		{
			"one counter, with a block behind it",
			Options{Set: OptAccECN | OptSACK, SACKBlocks: 1, SACK: blocks, AccECN: counters(1, false)},
			"ac05 0000e0 010101 0101050a 00000001 00000002",
		},
		{
			"a SYN-ACK as Linux writes it",
			Options{Set: OptMSS | OptAccECN | OptSACKPermitted | OptWindowScale, MSS: 1460, WindowScale: 8, AccECN: counters(3, true)},
			"020405b4 ae0b 0000e1 0000ce 0000e0 01 01010402 01030308",
		},
		{
			"two counters fit beside timestamps and two blocks",
			Options{Set: OptTimestamps | OptAccECN | OptSACK, SACKBlocks: 4, SACK: blocks, AccECN: counters(2, false)},
			"0101080a 00000000 00000000 ac08 0000e0 0000ce 01010512 00000001 00000002 00000003 00000004",
		},
		{"cookie of 6", Options{Set: OptFastOpen, FastOpenLen: 6, FastOpenCookie: cookie}, "22080a0b0c0d0e0f"},
	}
	for _, test := range tests {
		want := unhex(t, test.want)
		got := make([]byte, 40)
		n := test.options.put(got)
		if !bytes.Equal(got[:n], want) {
			t.Errorf("%s: % x, want % x", test.name, got[:n], want)
		}
		if test.options.WireLen() != len(want) {
			t.Errorf("%s: WireLen is %d, want %d", test.name, test.options.WireLen(), len(want))
		}
	}
}

func TestParseOptions(t *testing.T) {
	mss := Options{Set: OptMSS, MSS: 1460}
	tests := []struct {
		name, bytes string
		want        Options
	}{
		{"padding only", "01010100", Options{}},
		{"end of options hides the rest", "00 020405b4", Options{}},
		{"window scale above 14", "0303ff", Options{Set: OptWindowScale, WindowScale: 14}}, // RFC 7323 §2.3
		{"window scale of 14", "03030e", Options{Set: OptWindowScale, WindowScale: 14}},
		{"unknown kind is skipped", "fe04abcd 020405b4", mss}, // RFC 9293 MUST-6
		{"unknown kind without value", "fe02 020405b4", mss},
		{"first of two counts", "020405b4 02040001", mss},
		{"timestamps not aligned", "080a0000000100000002 0000", Options{Set: OptTimestamps, TSVal: 1, TSEcr: 2}},
		{"timestamps between other options", "020405b4 080a0000000100000002", Options{Set: OptMSS | OptTimestamps, MSS: 1460, TSVal: 1, TSEcr: 2}},
		// RFC 9293 MUST-7: a length that can't be right.
		{"length 0", "020405b4 0300 0402", mss},
		{"length 1", "020405b4 0301 0402", mss},
		{"length beyond the header", "020405b4 0304 00", mss},
		{"length missing", "020405b4 03", mss},
		{"unknown kind with length 0", "fe00 020405b4", Options{}},
		{"MSS of 3", "0203ff 020405b4", Options{}},
		{"window scale of 4", "03040101 020405b4", Options{}},
		{"SACK permitted of 3", "040301 020405b4", Options{}},
		{"timestamps of 9", "080900000000000000 020405b4", Options{}},
		{"SACK of no block", "0502 020405b4", Options{}},
		{"SACK of half a block", "0506 00000000 020405b4", Options{}},
		{"cookie of 2", "2204abcd 020405b4", Options{Set: OptMSS, MSS: 1460}}, // RFC 7413 §4.1.1: ignored
		{"cookie of 5", "22070000000000 020405b4", Options{Set: OptMSS, MSS: 1460}},
		{"cookie of 18", "2214" + zeros(18), Options{}},
		{"cookie request", "2202", Options{Set: OptFastOpen}},
		{"no counter", "ac02", Options{Set: OptAccECN}},
		{"a counter", "ac05 0000e0", Options{Set: OptAccECN, AccECN: counters(1, false)}},
		{"three counters", "ae0b 0000e1 0000ce 0000e0 01", Options{Set: OptAccECN, AccECN: counters(3, true)}},
		// RFC 9768 §3.2.3: whole fields count, the rest is padding.
		{"half a counter", "ac07 0000e0 ffff", Options{Set: OptAccECN, AccECN: counters(1, false)}},
		{"more than three counters", "ac0f 0000e0 0000ce 0000e1 ffffffff", Options{Set: OptAccECN, AccECN: counters(3, false)}},
		{"two counts of ECN", "ac05 0000e0 ae05 0000e1", Options{Set: OptAccECN, AccECN: counters(1, false)}},
		{"two SACK options", "050a0000000100000002 050a0000000300000004", Options{
			Set: OptSACK, SACKBlocks: 1, SACK: [MaxSACKBlocks]SACKBlock{{1, 2}},
		}},
	}
	for _, test := range tests {
		var got Options
		got.parse(unhex(t, test.bytes))
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestOptionsAlwaysFit(t *testing.T) {
	// Counts that no parser gives must not write beyond the header either.
	for set := range OptAccECN << 1 {
		for blocks := range uint8(6) {
			for cookie := range uint8(20) {
				o := Options{Set: set, SACKBlocks: blocks, FastOpenLen: cookie, AccECN: AccECN{Fields: blocks}}
				b := bytes.Repeat([]byte{0xaa}, MaxOptionsLen+8)
				n := o.put(b)
				if n != o.WireLen() || n > MaxOptionsLen || n%4 != 0 || b[n] != 0xaa {
					t.Fatalf("%+v: wrote %d bytes, WireLen is %d", o, n, o.WireLen())
				}
			}
		}
	}
}

func TestOptionSetHas(t *testing.T) {
	if s := OptMSS | OptSACK; !s.Has(OptMSS) || !s.Has(OptMSS|OptSACK) || s.Has(OptMSS|OptTimestamps) {
		t.Error("Has is wrong")
	}
}
