package tun

import "testing"

func TestOffloadString(t *testing.T) {
	for want, o := range map[string]Offload{
		"none":               {},
		"checksum":           {Checksum: true},
		"checksum tso4 tso6": {Checksum: true, TSO4: true, TSO6: true},
	} {
		if got := o.String(); got != want {
			t.Errorf("%#v is %q, want %q", o, got, want)
		}
	}
}
