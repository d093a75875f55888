package sim

import (
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

func TestShrinkWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	zeros := 0
	for range 100 {
		p := cutAll(superSegment(false, 0, 100, wire.ACK, 1))[0]
		var before, after parsed
		before.parse(&p)
		shrinkWindow(&p, rng)
		if !after.parse(&p) || !checksumOK(&p, &after.ip) {
			t.Fatal("the segment is not intact")
		}
		if after.tcp.Window > before.tcp.Window {
			t.Fatalf("a window of %d grew to %d", before.tcp.Window, after.tcp.Window)
		}
		if after.tcp.Window == 0 {
			zeros++
		}
	}
	if zeros == 0 || zeros == 100 {
		t.Errorf("%d of 100 windows are closed", zeros)
	}
	p := cutAll(superSegment(false, 0, 100, wire.SYN, 1))[0]
	before := string(p.data)
	if shrinkWindow(&p, rng); string(p.data) != before {
		t.Error("the window of a SYN has changed")
	}
}
