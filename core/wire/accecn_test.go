package wire

import "testing"

// The counters that are told are the first ones of the order (RFC 9768 table 5).
func TestAccECNHas(t *testing.T) {
	for _, test := range []struct {
		fields    uint8
		ect1First bool
		want      [4]bool // by codepoint
	}{
		{0, false, [4]bool{}},
		{1, false, [4]bool{ECT0: true}},
		{2, false, [4]bool{ECT0: true, CE: true}},
		{1, true, [4]bool{ECT1: true}},
		{2, true, [4]bool{ECT1: true, CE: true}},
		{3, true, [4]bool{ECT1: true, CE: true, ECT0: true}},
	} {
		a := AccECN{Fields: test.fields, ECT1First: test.ect1First}
		for mark, want := range test.want {
			if got := a.Has(ECN(mark)); got != want {
				t.Errorf("%d fields, ECT(1) first %v: codepoint %d %v", test.fields, test.ect1First, mark, got)
			}
		}
	}
}

func TestAccECNLen(t *testing.T) {
	for fields, want := range []int{4, 8, 8, 12} {
		if got := AccECNLen(fields); got != want {
			t.Errorf("%d counters take %d bytes, want %d", fields, got, want)
		}
	}
}
