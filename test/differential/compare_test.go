package differential

import (
	"slices"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// A comparison must be able to fail.
func TestDifferencesAreFound(t *testing.T) {
	s, err := ParseSequence("connect; < SYN-ACK")
	if err != nil {
		t.Fatal(err)
	}
	syn := answer{flags: wire.SYN, options: wire.OptMSS}
	ack := answer{flags: wire.ACK, seq: 1, ack: 1}
	ours := Trace{{"ok", []answer{syn}, tcp.StateSynSent}, {"", []answer{ack}, tcp.StateEstablished}}
	if d := Compare("kernel", s, ours, slices.Clone(ours), nil); d != nil {
		t.Errorf("the same differs: %v", d)
	}
	for _, other := range []Outcome{
		{"", nil, tcp.StateEstablished},
		{"", []answer{ack}, tcp.StateSynSent},
		{"", []answer{{flags: wire.ACK, seq: 1, ack: 2}}, tcp.StateEstablished},
	} {
		if d := Compare("kernel", s, ours, Trace{ours[0], other}, nil); d == nil || d.Index != 1 {
			t.Errorf("%v does not differ from %v: %v", other, ours[1], d)
		}
	}
}
