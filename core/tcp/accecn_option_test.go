package tcp

import (
	"errors"
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

func TestAccECNOptionText(t *testing.T) {
	for o := AccECNOptionNeeded; o < numAccECNOption; o++ {
		text, _ := o.MarshalText()
		var got AccECNOption
		if err := got.UnmarshalText(text); err != nil || got != o {
			t.Errorf("%v: %v, %v", o, got, err)
		}
	}
	for _, text := range []string{"", "Always", "AccECNOption(3)"} {
		if err := new(AccECNOption).UnmarshalText([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if AccECNOption(9).String() == "" {
		t.Error("an unknown value has no name")
	}
}

func TestConfigRefusesUnknownAccECNOption(t *testing.T) {
	c := Config{Pool: zbuf.NewPool(0), Owns: func(wire.Addr) bool { return true }, AccECNOption: numAccECNOption}
	if _, err := New(c); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

// The option says modulo 2^24 how many bytes came, in the shorter order (RFC 9768 §3.2.3).
func TestAccSenderChooses(t *testing.T) {
	a := &accSender{received: [4]uint64{wire.ECT0: 1<<24 + 5, wire.ECT1: 1<<24 - 1, wire.CE: 3 << 24}}
	for _, test := range []struct {
		want      codepoints
		ect1First bool
		fields    uint8
	}{
		{1 << wire.ECT0, false, 2},
		{1 << wire.ECT1, true, 2},
		{1 << wire.CE, true, 2},
		{1<<wire.ECT0 | 1<<wire.CE, false, 2},
		{1<<wire.ECT1 | 1<<wire.CE, true, 2},
		{1<<wire.ECT0 | 1<<wire.ECT1, true, 3},
		{allCodepoints, true, 3},
	} {
		o, length := a.choose(test.want)
		if o.ECT1First != test.ect1First || o.Fields != test.fields || length != wire.AccECNLen(int(test.fields)) {
			t.Errorf("%b: %+v, %d bytes", test.want, o, length)
		}
		for mark, want := range map[wire.ECN]uint32{wire.ECT0: 6, wire.ECT1: 0, wire.CE: 0} {
			if o.Has(mark) && o.Bytes[mark] != want {
				t.Errorf("%b: counter %d is %d, want %d", test.want, mark, o.Bytes[mark], want)
			}
			if test.want.has(mark) && !o.Has(mark) {
				t.Errorf("%b: counter %d is missing", test.want, mark)
			}
		}
	}
}

// RFC 9768 §3.2.3.3: two SACK blocks go before the option, and what has moved is told or waits.
func TestAccSenderRoom(t *testing.T) {
	moved := func(marks ...wire.ECN) *accSender {
		a := &accSender{}
		for _, mark := range marks {
			a.moved |= 1 << mark
		}
		a.ever = a.moved
		return a
	}
	before := moved(wire.ECT0)
	before.ever = allCodepoints
	for name, test := range map[string]struct {
		a          *accSender
		timestamps bool
		blocks     int
		fields     int // -1: no option
	}{
		"nothing moved":                   {moved(), false, 0, -1},
		"alone":                           {moved(wire.ECT0), false, 0, 2},
		"beside timestamps":               {moved(wire.ECT0, wire.ECT1), true, 0, 3},
		"beside a block":                  {moved(wire.ECT0, wire.ECT1), true, 1, 3},
		"two blocks without timestamps":   {moved(wire.ECT0, wire.ECT1), false, 2, 3},
		"many blocks without timestamps":  {moved(wire.ECT0, wire.ECT1), false, 9, 3},
		"two blocks leave two counters":   {moved(wire.ECT0, wire.CE), true, 3, 2},
		"two blocks don't leave three":    {moved(wire.ECT0, wire.ECT1), true, 3, -1},
		"all that ever moved":             {before, true, 1, 3},
		"what has moved if all don't fit": {before, true, 2, 2},
		"nothing, where it can't be told": {&accSender{off: true, moved: 1 << wire.CE}, false, 0, -1},
		"all, if always":                  {&accSender{always: true}, true, 1, 3},
		"none, if always, without room":   {&accSender{always: true}, true, 2, -1},
		"what has moved, if always, then": {&accSender{always: true, moved: 1 << wire.CE}, true, 2, 2},
	} {
		var o wire.Options
		if test.timestamps {
			o.Set = wire.OptTimestamps
		}
		test.a.put(&o, false, test.blocks)
		got := -1
		if o.Set.Has(wire.OptAccECN) {
			got = int(o.AccECN.Fields)
		}
		if got != test.fields {
			t.Errorf("%s: %d counters, want %d", name, got, test.fields)
		}
	}
}

// A SYN-ACK full of other options has fewer counters (RFC 9768 §3.2.3.2.1: "due to insufficient option space").
func TestSynAckOptionBesideCookie(t *testing.T) {
	o := wire.Options{Set: wire.OptMSS | wire.OptTimestamps | wire.OptSACKPermitted | wire.OptWindowScale | wire.OptFastOpen, FastOpenLen: fastOpenCookieLen}
	putSynAckOption(&o)
	if got, want := o.WireLen(), 4+12+4+12+wire.AccECNLen(2); got != want {
		t.Errorf("%d bytes of options, want %d", got, want)
	}
}
