package fragment

import (
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

// TestECNOfFragments: RFC 3168 §5.3.
func TestECNOfFragments(t *testing.T) {
	for _, c := range []struct {
		fragments []wire.ECN
		want      wire.ECN
		dropped   bool
	}{
		{[]wire.ECN{wire.NotECT, wire.NotECT}, wire.NotECT, false},
		{[]wire.ECN{wire.ECT0, wire.ECT0}, wire.ECT0, false},
		{[]wire.ECN{wire.ECT1}, wire.ECT1, false},
		{[]wire.ECN{wire.ECT0, wire.ECT1}, wire.ECT0, false},
		{[]wire.ECN{wire.ECT0, wire.CE}, wire.CE, false},
		{[]wire.ECN{wire.ECT0, wire.NotECT}, wire.NotECT, false},
		{[]wire.ECN{wire.CE, wire.NotECT}, 0, true},
	} {
		var seen ecnSeen
		for _, f := range c.fragments {
			seen.note(f)
		}
		if got, ok := seen.joined(); ok == c.dropped || ok && got != c.want {
			t.Errorf("%v: %v, %v", c.fragments, got, ok)
		}
	}
}
